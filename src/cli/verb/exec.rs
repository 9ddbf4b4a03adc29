//! `brc exec`: a program in a machine that runs.

use std::{
    io::{self, stdin},
    process::ExitCode,
    thread,
    time::Duration,
};

use brc_contract::door::{Command, Message};

use crate::{
    cli::{CliError, arguments, context::Context, output::READER_GONE, passed},
    vm::{VisitError, Visitor},
};

/// Runs a program in a machine; its exit code is ours.
pub fn run(context: &Context, arguments: &arguments::Exec) -> Result<ExitCode, CliError> {
    if context.is_json() {
        return Err(CliError::Usage("`brc exec` passes on what a program prints: it has no `--json`".to_owned()));
    }
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(CliError::Usage(format!("`--env {text}` sets nothing: expected NAME=VALUE"))),
    };
    let command = Command {
        words: arguments.command.clone(),
        environment: arguments.env.iter().map(pair).collect::<Result<_, _>>()?,
        directory: arguments.directory.clone().unwrap_or_default(),
        has_input: arguments.input,
    };
    start(context, &arguments.machine, &arguments.wait, command)
}

/// Goes to a machine.
pub fn enter(context: &Context, machine: &str, wait: &arguments::Wait) -> Result<Visitor, CliError> {
    let machines = context.config.machines_path()?;
    Visitor::enter(&machines, machine, Duration::from_secs(wait.wait)).map_err(failed)
}

/// Starts a program in a machine and follows it.
pub fn start(context: &Context, machine: &str, wait: &arguments::Wait, command: Command) -> Result<ExitCode, CliError> {
    let visitor = enter(context, machine, wait)?;
    let has_input = command.has_input;
    let mut input = visitor.ask(Message::Start(command)).map_err(failed)?;
    if has_input {
        // It ends with us: what waits for a terminal cannot be called back.
        thread::spawn(move || {
            // What the program does not read is lost, as in a pipe.
            let _ = io::copy(&mut stdin().lock(), &mut input).and_then(|_| input.end());
        });
    }
    match visitor.follow(&mut passed::output(), &mut passed::errors()) {
        Ok(end) => Ok(ExitCode::from(end.code())),
        Err(VisitError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::from(READER_GONE)),
        Err(error) => Err(failed(error)),
    }
}

/// Why nobody could look in.
pub fn failed(error: VisitError) -> CliError {
    if error.is_usage() { CliError::usage(&error) } else { CliError::Machine(error.into()) }
}
