//! Stretches of bytes, copied and looked at without making holes into data.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

use rayon::prelude::*;
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use crate::content::{Sha256, Sha256Hasher};

/// Bytes that one thread handles at a time.
const PIECE: u64 = 1 << 20;
/// Runs of zeros are left out in steps of this many bytes, the block of common file systems.
const GRAIN: usize = 4096;

/// Copies the first `size` bytes of `from` to `offset` of `to`, which has a hole there: what is zero stays a hole.
///
/// `tell` gets the number of bytes that are newly done and says whether to go on.
///
/// # Errors
/// `from` is shorter or cannot be read, `to` cannot be written; `Interrupted` when `tell` said to stop.
pub fn copy(from: &File, to: &File, offset: u64, size: u64, tell: &(dyn Fn(u64) -> bool + Sync)) -> io::Result<()> {
    (0..size.div_ceil(PIECE)).into_par_iter().try_for_each(|number| {
        let start = number * PIECE;
        let mut buffer = vec![0; PIECE.min(size - start) as usize];
        from.read_exact_at(&mut buffer, start)?;
        write_without_zeros(&buffer, to, offset + start)?;
        if tell(buffer.len() as u64) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    })
}

fn write_without_zeros(bytes: &[u8], to: &File, offset: u64) -> io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let grains = |from: usize, zero: bool| {
            let same = bytes[from..].chunks(GRAIN).take_while(|grain| is_zero(grain) == zero);
            same.map(<[u8]>::len).sum::<usize>()
        };
        at += grains(at, true);
        let len = grains(at, false);
        to.write_all_at(&bytes[at..at + len], offset + at as u64)?;
        at += len;
    }
    Ok(())
}

/// Fills `buffer` from `offset` of `file` on.
///
/// # Errors
/// The file ends before or cannot be read.
pub fn read(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// The SHA-256 of `size` bytes from `start` of `file` on.
///
/// # Errors
/// The file ends before or cannot be read.
pub fn sha256(file: &File, start: u64, size: u64) -> io::Result<Sha256> {
    let mut hasher = Sha256Hasher::default();
    let mut buffer = vec![0; PIECE.min(size) as usize];
    for from in (0..size).step_by(PIECE as usize) {
        buffer.truncate(PIECE.min(size - from) as usize);
        read(file, &mut buffer, start + from)?;
        hasher.update(&buffer);
    }
    Ok(hasher.finish())
}

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // memcmp(3), which is quick in an unoptimised build as well.
    const ZEROS: [u8; GRAIN] = [0; GRAIN];
    bytes.chunks(GRAIN).all(|grain| grain == &ZEROS[..grain.len()])
}

/// The size of a file or block device, in bytes.
///
/// # Errors
/// It cannot be sought in.
pub fn size(file: &File) -> io::Result<u64> {
    Ok(seek(file, SeekFrom::End(0))?)
}

/// Where the first byte that is not zero stands between `start` and `end` of `file`; what is a hole is not read.
///
/// # Errors
/// The file ends before `end` or cannot be read.
pub fn first_nonzero(file: &File, start: u64, end: u64) -> io::Result<Option<u64>> {
    if start < end && size(file)? < end {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut at = start;
    while let Some(data) = next_data(file, at, end)? {
        if let Some(found) = first_nonzero_of_data(file, data.start, data.end)? {
            return Ok(Some(found));
        }
        at = data.end;
    }
    Ok(None)
}

/// The next bytes between `from` and `end` that are no hole (lseek(2)).
fn next_data(file: &File, from: u64, end: u64) -> io::Result<Option<Range<u64>>> {
    if from >= end {
        return Ok(None);
    }
    match seek(file, SeekFrom::Data(from)) {
        Ok(start) if start < end => Ok(Some(start..seek(file, SeekFrom::Hole(start))?.min(end))),
        Ok(_) | Err(Errno::NXIO) => Ok(None),
        // A device, say, which knows no holes.
        Err(Errno::INVAL) => Ok(Some(from..end)),
        Err(error) => Err(error.into()),
    }
}

fn first_nonzero_of_data(file: &File, start: u64, end: u64) -> io::Result<Option<u64>> {
    let size = end.saturating_sub(start);
    let found = (0..size.div_ceil(PIECE)).into_par_iter().map(|number| {
        let from = start + number * PIECE;
        let mut buffer = vec![0; PIECE.min(end - from) as usize];
        file.read_exact_at(&mut buffer, from)?;
        if is_zero(&buffer) {
            return Ok(None);
        }
        Ok(buffer.iter().position(|byte| *byte != 0).map(|at| from + at as u64))
    });
    found.try_reduce(|| None, |a: Option<u64>, b| Ok(a.into_iter().chain(b).min()))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::MetadataExt};

    use super::*;

    #[test]
    fn zeros_are_copied_as_holes_and_all_else_as_it_is() {
        let mut from = tempfile::tempfile().unwrap();
        let size = 5 * PIECE + 17;
        let mut bytes = vec![0; size as usize];
        (bytes[3], bytes[2_000_000], bytes[size as usize - 1]) = (1, 2, 3);
        from.write_all(&bytes).unwrap();
        let to = tempfile::tempfile().unwrap();
        to.set_len(size + 10_000).unwrap();
        copy(&from, &to, 4096, size, &|_| true).unwrap();
        let mut found = vec![0; size as usize];
        to.read_exact_at(&mut found, 4096).unwrap();
        assert!(found == bytes);
        assert!(to.metadata().unwrap().blocks() * 512 < size / 2);
        assert_eq!(first_nonzero(&to, 0, size).unwrap(), Some(4099));
        assert_eq!(first_nonzero(&to, 4100, 10_000).unwrap(), None);
        assert_eq!(first_nonzero(&to, 4100, size).unwrap(), Some(2_004_096));
        assert!(copy(&from, &to, 0, size + 1, &|_| true).is_err());
        to.set_len(1 << 42).unwrap();
        to.write_all_at(b"x", (1 << 42) - 1).unwrap();
        assert_eq!(first_nonzero(&to, 2_004_097, (1 << 42) - 1).unwrap(), Some(4096 + size - 1));
        assert_eq!(first_nonzero(&to, 4096 + size, 1 << 42).unwrap(), Some((1 << 42) - 1));
        assert!(first_nonzero(&to, 0, (1 << 42) + 1).is_err());
    }
}
