//! The partition tables of a disk, read strictly: both copies, every byte.
//!
//! Format: UEFI 2.10, section 5.3. Only what brc writes is accepted: 128 entries of 128 bytes, 512-byte sectors.

use std::{fs::File, io};

use brc_contract::{Architecture, Guid, partition};

use super::report::{Findings, Part};
use crate::{
    image::extent,
    plan::layout::{ALIGNMENT, SECTOR},
};

const ENTRIES: usize = 128;
const ENTRY_BYTES: usize = 128;
const HEADER_BYTES: usize = 92;
/// Sectors of a table: header and entries.
const TABLE_SECTORS: u64 = 33;

/// The partitions of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The disk's GUID.
    pub disk: Guid,
    /// The partitions in the order of the table, inside the disk, in ascending order of place.
    pub partitions: Vec<Partition>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its type.
    pub kind: Guid,
    /// Its identity.
    pub guid: Guid,
    /// Where it starts, in bytes.
    pub start: u64,
    /// Its sectors, at least one.
    pub sectors: u64,
    /// Its attribute bits.
    pub attributes: u64,
    /// Its label.
    pub label: String,
}

impl Partition {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.sectors * SECTOR
    }

    /// The byte behind it.
    pub fn end(&self) -> u64 {
        self.start + self.size()
    }
}

/// Reads the tables; `None` when neither copy can be used. What is wrong is added to `findings`.
///
/// # Errors
/// The image cannot be read.
pub(super) fn read(image: &File, size: u64, findings: &mut Findings) -> io::Result<Option<Table>> {
    let mut wrong = |problem: String| findings.add(Part::Table, problem);
    let sectors = size / SECTOR;
    if !size.is_multiple_of(SECTOR) || sectors < 3 * TABLE_SECTORS {
        wrong(format!("the image has {size} bytes, too few or no multiple of 512"));
        return Ok(None);
    }
    let mut head = vec![0; (34 * SECTOR) as usize];
    extent::read(image, &mut head, 0)?;
    let mut tail = vec![0; (TABLE_SECTORS * SECTOR) as usize];
    extent::read(image, &mut tail, (sectors - TABLE_SECTORS) * SECTOR)?;
    if head[..512] != protective_record(sectors) {
        wrong("the protective MBR is not the one for a disk of this size".to_owned());
    }
    let (primary_header, primary_entries) = (&head[512..1024], &head[1024..]);
    let (backup_entries, backup_header) = tail.split_at(32 * 512);
    let primary = Place { own: 1, other: sectors - 1, entries: 2, name: "primary" };
    let backup = Place { own: sectors - 1, other: 1, entries: sectors - TABLE_SECTORS, name: "backup" };
    let first = copy(&primary, primary_header, primary_entries, sectors);
    let second = copy(&backup, backup_header, backup_entries, sectors);
    if let (Ok(first), Ok(second)) = (&first, &second)
        && first != second
    {
        wrong("the backup table is another one than the primary".to_owned());
    }
    for problem in [&first, &second].into_iter().filter_map(|copy| copy.as_ref().err()) {
        wrong(problem.clone());
    }
    Ok(first.or(second).ok())
}

/// Where a copy of the table stands, in sectors.
struct Place {
    own: u64,
    other: u64,
    entries: u64,
    name: &'static str,
}

/// Reads one copy.
fn copy(place: &Place, header: &[u8], entries: &[u8], sectors: u64) -> Result<Table, String> {
    let wrong = |what: &str| format!("the {} table is damaged: {what}", place.name);
    let mut disk = [0; 16];
    disk.copy_from_slice(&header[56..72]);
    let mut expected = Vec::with_capacity(512);
    expected.extend(*b"EFI PART\0\0\x01\0");
    expected.extend((HEADER_BYTES as u32).to_le_bytes());
    expected.extend([0; 8]); // its own checksum counts as zero; then reserved
    for sector in [place.own, place.other, 34, sectors - 34] {
        expected.extend(sector.to_le_bytes());
    }
    expected.extend(disk);
    expected.extend(place.entries.to_le_bytes());
    expected.extend((ENTRIES as u32).to_le_bytes());
    expected.extend((ENTRY_BYTES as u32).to_le_bytes());
    expected.extend(crc32(entries).to_le_bytes());
    let sum = crc32(&expected).to_le_bytes();
    expected[16..20].copy_from_slice(&sum);
    expected.resize(512, 0);
    if header[88..92] != expected[88..92] {
        return Err(wrong("the checksum of its entries does not fit"));
    }
    if header != expected {
        return Err(wrong("its header is not the one for a disk of this size, or its checksum does not fit"));
    }
    let partitions = partitions(entries, sectors).map_err(wrong)?;
    Ok(Table { disk: Guid::from_mixed_endian(disk), partitions })
}

fn partitions(entries: &[u8], sectors: u64) -> Result<Vec<Partition>, &'static str> {
    let mut partitions: Vec<Partition> = Vec::new();
    let mut free = false;
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        if entry.iter().all(|byte| *byte == 0) {
            free = true;
            continue;
        }
        let number = |at: usize| entry[at..at + 8].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let guid = |at: usize| Guid::from_mixed_endian(std::array::from_fn(|index| entry[at + index]));
        let (first, last) = (number(32), number(40));
        let (units, _) = entry[56..].as_chunks::<2>();
        let mut units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        let end = units.iter().rposition(|unit| *unit != 0).map_or(0, |last| last + 1);
        units.truncate(end);
        if units.contains(&0) {
            return Err("a label goes on behind its end");
        }
        let label = String::from_utf16(&units).map_err(|_| "a label is not UTF-16")?;
        if free || guid(0) == Guid::NIL {
            return Err("an unused entry stands before a used one");
        }
        if first > last || last > sectors - 35 {
            return Err("a partition lies outside the disk");
        }
        let start = first * SECTOR;
        if start < partitions.last().map_or(34 * SECTOR, Partition::end) {
            return Err("partitions overlap or are not in order");
        }
        if !start.is_multiple_of(ALIGNMENT) {
            return Err("a partition does not start at a multiple of a megabyte");
        }
        let (kind, guid, attributes) = (guid(0), guid(16), number(48));
        partitions.push(Partition { kind, guid, start, sectors: last - first + 1, attributes, label });
    }
    Ok(partitions)
}

/// The architecture of a disk whose partitions are ESP, then hash tree and root for each slot.
pub(super) fn architecture(partitions: &[Partition]) -> Option<Architecture> {
    let (esp, slots) = partitions.split_first()?;
    let architecture = Architecture::ALL
        .into_iter()
        .find(|architecture| slots.first().is_some_and(|first| first.kind == partition::root_verity(*architecture)))?;
    let kinds = [partition::root_verity(architecture), partition::root(architecture)];
    let fits = slots.chunks(2).all(|slot| slot.iter().map(|partition| partition.kind).eq(kinds));
    (esp.kind == partition::ESP && fits).then_some(architecture)
}

/// The first sector of a disk that has a GPT.
fn protective_record(sectors: u64) -> [u8; 512] {
    let mut record = [0; 512];
    record[446..454].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
    record[454] = 1;
    record[458..462].copy_from_slice(&u32::try_from(sectors - 1).unwrap_or(u32::MAX).to_le_bytes());
    record[510..].copy_from_slice(&[0x55, 0xaa]);
    record
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_where_it_ends() {
        let mut entry = [0_u8; ENTRY_BYTES];
        entry[..32].fill(1);
        entry[32..34].copy_from_slice(&2048_u16.to_le_bytes());
        entry[40..42].copy_from_slice(&4095_u16.to_le_bytes());
        entry[56] = b'a';
        let found = partitions(&entry, 1 << 20).unwrap();
        assert_eq!((found[0].label.as_str(), found[0].sectors), ("a", 2048));
        entry[126] = b'b';
        assert_eq!(partitions(&entry, 1 << 20), Err("a label goes on behind its end"));
    }
}
