//! A disk in memory of which only the sectors exist that are not zero.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
};

use super::geometry::{MAX_CLUSTER_SECTORS, SECTOR_BYTES, Sector};

/// A sector that nobody wrote to.
const EMPTY: Sector = [0; SECTOR_BYTES as usize];
/// As many zeros as the largest cluster has.
pub const ZEROS: &[u8] = &[0; (MAX_CLUSTER_SECTORS * SECTOR_BYTES) as usize];

/// The disk, and where it is read or written next.
///
/// A file system is laid out here before a byte of a file is copied: what it says of files of many megabytes are some
/// hundred sectors.
#[derive(Debug)]
pub struct Sectors {
    sectors: BTreeMap<u64, Sector>,
    size: u64,
    at: u64,
}

impl Sectors {
    /// A disk of `size` bytes, all zero.
    pub fn new(size: u64) -> Self {
        Sectors { sectors: BTreeMap::new(), size, at: 0 }
    }

    /// The sector with this number, counted from 0.
    pub fn sector(&self, number: u64) -> &Sector {
        self.sectors.get(&number).unwrap_or(&EMPTY)
    }

    /// Makes a sector this one.
    pub fn put(&mut self, number: u64, sector: Sector) {
        self.sectors.insert(number, sector);
    }

    /// Moves every sector from number `from` on by `by` sectors towards the end.
    pub fn shift(&mut self, from: u64, by: u64) {
        let moved = self.sectors.split_off(&from);
        self.sectors.extend(moved.into_iter().map(|(number, sector)| (number + by, sector)));
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// The disk ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, at, piece) in pieces(offset, buffer.len()) {
            let sector = self.sector(number);
            buffer[piece.clone()].copy_from_slice(&sector[at..at + piece.len()]);
        }
        Ok(())
    }

    /// Writes `bytes` from `offset` on.
    ///
    /// # Errors
    /// The disk ends before.
    pub fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        // A cluster of zeros where nothing is: that is what file systems are filled with here.
        let whole = offset / SECTOR_BYTES..(offset + bytes.len() as u64).div_ceil(SECTOR_BYTES);
        if ZEROS.get(..bytes.len()) == Some(bytes) && self.sectors.range(whole).next().is_none() {
            return Ok(());
        }
        for (number, at, piece) in pieces(offset, bytes.len()) {
            let bytes = &bytes[piece];
            if let Some(sector) = self.sectors.get_mut(&number) {
                sector[at..at + bytes.len()].copy_from_slice(bytes);
            } else if *bytes != EMPTY[..bytes.len()] {
                let mut sector = EMPTY;
                sector[at..at + bytes.len()].copy_from_slice(bytes);
                self.sectors.insert(number, sector);
            }
        }
        Ok(())
    }

    /// Every run of sectors that are not zero: where it starts, in bytes, and what it holds.
    pub fn runs(&self) -> Vec<(u64, Vec<u8>)> {
        let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
        for (number, sector) in self.sectors.iter().filter(|(_, sector)| **sector != EMPTY) {
            let offset = number * SECTOR_BYTES;
            match runs.last_mut() {
                Some((start, bytes)) if *start + bytes.len() as u64 == offset => bytes.extend(sector),
                _ => runs.push((offset, sector.to_vec())),
            }
        }
        runs
    }
}

/// `len` bytes from `offset` on, cut at the ends of sectors: the sector, where in it, and which of the bytes.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let place = offset + done as u64;
        let at = (place % SECTOR_BYTES) as usize;
        let piece = done..len.min(done + SECTOR_BYTES as usize - at);
        done = piece.end;
        (!piece.is_empty()).then_some((place / SECTOR_BYTES, at, piece))
    })
}

impl Read for Sectors {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.size.saturating_sub(self.at).min(buffer.len() as u64) as usize;
        self.read_exact_at(&mut buffer[..len], self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Write for Sectors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sectors {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_zeros_are_not_kept() {
        let mut disk = Sectors::new(4096);
        disk.write_all(&[0; 4096]).unwrap();
        assert!(disk.sectors.is_empty());
        assert!(disk.write(b"x").is_err());
        disk.write_all_at(&[7; 600], 500).unwrap();
        let mut all = [0; 4096];
        disk.rewind().unwrap();
        disk.read_exact(&mut all).unwrap();
        let is_written = |at: usize| (500..1100).contains(&at);
        assert!(all.iter().enumerate().all(|(at, byte)| *byte == if is_written(at) { 7 } else { 0 }));
        assert_eq!(disk.read(&mut all).unwrap(), 0);
        disk.shift(2, 1);
        assert_eq!(disk.runs(), [(0, all[..1024].to_vec()), (1536, all[1024..1536].to_vec())]);
        disk.write_all_at(&[0; 1024], 0).unwrap();
        assert_eq!(disk.runs().len(), 1);
    }
}
