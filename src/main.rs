//! The `brc` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A sandbox is this program again, with one thread and another purpose.
    brc::sandbox::intercept();
    brc::cli::main()
}
