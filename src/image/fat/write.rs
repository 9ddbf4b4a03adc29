//! A FAT32 file system, by `fatfs`: folders first, then files one behind the other, nothing fragmented.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileExt,
};

use fatfs::{Dir, FileSystem, FsOptions};

use super::{
    entry::{Clock, ENTRY_BYTES, is_name},
    format::{copy_heads, format},
    geometry::Geometry,
    read::{Found, ReadError, read_all},
    sectors::{Sectors, ZEROS},
    volume::Volume,
};
use crate::{content::RelPath, image::extent};

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
/// `fatfs` lays it out in memory, with as many zeros in each file as that has bytes.
///
/// # Errors
/// See [`FatError`].
pub fn lay_out(volume: &Volume, files: &BTreeMap<RelPath, u64>) -> Result<Vec<Stretch>, FatError> {
    check(files)?;
    let (mut disk, geometry) =
        format(volume.size, volume.id, volume.label).ok_or(FatError::Size { size: volume.size })?;
    fill(&mut disk, volume, files)?;
    copy_heads(&mut disk);
    let found = read_all(&|buffer, offset| disk.read_exact_at(buffer, offset), volume.size)?;
    put_dots_first(&mut disk, &geometry, &found)?;
    let heads = disk.runs().into_iter().map(|(offset, bytes)| Stretch { offset, what: Content::Bytes(bytes) });
    let files = found.files.into_iter().filter(|(_, (_, size))| *size > 0);
    let files = files.map(|(path, (offset, size))| Stretch { offset, what: Content::File { path, size } });
    Ok(heads.chain(files).collect())
}

/// Whether FAT has names and sizes for all files.
fn check(files: &BTreeMap<RelPath, u64>) -> Result<(), FatError> {
    for (path, size) in files {
        if !path.as_str().split('/').all(is_name) {
            return Err(FatError::Name { path: path.clone() });
        }
        if u32::try_from(*size).is_err() {
            return Err(FatError::TooLarge { path: path.clone() });
        }
    }
    Ok(())
}

/// Makes folders, then empty files, then fills these: so no file has a cluster of a folder in its middle.
fn fill(disk: &mut Sectors, volume: &Volume, files: &BTreeMap<RelPath, u64>) -> Result<(), FatError> {
    let needed = files.values().fold(0_u64, |sum, size| sum.saturating_add(*size));
    // The disk is memory, and names have been looked at: nothing fails but for want of clusters.
    let full = |source| FatError::Full { size: volume.size, needed, source };
    let options = FsOptions::new().time_provider(Clock::stopped_at(volume.epoch));
    let system = FileSystem::new(disk, options).map_err(full)?;
    let root = system.root_dir();
    let parents = |path: &RelPath| std::iter::successors(path.parent(), RelPath::parent);
    let folders: BTreeSet<RelPath> = files.keys().flat_map(parents).filter(|path| !path.is_root()).collect();
    for path in &folders {
        refuse_taken(&root, path)?;
        root.create_dir(path.as_str()).map_err(full)?;
    }
    for path in files.keys() {
        refuse_taken(&root, path)?;
        root.create_file(path.as_str()).map_err(full)?;
    }
    for (path, size) in files {
        let mut file = root.open_file(path.as_str()).map_err(full)?;
        let pieces = (0..*size).step_by(ZEROS.len()).map(|start| (size - start).min(ZEROS.len() as u64));
        pieces.into_iter().try_for_each(|len| file.write_all(&ZEROS[..len as usize])).map_err(full)?;
        file.flush().map_err(full)?;
    }
    // Counts free clusters, and writes their number when it unmounts.
    system.stats().map_err(full)?;
    drop(root);
    system.unmount().map_err(full)
}

/// Looks for `path` as `fatfs` will: by long or short name, in any case. It would take what it finds for the file.
fn refuse_taken(root: &Dir<'_, &mut Sectors>, path: &RelPath) -> Result<(), FatError> {
    match root.open_file(path.as_str()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(FatError::Taken { path: path.clone() }),
    }
}

/// Makes `.` and `..` the first two entries of every folder, as FAT wants it.
///
/// `fatfs` 0.3.6 gives each a long name and names the cluster of the root folder where 0 must stand.
fn put_dots_first(disk: &mut Sectors, geometry: &Geometry, found: &Found) -> Result<(), ReadError> {
    let cluster_bytes = geometry.cluster_bytes() as usize;
    for (path, clusters) in &found.folders {
        let mut folder = vec![0; clusters.len() * cluster_bytes];
        for (cluster, bytes) in clusters.iter().zip(folder.chunks_mut(cluster_bytes)) {
            disk.read_exact_at(bytes, geometry.cluster_offset(*cluster))?;
        }
        let (entries, _) = folder.as_chunks_mut::<ENTRY_BYTES>();
        // The long name of `.`, `.`, the long name of `..`, `..`, all others.
        entries.swap(0, 1);
        entries.swap(1, 3);
        entries[2..].rotate_left(2);
        let len = entries.len();
        entries[len - 2..].fill([0; ENTRY_BYTES]);
        if path.parent().is_some_and(|parent| parent.is_root()) {
            entries[1][20..22].fill(0);
            entries[1][26..28].fill(0);
        }
        for (cluster, bytes) in clusters.iter().zip(folder.chunks(cluster_bytes)) {
            disk.write_all_at(bytes, geometry.cluster_offset(*cluster))?;
        }
    }
    Ok(())
}

/// A FAT32 file system cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The size is too small or too large for FAT32.
    #[error("a file system of {size} bytes cannot be FAT32: expected 33 MiB to 1 TiB")]
    Size { size: u64 },
    /// The files do not fit.
    #[error("{needed} bytes of files do not fit into a file system of {size} bytes: choose a larger ESP")]
    Full { size: u64, needed: u64, source: io::Error },
    /// FAT has no such name.
    #[error(
        "`{path}` cannot stand in a FAT file system: a name in it has more than 255 bytes, a dot or blank at its end, a character above U+FFFF, or one of `\"*/:<>?\\|`"
    )]
    Name { path: RelPath },
    /// Two files have the same name but for upper and lower case, one has the short name of the other, or a file stands
    /// where a folder must be.
    #[error("`{path}` is wanted twice; FAT does not tell upper from lower case, and gives long names a short one too")]
    Taken { path: RelPath },
    /// A file of 4 GiB or more.
    #[error("`{path}` has 4 GiB or more, which FAT cannot hold")]
    TooLarge { path: RelPath },
    /// A file could not be copied.
    #[error("`{path}` cannot be copied into the file system")]
    Copy { path: RelPath, source: io::Error },
    /// What was written cannot be read.
    #[error("the FAT file system that was laid out cannot be read")]
    Read {
        #[from]
        source: ReadError,
    },
    /// The file system could not be written.
    #[error("a FAT file system cannot be written")]
    Write { source: io::Error },
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Seek},
        os::unix::fs::MetadataExt,
    };

    use super::{
        super::{geometry::SECTOR_BYTES, read},
        *,
    };

    /// An ESP with clusters of 512 bytes.
    const SMALL: u64 = 40 << 20;

    fn file(path: &str, content: &[u8]) -> FatFile {
        let mut written = tempfile::tempfile().unwrap();
        written.write_all(content).unwrap();
        FatFile { path: RelPath::new(path).unwrap(), content: written, size: content.len() as u64 }
    }

    fn written(size: u64, files: &[FatFile]) -> Result<File, FatError> {
        let out = tempfile::tempfile().unwrap();
        out.set_len(size).unwrap();
        write(&Volume { size, id: 0x1234_5678, label: None, epoch: 1_700_000_001 }, files, &out).map(|()| out)
    }

    /// What an ESP holds, and folders that need several clusters, lie deep or hold only folders.
    fn files() -> Vec<FatFile> {
        let many: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut files = vec![
            file("EFI/BOOT/BOOTX64.EFI", b"loader"),
            file("EFI/Linux/quickstart_1.0.0+3-0.efi", &many),
            file("EFI/Linux/quickstart_1.1.0+3-0.efi", b"two"),
            file("loader/loader.conf", b"timeout 0\n"),
            file("a/b/c/d/e", &[7; 4096]),
            file("empty", b""),
        ];
        files.extend((0..40).map(|number| file(&format!("many/a rather long name, number {number}"), &[number])));
        files
    }

    fn bytes(from: &File, offset: u64, size: u64) -> Vec<u8> {
        let mut bytes = vec![0; size as usize];
        from.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    #[test]
    fn another_reader_finds_every_file() {
        let files = files();
        for size in [SMALL, 64 << 20, 300 << 20] {
            let image = written(size, &files).unwrap();
            let (volume, found) = read(&image, 0, size).unwrap();
            // FAT knows even seconds.
            assert_eq!(volume, Volume { size, id: 0x1234_5678, label: None, epoch: 1_700_000_000 });
            assert_eq!(found.len(), files.len());
            for file in &files {
                let (offset, size) = found[&file.path];
                assert!(bytes(&image, offset, size) == bytes(&file.content, 0, file.size), "{}", file.path);
            }
            let geometry = Geometry::of(size).unwrap();
            let [first, second] = [0, 1].map(|index| geometry.table_offset(index));
            let len = second - first;
            assert!(bytes(&image, first, len) == bytes(&image, second, len), "both tables are the same");
            assert!(image.metadata().unwrap().blocks() * 512 < 1 << 20, "what is not used is a hole");
        }
    }

    #[test]
    fn every_folder_begins_with_itself_and_the_one_above() {
        let image = written(SMALL, &files()).unwrap();
        let found = read_all(&|buffer, offset| image.read_exact_at(buffer, offset), SMALL).unwrap();
        let geometry = Geometry::of(SMALL).unwrap();
        assert_eq!(found.folders.len(), 9);
        assert!(found.folders.values().any(|clusters| clusters.len() > 1));
        for (path, clusters) in &found.folders {
            let folder = bytes(&image, geometry.cluster_offset(clusters[0]), SECTOR_BYTES);
            let number =
                |at: usize| u32::from_le_bytes([folder[at + 26], folder[at + 27], folder[at + 20], folder[at + 21]]);
            let above = found.folders.get(&path.parent().unwrap()).map_or(0, |clusters| clusters[0]);
            assert_eq!((&folder[..11], &folder[32..43]), (&b".          "[..], &b"..         "[..]), "{path}");
            assert_eq!((number(0), number(32)), (clusters[0], above), "{path}");
            assert_ne!(folder[64], 0, "{path} has entries behind these");
        }
    }

    #[test]
    fn a_label_is_no_file_and_stands_in_head_and_root_folder() {
        let (out, label) = (tempfile::tempfile().unwrap(), Some(*b"CIDATA     "));
        out.set_len(SMALL).unwrap();
        let volume = Volume { size: SMALL, id: 1, label, epoch: 1_700_000_000 };
        write(&volume, &[file("cidata", b"a file may be called so, too")], &out).unwrap();
        let (found, files) = read(&out, 0, SMALL).unwrap();
        assert_eq!((found, files.len()), (volume, 1));
        let system = FileSystem::new(out, FsOptions::new()).unwrap();
        assert_eq!(system.volume_label(), "CIDATA");
        assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("CIDATA"));
    }

    #[test]
    fn free_clusters_are_counted() {
        let image = written(SMALL, &files()).unwrap();
        let geometry = Geometry::of(SMALL).unwrap();
        let table = bytes(&image, geometry.table_offset(0), (geometry.clusters + 2) * 4);
        let free = table.as_chunks::<4>().0.iter().filter(|number| **number == [0; 4]).count() as u32;
        assert_eq!(bytes(&image, SECTOR_BYTES + 488, 4), free.to_le_bytes());
        // The first that is free is behind the last file: there are no gaps.
        assert_eq!(bytes(&image, SECTOR_BYTES + 492, 4), (geometry.clusters as u32 + 2 - free).to_le_bytes());
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let mut files = files();
        let mut all = |turned: &mut dyn FnMut(&mut Vec<FatFile>)| {
            turned(&mut files);
            let mut bytes = Vec::new();
            let mut image = written(SMALL, &files).unwrap();
            image.rewind().unwrap();
            image.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let first = all(&mut |_| ());
        assert!(first == all(&mut |_| ()));
        assert!(first == all(&mut |files| files.reverse()));
        assert!(first == all(&mut |files| files.rotate_left(17)));
        assert!(first == all(&mut |files| files.sort_by_key(|file| file.size)));
    }

    #[test]
    fn fatfs_changes_what_is_there() {
        let mut image = written(SMALL, &files()).unwrap();
        let system = FileSystem::new(image.try_clone().unwrap(), FsOptions::new()).unwrap();
        assert_eq!(system.fat_type(), fatfs::FatType::Fat32);
        let folder = system.root_dir().open_dir("EFI/Linux").unwrap();
        folder.rename("quickstart_1.0.0+3-0.efi", &folder, "quickstart_1.0.0.efi").unwrap();
        folder.remove("quickstart_1.1.0+3-0.efi").unwrap();
        folder.create_file("another.efi").unwrap().write_all(b"three").unwrap();
        drop(folder);
        system.unmount().unwrap();
        image.rewind().unwrap();
        let system = FileSystem::new(image, FsOptions::new()).unwrap();
        let mut expected = vec![0; 5];
        system.root_dir().open_file("EFI/Linux/another.efi").unwrap().read_exact(&mut expected).unwrap();
        assert_eq!(expected, b"three");
        assert!(system.root_dir().open_file("EFI/Linux/quickstart_1.0.0.efi").is_ok());
    }

    #[test]
    fn what_fat_cannot_hold_is_refused() {
        assert!(matches!(written(1 << 20, &[]), Err(FatError::Size { .. })));
        assert!(matches!(written(SMALL, &[file("a:b", b"")]), Err(FatError::Name { .. })));
        let short = ["a long name.x", "alongn~1.x"];
        for paths in [["a", "A"], ["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a/b", "A/c"], short] {
            let files = paths.map(|path| file(path, b""));
            assert!(matches!(written(SMALL, &files), Err(FatError::Taken { .. })), "{paths:?}");
        }
        let huge = tempfile::tempfile().unwrap();
        huge.set_len(1 << 32).unwrap();
        let mut files = [FatFile { path: RelPath::new("x").unwrap(), content: huge, size: 50 << 20 }];
        assert!(matches!(written(SMALL, &files), Err(FatError::Full { .. })));
        files[0].size = 1 << 32;
        assert!(matches!(written(SMALL, &files), Err(FatError::TooLarge { .. })));
    }
}
