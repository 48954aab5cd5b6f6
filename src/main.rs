//! Entry point of the program; see `cinegraph::cli`.

use std::process::ExitCode;

// Faster under load than the allocator of the system, and reports how much memory it holds.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cinegraph::cli::main()
}
