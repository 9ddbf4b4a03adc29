//! Talks to people: the command line, progress, errors, exit codes.
//!
//! *Takes* arguments, environment, clock. *Gives* an exit code. *Promises*: standard output is data, standard error
//! is for people; every error says what to do next. *Does not know* how anything is done: verbs call `compose` and show
//! what comes back.

mod action_report;
mod arguments;
mod aws;
mod boot_order;
mod command_error;
mod component_actions;
mod config;
mod context;
mod diagnostics;
mod error_report;
mod hint;
mod image_file;
mod image_label;
mod json;
mod manifest_file;
mod output;
mod passed;
mod pins;
mod progress;
mod publish_target;
mod released_image;
mod verb;

use std::{env, process::ExitCode};

use clap::Parser as _;

use arguments::Arguments;
use context::Context;

pub use command_error::CliError;

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::finish(usage_error(&error)),
    };
    let context = Context::new(arguments.global, arguments.verb.subject());
    output::finish(match verb::run(&context, &arguments.verb) {
        Ok(code) => code,
        Err(error) => error_report::report(context.config.style, &context.hints, &error),
    })
}

/// Shows what clap found of the command line: a mistake, or the help that was asked for.
fn usage_error(error: &clap::Error) -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "what could not be read says nothing about `--json`")]
    let mut words = env::args_os().skip(1).take_while(|word| word != "--");
    if error.use_stderr() && words.any(|word| word == "--json") {
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned();
        error_report::report_message(output::Style::Json, &text);
    } else {
        let is_there = if error.use_stderr() { Ok(()) } else { output::must_be_open() };
        if let Err(error) = is_there.and_then(|()| error.print()) {
            return output::not_written(&error);
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}
