//! The commands: a file for each, and a folder where it needs several.

mod ami;
mod boot;
mod build;
mod check;
mod completions;
mod compose;
mod cp;
mod diff;
mod doctor;
mod exec;
mod fmt;
mod graph;
mod init;
mod kernel;
mod keys;
mod lock;
mod log;
mod logs;
mod outdated;
mod plan;
mod publish;
mod repo;
mod repro;
mod shell;
mod show;
mod size;
mod store;
mod test;
mod update;
mod vendor;
mod verify;
mod what_ran;
mod why;

use std::process::ExitCode;

use super::{CliError, arguments::Verb, context::Context};

/// Runs a command.
///
/// # Errors
/// What it could not do.
pub fn run(context: &Context, verb: &Verb) -> Result<ExitCode, CliError> {
    match verb {
        Verb::Compose(arguments) => compose::run(context, arguments),
        Verb::Check(arguments) => check::run(context, arguments),
        Verb::Lock(arguments) => lock::run(context, arguments),
        Verb::Update(arguments) => update::run(context, arguments),
        Verb::Outdated(arguments) => outdated::run(context, arguments),
        Verb::Vendor(arguments) => vendor::run(context, arguments),
        Verb::Show(arguments) => show::run(context, arguments),
        Verb::Plan(arguments) => plan::run(context, arguments),
        Verb::Graph(arguments) => graph::run(context, arguments),
        Verb::Why(arguments) => why::run(context, arguments),
        Verb::WhatRan(arguments) => what_ran::run(context, arguments),
        Verb::Build(arguments) => build::run(context, arguments),
        Verb::Repro(arguments) => repro::run(context, arguments),
        Verb::Shell(arguments) => shell::run(context, arguments),
        Verb::Log(arguments) => log::run(context, arguments),
        Verb::Kernel(arguments) => kernel::run(context, arguments),
        Verb::Boot(arguments) => boot::run(context, arguments),
        Verb::Exec(arguments) => exec::run(context, arguments),
        Verb::Logs(arguments) => logs::run(context, arguments),
        Verb::Copy(arguments) => cp::run(context, arguments),
        Verb::Test(arguments) => test::run(context, arguments),
        Verb::Verify(arguments) => verify::run(context, arguments),
        Verb::Diff(arguments) => diff::run(context, arguments),
        Verb::Size(arguments) => size::run(context, arguments),
        Verb::Keys(arguments) => keys::run(context, arguments),
        Verb::Repo(arguments) => repo::run(context, arguments),
        Verb::Publish(arguments) => publish::run(context, arguments),
        Verb::Ami(arguments) => ami::run(context, arguments),
        Verb::Store(arguments) => store::run(context, arguments),
        Verb::Doctor => doctor::run(context),
        Verb::Format(arguments) => fmt::run(context, arguments),
        Verb::Init(arguments) => init::run(context, arguments),
        Verb::Completions(arguments) => completions::run(arguments),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use clap::CommandFactory as _;

    use crate::cli::arguments::Arguments;

    #[test]
    fn every_command_has_a_file_and_every_file_a_command() {
        let command = Arguments::command();
        command.clone().debug_assert();
        let commands = command.get_subcommands().map(|command| command.get_name().replace('-', "_"));
        let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/verb")).unwrap();
        let files = folder.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
        let files: BTreeSet<String> = files.filter(|name| name != "mod").collect();
        assert_eq!(commands.collect::<BTreeSet<_>>(), files);
    }
}
