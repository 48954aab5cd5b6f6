//! The command line: arguments, exit codes, printing.

pub mod postgres;
