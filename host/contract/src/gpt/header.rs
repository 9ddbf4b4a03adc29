//! The header of one copy of the table.

use super::{checksum::crc32, table::TableError};
use crate::Guid;

/// The most bytes that the entries of a table may have: the usual 128 of 128 bytes are 16 KiB.
const MAX_ENTRY_BYTES: u64 = 1 << 20;
const SIGNATURE: &[u8; 8] = b"EFI PART";
/// Version 1.0 of the format.
const REVISION: u32 = 0x0001_0000;
/// The bytes of a header that have a meaning; its checksum is taken over them with itself as zero.
const HEADER: usize = 92;
const CHECKSUM_AT: usize = 16;

/// How large a disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSize {
    /// The bytes of a sector, a power of two from 512 to 65536.
    pub sector: usize,
    /// How many sectors it has.
    pub sectors: u64,
}

/// What a header says, of whichever copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The sector that it stands in.
    pub at: u64,
    /// The sector of the other copy's header.
    pub other: u64,
    /// The first and the last sector that a partition may have.
    pub usable: [u64; 2],
    /// The GUID of the disk.
    pub disk: Guid,
    /// The sector at which the entries begin.
    pub entries_at: u64,
    /// How many bytes an entry has.
    pub entry_size: usize,
    /// How many bytes all entries have.
    pub entry_bytes: usize,
    /// The checksum of the entries.
    pub entries_checksum: u32,
}

impl Header {
    /// Reads the header that is in the sector numbered `at`.
    pub fn parse(sector: &[u8], at: u64) -> Result<Self, TableError> {
        let header = sector.get(..HEADER).ok_or(TableError::None)?;
        if !header.starts_with(SIGNATURE) {
            return Err(TableError::None);
        }
        let size = short(header, 12) as usize;
        // Writers of today write 92; a longer one has its checksum over all of it.
        let checked = sector.get(..size).filter(|_| size >= HEADER).ok_or(TableError::Damaged)?;
        let mut checked = checked.to_vec();
        checked[CHECKSUM_AT..CHECKSUM_AT + 4].fill(0);
        if crc32(&checked) != short(header, CHECKSUM_AT) || long(header, 24) != at {
            return Err(TableError::Damaged);
        }
        let (count, entry_size) = (u64::from(short(header, 80)), u64::from(short(header, 84)));
        let entry_bytes = count * entry_size;
        if entry_size < 128 || entry_bytes > MAX_ENTRY_BYTES {
            return Err(TableError::Damaged);
        }
        Ok(Header {
            at,
            other: long(header, 32),
            usable: [long(header, 40), long(header, 48)],
            disk: guid(header, 56),
            entries_at: long(header, 72),
            entry_size: entry_size as usize,
            entry_bytes: entry_bytes as usize,
            entries_checksum: short(header, 88),
        })
    }

    /// The sector that holds it, `size` bytes long.
    pub fn encode(&self, size: usize) -> Vec<u8> {
        let count = self.entry_bytes / self.entry_size;
        let mut bytes = Vec::with_capacity(size.max(HEADER));
        bytes.extend(SIGNATURE);
        for number in [REVISION, HEADER as u32, 0, 0] {
            bytes.extend(number.to_le_bytes());
        }
        for sector in [self.at, self.other, self.usable[0], self.usable[1]] {
            bytes.extend(sector.to_le_bytes());
        }
        bytes.extend(self.disk.mixed_endian());
        bytes.extend(self.entries_at.to_le_bytes());
        for number in [count as u32, self.entry_size as u32, self.entries_checksum] {
            bytes.extend(number.to_le_bytes());
        }
        let sum = crc32(&bytes);
        bytes[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
        bytes.resize(size.max(HEADER), 0);
        bytes
    }
}

pub(super) fn short(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

pub(super) fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(short(bytes, at)) | u64::from(short(bytes, at + 4)) << 32
}

pub(super) fn guid(bytes: &[u8], at: usize) -> Guid {
    let mut guid = [0; 16];
    guid.copy_from_slice(&bytes[at..at + 16]);
    Guid::from_mixed_endian(guid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            at: 1,
            other: 99,
            usable: [34, 66],
            disk: Guid::from_number(5),
            entries_at: 2,
            entry_size: 128,
            entry_bytes: 128 * 128,
            entries_checksum: 7,
        }
    }

    fn sign(header: &mut [u8]) {
        header[CHECKSUM_AT..CHECKSUM_AT + 4].fill(0);
        let size = short(header, 12) as usize;
        let sum = crc32(&header[..size.min(header.len())]);
        header[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
    }

    #[test]
    fn a_header_is_read_back_and_every_changed_byte_is_noticed() {
        let bytes = header().encode(512);
        assert_eq!(bytes.len(), 512);
        assert_eq!(Header::parse(&bytes, 1), Ok(header()));
        for at in 0..HEADER {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(Header::parse(&bytes, 1).is_err(), "byte {at}");
        }
        for length in 0..HEADER {
            assert_eq!(Header::parse(&bytes[..length], 1), Err(TableError::None), "{length} bytes");
        }
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        for (lie, at, number) in [
            ("a header that is too short", 12, 91),
            ("a header that is longer than its sector", 12, 513),
            ("a header without an end", 12, u32::MAX),
            ("entries that are too short", 84, 127),
            ("no entries", 84, 0),
            ("too many entries", 80, u32::MAX),
            ("entries that are too long", 84, u32::MAX),
            ("the header of another sector", 24, 2),
        ] {
            let mut bytes = header().encode(512);
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
            sign(&mut bytes);
            assert_eq!(Header::parse(&bytes, 1), Err(TableError::Damaged), "{lie}");
        }
        let mut bytes = header().encode(512);
        bytes[12..16].copy_from_slice(&512_u32.to_le_bytes());
        sign(&mut bytes);
        assert!(Header::parse(&bytes, 1).is_ok(), "a longer header is one too");
    }
}
