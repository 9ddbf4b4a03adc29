//! Talks to people: the command line, progress, errors, exit codes.
//!
//! *Takes* arguments, environment, clock. *Gives* an exit code. *Promises*: standard output is data, standard error
//! is talk; every error says what to do next. *Does not know* how anything is done: verbs call `compose` and show
//! what comes back.

mod arguments;
mod boot;
mod check;
mod complain;
mod compose;
mod context;
mod doctor;
mod explain;
mod format;
mod hint;
mod history;
mod inspect;
mod json;
mod kernel;
mod lock;
mod output;
mod progress;
mod repro;
mod setup;
mod shell;
mod store;

use std::{env, process::ExitCode};

use clap::Parser as _;

use arguments::{Arguments, Verb};
use context::Context;

pub use complain::CliError;

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::finish(usage_error(&error)),
    };
    let context = Context::new(arguments.global);
    let result = match arguments.verb {
        Verb::Compose(arguments) => compose::run(&context, &arguments),
        Verb::Check(arguments) => check::run(&context, &arguments),
        Verb::Lock(arguments) => lock::lock(&context, &arguments),
        Verb::Update(arguments) => lock::update(&context, &arguments),
        Verb::Outdated(arguments) => lock::outdated(&context, &arguments),
        Verb::Vendor(arguments) => lock::vendor(&context, &arguments),
        Verb::Show(arguments) => explain::show(&context, &arguments),
        Verb::Plan(arguments) => explain::plan(&context, &arguments),
        Verb::Graph(arguments) => explain::graph(&context, &arguments),
        Verb::Why(arguments) => explain::why(&context, &arguments),
        Verb::WhatRan(arguments) => history::what_ran(&context, &arguments),
        Verb::Build(arguments) => compose::build(&context, &arguments),
        Verb::Repro(arguments) => repro::run(&context, &arguments),
        Verb::Log(arguments) => shell::log(&context, &arguments),
        Verb::Kernel(arguments) => kernel::run(&context, &arguments),
        Verb::Boot(arguments) => boot::run(&context, &arguments),
        Verb::Shell(arguments) => shell::shell(&context, &arguments),
        Verb::Verify(arguments) => inspect::run(&context, &arguments),
        Verb::Store(arguments) => store::run(&context, &arguments),
        Verb::Doctor => doctor::run(&context),
        Verb::Format(arguments) => format::run(&context, &arguments),
        Verb::Init(arguments) => setup::init(&context, &arguments),
        Verb::Completions(arguments) => setup::completions(&arguments),
    };
    output::finish(match result {
        Ok(code) => code,
        Err(error) => complain::complain(&context, &error),
    })
}

/// Shows what clap found of the command line: a mistake, or the help that was asked for.
fn usage_error(error: &clap::Error) -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "what could not be read says nothing about `--json`")]
    let mut words = env::args_os().skip(1).take_while(|word| word != "--");
    if error.use_stderr() && words.any(|word| word == "--json") {
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned();
        output::print_event(json::Event::Error { error: text });
    } else if error.print().is_err() {
        // Who asked for help and closed the output has none.
        return ExitCode::from(output::MACHINE);
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}
