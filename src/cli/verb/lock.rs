//! `brc lock`: what recipes name and the lock file does not have yet is pinned.

use std::process::ExitCode;

use crate::{
    cli::{
        CliError, arguments,
        context::Context,
        pins::{Written, move_pins},
    },
    compose::SetPins,
    lock::Goal,
};

/// Pins what is missing.
pub fn run(context: &Context, arguments: &arguments::Lock) -> Result<ExitCode, CliError> {
    move_pins(context, arguments.file.as_deref(), Goal::Complete, SetPins::Missing, Written::Yes)
}
