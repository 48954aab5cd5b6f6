//! The program: reads the arguments, runs the command, and says what went wrong.

use std::process::ExitCode;

fn main() -> ExitCode {
    cinegraph::cli::main()
}
