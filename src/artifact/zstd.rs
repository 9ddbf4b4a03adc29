//! A disk as one compressed stream.

use std::{
    fs::File,
    io::{self, Read, Write},
};

/// The effort of zstd: what is left after EROFS's own compression does not shrink further with more.
const LEVEL: i32 = 6;
/// Bytes between two looks whether to go on.
const PIECE: u64 = 4 << 20;

/// Compresses the `size` bytes of `disk` into one zstd frame with content size and checksum (RFC 8878).
///
/// `tell` gets the number of bytes that are newly done and says whether to go on.
///
/// # Errors
/// A file that cannot be read or written; `Interrupted` when `tell` said to stop.
pub fn compress(disk: &mut File, size: u64, out: &File, tell: &dyn Fn(u64) -> bool) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(out, LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.include_contentsize(true)?;
    encoder.set_pledged_src_size(Some(size))?;
    let mut left = size;
    while left > 0 {
        let done = io::copy(&mut disk.take(PIECE.min(left)), &mut encoder)?;
        if done == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= done;
        if !tell(done) {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    encoder.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;

    #[test]
    fn a_disk_comes_back_from_its_stream() {
        let size = 9 << 20;
        let mut disk = tempfile::tempfile().unwrap();
        disk.set_len(size).unwrap();
        disk.write_all(b"brc").unwrap();
        disk.rewind().unwrap();
        let mut out = tempfile::tempfile().unwrap();
        compress(&mut disk, size, &out, &|_| true).unwrap();
        out.rewind().unwrap();
        let back = zstd::decode_all(&mut out).unwrap();
        assert!(back.len() as u64 == size && back.starts_with(b"brc\0"));
        assert!(out.metadata().unwrap().len() < 10_000);
        disk.rewind().unwrap();
        assert!(compress(&mut disk, size, &out, &|_| false).is_err());
    }
}
