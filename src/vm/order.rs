//! What is asked of a machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use brc_contract::door;

use super::{
    BootError,
    ec2::{Fault, USER_DATA_BYTES},
    forward::{Forward, Reach},
};

/// The size that disks are grown to, unless they are larger: room for a data partition.
const DISK_BYTES: u64 = 4 << 30;
/// Memory that is enough for a small container host.
const MEMORY_MIB: u32 = 2048;

/// What is booted, how, and until when.
#[derive(Debug, Clone)]
pub struct BootOrder {
    /// The disk image; only read.
    pub image: PathBuf,
    /// Where the machine's own disk is.
    pub disk: Disk,
    /// The least size of the machine's disk, in bytes; what the image does not fill is free.
    pub disk_bytes: u64,
    /// A second disk that the machine's data lies on; kept where its own disk is, in a file with `.data` behind its name.
    pub data_disk: Option<DataDisk>,
    /// The memory in MiB.
    pub memory_mib: u32,
    /// The machine is ended when its serial line has printed this text. Terminal sequences do not count.
    pub until: Option<String>,
    /// The machine is ended after this time.
    pub timeout: Option<Duration>,
    /// Ports of the host's loopback that lead into the machine.
    pub forwards: Vec<Forward>,
    /// Ports of the host's loopback that the machine reaches.
    pub reaches: Vec<Reach>,
    /// The cloud that the machine finds itself in.
    pub cloud: Option<Cloud>,
    /// systemd credentials by name (systemd.system-credentials(7)), handed over by the firmware: at most 255, each
    /// at most 32 KiB.
    pub credentials: BTreeMap<String, Vec<u8>>,
    /// The folder in which those who look into the machine find it while it runs, named as the machine is. Without one it
    /// has no door.
    pub door: Option<PathBuf>,
    /// Files that the machine sees as further disks, in this order; only read.
    pub disks: Vec<PathBuf>,
    /// Disks of an instance that are gone with it, each of so many MiB.
    pub instance_disks: Vec<u32>,
    /// Whether it has a clock that resets it when nobody says for a while that all is well.
    pub has_watchdog: bool,
    /// What happens when the machine resets itself.
    pub restart: Restart,
}

/// A disk for data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDisk {
    /// Its least size in bytes.
    pub bytes: u64,
    /// The file that it begins as; an empty one without.
    pub from: Option<PathBuf>,
}

/// Where a machine's own disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disk {
    /// In a copy that is gone afterwards.
    Snapshot,
    /// In this copy of the image, which is made when it is not there and is used again when it is. The variables of
    /// its firmware lie beside it, in a file with `.vars` behind its name.
    Kept(PathBuf),
}

/// What happens when a machine resets itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// It starts again.
    Follow,
    /// It ends.
    End,
}

/// The cloud that a machine finds itself in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cloud {
    /// EC2, with its metadata service and what the firmware says there.
    Ec2(Metadata),
    /// None that has a service: user data lie on a small disk, as cloud-init's NoCloud has it.
    NoCloud {
        /// What the machine is given to start with.
        user_data: Vec<u8>,
    },
}

/// What the metadata service of an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metadata {
    /// brc's own.
    Own {
        /// What the instance is given to start with: at most 16 KiB.
        user_data: Option<Vec<u8>>,
        /// What goes wrong.
        fault: Option<Fault>,
    },
    /// Another program, at this port of the host's loopback.
    Port(u16),
}

impl BootOrder {
    /// A boot of `image` that leaves nothing behind and goes on until the machine ends.
    pub fn new(image: PathBuf) -> Self {
        Self {
            image,
            disk: Disk::Snapshot,
            disk_bytes: DISK_BYTES,
            data_disk: None,
            memory_mib: MEMORY_MIB,
            until: None,
            timeout: None,
            forwards: Vec::new(),
            reaches: Vec::new(),
            cloud: None,
            credentials: BTreeMap::new(),
            door: None,
            disks: Vec::new(),
            instance_disks: Vec::new(),
            has_watchdog: false,
            restart: Restart::Follow,
        }
    }

    /// The credentials, with the one that opens the door of a machine that has a name.
    pub(super) fn handed_over(&self) -> BTreeMap<String, Vec<u8>> {
        let mut credentials = self.credentials.clone();
        if self.door.is_some() {
            credentials.insert(door::NAME.to_owned(), b"open".to_vec());
        }
        credentials
    }

    /// Whether it can be had, as far as that can be said without a machine.
    ///
    /// # Errors
    /// Two ports of the host at one address, user data that EC2 does not take.
    pub fn check(&self) -> Result<(), BootError> {
        let mut taken = BTreeSet::new();
        if let Some(twice) = self.reaches.iter().find(|reach| !taken.insert(reach.guest)) {
            return Err(BootError::ReachedTwice { guest: twice.guest });
        }
        match &self.cloud {
            Some(Cloud::Ec2(Metadata::Own { user_data: Some(user_data), .. })) if user_data.len() > USER_DATA_BYTES => {
                Err(BootError::UserDataSize { bytes: user_data.len() })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_refused() {
        let reaching = |ports: &[&str]| BootOrder {
            reaches: ports.iter().map(|text| text.parse().unwrap()).collect(),
            ..BootOrder::new(PathBuf::new())
        };
        assert!(reaching(&["80", "80:81", "81:82"]).check().is_ok());
        assert!(matches!(reaching(&["80", "81:80"]).check(), Err(BootError::ReachedTwice { guest: 80 })));
        let given = |bytes: usize| BootOrder {
            cloud: Some(Cloud::Ec2(Metadata::Own { user_data: Some(vec![0; bytes]), fault: None })),
            ..BootOrder::new(PathBuf::new())
        };
        assert!(given(16_384).check().is_ok());
        let refused = given(16_385).check().unwrap_err();
        assert!(matches!(refused, BootError::UserDataSize { bytes: 16_385 }) && refused.is_usage());
        assert!(refused.to_string().ends_with("at most 16384"), "{refused}");
    }
}
