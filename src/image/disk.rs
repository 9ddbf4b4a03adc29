//! A whole disk: protective MBR, both partition tables, the partitions' bytes.
//!
//! Format: UEFI 2.10, chapter 5; which partitions there are: docs/design/image.md.

use std::{fs::File, io};

use brc_contract::{Architecture, Guid, partition};
use gptman::{GPT, GPTPartitionEntry};

use super::{extent, verity::RootHash};
use crate::plan::{
    Slot,
    layout::{self, LayoutError, Placed, Role, SECTOR},
};

/// A file and how many of its first bytes count.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The file.
    pub file: &'a File,
    /// The number of bytes.
    pub size: u64,
}

/// What a disk is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The disk's GUID.
    pub guid: Guid,
    /// The ESP, which fills its partition.
    pub esp: Part<'a>,
    /// The ESP's partition GUID.
    pub esp_guid: Guid,
    /// The root image of the first slot.
    pub root: Part<'a>,
    /// The hash file of the first slot.
    pub hash: Part<'a>,
    /// The root hash of the first slot.
    pub root_hash: &'a RootHash,
    /// The slots; the first is filled.
    pub slots: &'a [Slot],
    /// The label of the first slot's partitions.
    pub label: &'a str,
    /// The machine it is for.
    pub architecture: Architecture,
}

/// Writes a disk to `out`, which is empty; what is zero becomes a hole.
///
/// `tell` gets the number of bytes that are newly written and says whether to go on.
///
/// # Errors
/// Parts that do not fit their partitions, a label that is too long, or a file that cannot be read or written.
pub fn write(parts: &Parts<'_>, out: &mut File, tell: &(dyn Fn(u64) -> bool + Sync)) -> Result<(), DiskError> {
    let label_units = parts.label.encode_utf16().count();
    if label_units > partition::MAX_LABEL_UNITS || parts.label.is_empty() {
        return Err(DiskError::Label { label: parts.label.to_owned(), units: label_units });
    }
    let layout = layout::lay_out(parts.esp.size, parts.slots).map_err(|source| DiskError::Layout { source })?;
    let wrote = |what: &'static str| move |source| DiskError::Write { what, source };
    out.set_len(layout.disk_size).map_err(wrote("size"))?;
    for placed in &layout.partitions {
        let Some((name, part)) = content(parts, placed.role) else { continue };
        if part.size > placed.size {
            return Err(DiskError::TooLarge { name, size: part.size, room: placed.size });
        }
        extent::copy(part.file, out, placed.offset, part.size, tell).map_err(wrote(name))?;
    }
    write_tables(parts, &layout.partitions, out).map_err(|source| DiskError::Table { source })
}

/// What a partition holds; nothing for an empty slot.
fn content<'a>(parts: &Parts<'a>, role: Role) -> Option<(&'static str, Part<'a>)> {
    match role {
        Role::Esp => Some(("ESP", parts.esp)),
        Role::Verity(0) => Some(("hash tree", parts.hash)),
        Role::Root(0) => Some(("root image", parts.root)),
        Role::Verity(_) | Role::Root(_) => None,
    }
}

fn write_tables(parts: &Parts<'_>, partitions: &[Placed], out: &mut File) -> gptman::Result<()> {
    let mut table = GPT::new_from(out, SECTOR, parts.guid.mixed_endian())?;
    for (number, placed) in (1..).zip(partitions) {
        table[number] = entry(parts, placed);
    }
    GPT::write_protective_mbr_into(out, SECTOR)?;
    table.write_into(out).map(drop)
}

fn entry(parts: &Parts<'_>, placed: &Placed) -> GPTPartitionEntry {
    let empty = |slot: usize, index: usize| {
        let guid = parts.slots.get(slot).map(|slot| slot.empty_guids[index]).unwrap_or_default();
        (Guid::from_bytes(guid), partition::EMPTY_LABEL, partition::READ_ONLY | partition::NO_AUTO)
    };
    let (guid, label, attributes) = match placed.role {
        Role::Esp => (parts.esp_guid, partition::ESP_LABEL, 0),
        Role::Verity(0) => (partition::hash_guid(parts.root_hash), parts.label, partition::READ_ONLY),
        Role::Root(0) => (partition::root_guid(parts.root_hash), parts.label, partition::READ_ONLY),
        Role::Verity(slot) => empty(slot, 0),
        Role::Root(slot) => empty(slot, 1),
    };
    GPTPartitionEntry {
        partition_type_guid: kind(placed.role, parts.architecture).mixed_endian(),
        unique_partition_guid: guid.mixed_endian(),
        starting_lba: placed.offset / SECTOR,
        ending_lba: (placed.offset + placed.size) / SECTOR - 1,
        attribute_bits: attributes,
        partition_name: label.into(),
    }
}

/// The type of the partition with this role.
pub fn kind(role: Role, architecture: Architecture) -> Guid {
    match role {
        Role::Esp => partition::ESP,
        Role::Verity(_) => partition::root_verity(architecture),
        Role::Root(_) => partition::root(architecture),
    }
}

/// A disk cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Sizes that no partitions can have.
    #[error("the disk cannot be laid out")]
    Layout { source: LayoutError },
    /// The label does not fit.
    #[error("the label `{label}` has {units} UTF-16 units, expected 1 to 36: shorten the variant's name or version")]
    Label { label: String, units: usize },
    /// A part is larger than its partition.
    #[error("the {name} has {size} bytes, its partition only {room}: choose a larger slot in `layout`")]
    TooLarge { name: &'static str, size: u64, room: u64 },
    /// Bytes could not be copied to the disk.
    #[error("the disk's {what} cannot be written")]
    Write { what: &'static str, source: io::Error },
    /// The partition tables could not be written.
    #[error("the disk's partition tables cannot be written")]
    Table { source: gptman::Error },
}

#[cfg(test)]
pub(super) mod tests {
    use std::{io::Write, os::unix::fs::FileExt};

    use super::*;

    pub fn slots() -> Vec<Slot> {
        let slot = |number: u8| Slot {
            verity_size: 1 << 20,
            root_size: 3 << 20,
            empty_guids: [[2 * number + 1; 16], [2 * number + 2; 16]],
        };
        vec![slot(0), slot(1)]
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn partitions_stand_where_the_table_says_under_their_names() {
        let (esp, root, hash) = (file(&[1; 1 << 20]), file(&[2; 8192]), file(&[3; 4096]));
        let root_hash: RootHash = std::array::from_fn(|at| at as u8);
        let slots = slots();
        let parts = Parts {
            guid: Guid::from_bytes([0xd1; 16]),
            esp: Part { file: &esp, size: 1 << 20 },
            esp_guid: Guid::from_bytes([0xe5; 16]),
            root: Part { file: &root, size: 8192 },
            hash: Part { file: &hash, size: 4096 },
            root_hash: &root_hash,
            slots: &slots,
            label: "a_1",
            architecture: Architecture::X86_64,
        };
        let mut out = tempfile::tempfile().unwrap();
        write(&parts, &mut out, &|_| true).unwrap();
        let table = GPT::find_from(&mut out).unwrap();
        let found: Vec<(String, Guid, u64)> = table
            .iter()
            .filter(|(_, entry)| entry.is_used())
            .map(|(_, entry)| {
                let guid = Guid::from_mixed_endian(entry.unique_partition_guid);
                (entry.partition_name.to_string(), guid, entry.starting_lba * SECTOR)
            })
            .collect();
        let labels: Vec<&str> = found.iter().map(|(label, ..)| label.as_str()).collect();
        assert_eq!(labels, ["esp", "a_1", "a_1", "_empty", "_empty"]);
        assert_eq!(found[1].1.to_string(), "10111213-1415-1617-1819-1a1b1c1d1e1f");
        assert_eq!(found[2].1.to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(found[4].1, Guid::from_bytes([4; 16]));
        for ((_, _, offset), expected) in found.iter().zip([1, 3, 2, 0, 0]) {
            let mut byte = [0xff];
            out.read_exact_at(&mut byte, *offset).unwrap();
            assert_eq!(byte[0], expected);
        }
        let large = Parts { root: Part { file: &root, size: 4 << 20 }, ..parts };
        assert!(matches!(write(&large, &mut out, &|_| true), Err(DiskError::TooLarge { name: "root image", .. })));
        let long = "x".repeat(37);
        let labelled = Parts { label: &long, ..parts };
        assert!(matches!(write(&labelled, &mut out, &|_| true), Err(DiskError::Label { units: 37, .. })));
    }
}
