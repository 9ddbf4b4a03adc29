//! The disk for data as it comes with an image: each archive with images of containers is a partition of its own, and a
//! list in the root says what each must be. The machine makes its data partition behind them.
//!
//! There is no file system for them: whoever reads an archive reads its bytes from the partition's first one on.

use std::{fs::File, io};

use brc_contract::{Guid, partition};
use gptman::{GPT, GPTPartitionEntry};

use super::extent;
use crate::{
    content::Sha256,
    plan::layout::{ALIGNMENT, SECTOR},
};

/// Both copies of the table with its entries, and the smallest data partition that a machine makes, in bytes.
const ROOM: u64 = 65 << 20;
/// A table has 128 entries; some stay for what a machine makes.
const MAX_ARCHIVES: usize = 120;

/// An archive on the disk for data, as the list in the root names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataImage {
    /// The SHA-256 of its bytes.
    pub sha256: Sha256,
    /// How many there are.
    pub size: u64,
    /// Its name.
    pub name: String,
}

impl DataImage {
    /// The identity of its partition: it follows from its bytes.
    pub fn partition(&self) -> Guid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.sha256.as_bytes()[..16]);
        Guid::from_bytes(bytes)
    }

    /// Reads the list of a root; a line that is none is left out.
    pub fn list(text: &str) -> Vec<Self> {
        let one = |line: &str| {
            let mut words = line.splitn(4, ' ');
            let (sha256, size) = (Sha256::parse(words.next()?).ok()?, words.next()?.parse().ok()?);
            words.next()?;
            Some(DataImage { sha256, size, name: words.next()?.to_owned() })
        };
        text.lines().filter_map(one).collect()
    }
}

/// The list that stands in the root.
pub fn list_text(images: &[DataImage]) -> String {
    let line = |image: &DataImage| {
        let identity = image.partition().to_string().to_ascii_lowercase();
        format!("{} {} {identity} {}\n", image.sha256, image.size, image.name)
    };
    images.iter().map(line).collect()
}

/// Writes a disk with these archives, none of which is empty, to `out`, which is.
///
/// `tell` gets the number of bytes that are newly written and says whether to go on.
///
/// # Errors
/// Archives that leave no room on a disk of `most` bytes, two of the same bytes, or a file that cannot be read or written.
pub fn write(
    guid: Guid,
    archives: &[(DataImage, File)],
    most: u64,
    out: &mut File,
    tell: &(dyn Fn(u64) -> bool + Sync),
) -> Result<(), DataDiskError> {
    if archives.len() > MAX_ARCHIVES {
        return Err(DataDiskError::TooMany { count: archives.len() });
    }
    let mut entries = Vec::new();
    let mut next = ALIGNMENT;
    for (image, _) in archives {
        if entries.iter().any(|(earlier, _, _): &(Guid, u64, u64)| *earlier == image.partition()) {
            return Err(DataDiskError::Twice { name: image.name.clone() });
        }
        entries.push((image.partition(), next, image.size.next_multiple_of(SECTOR)));
        next = (next + image.size).next_multiple_of(ALIGNMENT);
    }
    let needed = next + ROOM;
    if needed > most {
        return Err(DataDiskError::TooLarge { needed, most });
    }
    let wrote = |source| DataDiskError::Write { source };
    out.set_len(next + ALIGNMENT).map_err(wrote)?;
    for ((_, offset, _), (image, file)) in entries.iter().zip(archives) {
        extent::copy(file, out, *offset, image.size, tell).map_err(wrote)?;
    }
    write_table(guid, &entries, out).map_err(|source| DataDiskError::Table { source })
}

fn write_table(guid: Guid, entries: &[(Guid, u64, u64)], out: &mut File) -> gptman::Result<()> {
    let mut table = GPT::new_from(out, SECTOR, guid.mixed_endian())?;
    for (number, (identity, offset, size)) in (1..).zip(entries) {
        table[number] = GPTPartitionEntry {
            partition_type_guid: partition::CONTAINER_IMAGE.mixed_endian(),
            unique_partition_guid: identity.mixed_endian(),
            starting_lba: offset / SECTOR,
            ending_lba: (offset + size) / SECTOR - 1,
            attribute_bits: partition::READ_ONLY | partition::NO_AUTO,
            partition_name: partition::CONTAINER_IMAGE_LABEL.into(),
        };
    }
    GPT::write_protective_mbr_into(out, SECTOR)?;
    table.write_into(out).map(drop)
}

/// The disk for data cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DataDiskError {
    /// The archives and the least of data do not fit.
    #[error(
        "the images of containers and the least that data needs have {needed} bytes, and the disk for data {most}: say a \
         larger `size=` in `layout`"
    )]
    TooLarge { needed: u64, most: u64 },
    /// Two archives are one.
    #[error("`{name}` has the same bytes as another archive: leave it out")]
    Twice { name: String },
    /// More archives than a table has entries.
    #[error("there are {count} archives for the disk for data, which takes at most {MAX_ARCHIVES}")]
    TooMany { count: usize },
    /// Bytes could not be copied.
    #[error("the disk for data cannot be written")]
    Write { source: io::Error },
    /// The partition tables could not be written.
    #[error("the partition tables of the disk for data cannot be written")]
    Table { source: gptman::Error },
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::FileExt as _};

    use super::*;

    fn archive(name: &str, bytes: &[u8]) -> (DataImage, File) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        (DataImage { sha256: Sha256::of(bytes), size: bytes.len() as u64, name: name.to_owned() }, file)
    }

    fn written(archives: &[(DataImage, File)], most: u64) -> Result<File, DataDiskError> {
        let mut out = tempfile::tempfile().unwrap();
        write(Guid::from_bytes([7; 16]), archives, most, &mut out, &|_| true)?;
        Ok(out)
    }

    #[test]
    fn every_archive_is_a_partition_that_the_list_names() {
        let archives = [archive("a.tar", &[1; 1000]), archive("with blank.tar", &[2; 3 << 20])];
        let mut out = written(&archives, 1 << 30).unwrap();
        let table = GPT::find_from(&mut out).unwrap();
        let images: Vec<DataImage> = archives.iter().map(|(image, _)| image.clone()).collect();
        assert_eq!(DataImage::list(&list_text(&images)), images);
        let used: Vec<&GPTPartitionEntry> =
            table.iter().map(|(_, entry)| entry).filter(|entry| entry.is_used()).collect();
        assert_eq!(used.len(), 2);
        for (image, entry) in images.iter().zip(used) {
            assert_eq!(Guid::from_mixed_endian(entry.unique_partition_guid), image.partition());
            let mut bytes = vec![0; image.size as usize];
            out.read_exact_at(&mut bytes, entry.starting_lba * SECTOR).unwrap();
            assert_eq!(Sha256::of(&bytes), image.sha256);
        }
        assert_eq!(out.metadata().unwrap().len(), 6 << 20, "a mebibyte for each table, one and three for the archives");
    }

    #[test]
    fn what_does_not_fit_or_is_there_twice_is_refused() {
        let archives = [archive("a.tar", &[1; 1000]), archive("b.tar", &[1; 1000])];
        assert!(matches!(written(&archives, 1 << 30), Err(DataDiskError::Twice { name }) if name == "b.tar"));
        let least = (2 << 20) + ROOM;
        assert!(written(&archives[..1], least).is_ok());
        let refused = written(&archives[..1], least - 1);
        assert!(matches!(refused, Err(DataDiskError::TooLarge { needed, .. }) if needed == least));
        let many: Vec<_> = (0..=MAX_ARCHIVES as u32).map(|n| archive("n", &n.to_le_bytes())).collect();
        assert!(matches!(written(&many, 1 << 40), Err(DataDiskError::TooMany { count: 121 })));
    }

    #[test]
    fn a_line_of_a_list_that_is_none_is_left_out() {
        let good = list_text(&[archive("a", b"a").0]);
        for bad in ["", "x 1 y z\n", &good.replace(" 1 ", " one "), good.rsplit_once(' ').unwrap().0] {
            assert_eq!(DataImage::list(&format!("{bad}\n{good}")).len(), 1, "{bad}");
        }
    }
}
