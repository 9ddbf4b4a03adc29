//! The identities in a GUID partition table (UEFI 2.11, section 5.3).
//!
//! The kernel knows them too, but tells them to programs only from Linux 6.13 on (`PARTUUID=` in `uevent`).

use brc_contract::Guid;

/// The most bytes that the entries of a table may have: the usual 128 of 128 bytes are 16 KiB.
const MAX_ENTRY_BYTES: u64 = 1 << 20;
const SIGNATURE: &[u8; 8] = b"EFI PART";
/// The bytes of a header that have a meaning; its checksum, which stands at 16, is taken over them with itself as zero.
const HEADER: usize = 92;
const CHECKSUM_AT: usize = 16;

/// The header of a table, its checksum right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableHeader {
    /// The sector at which the entries begin.
    pub entries_at: u64,
    /// How many bytes the entries have.
    pub entry_bytes: usize,
    entry_size: usize,
    entries_checksum: u32,
}

/// A partition in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableEntry {
    /// Which one it is, from 1.
    pub number: u32,
    /// Its identity.
    pub identity: Guid,
}

impl TableHeader {
    /// Reads the header that is in the sector numbered `at`.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn parse(sector: &[u8], at: u64) -> Result<Self, PartitionTableError> {
        let header = sector.get(..HEADER).ok_or(PartitionTableError::None)?;
        if !header.starts_with(SIGNATURE) {
            return Err(PartitionTableError::None);
        }
        let size = short(header, 12) as usize;
        // Writers of today write 92; a longer one has its checksum over all of it.
        let checked = sector.get(..size).filter(|_| size >= HEADER).ok_or(PartitionTableError::Damaged)?;
        let mut checked = checked.to_vec();
        checked[CHECKSUM_AT..CHECKSUM_AT + 4].fill(0);
        if checksum(&checked) != short(header, CHECKSUM_AT) || long(header, 24) != at {
            return Err(PartitionTableError::Damaged);
        }
        let (count, entry_size) = (u64::from(short(header, 80)), u64::from(short(header, 84)));
        let entry_bytes = count * entry_size;
        if entry_size < 128 || entry_bytes > MAX_ENTRY_BYTES {
            return Err(PartitionTableError::Damaged);
        }
        Ok(TableHeader {
            entries_at: long(header, 72),
            entry_bytes: entry_bytes as usize,
            entry_size: entry_size as usize,
            entries_checksum: short(header, 88),
        })
    }

    /// Reads the entries, which are `entry_bytes` long.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn entries(&self, bytes: &[u8]) -> Result<Vec<TableEntry>, PartitionTableError> {
        if bytes.len() != self.entry_bytes || checksum(bytes) != self.entries_checksum {
            return Err(PartitionTableError::Damaged);
        }
        let used = bytes.chunks_exact(self.entry_size).zip(1..).filter(|(entry, _)| guid(entry, 0) != Guid::NIL);
        Ok(used.map(|(entry, number)| TableEntry { number, identity: guid(entry, 16) }).collect())
    }
}

fn short(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(short(bytes, at)) | u64::from(short(bytes, at + 4)) << 32
}

fn guid(bytes: &[u8], at: usize) -> Guid {
    let mut guid = [0; 16];
    guid.copy_from_slice(&bytes[at..at + 16]);
    Guid::from_mixed_endian(guid)
}

/// CRC-32 as Ethernet and UEFI have it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| sum >> 8 ^ REMAINDERS[usize::from(sum as u8 ^ byte)])
}

/// What each byte adds to a checksum.
static REMAINDERS: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

/// A disk has no partition table that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartitionTableError {
    /// There is no GUID partition table.
    #[error("there is no GUID partition table")]
    None,
    /// It is not what was written.
    #[error("the GUID partition table is damaged")]
    Damaged,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A table of 128 entries whose header stands in sector `at` and whose entries begin at sector `entries_at`: the
    /// bytes of both.
    pub(crate) fn table(at: u64, entries_at: u64, partitions: &[(usize, Guid)]) -> (Vec<u8>, Vec<u8>) {
        let mut entries = vec![0; 128 * 128];
        for (number, identity) in partitions {
            let entry = &mut entries[(number - 1) * 128..][..128];
            entry[..16].fill(1);
            entry[16..32].copy_from_slice(&identity.mixed_endian());
        }
        let mut header = vec![0; 512];
        header[..8].copy_from_slice(SIGNATURE);
        header[12..16].copy_from_slice(&(HEADER as u32).to_le_bytes());
        header[24..32].copy_from_slice(&at.to_le_bytes());
        header[72..80].copy_from_slice(&entries_at.to_le_bytes());
        for (at, number) in [(80, 128), (84, 128), (88, checksum(&entries))] {
            header[at..at + 4].copy_from_slice(&u32::to_le_bytes(number));
        }
        sign(&mut header);
        (header, entries)
    }

    fn sign(header: &mut [u8]) {
        header[CHECKSUM_AT..CHECKSUM_AT + 4].fill(0);
        let size = short(header, 12) as usize;
        let sum = checksum(&header[..size.min(header.len())]);
        header[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
    }

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn partitions_are_numbered_by_their_place() {
        let (root, hash) = (Guid::from_number(7), Guid::from_number(8));
        let (header, entries) = table(1, 2, &[(2, hash), (3, root), (128, root)]);
        let header = TableHeader::parse(&header, 1).unwrap();
        assert_eq!((header.entries_at, header.entry_bytes), (2, 16384));
        let found: Vec<_> = header.entries(&entries).unwrap().into_iter().map(|e| (e.number, e.identity)).collect();
        assert_eq!(found, [(2, hash), (3, root), (128, root)]);
    }

    #[test]
    fn every_changed_byte_of_a_table_is_noticed() {
        let (header, mut entries) = table(1, 2, &[(2, Guid::from_number(7))]);
        for at in 0..HEADER {
            let mut header = header.clone();
            header[at] ^= 1;
            assert!(TableHeader::parse(&header, 1).is_err(), "byte {at}");
        }
        for length in 0..HEADER {
            assert_eq!(TableHeader::parse(&header[..length], 1), Err(PartitionTableError::None), "{length} bytes");
        }
        let parsed = TableHeader::parse(&header, 1).unwrap();
        assert_eq!(parsed.entries(&entries[1..]), Err(PartitionTableError::Damaged));
        entries[16000] ^= 1;
        assert_eq!(parsed.entries(&entries), Err(PartitionTableError::Damaged));
    }

    #[test]
    fn a_table_that_lies_is_refused() {
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
            let (mut header, _) = table(1, 2, &[]);
            header[at..at + 4].copy_from_slice(&number.to_le_bytes());
            sign(&mut header);
            assert_eq!(TableHeader::parse(&header, 1), Err(PartitionTableError::Damaged), "{lie}");
        }
        let (mut header, _) = table(1, 2, &[]);
        header[12..16].copy_from_slice(&512_u32.to_le_bytes());
        sign(&mut header);
        assert!(TableHeader::parse(&header, 1).is_ok(), "a longer header is one too");
    }
}
