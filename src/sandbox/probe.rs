//! Whether this machine can make sandboxes, and what to change when it cannot.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

use super::linux::{self, Network, Root, SpawnError, Spec, Stage, Streams, Terminal, View, Waited};
use crate::store::{Store, StoreError};

/// A rehearsal takes milliseconds; a machine that needs longer is in trouble.
const LIMIT: Duration = Duration::from_secs(60);

/// Kernel settings that forbid user name spaces, the value that does, and how to allow them.
const SETTINGS: [(&str, &str, &str); 3] = [
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "user name spaces are limited to none: `sysctl -w user.max_user_namespaces=15000`",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "user name spaces are for root only: `sysctl -w kernel.unprivileged_userns_clone=1`",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor restricts user name spaces: `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or a \
         profile for brc with the rule `userns,`",
    ),
];

/// Makes a sandbox around nothing, in a folder of `store`, and takes it down again.
///
/// # Errors
/// What this machine lacks, with the setting that changes it.
pub fn probe(store: &Store, executable: &Path) -> Result<(), ProbeError> {
    let folder = store.temporary()?;
    let failed = |source| ProbeError::Folder { source };
    for name in ["lower", "lower/dev", "lower/proc", "lower/run", "lower/tmp", "upper", "work", "root"] {
        fs::create_dir(folder.path().join(name)).map_err(failed)?;
    }
    let spec = Spec {
        root: Root::Overlay { lower: vec![folder.path().join("lower")], scratch: folder.path().to_owned() },
        empty: Vec::new(),
        binds: Vec::new(),
        network: Network::None,
        uid: 0,
        view: View::Fixed { processors: 1 },
        command: Vec::new(),
        environment: BTreeMap::new(),
        directory: String::new(),
        terminal: Terminal::None,
    };
    let nothing = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from).map_err(failed);
    let streams = Streams { input: nothing()?, output: nothing()?, errors: nothing()? };
    let mut child = linux::spawn(executable, &spec, streams).map_err(Incapable::from)?;
    match child.wait(Some(LIMIT), &|| false).map_err(Incapable::from)? {
        Waited::Ended(_) => Ok(()),
        Waited::TimedOut | Waited::Stopped => Err(ProbeError::Slow),
    }
}

/// What to do about a sandbox that could not be made.
fn advice(error: &SpawnError) -> &'static str {
    let SpawnError::Make { stage, source, .. } = error else { return "try again; `dmesg` may tell more" };
    match stage {
        Stage::Namespaces | Stage::Mount | Stage::Rights => {
            let is_set = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
            let forbidden = SETTINGS.iter().find(|(path, value, _)| is_set(path, value));
            match (forbidden, stage, source.raw_os_error()) {
                (Some((_, _, advice)), _, _) => advice,
                (None, Stage::Namespaces, Some(libc::ENOSPC)) => {
                    "the limit of name spaces is reached: raise `user.max_*_namespaces`, or nest less deeply"
                }
                (None, Stage::Mount, Some(libc::EPERM)) => {
                    "a container around brc covers parts of /proc: start it with unmasked paths \
                     (`--security-opt systempaths=unconfined`), or run brc outside"
                }
                _ => {
                    "the kernel needs user name spaces (CONFIG_USER_NS) and Linux 5.12 or later; in a container, its \
                     seccomp profile must allow `unshare` and `mount`; a `chroot` cannot hold a sandbox"
                }
            }
        }
        Stage::Overlay => {
            "the store's file system cannot take an overlay's changes: choose a store on ext4, xfs, btrfs or tmpfs \
             (`--store`)"
        }
        Stage::Folder | Stage::Command => "see the cause",
    }
}

/// This machine could not make a sandbox.
#[derive(Debug, thiserror::Error)]
#[error("this machine cannot make a sandbox: {advice}")]
pub struct Incapable {
    /// What to do about it.
    pub advice: &'static str,
    /// What failed.
    pub source: SpawnError,
}

impl Incapable {
    /// Whether only the overlay is at fault.
    pub(super) fn is_overlay(&self) -> bool {
        matches!(self.source, SpawnError::Make { stage: Stage::Overlay, .. })
    }
}

impl From<SpawnError> for Incapable {
    fn from(source: SpawnError) -> Self {
        Incapable { advice: advice(&source), source }
    }
}

/// A rehearsal of a sandbox failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No sandbox can be made.
    #[error(transparent)]
    Incapable {
        #[from]
        source: Incapable,
    },
    /// A sandbox around nothing did not end.
    #[error("a sandbox around nothing did not end within a minute")]
    Slow,
    /// The store has no place for it.
    #[error("there is no folder to try a sandbox in")]
    Store {
        #[from]
        source: StoreError,
    },
    /// The folders or streams for it cannot be made.
    #[error("a sandbox cannot be tried: no folder or stream for it")]
    Folder { source: io::Error },
}
