//! The disk that the running root is on.

use std::collections::BTreeMap;

use brc_contract::{SlotName, gpt::DiskSize};
use brc_linux::{Files, block_device::BlockDevice};

use crate::status::{self, Known, Unknown};

/// The unit in which `/sys` has sizes, in bytes.
const UNIT: u64 = 512;
/// Where the kernel shows block devices.
pub(crate) const DEVICES: &str = "/sys/class/block";

/// The disk that the running root is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDisk {
    /// Its name below `/dev`.
    pub name: String,
    /// How large it is.
    pub size: DiskSize,
    /// The slot that runs.
    pub running: SlotName,
    /// The names of its partitions below `/dev`, by number.
    pub partitions: BTreeMap<u32, String>,
}

impl RootDisk {
    /// Finds the disk by the partitions that the kernel mapped as the root: two disks with one image cannot be told
    /// apart by what their tables say.
    ///
    /// # Errors
    /// What of it is not known.
    pub fn of(files: &Files) -> Known<RootDisk> {
        let running = status::slot(files)?;
        let (device, _) = status::root_device(files)?;
        let parts = status::parts(files, device)?;
        let no_disk =
            || Unknown::NoDisk { partition: parts.first().map_or_else(String::new, |part| part.name.clone()) };
        let on = parts.iter().find_map(|part| part.disk).ok_or_else(no_disk)?;
        let mut devices = Vec::new();
        for name in files.names(DEVICES, status::MAX_NAMES)? {
            // One that has gone meanwhile is none.
            devices.extend(status::block_device(files, &format!("{DEVICES}/{name}")).ok().map(|found| (name, found)));
        }
        devices.retain(|(_, device)| device.disk == Some(on));
        let is_whole = |(_, device): &&(String, BlockDevice)| device.partition.is_none();
        let (folder, disk) = devices.iter().find(is_whole).ok_or_else(no_disk)?;
        let size = size(files, folder)?;
        let partitions =
            devices.iter().filter_map(|(_, device)| Some((device.partition?, device.name.clone()))).collect();
        Ok(RootDisk { name: disk.name.clone(), size, running, partitions })
    }
}

/// How large the device is whose folder below [`DEVICES`] is called so.
pub(crate) fn size(files: &Files, folder: &str) -> Known<DiskSize> {
    let number = |file: &str| -> Known<u64> {
        let path = format!("{DEVICES}/{folder}/{file}");
        let text = files.text(&path, status::MAX_SMALL)?;
        text.trim().parse().map_err(|_| Unknown::Size { path })
    };
    let (bytes, sector) = (number("size")?.saturating_mul(UNIT), number("queue/logical_block_size")?);
    if !(UNIT..=64 << 10).contains(&sector) {
        return Err(Unknown::Size { path: format!("{DEVICES}/{folder}/queue/logical_block_size") });
    }
    Ok(DiskSize { sector: sector as usize, sectors: bytes / sector })
}
