//! The partitions of a table.

use std::{error::Error, fmt};

use super::{
    checksum::crc32,
    header::{Header, guid, long},
};
use crate::{Guid, partition::MAX_LABEL_UNITS};

const IDENTITY_AT: usize = 16;
const LABEL_AT: usize = 56;

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Which one it is, from 1.
    pub number: u32,
    /// Its type.
    pub kind: Guid,
    /// Its identity: `PARTUUID`.
    pub identity: Guid,
    /// Its first sector.
    pub first: u64,
    /// Its last sector.
    pub last: u64,
    /// Its attribute bits.
    pub attributes: u64,
    /// Its label.
    pub label: Label,
}

/// What a partition may be called: at most 36 UTF-16 units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(Vec<u16>);

/// The partitions of a disk, as one copy of its table has them.
///
/// Two tables are equal when they say the same of the same partitions, whichever copy they were read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub(super) disk: Guid,
    pub(super) usable: [u64; 2],
    pub(super) entry_size: usize,
    pub(super) entries: Vec<u8>,
}

/// A disk has no partition table that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableError {
    /// There is no GUID partition table.
    None,
    /// It is not what was written.
    Damaged,
}

/// A text is too long for a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelError {
    text: String,
}

impl Label {
    /// A label.
    ///
    /// # Errors
    /// When it has more than 36 UTF-16 units or a NUL.
    pub fn new(text: &str) -> Result<Self, LabelError> {
        let units: Vec<u16> = text.encode_utf16().collect();
        if units.len() > MAX_LABEL_UNITS || units.contains(&0) {
            return Err(LabelError { text: text.to_owned() });
        }
        Ok(Label(units))
    }

    fn decode(bytes: &[u8]) -> Self {
        let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        Label(units.take_while(|unit| *unit != 0).collect())
    }
}

impl Table {
    /// A table of so many entries with these partitions; one whose number is larger than that is left out.
    pub(super) fn new(disk: Guid, usable: [u64; 2], count: usize, partitions: &[Partition]) -> Self {
        let mut table = Table { disk, usable, entry_size: 128, entries: vec![0; count * 128] };
        for partition in partitions {
            let at = (partition.number as usize).saturating_sub(1);
            let Some(entry) = table.entries.chunks_exact_mut(128).nth(at) else { continue };
            entry[..16].copy_from_slice(&partition.kind.mixed_endian());
            for (at, number) in [(32, partition.first), (40, partition.last), (48, partition.attributes)] {
                entry[at..at + 8].copy_from_slice(&number.to_le_bytes());
            }
            table.name(partition.number, partition.identity, &partition.label);
        }
        table
    }

    /// The table whose header and entries these are.
    pub(super) fn parse(header: &Header, entries: Vec<u8>) -> Result<Self, TableError> {
        if entries.len() != header.entry_bytes || crc32(&entries) != header.entries_checksum {
            return Err(TableError::Damaged);
        }
        Ok(Table { disk: header.disk, usable: header.usable, entry_size: header.entry_size, entries })
    }

    /// The checksum of the entries.
    pub(super) fn checksum(&self) -> u32 {
        crc32(&self.entries)
    }

    /// The partitions, in the order of their numbers.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> {
        let used = self.entries.chunks_exact(self.entry_size).zip(1..);
        used.filter(|(entry, _)| guid(entry, 0) != Guid::NIL).map(|(entry, number)| Partition {
            number,
            kind: guid(entry, 0),
            identity: guid(entry, IDENTITY_AT),
            first: long(entry, 32),
            last: long(entry, 40),
            attributes: long(entry, 48),
            label: Label::decode(&entry[LABEL_AT..128]),
        })
    }

    /// A partition by its number, from 1.
    pub fn partition(&self, number: u32) -> Option<Partition> {
        self.partitions().find(|partition| partition.number == number)
    }

    /// Gives a partition another identity and label; everything else of it stays. Whether there is such a partition.
    pub fn name(&mut self, number: u32, identity: Guid, label: &Label) -> bool {
        if self.partition(number).is_none() {
            return false;
        }
        let entry = &mut self.entries[(number as usize - 1) * self.entry_size..];
        entry[IDENTITY_AT..IDENTITY_AT + 16].copy_from_slice(&identity.mixed_endian());
        entry[LABEL_AT..LABEL_AT + 2 * MAX_LABEL_UNITS].fill(0);
        for (at, unit) in label.0.iter().enumerate() {
            entry[LABEL_AT + 2 * at..LABEL_AT + 2 * at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        true
    }
}

impl Partition {
    /// How many sectors it has; none for one that ends before it begins.
    pub fn sectors(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }
}

impl fmt::Display for Label {
    /// What is no UTF-16 is replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf16_lossy(&self.0))
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TableError::None => "there is no GUID partition table",
            TableError::Damaged => "the GUID partition table is damaged",
        })
    }
}

impl Error for TableError {}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no label of a partition: expected at most {MAX_LABEL_UNITS} UTF-16 units",
            self.text.escape_debug()
        )
    }
}

impl Error for LabelError {}
