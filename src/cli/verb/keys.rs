//! `brc keys`.

use std::process::ExitCode;

use crate::{
    cli::{
        CliError,
        arguments::{Keys, KeysVerb},
        context::Context,
        json::Event,
        output::{print, print_event},
    },
    publish::{KeyError, new_keys},
};

/// Makes keys.
pub fn run(context: &Context, arguments: &Keys) -> Result<ExitCode, CliError> {
    let KeysVerb::New { folder } = &arguments.verb;
    let files = new_keys(folder).map_err(|error| match error {
        KeyError::There { .. } => CliError::usage(&error),
        KeyError::Read { .. } | KeyError::NoKey { .. } | KeyError::Write { .. } | KeyError::Random => {
            CliError::Machine(error.into())
        }
    })?;
    for file in files {
        let path = file.display().to_string();
        if context.is_json() { print_event(Event::Written { file: path }) } else { print(&path) }
    }
    Ok(ExitCode::SUCCESS)
}
