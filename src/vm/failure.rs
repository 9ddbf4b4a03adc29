//! Why an image could not be booted.

use std::{io, path::PathBuf};

use super::{ec2::USER_DATA_BYTES, workplace::WorkplaceError};
use crate::{
    image::fat::FatError,
    sandbox::linux::{SpawnError, Status},
    store::StoreError,
};

/// Lines of QEMU, each indented on its own line.
struct Lines<'a>(&'a [String]);

impl std::fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str(" (it said nothing)");
        }
        self.0.iter().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

/// An image could not be booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// There is no such image.
    #[error("the image `{}` cannot be read", path.display())]
    Image { path: PathBuf, source: io::Error },
    /// The machine would write to the image.
    #[error("`{}` is the image itself: name another file to keep the machine's disk in", path.display())]
    ImageItself { path: PathBuf },
    /// A machine with this disk is running.
    #[error("another machine is using the disk `{}`: end it, or keep this one elsewhere", path.display())]
    Busy { path: PathBuf },
    /// A disk cannot be made or kept.
    #[error("the machine's disk `{}` cannot be made or written", path.display())]
    Copy { path: PathBuf, source: io::Error },
    /// A further disk is not there.
    #[error("the disk `{}` cannot be shown to the machine", path.display())]
    Disk { path: PathBuf, source: io::Error },
    /// A credential has a name that systemd does not take.
    #[error(
        "`{name}` names no credential: expected 1 to 255 printable characters, none of them a space, `/`, `:` or `=`"
    )]
    CredentialName { name: String },
    /// A credential does not fit into the firmware's tables.
    #[error("the credential `{name}` has {bytes} bytes: expected at most 32768; pass it on a disk instead")]
    CredentialSize { name: String, bytes: usize },
    /// The firmware's tables have no room for so many credentials.
    #[error("{count} credentials: expected at most 255")]
    Credentials { count: usize },
    /// Two ports of the host would be found at one address.
    #[error("two ports of this host are to be reached at port {guest}: expected another port for each")]
    ReachedTwice { guest: u16 },
    /// EC2 takes no such user data.
    #[error("the user data have {bytes} bytes: EC2 takes at most {USER_DATA_BYTES}")]
    UserDataSize { bytes: usize },
    /// The disk with the user data cannot be made.
    #[error("the disk with the user data cannot be made")]
    UserDataDisk { source: FatError },
    /// The tool set cannot boot anything.
    #[error("the tool set of role `machine` has no `/{path}`: expected the packages {packages} in it")]
    NoTool { path: &'static str, packages: &'static str },
    /// QEMU refused.
    #[error("QEMU {}; it said:{}", match status {
        Status::Exited(code) => format!("ended with status {code}"),
        Status::Signalled(signal) => format!("was ended by signal {signal}"),
    }, Lines(complaints))]
    Ended { status: Status, complaints: Vec<String> },
    /// The host's processor gave up.
    #[error(
        "the host's processor (KVM) gave up, and the machine stood still; boot again: it will be emulated. QEMU said:{}",
        Lines(complaints)
    )]
    Standstill { complaints: Vec<String> },
    /// The emulator lost a timer.
    #[error("a timer of the machine was lost, and it stands still: emulators do that rarely; boot again")]
    LostTimer,
    /// What is printed cannot be passed on.
    #[error("what the machine prints cannot be written")]
    Output { source: io::Error },
    /// The sandbox cannot be made, or was killed.
    #[error("there is no sandbox for the machine; `brc doctor` says what this host lacks")]
    Sandbox(#[source] SpawnError),
    /// A machine with this name is running.
    #[error("a machine whose folder is `{}` is running: end it, or give this one another name", path.display())]
    Running { path: PathBuf },
    /// Nobody would find the machine.
    #[error("the machine's door `{}` cannot be made", path.display())]
    Door { path: PathBuf, source: io::Error },
    /// There is no place to run from.
    #[error("there is no folder to run a machine from")]
    Workplace(#[source] WorkplaceError),
    /// The tool set cannot be had.
    #[error("the tool set of the machine cannot be had")]
    Store {
        #[from]
        source: StoreError,
    },
    /// A pipe or thread of ours failed.
    #[error("the machine's input and output cannot be connected")]
    Plumbing { source: io::Error },
}

impl BootError {
    /// Whether what was asked for makes no sense, so that another command line mends it.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Image { .. }
                | Self::ImageItself { .. }
                | Self::Disk { .. }
                | Self::CredentialName { .. }
                | Self::CredentialSize { .. }
                | Self::Credentials { .. }
                | Self::ReachedTwice { .. }
                | Self::Running { .. }
                | Self::UserDataSize { .. }
        )
    }
}
