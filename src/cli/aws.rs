//! How AWS is asked for a command line, and what its refusals are to people.

use std::collections::BTreeMap;

use brc_contract::error_chain;

use super::{
    CliError,
    arguments::Account,
    context::{Context, now},
};
use crate::{
    fetch::{self, Network},
    publish::{
        ami::{AmiError, DiskError, Records},
        aws::{Ambient, Aws, AwsError, Connections, Patience},
    },
};

impl Context {
    /// Asks AWS for a region, as the command line, the environment and the user's files say, by the role that a target
    /// names. Ctrl-C ends it in order.
    ///
    /// # Errors
    /// `--offline`, no region, a proxy that makes no sense.
    pub fn aws(&self, account: &Account, region: Option<&str>, role: Option<&str>) -> Result<Aws<'_>, CliError> {
        if self.config.network == Network::Offline {
            return Err(CliError::Usage("AWS cannot be asked with `--offline`".to_owned()));
        }
        self.stop_on_signals()?;
        let web = fetch::connections(&self.config.proxies(), &fetch::Patience::default());
        let web = web.map_err(|error| CliError::usage(&error))?;
        let connections = Connections { http: web.http, https: web.https, direct: web.direct };
        let variables: BTreeMap<String, String> = self.config.aws_variables();
        let role = role.map(str::to_owned);
        let ambient = Ambient { variables, home: self.config.home(), profile: account.profile.clone(), role };
        let place = (region, account.endpoint.as_deref());
        Aws::new(connections, ambient, place, Patience::default(), &now, self.cancelled()).map_err(told)
    }

    /// What is remembered of snapshots, in the store.
    ///
    /// # Errors
    /// A store that cannot be used.
    pub fn records(&self) -> Result<Records, CliError> {
        Ok(Records::new(self.store()?.dir().join("published")))
    }
}

/// Says of whom it is that AWS was not asked or refused.
pub fn told(error: AwsError) -> CliError {
    match error {
        AwsError::Credentials(error) => CliError::Machine(error.into()),
        AwsError::NoRegion | AwsError::Region { .. } | AwsError::Endpoint { .. } => CliError::usage(&error),
        AwsError::Refused(_) | AwsError::NoHost { .. } | AwsError::Transport { .. } | AwsError::Answer { .. } => {
            CliError::Outside(error.into())
        }
        AwsError::Stopped => CliError::Stopped(error.to_string()),
    }
}

/// Says of whom it is that something was not published.
pub fn told_ami(error: AmiError) -> CliError {
    match error {
        AmiError::Aws(error) => told(error),
        AmiError::Disk(error @ DiskError::Changed { .. }) => CliError::Found(error_chain(&error)),
        AmiError::Disk(DiskError::Read { source, .. }) if source.kind() == std::io::ErrorKind::Interrupted => {
            told(AwsError::Stopped)
        }
        AmiError::Disk(error) => CliError::usage(&error),
        AmiError::Record(error) => CliError::Machine(error.into()),
        AmiError::NameTaken { .. } | AmiError::NotEncrypted { .. } | AmiError::NothingToPromote { .. } => {
            CliError::usage(&error)
        }
        AmiError::Failed { .. } | AmiError::Slow { .. } | AmiError::LeftRunning { .. } | AmiError::Unshared { .. } => {
            CliError::Outside(error.into())
        }
        AmiError::Stopped { .. } => CliError::Stopped(error.to_string()),
    }
}
