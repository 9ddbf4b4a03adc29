//! Reads back a FAT32 file system that was written here: nothing is fragmented, so tables need not be followed.
//!
//! What is read is not believed: who checks a file system lays out what was read again and compares every byte.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt};

use super::{
    entry::{DIRECTORY, ENTRY_BYTES, Stamp, long_name_part},
    geometry::{Geometry, SECTOR_BYTES},
    write::Volume,
};
use crate::content::RelPath;

/// More files and folders than any ESP has are not read.
const MAX_ENTRIES: usize = 4096;
/// Folders nested deeper than this are not read.
const MAX_DEPTH: usize = 16;

/// Files of a file system by path: where each starts in it, in bytes, and its size.
pub type Files = BTreeMap<RelPath, (u64, u64)>;

/// Reads the volume's id and time, and every file, of the `size` bytes at `start` of `image`.
///
/// # Errors
/// [`ReadError`] names the first thing that makes no sense.
pub fn read(image: &File, start: u64, size: u64) -> Result<(Volume, Files), ReadError> {
    let geometry = Geometry::of(size).ok_or(ReadError::Shape { what: "size" })?;
    let mut boot = [0; SECTOR_BYTES as usize];
    image.read_exact_at(&mut boot, start).map_err(|source| ReadError::Io { source })?;
    if boot[510..] != [0x55, 0xaa] || boot[82..90] != *b"FAT32   " {
        return Err(ReadError::Shape { what: "boot sector" });
    }
    let id = u32::from_le_bytes([boot[67], boot[68], boot[69], boot[70]]);
    let mut reader = Reader { image, start, geometry, files: Files::new(), entries: 0, stamp: None };
    reader.folder(&RelPath::ROOT, 2, 0)?;
    let epoch = reader.stamp.map_or(0, Stamp::epoch);
    Ok((Volume { size, id, epoch }, reader.files))
}

struct Reader<'a> {
    image: &'a File,
    start: u64,
    geometry: Geometry,
    files: Files,
    entries: usize,
    /// The time of the first entry.
    stamp: Option<Stamp>,
}

impl Reader<'_> {
    fn folder(&mut self, path: &RelPath, cluster: u32, depth: usize) -> Result<(), ReadError> {
        if depth > MAX_DEPTH {
            return Err(ReadError::Shape { what: "nesting of folders" });
        }
        let mut name: Vec<u16> = Vec::new();
        for index in 0.. {
            let mut entry = [0; ENTRY_BYTES];
            let at = self.offset(cluster, 1)? + index * ENTRY_BYTES as u64;
            self.image.read_exact_at(&mut entry, self.start + at).map_err(|source| ReadError::Io { source })?;
            self.entries += 1;
            if self.entries > MAX_ENTRIES || at + ENTRY_BYTES as u64 > self.geometry.sectors * SECTOR_BYTES {
                return Err(ReadError::Shape { what: "length of a folder" });
            }
            if entry[0] == 0 {
                break;
            }
            if let Some(part) = long_name_part(&entry) {
                name.splice(0..0, part);
                continue;
            }
            let is_folder = entry[11] & DIRECTORY != 0;
            if entry[0] != b'.' {
                let text = entry_name(&entry, &std::mem::take(&mut name))?;
                let at = RelPath::new(&text).map_err(|_| ReadError::Shape { what: "name of a file" })?;
                self.stamp.get_or_insert(Stamp::of_entry(&entry));
                self.child(&path.join(&at), &entry, is_folder, depth)?;
            }
        }
        Ok(())
    }

    fn child(
        &mut self,
        path: &RelPath,
        entry: &[u8; ENTRY_BYTES],
        is_folder: bool,
        depth: usize,
    ) -> Result<(), ReadError> {
        let cluster = u32::from_le_bytes([entry[26], entry[27], entry[20], entry[21]]);
        let size = u64::from(u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]));
        if is_folder {
            return self.folder(path, cluster, depth + 1);
        }
        let offset = if size == 0 { 0 } else { self.offset(cluster, size)? };
        match self.files.insert(path.clone(), (offset, size)) {
            None => Ok(()),
            Some(_) => Err(ReadError::Shape { what: "name of a file" }),
        }
    }

    /// Where a cluster starts in the file system, when `size` bytes from there on lie inside.
    fn offset(&self, cluster: u32, size: u64) -> Result<u64, ReadError> {
        let offset = self.geometry.cluster_offset(cluster);
        let end = self.geometry.sectors * SECTOR_BYTES;
        if cluster < 2 || offset + size > end {
            return Err(ReadError::Shape { what: "cluster of a file" });
        }
        Ok(offset)
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
    Io { source: io::Error },
}
