//! `brc-agent`: the program that runs on machines made by brc. Talks; the library does.

#![expect(clippy::print_stderr, reason = "the program talks to people")]

use std::{
    env::consts::ARCH,
    io::{self, Write as _},
    process::ExitCode,
};

use brc_agent::{Status, verity::Root};
use brc_linux::{Files, device_mapper};
use lexopt::Arg::{Long, Short, Value};

const HELP: &str = "\
Looks after a machine that runs an image of brc.

Usage: brc-agent status [--json]

  status         what runs, from which slot, and whether it is verified
      --json     as one JSON object

  -h, --help     this text
  -V, --version  the version of this program

Exit codes of status: 0 the root is verified, 1 it is not, 3 that could not be told (only root is told).
Exit code 2: the command line is wrong.
";

/// How what was asked for is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// What the command line asks for.
enum Order {
    Status(Form),
    Help,
    Version,
}

/// The exit codes; 2, the command line is wrong, is the same for all programs of brc.
const NOT_VERIFIED: u8 = 1;
const USAGE: u8 = 2;
const CANNOT_TELL: u8 = 3;

fn main() -> ExitCode {
    let (text, code) = match order(lexopt::Parser::from_env()) {
        Ok(Order::Status(form)) => status(form),
        Ok(Order::Help) => (HELP.to_owned(), 0),
        Ok(Order::Version) => (format!("brc-agent {}\n", env!("CARGO_PKG_VERSION")), 0),
        Err(error) => {
            eprintln!("error: {error}; see `brc-agent --help`");
            return USAGE.into();
        }
    };
    if let Err(error) = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        eprintln!("error: standard output cannot be written: {error}");
        return CANNOT_TELL.into();
    }
    code.into()
}

fn order(mut arguments: lexopt::Parser) -> Result<Order, lexopt::Error> {
    let mut verb = None;
    let mut form = Form::Text;
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Order::Help),
            Short('V') | Long("version") => return Ok(Order::Version),
            Long("json") => form = Form::Json,
            Value(value) if verb.is_none() && value == "status" => verb = Some(value),
            Value(value) if verb.is_none() => {
                return Err(format!("`{}` is no verb: expected `status`", value.to_string_lossy()).into());
            }
            other => return Err(other.unexpected()),
        }
    }
    verb.map(|_| Order::Status(form)).ok_or_else(|| "no verb: expected `status`".into())
}

fn status(form: Form) -> (String, u8) {
    let status = Status::of(&Files::below("/"), ARCH, &device_mapper::ask);
    let code = match &status.root {
        Ok(Root::Verified(_)) => 0,
        Ok(Root::Corrupted(_) | Root::Unverified(_)) => NOT_VERIFIED,
        Err(_) => CANNOT_TELL,
    };
    let text = match form {
        Form::Text => brc_agent::text(&status),
        Form::Json => format!("{}\n", brc_agent::json(&status)),
    };
    (text, code)
}
