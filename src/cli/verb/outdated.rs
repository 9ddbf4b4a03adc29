//! `brc outdated`: which locked versions have newer ones.

use std::{collections::BTreeSet, process::ExitCode};

use crate::{
    cli::{
        CliError, arguments,
        context::Context,
        pins::{Written, move_pins},
    },
    compose::SetPins,
    lock::Goal,
};

/// Says what an update would move, and writes nothing.
pub fn run(context: &Context, arguments: &arguments::Lock) -> Result<ExitCode, CliError> {
    move_pins(context, arguments.file.as_deref(), Goal::Update(BTreeSet::new()), SetPins::Missing, Written::No)
}
