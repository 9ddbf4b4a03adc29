//! `brc update`: locked versions move forward, or to those of the imported sets.

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

/// Moves versions forward, or to those of the imported sets.
pub fn run(context: &Context, arguments: &arguments::Update) -> Result<ExitCode, CliError> {
    let (file, names) = arguments.split();
    if !arguments.from_set {
        let goal = Goal::Update(names.iter().cloned().collect());
        return move_pins(context, file.as_deref(), goal, SetPins::Missing, Written::Yes);
    }
    if let Some(name) = names.first() {
        let message = format!("`--from-set` takes all that the sets have pinned: leave out `{name}`");
        return Err(CliError::Usage(message));
    }
    move_pins(context, file.as_deref(), Goal::Complete, SetPins::All, Written::Yes)
}
