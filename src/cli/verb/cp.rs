//! `brc cp`: files and folders into a machine that runs, and out of it.

use std::{
    io::{self, PipeReader},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use brc_contract::door::Message;
use brc_linux::copied::{self, CopyError};

use super::exec::{enter, failed};
use crate::{
    cli::{CliError, arguments, context::Context, passed},
    vm::{VisitError, Visitor, is_machine_name},
};

/// Copies.
pub fn run(context: &Context, arguments: &arguments::Copy) -> Result<ExitCode, CliError> {
    let visit = |machine: &str| enter(context, machine, &arguments.wait);
    match (Side::of(&arguments.from), Side::of(&arguments.to)) {
        (Side::Machine { name, path }, Side::Here(to)) => get(visit(name)?, path, &to)?,
        (Side::Here(from), Side::Machine { name, path }) => put(&from, || visit(name), path)?,
        _ => return Err(CliError::Usage("one of FROM and TO is in a machine: expected MACHINE:PATH".to_owned())),
    }
    Ok(ExitCode::SUCCESS)
}

/// One side of a copy.
#[derive(Debug, PartialEq, Eq)]
enum Side<'a> {
    Machine { name: &'a str, path: &'a str },
    Here(PathBuf),
}

impl<'a> Side<'a> {
    /// What a word means: a path with a colon in it is one here when it begins with a point or a slash.
    fn of(text: &'a str) -> Side<'a> {
        match text.split_once(':') {
            Some((name, path)) if is_machine_name(name) && !path.is_empty() => Side::Machine { name, path },
            _ => Side::Here(PathBuf::from(text)),
        }
    }
}

/// What a path is called last.
fn last_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn get(visitor: Visitor, path: &str, to: &Path) -> Result<(), CliError> {
    visitor.ask(Message::Get { path: path.to_owned() }).map_err(failed)?;
    let (mut reader, mut writer) = io::pipe().map_err(|error| CliError::Machine(error.into()))?;
    let name = last_name(Path::new(path));
    let (followed, received) = thread::scope(|scope| {
        let receiving = scope.spawn(move || received(to, &name, &mut reader));
        let followed = visitor.follow(&mut writer, &mut passed::errors());
        drop(writer);
        (followed, receiving.join())
    });
    let received = received.map_err(|_| CliError::Bug("a copy panicked".to_owned()))?;
    match (followed, received) {
        (Ok(_), Ok(())) => Ok(()),
        // What breaks off there breaks off here, and what fails here is not taken any more.
        (Err(VisitError::Output(_)) | Ok(_), Err(error)) => Err(not_copied(error)),
        (Err(error), _) => Err(refused(error)),
    }
}

fn received(to: &Path, name: &str, reader: &mut PipeReader) -> Result<(), CopyError> {
    copied::receive(to, name, reader)
}

fn put(from: &Path, visit: impl FnOnce() -> Result<Visitor, CliError>, path: &str) -> Result<(), CliError> {
    // `.` and `..` have a name too.
    let whole = from.canonicalize();
    let whole = whole.map_err(|source| not_copied(CopyError::Read { path: from.to_owned(), source }))?;
    let visitor = visit()?;
    let named = if from.file_name().is_some() { from } else { &whole };
    let ask = Message::Put { path: path.to_owned(), name: last_name(named) };
    let mut input = visitor.ask(ask).map_err(failed)?;
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let sent = copied::send(from, &mut input);
            // The other end knows that it is not whole; what is over already needs no end.
            input.end().unwrap_or_default();
            sent
        });
        let followed = visitor.follow(&mut io::sink(), &mut passed::errors());
        let sent = sending.join().map_err(|_| CliError::Bug("a copy panicked".to_owned()))?;
        match (followed, sent) {
            (Ok(_), Ok(())) => Ok(()),
            // Whatever is said at the other end follows from it.
            (_, Err(error)) if !matches!(error, CopyError::Stream(_)) => Err(not_copied(error)),
            (Err(error), _) => Err(refused(error)),
            (Ok(_), Err(error)) => Err(not_copied(error)),
        }
    })
}

fn not_copied(error: CopyError) -> CliError {
    CliError::Found(brc_contract::error_chain(&error))
}

fn refused(error: VisitError) -> CliError {
    match error {
        VisitError::Refused { message } => CliError::Found(format!("in the machine, {message}")),
        error => failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_a_machines_name_before_a_colon_is_in_the_machine() {
        let machine = |name, path| Side::Machine { name, path };
        for (text, side) in [
            ("m:/etc/a", machine("m", "/etc/a")),
            ("m:a:b", machine("m", "a:b")),
            ("./m:a", Side::Here("./m:a".into())),
            ("/m:a", Side::Here("/m:a".into())),
            ("m:", Side::Here("m:".into())),
            ("file", Side::Here("file".into())),
        ] {
            assert_eq!(Side::of(text), side, "{text}");
        }
    }
}
