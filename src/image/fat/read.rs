//! Reads a FAT32 file system, without `fatfs`: what that wrote is looked at by somebody else.
//!
//! What is read is not believed: who checks a file system lays out what was read again and compares every byte.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt};

use super::{
    entry::{DIRECTORY, ENTRY_BYTES, LABEL, epoch_of, long_name_part},
    geometry::{Geometry, SECTOR_BYTES},
    volume::Volume,
};
use crate::content::RelPath;

/// More entries than any ESP has are not read; a file takes one, and one for every 13 characters of its name.
const MAX_ENTRIES: usize = 4096;
/// Folders nested deeper than this are not read.
const MAX_DEPTH: usize = 16;
/// The cluster of the root folder.
const ROOT_CLUSTER: u32 = 2;

/// Files of a file system by path: where each starts in it, in bytes, and its size.
pub type Files = BTreeMap<RelPath, (u64, u64)>;

/// What reads bytes of a file system: fills the buffer from an offset on.
pub type ReadAt<'a> = &'a dyn Fn(&mut [u8], u64) -> io::Result<()>;

/// All that a file system says of itself.
pub struct Found {
    /// Its size, id and time.
    pub volume: Volume,
    /// Its files.
    pub files: Files,
    /// The clusters of every folder but the root folder.
    pub folders: BTreeMap<RelPath, Vec<u32>>,
}

/// Reads the volume's id, label and time, and every file, of the `size` bytes at `start` of `image`.
///
/// # Errors
/// [`ReadError`] names the first thing that makes no sense, or that brc does not write: a file that is not in one piece.
pub fn read(image: &File, start: u64, size: u64) -> Result<(Volume, Files), ReadError> {
    let found = read_all(&|buffer, offset| image.read_exact_at(buffer, start + offset), size)?;
    Ok((found.volume, found.files))
}

/// As [`read`], from anywhere, with the folders.
///
/// # Errors
/// See [`read`].
pub fn read_all(source: ReadAt<'_>, size: u64) -> Result<Found, ReadError> {
    let mut boot = [0; SECTOR_BYTES as usize];
    source(&mut boot, 0)?;
    let geometry = Geometry::parse(&boot).filter(|geometry| geometry.sectors * SECTOR_BYTES <= size);
    let geometry = geometry.ok_or(ReadError::Shape { what: "boot sector" })?;
    let mut table = vec![0; (geometry.clusters as usize + 2) * 4];
    source(&mut table, geometry.table_offset(0))?;
    let id = u32::from_le_bytes([boot[67], boot[68], boot[69], boot[70]]);
    let volume = Volume { size, id, label: None, epoch: 0 };
    let found = Found { volume, files: Files::new(), folders: BTreeMap::new() };
    let mut reader = Reader { source, geometry, table, found, entries: 0, clusters: 0, epoch: None };
    reader.folder(&RelPath::ROOT, ROOT_CLUSTER, 0)?;
    reader.found.volume.epoch = reader.epoch.unwrap_or_default();
    Ok(reader.found)
}

struct Reader<'a> {
    source: ReadAt<'a>,
    geometry: Geometry,
    /// The first table, which has four bytes for each cluster.
    table: Vec<u8>,
    found: Found,
    /// Entries that were read.
    entries: usize,
    /// Clusters of the files and folders that were read.
    clusters: u64,
    /// The time of the first entry.
    epoch: Option<u64>,
}

impl Reader<'_> {
    fn folder(&mut self, path: &RelPath, cluster: u32, depth: usize) -> Result<(), ReadError> {
        if depth > MAX_DEPTH {
            return Err(ReadError::Shape { what: "nesting of folders" });
        }
        let clusters = self.chain(cluster)?;
        let mut name: Vec<u16> = Vec::new();
        let mut bytes = vec![0; self.geometry.cluster_bytes() as usize];
        'folder: for cluster in &clusters {
            (self.source)(&mut bytes, self.geometry.cluster_offset(*cluster))?;
            for entry in bytes.as_chunks::<ENTRY_BYTES>().0 {
                self.entries += 1;
                if self.entries > MAX_ENTRIES {
                    return Err(ReadError::Shape { what: "length of a folder" });
                }
                if entry[0] == 0 {
                    break 'folder;
                }
                if let Some(part) = long_name_part(entry) {
                    name.splice(0..0, part);
                    continue;
                }
                let long = std::mem::take(&mut name);
                if entry[11] & LABEL != 0 {
                    let (label, _) = entry.split_at(11);
                    self.found.volume.label = label.try_into().ok();
                } else if entry[0] != b'.' {
                    let text = entry_name(entry, &long)?;
                    let at = RelPath::new(&text).map_err(|_| ReadError::Shape { what: "name of a file" })?;
                    self.epoch.get_or_insert(epoch_of(entry));
                    self.child(&path.join(&at), entry, depth)?;
                }
            }
        }
        if !path.is_root() {
            self.found.folders.insert(path.clone(), clusters);
        }
        Ok(())
    }

    fn child(&mut self, path: &RelPath, entry: &[u8; ENTRY_BYTES], depth: usize) -> Result<(), ReadError> {
        let cluster = u32::from_le_bytes([entry[26], entry[27], entry[20], entry[21]]);
        let size = u64::from(u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]));
        if entry[11] & DIRECTORY != 0 {
            return self.folder(path, cluster, depth + 1);
        }
        let offset = if size == 0 { 0 } else { self.place(cluster, size)? };
        match self.found.files.insert(path.clone(), (offset, size)) {
            None => Ok(()),
            Some(_) => Err(ReadError::Shape { what: "name of a file" }),
        }
    }

    /// Where a file of `size` bytes starts, which lies in one piece.
    fn place(&mut self, cluster: u32, size: u64) -> Result<u64, ReadError> {
        let chain = self.chain(cluster)?;
        if chain.len() as u64 != self.geometry.clusters_for(size) || !chain.is_sorted_by(|a, b| a + 1 == *b) {
            return Err(ReadError::Shape { what: "place of a file" });
        }
        Ok(self.geometry.cluster_offset(cluster))
    }

    /// The clusters that follow each other from `first` on. In all there are no more than the file system has, so that a
    /// circle ends.
    fn chain(&mut self, first: u32) -> Result<Vec<u32>, ReadError> {
        let (mut chain, mut next) = (Vec::new(), first);
        while next < 0x0fff_fff8 {
            self.clusters += 1;
            let is_one = next >= ROOT_CLUSTER && u64::from(next) < self.geometry.clusters + 2;
            if !is_one || self.clusters > self.geometry.clusters {
                return Err(ReadError::Shape { what: "chain of clusters" });
            }
            chain.push(next);
            let [number, ..] = self.table[next as usize * 4..].as_chunks::<4>().0 else { break };
            next = u32::from_le_bytes(*number) & 0x0fff_ffff;
        }
        Ok(chain)
    }
}

/// The long name if there is one, else the short.
fn entry_name(entry: &[u8; ENTRY_BYTES], long: &[u16]) -> Result<String, ReadError> {
    let wrong = ReadError::Shape { what: "name of a file" };
    if !long.is_empty() {
        let end = long.iter().position(|unit| *unit == 0).unwrap_or(long.len());
        return String::from_utf16(&long[..end]).map_err(|_| wrong);
    }
    let part = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map(|text| text.trim_end().to_owned());
    match (part(&entry[..8]), part(&entry[8..11])) {
        (Ok(base), Ok(ending)) if ending.is_empty() => Ok(base),
        (Ok(base), Ok(ending)) => Ok(format!("{base}.{ending}")),
        _ => Err(wrong),
    }
}

/// A FAT32 file system is not one that was written here.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Something in it makes no sense.
    #[error("the {what} is not what brc writes")]
    Shape { what: &'static str },
    /// It cannot be read.
    #[error("it cannot be read")]
    Io {
        #[from]
        source: io::Error,
    },
}
