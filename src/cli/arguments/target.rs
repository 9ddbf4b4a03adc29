//! What of which project a command line names, and what it is about as a whole.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::Args;

use super::{Build, KernelVerb, Log, Repro, Shell, Verb};
use crate::cli::CliError;

/// Which variant, for which architectures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Choice {
    /// The variant, where there are several
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// The architectures, separated by commas, or `all` [default: this machine's where the variant has it]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub arch: Vec<String>,
}

/// Which variant of which project.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    /// A recipe file; its project is the nearest `brc.kdl` above it [default: the project of this folder]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What of it.
    #[command(flatten)]
    pub choice: Choice,
}

/// A recipe file and the word that a command is about, or that word alone.
#[derive(Debug, Clone, Args)]
pub struct Named {
    /// The component; before it a recipe file [default: the project of this folder]
    #[arg(value_name = "[FILE] COMPONENT", num_args = 1..=2, required = true)]
    pub words: Vec<OsString>,
    /// What of the project.
    #[command(flatten)]
    pub choice: Choice,
}

impl Named {
    /// The project and the component.
    ///
    /// # Errors
    /// More words than two, or a component that is no text.
    pub fn split(&self) -> Result<(Target, String), CliError> {
        let (file, word) = last_word(&self.words, "COMPONENT")?;
        let word = word.to_str().ok_or_else(|| CliError::Usage(format!("`{}` is no name", word.display())))?;
        Ok((Target { file, choice: self.choice.clone() }, word.to_owned()))
    }
}

/// `[FILE] WORD`: the file, when there is one, and the word.
///
/// # Errors
/// No word, or more than two.
pub fn last_word<'a>(words: &'a [OsString], what: &str) -> Result<(Option<PathBuf>, &'a OsStr), CliError> {
    match words {
        [word] => Ok((None, word)),
        [file, word] => Ok((Some(file.into()), word)),
        _ => Err(CliError::Usage(format!("found {} words: expected `[FILE] {what}`", words.len()))),
    }
}

/// What a command line is about, for commands that are suggested to people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The recipe file that it names.
    pub file: Option<PathBuf>,
    /// What it says of the variant; none where a whole project is meant, as it is while locking.
    pub choice: Option<Choice>,
}

impl Verb {
    /// What the command is about. Words that make no sense are none here: the command itself refuses them.
    pub fn subject(&self) -> Subject {
        let of = |file: Option<PathBuf>, choice: &Choice| Subject { file, choice: Some(choice.clone()) };
        let project = |file: &Option<PathBuf>| Subject { file: file.clone(), choice: None };
        let first = |words: &[OsString]| last_word(words, "").ok().and_then(|(file, _)| file);
        match self {
            Verb::Compose(compose) => of(compose.target.file.clone(), &compose.target.choice),
            Verb::Check(check) => project(&check.target.file),
            Verb::Lock(lock) | Verb::Outdated(lock) => project(&lock.file),
            Verb::Update(update) => project(&update.split().0),
            Verb::Vendor(vendor) => of(first(&vendor.words), &vendor.choice),
            Verb::Show(show) => of(show.target.file.clone(), &show.target.choice),
            Verb::Plan(plan) => of(plan.target.file.clone(), &plan.target.choice),
            Verb::Graph(graph) => of(graph.target.file.clone(), &graph.target.choice),
            Verb::Why(why) if why.rebuilt.is_some() => of(why.words.first().map(PathBuf::from), &why.choice),
            Verb::Why(why) => of(first(&why.words), &why.choice),
            Verb::WhatRan(what) => of(what.target.file.clone(), &what.target.choice),
            Verb::Build(Build { named, .. }) | Verb::Repro(Repro { named, .. }) => {
                of(first(&named.words), &named.choice)
            }
            Verb::Shell(Shell { named, .. }) | Verb::Log(Log { named }) => of(first(&named.words), &named.choice),
            Verb::Kernel(kernel) => match &kernel.verb {
                KernelVerb::Config { target, .. } => of(target.file.clone(), &target.choice),
                KernelVerb::Diff { first, variant, arch, .. } => {
                    let choice =
                        Choice { variant: variant.first().cloned(), arch: arch.first().cloned().into_iter().collect() };
                    of(first.clone(), &choice)
                }
            },
            Verb::Boot(_) | Verb::Test(_) | Verb::Verify(_) | Verb::Keys(_) | Verb::Repo(_) => Subject::default(),
            Verb::Size(size) => {
                let is_recipe = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "kdl");
                of(size.subject.as_ref().filter(is_recipe).cloned(), &size.choice)
            }
            Verb::Diff(_) => Subject::default(),
            Verb::Exec(_) | Verb::Logs(_) | Verb::Copy(_) => Subject::default(),
            Verb::Publish(_) | Verb::Ami(_) | Verb::Store(_) | Verb::Doctor | Verb::Format(_) => Subject::default(),
            Verb::Init(_) | Verb::Completions(_) => Subject::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::arguments::Arguments;

    #[test]
    fn a_command_line_says_what_it_is_about() {
        for (line, file, choice) in [
            ("compose", None, Some(("", ""))),
            ("compose a.kdl --variant v --arch x86_64,aarch64", Some("a.kdl"), Some(("v", "x86_64,aarch64"))),
            ("check a.kdl", Some("a.kdl"), None),
            ("lock", None, None),
            ("update runc", None, None),
            ("update a.kdl runc", Some("a.kdl"), None),
            ("log runc", None, Some(("", ""))),
            ("shell a.kdl runc --failed --arch aarch64", Some("a.kdl"), Some(("", "aarch64"))),
            ("why a.kdl --rebuilt runc", Some("a.kdl"), Some(("", ""))),
            ("why runc --variant v", None, Some(("v", ""))),
            ("vendor a.kdl out", Some("a.kdl"), Some(("", ""))),
            ("kernel diff a.kdl b.kdl --variant v,w", Some("a.kdl"), Some(("v", ""))),
            ("doctor", None, None),
        ] {
            let arguments = Arguments::try_parse_from(std::iter::once("brc").chain(line.split(' '))).unwrap();
            let subject = arguments.verb.subject();
            assert_eq!(subject.file, file.map(PathBuf::from), "{line}");
            let found = subject.choice.map(|choice| (choice.variant.unwrap_or_default(), choice.arch.join(",")));
            let choice = choice.map(|(variant, arch)| (variant.to_owned(), arch.to_owned()));
            assert_eq!(found, choice, "{line}");
        }
    }
}
