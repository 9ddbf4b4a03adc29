//! `brc logs`: the journal of a machine that runs.

use std::process::ExitCode;

use brc_contract::door::Command;

use super::exec;
use crate::cli::{CliError, arguments, context::Context};

/// Prints what the machine has logged since it started.
pub fn run(context: &Context, arguments: &arguments::Logs) -> Result<ExitCode, CliError> {
    exec::start(context, &arguments.machine, &arguments.wait, command(arguments, context.is_json()))
}

fn command(arguments: &arguments::Logs, is_json: bool) -> Command {
    let mut words = vec!["/usr/bin/journalctl".to_owned(), "--no-pager".to_owned(), "--boot".to_owned()];
    words.extend(arguments.unit.iter().map(|unit| format!("--unit={unit}")));
    if arguments.follow {
        words.extend(["--follow".to_owned(), "--lines=all".to_owned()]);
    }
    words.extend(is_json.then(|| "--output=json".to_owned()));
    Command { words, ..Command::default() }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_journal_is_asked_for_what_the_arguments_say() {
        let asked = |words: &[&str]| {
            let words = ["brc", "logs", "m"].iter().chain(words);
            let parsed = arguments::Arguments::try_parse_from(words).unwrap();
            let arguments::Verb::Logs(logs) = parsed.verb else { panic!("it is the verb `logs`") };
            command(&logs, parsed.global.json).words[3..].join(" ")
        };
        assert_eq!(asked(&[]), "");
        assert_eq!(asked(&["-f", "--unit", "a", "-u", "b"]), "--unit=a --unit=b --follow --lines=all");
        assert_eq!(asked(&["--json"]), "--output=json");
    }
}
