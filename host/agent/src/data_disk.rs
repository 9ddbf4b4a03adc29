//! The disk that data lies on, where the image says that it is not the root's.
//!
//! Where volumes say what they were attached as, as those of EBS do (NVMe by its answer, Xen by its name), it is the one
//! called `xvdb` or `sdb`, whatever else is attached. Elsewhere it is the one disk that holds data already, or else the one
//! that images of containers came on, or else the one that is empty. Of several nobody chooses: what is on the others may
//! be somebody's.

use std::io;

use brc_contract::{Guid, gpt, partition, well_known};
use brc_linux::{
    Files,
    block_device::{BlockDevice, DeviceNumber},
};

use crate::{
    disk::{self, RootDisk},
    identity,
    status::{self, Known},
};

/// What the volume for data is attached as: by those who say `/dev/xvdb`, and by those who say `/dev/sdb`.
const NAMES: [&str; 2] = ["xvdb", "sdb"];
/// What is looked at of a disk's beginning and end to tell whether it is empty, in bytes.
const EDGE: u64 = 1 << 20;
/// What the serial number of a disk begins with that is gone with its instance; those of volumes begin with `vol`.
const OF_THE_INSTANCE: &str = "AWS";
/// A smaller disk holds no data of a machine, in bytes.
const LEAST: u64 = 64 << 20;

/// A disk that is not the root's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name below `/dev`.
    pub name: String,
    /// Its number.
    pub number: DeviceNumber,
    /// What it was attached as, where it says so.
    pub attached_as: Option<String>,
    /// What is on it.
    pub content: Content,
}

/// What is on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A data partition of this identity.
    Data(Guid),
    /// Images of containers, and no data yet.
    Images,
    /// Nothing.
    Nothing,
    /// Something that is not ours.
    Other,
}

impl Candidate {
    /// Whether it is the one whatever comes later: it has a name, or data.
    pub fn is_certain(&self) -> bool {
        self.attached_as.is_some() || self.content != Content::Nothing
    }
}

impl Content {
    /// The identity of the data partition.
    pub fn identity(self) -> Option<Guid> {
        match self {
            Content::Data(identity) => Some(identity),
            Content::Images | Content::Nothing | Content::Other => None,
        }
    }
}

/// What the disks are asked through.
pub struct Disks<'a> {
    /// So many bytes of a device from a byte on.
    pub read: &'a dyn Fn(&str, u64, usize) -> io::Result<Vec<u8>>,
    /// What a device was attached as, if it says so.
    pub attached_as: &'a dyn Fn(&str) -> Option<String>,
}

/// Whether the data lies on a disk of its own.
pub fn is_apart(files: &Files) -> bool {
    files.bytes(&format!("/{}", well_known::DATA_DISK), status::MAX_SMALL).is_ok()
}

/// Every disk but the root's that could hold data: no memory, nothing that is read-only or smaller than 64 MiB, and none
/// that an instance of EC2 has for as long as it runs.
///
/// # Errors
/// The disks are not told.
pub fn candidates(files: &Files, root: &RootDisk, disks: &Disks<'_>) -> Known<Vec<Candidate>> {
    let mut found = Vec::new();
    for folder in files.names(disk::DEVICES, status::MAX_NAMES)? {
        let at = format!("{}/{folder}", disk::DEVICES);
        let path = |file: &str| format!("{at}/{file}");
        // One that has gone meanwhile is none.
        let Ok(BlockDevice { name, number, partition: None, .. }) = status::block_device(files, &at) else { continue };
        let is_real = files.names(&path("device"), status::MAX_NAMES).is_ok();
        let is = |file: &str| files.text(&path(file), status::MAX_SMALL).is_ok_and(|text| text.trim() != "0");
        let Ok(size) = disk::size(files, &folder) else { continue };
        let bytes = size.sectors.saturating_mul(size.sector as u64);
        let serial = files.text(&path("device/serial"), status::MAX_SMALL).unwrap_or_default();
        let is_of_the_instance = serial.trim().starts_with(OF_THE_INSTANCE);
        if name == root.name || !is_real || is_of_the_instance || is("ro") || is("hidden") || bytes < LEAST {
            continue;
        }
        let content = content(size, |at, length| (disks.read)(&name, at, length));
        found.push(Candidate { attached_as: (disks.attached_as)(&name), name, number, content });
    }
    Ok(found)
}

/// What is on a disk; what cannot be read is not ours.
fn content(size: gpt::DiskSize, read: impl Fn(u64, usize) -> io::Result<Vec<u8>>) -> Content {
    if let Some(partitions) = identity::partitions(size, &read) {
        let is_image = |found: &gpt::Partition| found.kind == partition::CONTAINER_IMAGE;
        return match identity::data_of(&partitions) {
            Some(data) => Content::Data(data),
            None if !partitions.is_empty() && partitions.iter().all(is_image) => Content::Images,
            None => Content::Other,
        };
    }
    let end = size.sectors.saturating_mul(size.sector as u64);
    let is_empty = |at: u64| read(at, EDGE as usize).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0));
    if is_empty(0) && is_empty(end.saturating_sub(EDGE)) { Content::Nothing } else { Content::Other }
}

/// The disk for data of these; `root` is what the root's disk was attached as.
///
/// # Errors
/// There is none, or it is not told which.
pub fn choose<'c>(root: Option<&str>, candidates: &'c [Candidate]) -> Result<&'c Candidate, NoDataDisk> {
    if root.is_some() || candidates.iter().any(|candidate| candidate.attached_as.is_some()) {
        let is_it = |one: &&Candidate| one.attached_as.as_deref().is_some_and(|name| NAMES.contains(&name));
        let found = candidates.iter().find(is_it).ok_or(NoDataDisk::NotAttached)?;
        return match found.content {
            Content::Other => Err(NoDataDisk::Other { disk: found.name.clone() }),
            Content::Data(_) | Content::Images | Content::Nothing => Ok(found),
        };
    }
    let of = |is_it: fn(&Content) -> bool| -> Vec<&Candidate> {
        candidates.iter().filter(|candidate| is_it(&candidate.content)).collect()
    };
    let kinds: [fn(&Content) -> bool; 3] = [
        |content| matches!(content, Content::Data(_)),
        |content| *content == Content::Images,
        |content| *content == Content::Nothing,
    ];
    let fitting = kinds.into_iter().map(of).find(|found| !found.is_empty()).unwrap_or_default();
    match fitting.as_slice() {
        [one] => Ok(one),
        [] => Err(NoDataDisk::Nothing { disks: candidates.len() }),
        several => Err(NoDataDisk::Several { disks: several.iter().map(|disk| disk.name.clone()).collect() }),
    }
}

/// What tells udev which disk it is, and which partition of it (udev(7)).
pub fn rules(number: DeviceNumber) -> String {
    let link = |device: &str| device.trim_start_matches("/dev/").to_owned();
    let DeviceNumber { major, minor } = number;
    format!(
        "SUBSYSTEM==\"block\", ENV{{DEVTYPE}}==\"disk\", ENV{{MAJOR}}==\"{major}\", ENV{{MINOR}}==\"{minor}\", \
         SYMLINK+=\"{}\"\nSUBSYSTEM==\"block\", ENV{{DEVTYPE}}==\"partition\", ENV{{ID_PART_ENTRY_NAME}}==\"{}\", \
         ENV{{ID_PART_ENTRY_DISK}}==\"{number}\", SYMLINK+=\"{}\"\n",
        link(well_known::DATA_DISK_DEVICE),
        partition::DATA_LABEL,
        link(well_known::DATA_DEVICE),
    )
}

/// There is no disk that data could lie on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDataDisk {
    /// None fits.
    #[error("of {disks} disks beside the system's none holds data of this kind of machine and none is empty")]
    Nothing { disks: usize },
    /// More than one fits.
    #[error("any of `{}` could be it: take all but one away", disks.join("`, `"))]
    Several { disks: Vec<String> },
    /// Volumes say what they are, and none is it.
    #[error("no volume is attached as `/dev/xvdb`")]
    NotAttached,
    /// It is the one, and holds something else.
    #[error(
        "`{disk}`, attached as `/dev/xvdb`, holds something that is not of this kind of machine; nothing is written to it"
    )]
    Other { disk: String },
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use brc_contract::SlotName;

    use super::*;

    fn disk(name: &str, attached_as: Option<&str>, content: Content) -> Candidate {
        let number = DeviceNumber { major: 259, minor: name.len() as u32 };
        Candidate { name: name.to_owned(), number, attached_as: attached_as.map(str::to_owned), content }
    }

    const DATA: Content = Content::Data(Guid::from_number(7));

    #[test]
    fn the_disk_for_data_is_told_by_its_name_or_by_what_is_on_it_and_never_guessed() {
        let (nothing, images, other) = (Content::Nothing, Content::Images, Content::Other);
        let several =
            |names: &[&str]| Err(NoDataDisk::Several { disks: names.iter().map(|name| (*name).to_owned()).collect() });
        for (root, disks, expected) in [
            // what is attached as xvdb, whatever else is there
            (Some("xvda"), vec![disk("a", None, nothing), disk("b", Some("xvdb"), nothing)], Ok("b")),
            (Some("xvda"), vec![disk("a", Some("sdb"), DATA), disk("b", Some("xvdc"), DATA)], Ok("a")),
            (Some("xvda"), vec![disk("a", None, nothing)], Err(NoDataDisk::NotAttached)),
            (Some("xvda"), vec![disk("a", None, DATA)], Err(NoDataDisk::NotAttached)),
            (None, vec![disk("a", Some("xvdc"), DATA)], Err(NoDataDisk::NotAttached)),
            (None, vec![disk("a", Some("xvdb"), other)], Err(NoDataDisk::Other { disk: "a".to_owned() })),
            // what nobody names
            (None, vec![disk("a", None, nothing)], Ok("a")),
            (None, vec![disk("a", None, nothing), disk("b", None, DATA), disk("c", None, nothing)], Ok("b")),
            (None, vec![disk("a", None, nothing), disk("b", None, other)], Ok("a")),
            (None, vec![disk("a", None, nothing), disk("b", None, nothing)], several(&["a", "b"])),
            (None, vec![disk("a", None, DATA), disk("b", None, nothing), disk("c", None, DATA)], several(&["a", "c"])),
            // what images came on counts before what is empty, and behind data
            (None, vec![disk("a", None, nothing), disk("b", None, images)], Ok("b")),
            (None, vec![disk("a", None, DATA), disk("b", None, images)], Ok("a")),
            (None, vec![disk("a", None, images), disk("b", None, images)], several(&["a", "b"])),
            (Some("xvda"), vec![disk("a", Some("xvdb"), images)], Ok("a")),
            (None, vec![disk("a", None, other)], Err(NoDataDisk::Nothing { disks: 1 })),
            (None, vec![], Err(NoDataDisk::Nothing { disks: 0 })),
        ] {
            let chosen = choose(root, &disks).map(|chosen| chosen.name.as_str());
            assert_eq!(chosen, expected, "{root:?} {disks:?}");
        }
    }

    #[test]
    fn disks_that_are_read_only_small_or_gone_with_the_instance_are_no_candidates() {
        let root = tempfile::tempdir().unwrap();
        for (minor, (name, serial, sectors, read_only)) in (0..).zip([
            ("nvme0n1", "vol0", 1 << 20, "0"),
            ("nvme1n1", "vol1", 1 << 20, "0"),
            ("nvme2n1", "AWS22C1F4D0A5B1", 1 << 20, "0"),
            ("nvme3n1", "vol3", 1 << 20, "1"),
            ("nvme4n1", "vol4", 1000, "0"),
        ]) {
            let folder = root.path().join("sys/class/block").join(name);
            std::fs::create_dir_all(folder.join("device")).unwrap();
            std::fs::create_dir_all(folder.join("queue")).unwrap();
            let write = |file: &str, text: String| std::fs::write(folder.join(file), text + "\n").unwrap();
            write("uevent", format!("MAJOR=259\nMINOR={minor}\nDEVNAME={name}\nDEVTYPE=disk"));
            write("device/serial", format!("{serial:20}"));
            write("size", sectors.to_string());
            write("queue/logical_block_size", "512".to_owned());
            write("ro", read_only.to_owned());
            write("hidden", "0".to_owned());
        }
        let own = RootDisk {
            name: "nvme0n1".to_owned(),
            size: gpt::DiskSize { sector: 512, sectors: 1 << 20 },
            running: SlotName::A,
            partitions: BTreeMap::new(),
        };
        let disks = Disks { read: &|_, _, length| Ok(vec![0; length]), attached_as: &|_| None };
        let found = candidates(&Files::below(root.path()), &own, &disks).unwrap();
        assert_eq!(found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["nvme1n1"]);
    }

    #[test]
    fn only_what_is_empty_at_both_ends_is_nothing() {
        let size = gpt::DiskSize { sector: 512, sectors: LEAST / 512 };
        let with = |at: Option<usize>| {
            let mut bytes = vec![0_u8; LEAST as usize];
            if let Some(at) = at {
                bytes[at] = 1;
            }
            content(size, |from, length| Ok(bytes[from as usize..from as usize + length].to_vec()))
        };
        assert_eq!(with(None), Content::Nothing);
        for at in [0, 1080, (EDGE - 1) as usize, (LEAST - EDGE) as usize, (LEAST - 1) as usize] {
            assert_eq!(with(Some(at)), Content::Other, "{at}");
        }
        assert_eq!(content(size, |_, _| Err(io::ErrorKind::Other.into())), Content::Other);
    }

    #[test]
    fn udev_is_told_the_disk_and_its_partition_by_their_number() {
        assert_eq!(
            rules(DeviceNumber { major: 259, minor: 3 }),
            "SUBSYSTEM==\"block\", ENV{DEVTYPE}==\"disk\", ENV{MAJOR}==\"259\", ENV{MINOR}==\"3\", \
             SYMLINK+=\"brc/data-disk\"\n\
             SUBSYSTEM==\"block\", ENV{DEVTYPE}==\"partition\", ENV{ID_PART_ENTRY_NAME}==\"brc-data\", \
             ENV{ID_PART_ENTRY_DISK}==\"259:3\", SYMLINK+=\"brc/data\"\n"
        );
    }
}
