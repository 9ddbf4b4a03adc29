//! A FAT32 file system: folders first, then files one behind the other, nothing fragmented.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt};

use super::{
    entry::{ARCHIVE, DIRECTORY, ENTRY_BYTES, Names, Stamp, is_name, short_entry},
    geometry::{Geometry, SECTOR_BYTES},
};
use crate::{content::RelPath, image::extent};

/// The mark of the last cluster of a file.
const END_OF_CHAIN: u32 = 0x0fff_ffff;
/// The cluster of the root folder.
const ROOT_CLUSTER: u32 = 2;

/// What a file system is called and what time its files show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Its size in bytes.
    pub size: u64,
    /// Its id.
    pub id: u32,
    /// Seconds since 1970.
    pub epoch: u64,
}

/// A file that is written.
#[derive(Debug)]
pub struct FatFile {
    /// Where it stands.
    pub path: RelPath,
    /// Its bytes, from the start of the file on.
    pub content: File,
    /// The number of bytes.
    pub size: u64,
}

/// A stretch of a file system that is not zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// What stands there.
    pub what: Content,
}

/// What stands in a stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes: heads, tables, folders.
    Bytes(Vec<u8>),
    /// The bytes of the file at this path.
    File {
        /// Its path.
        path: RelPath,
        /// Its size in bytes.
        size: u64,
    },
}

/// A folder or file and its clusters.
#[derive(Debug, Clone, Copy)]
struct Node {
    first_cluster: u32,
    clusters: u32,
    size: u32,
}

/// Writes a file system with `files` and the folders that they need to `out`, which is empty and has the volume's
/// size; what nothing uses stays a hole.
///
/// # Errors
/// See [`FatError`].
pub fn write(volume: &Volume, files: &[FatFile], out: &File) -> Result<(), FatError> {
    let sizes: BTreeMap<RelPath, u64> = files.iter().map(|file| (file.path.clone(), file.size)).collect();
    if let Some(twice) = files.iter().enumerate().find(|(at, file)| files[..*at].iter().any(|a| a.path == file.path)) {
        return Err(FatError::Taken { path: twice.1.path.clone() });
    }
    for Stretch { offset, what } in lay_out(volume, &sizes)? {
        match what {
            Content::Bytes(bytes) => out.write_all_at(&bytes, offset).map_err(|source| FatError::Write { source })?,
            Content::File { path, size } => {
                let Some(file) = files.iter().find(|file| file.path == path) else { continue };
                let copied = extent::copy(&file.content, out, offset, size, &|_| true);
                copied.map_err(|source| FatError::Copy { path, source })?;
            }
        }
    }
    Ok(())
}

/// Every stretch of a file system with `files` (paths and sizes) that is not zero.
///
/// # Errors
/// See [`FatError`].
pub fn lay_out(volume: &Volume, files: &BTreeMap<RelPath, u64>) -> Result<Vec<Stretch>, FatError> {
    let geometry = Geometry::of(volume.size).ok_or(FatError::Size { size: volume.size })?;
    let folders = folders(files)?;
    let nodes = allocate(&geometry, &folders, files)?;
    let mut stretches = heads(&geometry, volume.id, &nodes);
    stretches.extend(tables(&geometry, &nodes));
    for (path, names) in &folders {
        let bytes = folder_bytes(path, names, &folders, &nodes, Stamp::of(volume.epoch))?;
        let offset = geometry.cluster_offset(nodes[path].first_cluster);
        stretches.push(Stretch { offset, what: Content::Bytes(bytes) });
    }
    for (path, size) in files.iter().filter(|(_, size)| **size > 0) {
        let offset = geometry.cluster_offset(nodes[path].first_cluster);
        stretches.push(Stretch { offset, what: Content::File { path: path.clone(), size: *size } });
    }
    Ok(stretches)
}

/// Every folder with the names in it.
fn folders(files: &BTreeMap<RelPath, u64>) -> Result<BTreeMap<RelPath, Vec<String>>, FatError> {
    let mut folders: BTreeMap<RelPath, Vec<String>> = BTreeMap::from([(RelPath::ROOT, Vec::new())]);
    for file in files.keys() {
        let mut path = file.clone();
        while let Some(parent) = path.parent() {
            let name = path.name();
            if !is_name(name) {
                return Err(FatError::Name { path });
            }
            let names = folders.entry(parent.clone()).or_default();
            match names.iter().find(|other| other.to_lowercase() == name.to_lowercase()) {
                Some(same) if same == name && path != *file => {}
                Some(_) => return Err(FatError::Taken { path }),
                None => names.push(name.to_owned()),
            }
            path = parent;
        }
    }
    if let Some(path) = folders.keys().find(|path| files.contains_key(path)) {
        return Err(FatError::Taken { path: path.clone() });
    }
    folders.values_mut().for_each(|names| names.sort());
    Ok(folders)
}

/// Gives clusters to every folder, then to every file.
fn allocate(
    geometry: &Geometry,
    folders: &BTreeMap<RelPath, Vec<String>>,
    files: &BTreeMap<RelPath, u64>,
) -> Result<BTreeMap<RelPath, Node>, FatError> {
    let mut nodes = BTreeMap::new();
    let mut next = u64::from(ROOT_CLUSTER);
    let end = geometry.clusters + 2;
    let of_folders = folders.iter().map(|(path, names)| {
        // Each name takes at most its long entries and one; `.` and `..` take two; one more ends the list.
        let entries: usize = names.iter().map(|name| name.encode_utf16().count().div_ceil(13) + 1).sum();
        (path, ((entries + 3) * ENTRY_BYTES) as u64, 0)
    });
    let of_files = files.iter().map(|(path, size)| (path, *size, *size));
    for (path, bytes, size) in of_folders.chain(of_files) {
        let size = u32::try_from(size).map_err(|_| FatError::TooLarge { path: path.clone() })?;
        let clusters = geometry.clusters_for(bytes);
        let first = if clusters == 0 { 0 } else { next };
        next += clusters;
        if next > end {
            let needed = files.values().fold(0_u64, |sum, size| sum.saturating_add(*size));
            return Err(FatError::Full { size: geometry.sectors * SECTOR_BYTES, needed });
        }
        // Cluster numbers fit 28 bits: `Geometry` has no more.
        nodes.insert(path.clone(), Node { first_cluster: first as u32, clusters: clusters as u32, size });
    }
    Ok(nodes)
}

fn folder_bytes(
    path: &RelPath,
    names: &[String],
    folders: &BTreeMap<RelPath, Vec<String>>,
    nodes: &BTreeMap<RelPath, Node>,
    stamp: Stamp,
) -> Result<Vec<u8>, FatError> {
    let mut bytes = Vec::new();
    if let Some(parent) = path.parent() {
        // The root folder is cluster 0 here.
        let above = if parent.is_root() { 0 } else { nodes[&parent].first_cluster };
        bytes.extend(short_entry(b".          ", DIRECTORY, stamp, nodes[path].first_cluster, 0));
        bytes.extend(short_entry(b"..         ", DIRECTORY, stamp, above, 0));
    }
    let mut given = Names::default();
    for name in names {
        let at = RelPath::new(name).map(|name| path.join(&name)).unwrap_or_default();
        let (long, short) = given.give(name).ok_or_else(|| FatError::Name { path: at.clone() })?;
        let node = nodes[&at];
        let flags = if folders.contains_key(&at) { DIRECTORY } else { ARCHIVE };
        bytes.extend(long);
        bytes.extend(short_entry(&short, flags, stamp, node.first_cluster, node.size));
    }
    Ok(bytes)
}

/// Both tables.
fn tables(geometry: &Geometry, nodes: &BTreeMap<RelPath, Node>) -> [Stretch; 2] {
    let mut table: Vec<u32> = vec![0x0fff_fff8, END_OF_CHAIN];
    table.extend(3..used(nodes) + 3);
    for node in nodes.values().filter(|node| node.clusters > 0) {
        table[(node.first_cluster + node.clusters - 1) as usize] = END_OF_CHAIN;
    }
    let bytes: Vec<u8> = table.iter().flat_map(|next| next.to_le_bytes()).collect();
    [0, 1].map(|index| Stretch { offset: geometry.table_offset(index), what: Content::Bytes(bytes.clone()) })
}

/// The number of clusters that are used.
fn used(nodes: &BTreeMap<RelPath, Node>) -> u32 {
    nodes.values().map(|node| node.clusters).sum()
}

/// The boot sector and the FSInfo sector, each with its backup.
fn heads(geometry: &Geometry, id: u32, nodes: &BTreeMap<RelPath, Node>) -> Vec<Stretch> {
    let mut boot = [0; SECTOR_BYTES as usize];
    let mut put = |at: usize, bytes: &[u8]| boot[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\xeb\x58\x90brc     ");
    put(11, &(SECTOR_BYTES as u16).to_le_bytes());
    put(13, &[geometry.cluster_sectors as u8]);
    put(14, &(geometry.reserved as u16).to_le_bytes());
    put(16, &[2]); // tables
    put(21, &[0xf8]); // a fixed disk
    put(24, &63_u16.to_le_bytes()); // sectors per track
    put(26, &255_u16.to_le_bytes()); // heads
    put(32, &(geometry.sectors as u32).to_le_bytes());
    put(36, &(geometry.table as u32).to_le_bytes());
    put(44, &ROOT_CLUSTER.to_le_bytes());
    put(48, &1_u16.to_le_bytes()); // FSInfo
    put(50, &6_u16.to_le_bytes()); // backup
    put(64, &[0x80, 0, 0x29]);
    put(67, &id.to_le_bytes());
    put(71, b"NO NAME    FAT32   ");
    put(510, &[0x55, 0xaa]);
    let mut info = [0; SECTOR_BYTES as usize];
    let used = used(nodes);
    let free = geometry.clusters as u32 - used;
    let fields = [(0, 0x4161_5252), (484, 0x6141_7272), (488, free), (492, ROOT_CLUSTER + used), (508, 0xaa55_0000)];
    fields.iter().for_each(|(at, value): &(usize, u32)| info[*at..at + 4].copy_from_slice(&value.to_le_bytes()));
    let both = [boot, info].concat();
    [0, 6].map(|sector| Stretch { offset: sector * SECTOR_BYTES, what: Content::Bytes(both.clone()) }).to_vec()
}

/// A FAT32 file system cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The size is too small or too large for FAT32.
    #[error("a file system of {size} bytes cannot be FAT32: expected 34 MiB to 2 TiB")]
    Size { size: u64 },
    /// The files do not fit.
    #[error("{needed} bytes of files do not fit into a file system of {size} bytes: choose a larger ESP")]
    Full { size: u64, needed: u64 },
    /// FAT has no such name.
    #[error("`{path}` cannot stand in a FAT file system: a name in it is empty, too long, or has one of `\"*/:<>?\\|`")]
    Name { path: RelPath },
    /// Two files have the same name but for upper and lower case, or a file stands where a folder must be.
    #[error("`{path}` is wanted twice; FAT does not tell upper from lower case")]
    Taken { path: RelPath },
    /// A file of 4 GiB or more.
    #[error("`{path}` has 4 GiB or more, which FAT cannot hold")]
    TooLarge { path: RelPath },
    /// A file could not be copied.
    #[error("`{path}` cannot be copied into the file system")]
    Copy { path: RelPath, source: io::Error },
    /// The file system could not be written.
    #[error("a FAT file system cannot be written")]
    Write { source: io::Error },
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    fn file(path: &str, content: &[u8]) -> FatFile {
        let mut written = tempfile::tempfile().unwrap();
        written.write_all(content).unwrap();
        FatFile { path: RelPath::new(path).unwrap(), content: written, size: content.len() as u64 }
    }

    fn written(size: u64, files: &[FatFile]) -> Result<File, FatError> {
        let out = tempfile::tempfile().unwrap();
        out.set_len(size).unwrap();
        write(&Volume { size, id: 0x1234_5678, epoch: 1_700_000_000 }, files, &out).map(|()| out)
    }

    #[test]
    fn another_reader_finds_every_file() {
        let many: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut files = vec![
            file("EFI/BOOT/BOOTX64.EFI", b"loader"),
            file("EFI/Linux/quickstart_1.0.0+3-0.efi", &many),
            file("EFI/Linux/quickstart_1.1.0+3-0.efi", b"two"),
            file("loader/loader.conf", b"timeout 0\n"),
            file("empty", b""),
        ];
        files.extend((0..40).map(|number| file(&format!("many/a rather long name, number {number}"), &[number])));
        let mut image = written(64 << 20, &files).unwrap();
        image.rewind().unwrap();
        let again = image.try_clone().unwrap();
        let volume = fatfs::FileSystem::new(image, fatfs::FsOptions::new()).unwrap();
        assert_eq!(volume.fat_type(), fatfs::FatType::Fat32);
        assert_eq!(volume.volume_id(), 0x1234_5678);
        for file in &mut files {
            let mut found = Vec::new();
            volume.root_dir().open_file(file.path.as_str()).unwrap().read_to_end(&mut found).unwrap();
            let mut expected = vec![0; file.size as usize];
            file.content.read_exact_at(&mut expected, 0).unwrap();
            assert!(found == expected, "{}", file.path);
        }
        let (read_volume, read) = super::super::read(&again, 0, 64 << 20).unwrap();
        assert_eq!(read_volume, Volume { size: 64 << 20, id: 0x1234_5678, epoch: 1_700_000_000 });
        let sizes = |(path, (_, size)): (RelPath, (u64, u64))| (path, size);
        let expected: BTreeMap<RelPath, u64> = files.iter().map(|file| (file.path.clone(), file.size)).collect();
        assert_eq!(read.into_iter().map(sizes).collect::<BTreeMap<_, _>>(), expected);
        assert_eq!(volume.root_dir().open_dir("many").unwrap().iter().count(), 42);
        let free = u64::from(volume.stats().unwrap().free_clusters());
        assert!(free > 0 && free < Geometry::of(64 << 20).unwrap().clusters);
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let bytes = |files: &[FatFile]| {
            let mut image = written(40 << 20, files).unwrap();
            let mut bytes = Vec::new();
            image.rewind().unwrap();
            image.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let (a, b) = (("EFI/a", &b"1"[..]), ("b", &b"2"[..]));
        assert!(bytes(&[file(a.0, a.1), file(b.0, b.1)]) == bytes(&[file(b.0, b.1), file(a.0, a.1)]));
    }

    #[test]
    fn what_fat_cannot_hold_is_refused() {
        let small = 40 << 20;
        assert!(matches!(written(1 << 20, &[]), Err(FatError::Size { .. })));
        assert!(matches!(written(small, &[file("a:b", b"")]), Err(FatError::Name { .. })));
        for paths in [["a", "A"], ["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a/b", "A/c"]] {
            let files = paths.map(|path| file(path, b""));
            assert!(matches!(written(small, &files), Err(FatError::Taken { .. })), "{paths:?}");
        }
        let huge = tempfile::tempfile().unwrap();
        huge.set_len(1 << 32).unwrap();
        let mut files = [FatFile { path: RelPath::new("x").unwrap(), content: huge, size: 50 << 20 }];
        assert!(matches!(written(small, &files), Err(FatError::Full { .. })));
        files[0].size = 1 << 32;
        assert!(matches!(written(small, &files), Err(FatError::TooLarge { .. })));
    }
}
