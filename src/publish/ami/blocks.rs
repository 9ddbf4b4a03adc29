//! A disk as blocks of EBS: which of them are not all zeros, and their digests.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use rayon::prelude::*;
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use crate::content::{Sha256, Sha256Hasher};

/// The size of a block of a snapshot; AWS has no other.
pub const BLOCK_BYTES: usize = 512 << 10;
/// A larger disk is no disk of a system.
const MAX_BYTES: u64 = 256 << 30;
/// The step in which volumes grow.
pub(super) const GIB: u64 = 1 << 30;

/// Blocks of a disk or snapshot by their number, each with its digest; those that are all zeros have none.
pub(super) type Blocks = BTreeMap<u32, Sha256>;

/// A disk that becomes a snapshot.
pub struct Disk {
    path: PathBuf,
    file: File,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of all of it.
    pub sha256: Sha256,
    pub(super) blocks: Blocks,
}

impl Disk {
    /// Reads a disk: once for its own digest, and at the same time for those of its blocks. Holes are not read.
    ///
    /// # Errors
    /// A file that cannot be read or is too large, or that it was stopped.
    pub fn read(path: &Path, cancelled: &AtomicBool) -> Result<Self, DiskError> {
        let failed = |source| DiskError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let size = seek(&file, SeekFrom::End(0)).map_err(|error| failed(error.into()))?;
        if size == 0 || size > MAX_BYTES {
            return Err(DiskError::Size { path: path.to_owned(), size });
        }
        let (whole, blocks) = rayon::join(|| sha256(&file, size, cancelled), || blocks(&file, size, cancelled));
        let (sha256, blocks) = (whole.map_err(failed)?, blocks.map_err(failed)?);
        Ok(Disk { path: path.to_owned(), file, size, sha256, blocks })
    }

    /// How many of its blocks are not all zeros.
    pub fn filled(&self) -> usize {
        self.blocks.len()
    }

    /// The size of the smallest volume that holds it.
    pub fn gib(&self) -> u64 {
        self.size.div_ceil(GIB)
    }

    /// Whether a block is not all zeros.
    pub(super) fn holds(&self, number: u32) -> bool {
        self.blocks.contains_key(&number)
    }

    /// Reads a block, zeros behind the disk's end; its digest must be the one that was found before.
    pub(super) fn block(&self, number: u32, expected: Sha256, into: &mut [u8]) -> Result<(), DiskError> {
        read_block(&self.file, self.size, number, into)
            .map_err(|source| DiskError::Read { path: self.path.clone(), source })?;
        if Sha256::of(into) == expected { Ok(()) } else { Err(DiskError::Changed { path: self.path.clone() }) }
    }
}

/// What has to be sent so that a snapshot which has `old` has `new`: the digest of each block, those that became zeros
/// too.
pub(super) fn changes(new: &Blocks, old: &Blocks) -> Blocks {
    let mut changed: Blocks = new
        .iter()
        .filter(|(number, sha256)| old.get(number) != Some(sha256))
        .map(|(number, sha256)| (*number, *sha256))
        .collect();
    let zeros = Sha256::of(&vec![0; BLOCK_BYTES]);
    changed.extend(old.keys().filter(|number| !new.contains_key(number)).map(|number| (*number, zeros)));
    changed
}

fn read_block(file: &File, size: u64, number: u32, into: &mut [u8]) -> io::Result<()> {
    let start = u64::from(number) * BLOCK_BYTES as u64;
    let there = usize::try_from(size.saturating_sub(start)).map_or(into.len(), |there| there.min(into.len()));
    let (data, behind) = into.split_at_mut(there);
    behind.fill(0);
    file.read_exact_at(data, start)
}

fn stopped(cancelled: &AtomicBool) -> io::Result<()> {
    if cancelled.load(Ordering::Relaxed) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}

fn blocks(file: &File, size: u64, cancelled: &AtomicBool) -> io::Result<Blocks> {
    // A disk of 256 GiB has 2^19 of them.
    let numbers = 0..size.div_ceil(BLOCK_BYTES as u64) as u32;
    let found = numbers.into_par_iter().map_init(
        || vec![0; BLOCK_BYTES],
        |buffer, number| {
            stopped(cancelled)?;
            let start = u64::from(number) * BLOCK_BYTES as u64;
            if data_from(file, start)?.is_none_or(|data| data >= start + BLOCK_BYTES as u64) {
                return Ok(None);
            }
            read_block(file, size, number, buffer)?;
            Ok((!is_zero(buffer)).then(|| (number, Sha256::of(buffer))))
        },
    );
    found.filter_map(io::Result::transpose).collect()
}

/// The SHA-256 of a file.
fn sha256(file: &File, size: u64, cancelled: &AtomicBool) -> io::Result<Sha256> {
    let zeros = vec![0; BLOCK_BYTES];
    let mut buffer = zeros.clone();
    let (mut hasher, mut at) = (Sha256Hasher::default(), 0);
    while at < size {
        stopped(cancelled)?;
        let length = usize::try_from(size - at).map_or(BLOCK_BYTES, |left| left.min(BLOCK_BYTES));
        if data_from(file, at)?.is_none_or(|data| data >= at + length as u64) {
            hasher.update(&zeros[..length]);
        } else {
            file.read_exact_at(&mut buffer[..length], at)?;
            hasher.update(&buffer[..length]);
        }
        at += length as u64;
    }
    Ok(hasher.finish())
}

/// Where the next byte stands that is in no hole (lseek(2)); the place itself where nothing is known of holes.
fn data_from(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// A disk cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file cannot be read.
    #[error("the image `{}` cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It has nothing in it, or is too large.
    #[error("the image `{}` has {size} bytes: expected a disk of at most 256 GiB", path.display())]
    Size { path: PathBuf, size: u64 },
    /// Somebody writes to it.
    #[error("the image `{}` was changed while it was sent: publish it again once nobody writes to it", path.display())]
    Changed { path: PathBuf },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_its_blocks_that_are_not_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        let file = File::create(&path).unwrap();
        let block = BLOCK_BYTES as u64;
        file.set_len(9 * block + 100).unwrap();
        // Data of zeros, a byte at the end of a block, and a last block that is not whole.
        file.write_all_at(&vec![0; BLOCK_BYTES], 2 * block).unwrap();
        file.write_all_at(b"x", 5 * block - 1).unwrap();
        file.write_all_at(b"y", 9 * block + 99).unwrap();
        let disk = Disk::read(&path, &AtomicBool::new(false)).unwrap();
        assert_eq!(disk.blocks.keys().copied().collect::<Vec<_>>(), [4, 9]);
        assert_eq!(disk.sha256, Sha256::of(&std::fs::read(&path).unwrap()));
        assert_eq!((disk.size, disk.gib(), disk.filled()), (9 * block + 100, 1, 2));
        let mut last = vec![7; BLOCK_BYTES];
        disk.block(9, disk.blocks[&9], &mut last).unwrap();
        assert_eq!((last[99], last[100..].iter().any(|byte| *byte != 0)), (b'y', false));
        file.write_all_at(b"z", 9 * block).unwrap();
        assert!(matches!(disk.block(9, disk.blocks[&9], &mut last), Err(DiskError::Changed { .. })));
        assert!(Disk::read(&path, &AtomicBool::new(true)).is_err());
        file.set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(Disk::read(&path, &AtomicBool::new(false)), Err(DiskError::Size { .. })));
    }

    #[test]
    fn a_block_that_became_zeros_is_a_change() {
        let blocks = |pairs: &[(u32, u8)]| -> Blocks {
            pairs.iter().map(|(number, byte)| (*number, Sha256::of(&[*byte]))).collect()
        };
        let (old, new) = (blocks(&[(1, 1), (2, 2), (3, 3)]), blocks(&[(1, 1), (2, 7), (9, 9)]));
        let changed = changes(&new, &old);
        assert_eq!(changed.keys().copied().collect::<Vec<_>>(), [2, 3, 9]);
        assert_eq!((changed[&2], changed[&3]), (new[&2], Sha256::of(&vec![0; BLOCK_BYTES])));
        assert_eq!(changes(&new, &Blocks::new()), new);
    }
}
