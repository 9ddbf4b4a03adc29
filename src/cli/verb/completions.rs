//! `brc completions`: the completions of a shell.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::{
    CliError,
    arguments::{self, Arguments},
    output::print,
};

/// Prints a shell's completions.
pub fn run(arguments: &arguments::Completions) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "brc", &mut script);
    print(String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
