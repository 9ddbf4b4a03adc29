//! Waits for the two partitions that the command line names by identity.

use core::time::Duration;
use std::{fmt, io};

use brc_contract::{Guid, gpt};
use brc_linux::{FileError, block_device::BlockDevice};

use crate::{command_line::WantedRoot, machine::Machine};

/// How long partitions are waited for. Disks are there within a second, those behind slow controllers within twenty.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// How long is waited before looking again: what is slow in the first second is slow altogether.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];
/// Where the kernel shows block devices.
const DEVICES: &str = "/sys/class/block";
/// The unit in which `/sys` has sizes, in bytes.
const SECTOR: u64 = 512;

/// The partitions of the root, both on one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions {
    /// That with the data.
    pub data: BlockDevice,
    /// That with the hash tree.
    pub hash: BlockDevice,
}

/// A disk with partitions.
#[derive(Debug)]
struct Disk {
    name: String,
    /// Its partitions that are looked for, or why its table cannot be read.
    found: Result<[Option<BlockDevice>; 2], TableError>,
}

/// Waits until both partitions are on one disk.
///
/// # Errors
/// When they are not after [`LIMIT`], or the kernel shows no block devices at all.
pub(crate) fn wait(machine: &mut impl Machine, wanted: &WantedRoot) -> Result<Partitions, PartitionError> {
    let start = machine.elapsed();
    loop {
        let disks = look(machine, [wanted.data, wanted.hash])?;
        let whole = disks.iter().find_map(|disk| match &disk.found {
            Ok([Some(data), Some(hash)]) => Some(Partitions { data: data.clone(), hash: hash.clone() }),
            _ => None,
        });
        if let Some(partitions) = whole {
            return Ok(partitions);
        }
        let waited = machine.elapsed().saturating_sub(start);
        if waited >= LIMIT {
            return Err(MissingPartition::of(wanted, disks).into());
        }
        machine.pause(PAUSES[usize::from(waited >= Duration::from_secs(1))]);
    }
}

/// What is there now.
fn look(machine: &mut impl Machine, wanted: [Guid; 2]) -> Result<Vec<Disk>, FileError> {
    let mut devices = Vec::new();
    for name in machine.names(DEVICES)? {
        // One that has gone again meanwhile, or is just coming, is none.
        let uevent = machine.text(&format!("{DEVICES}/{name}/uevent"));
        devices.extend(uevent.ok().and_then(|text| BlockDevice::parse(&text)).map(|device| (name, device)));
    }
    let partition = |disk: &BlockDevice, number| {
        let mut devices = devices.iter().map(|(_, device)| device);
        devices.find(|device| device.partition == Some(number) && device.disk == disk.disk)
    };
    let mut disks = Vec::new();
    for (name, disk) in devices.iter().filter(|(_, device)| device.partition.is_none() && device.disk.is_some()) {
        // What the kernel has found no partitions on is not read: an empty drive would take its time.
        if !devices.iter().any(|(_, device)| device.partition.is_some() && device.disk == disk.disk) {
            continue;
        }
        let found = table(machine, name, disk).map(|table| {
            wanted.map(|identity| {
                let entry = table.partitions().find(|entry| entry.identity == identity)?;
                partition(disk, entry.number).cloned()
            })
        });
        disks.push(Disk { name: name.clone(), found });
    }
    Ok(disks)
}

/// A disk's partition table, the backup at its end when the first one is damaged: the command line
/// has `gpt`, so the kernel takes that too.
fn table(machine: &mut impl Machine, name: &str, disk: &BlockDevice) -> Result<gpt::Table, TableError> {
    let mut number = |file: &'static str| {
        let text = machine.text(&format!("{DEVICES}/{name}/{file}"))?;
        text.trim().parse::<u64>().map_err(|_| TableError::Number { file })
    };
    let (bytes, sector) = (number("size")?.saturating_mul(SECTOR), number("queue/logical_block_size")?);
    if !(SECTOR..=64 << 10).contains(&sector) {
        return Err(TableError::Number { file: "queue/logical_block_size" });
    }
    let path = format!("/dev/{}", disk.name);
    let size = gpt::DiskSize { sector: sector as usize, sectors: bytes / sector };
    gpt::Table::read(size, |at, bytes| Ok(machine.bytes_at(&path, at.saturating_mul(sector), bytes)?))
}

/// A partition of the root has not appeared.
#[derive(Debug)]
pub struct MissingPartition {
    identity: Guid,
    what: &'static str,
    disks: Vec<Disk>,
}

impl MissingPartition {
    fn of(wanted: &WantedRoot, disks: Vec<Disk>) -> Self {
        let is_somewhere =
            |at: usize| disks.iter().any(|disk| disk.found.as_ref().is_ok_and(|found| found[at].is_some()));
        // The hash tree comes first on the disk; what is on no disk is named before what is on another one.
        let (identity, what) = match is_somewhere(1) && !is_somewhere(0) {
            true => (wanted.data, "the root"),
            false => (wanted.hash, "the hash tree of the root"),
        };
        MissingPartition { identity, what, disks }
    }
}

impl fmt::Display for MissingPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (identity, what, seconds) = (self.identity, self.what, LIMIT.as_secs());
        write!(f, "the partition with {what}, `PARTUUID={identity}`, is not there after {seconds} s: ")?;
        if self.disks.is_empty() {
            return f.write_str("no disk has partitions; is the driver of its controller among the modules?");
        }
        for (at, disk) in self.disks.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match &disk.found {
                Ok([None, None]) => write!(f, "{comma}disk `{}` has no partition of this root", disk.name)?,
                Ok([Some(_), None]) => write!(f, "{comma}disk `{}` has only the data", disk.name)?,
                Ok(_) => write!(f, "{comma}disk `{}` has only the hash tree", disk.name)?,
                Err(error) => write!(f, "{comma}disk `{}`: {error}", disk.name)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for MissingPartition {}

/// The partitions of the root are not found.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// The kernel does not show its block devices.
    #[error("the block devices are not known")]
    Devices(#[from] FileError),
    /// They do not appear.
    #[error(transparent)]
    Missing(#[from] MissingPartition),
}

/// The partition table of a disk is not known.
#[derive(Debug, thiserror::Error)]
enum TableError {
    #[error("{0}")]
    Table(#[from] gpt::TableError),
    #[error("its partition table cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("its size is not known: {0}")]
    Size(#[from] FileError),
    #[error("its size is not known: `{file}` is no such number")]
    Number { file: &'static str },
}
