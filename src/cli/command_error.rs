//! Why a command did not succeed, and the exit code of each reason.

use std::error::Error;

use brc_contract::error_chain;

use super::config::ConfigError;
use crate::{
    build::BuildError,
    compose::ComposeError,
    lock::LockError,
    plan::{Fault, NoStepOf},
    store::StoreError,
};

/// A command did not succeed.
#[derive(Debug)]
pub enum CliError {
    /// A stage of composing failed.
    Compose(ComposeError),
    /// The command line asks for what makes no sense.
    Usage(String),
    /// What was looked at is not right.
    Found(String),
    /// This machine cannot.
    Machine(Box<dyn Error + Send + Sync>),
    /// We are wrong ourselves.
    Bug(String),
    /// It was stopped, and what was begun is said.
    Stopped(String),
    /// The outside refused.
    Outside(Box<dyn Error + Send + Sync>),
}

impl From<ComposeError> for CliError {
    fn from(error: ComposeError) -> Self {
        CliError::Compose(error)
    }
}

impl From<NoStepOf> for CliError {
    fn from(error: NoStepOf) -> Self {
        CliError::usage(&error)
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        CliError::usage(&error)
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        CliError::Compose(ComposeError::Store(error))
    }
}

impl CliError {
    /// An error that what was asked for is to blame for.
    pub fn usage(error: &(dyn Error + 'static)) -> Self {
        CliError::Usage(error_chain(error))
    }

    /// What happened, with every cause, in one line.
    pub fn message(&self) -> String {
        match self {
            CliError::Compose(error) => error_chain(error),
            CliError::Usage(message) | CliError::Found(message) | CliError::Stopped(message) => message.clone(),
            CliError::Bug(message) => format!("{message}: this is a bug in brc, please report it"),
            CliError::Machine(error) | CliError::Outside(error) => error_chain(error.as_ref()),
        }
    }

    /// 1 the build failed, 2 recipe or command line, 3 this machine, 4 the outside, 70 our bug.
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Usage(_) => 2,
            CliError::Found(_) => 1,
            CliError::Bug(_) => 70,
            CliError::Machine(_) => 3,
            CliError::Outside(_) => 4,
            CliError::Stopped(_) => 130,
            CliError::Compose(error) => match error {
                ComposeError::Recipes { .. }
                | ComposeError::Endless { .. }
                | ComposeError::TooManyFiles { .. }
                | ComposeError::TrackedLocal { .. }
                | ComposeError::NoProject { .. }
                | ComposeError::NoVariant { .. }
                | ComposeError::NoVariantInFile { .. }
                | ComposeError::SeveralVariants { .. }
                | ComposeError::NoArchitecture { .. }
                | ComposeError::NoComponent { .. }
                | ComposeError::NoPart { .. }
                | ComposeError::SeveralParts { .. }
                | ComposeError::NothingBuilt { .. }
                | ComposeError::NotBuilt { .. }
                | ComposeError::NoTool { .. }
                | ComposeError::NotIncluded { .. }
                | ComposeError::BadLock { .. }
                | ComposeError::NoSetLock
                | ComposeError::NotComposed { .. }
                | ComposeError::Unlocked { .. }
                | ComposeError::SigningKey { .. }
                | ComposeError::Certificate { .. }
                | ComposeError::OciArchive { .. }
                | ComposeError::Lower(_) => 2,
                ComposeError::Read { .. } => 2,
                ComposeError::Write { .. } => 3,
                ComposeError::Lock(error) => match error {
                    LockError::Unmet(_) => 2,
                    LockError::Archive(_) => 4,
                    LockError::OutOfTurn { .. } => 70,
                },
                ComposeError::Fetch(error) => fault_code(error.fault()),
                ComposeError::Set { source, .. } => fault_code(source.fault()),
                ComposeError::Store(error) => fault_code(error.fault()),
                ComposeError::NotAsStated { .. } | ComposeError::EndlessLink { .. } => 1,
                ComposeError::NoGoal { .. } => 70,
                ComposeError::Build(error) => match error {
                    BuildError::Steps { failures, .. } => {
                        failures.iter().map(|failure| fault_code(failure.failure.fault)).max().unwrap_or(1)
                    }
                    BuildError::Cancelled => 130,
                    BuildError::Store(error) => fault_code(error.fault()),
                    BuildError::JobServer(_) => 3,
                },
            },
        }
    }
}

const fn fault_code(fault: Fault) -> u8 {
    match fault {
        Fault::Build | Fault::Damaged => 1,
        Fault::Machine => 3,
        Fault::Outside => 4,
        Fault::Cancelled => 130,
    }
}
