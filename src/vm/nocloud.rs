//! The disk from which cloud-init and its like read user data where there is no cloud (NoCloud): a FAT32 file system that
//! is called CIDATA.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{BootError, workplace::Workplace};
use crate::{
    content::RelPath,
    image::fat::{self, FatFile, Volume},
};

/// The name of the file system. Labels of FAT have no small letters; whoever looks for `cidata` finds it.
const LABEL: [u8; 11] = *b"CIDATA     ";
/// The size of an empty disk: just enough for FAT32. What is not used is a hole.
const DISK_BYTES: u64 = 40 << 20;
/// Its id, and the time of its files: the same for every machine.
const ID: u32 = 0xc1da_7a00;
const EPOCH: u64 = 315_619_200;
/// What the machine is called. It is the same at every boot, so that a kept machine knows itself again.
const META_DATA: &[u8] = b"instance-id: nocloud-3b8f8425\nlocal-hostname: nocloud\n";

/// Makes the disk; where it is.
///
/// # Errors
/// The file system refuses, or user data that are larger than FAT has room for.
pub(super) fn disk(workplace: &Workplace, user_data: &[u8]) -> Result<PathBuf, BootError> {
    let refused = |source: io::Error| BootError::Workplace(source.into());
    let file = |name: &'static str, content: &[u8]| {
        let path = workplace.write_secret(name, content)?;
        let (path, content, size) = (RelPath::constant(name), File::open(path)?, content.len() as u64);
        io::Result::Ok(FatFile { path, content, size })
    };
    let files = [file("meta-data", META_DATA).map_err(refused)?, file("user-data", user_data).map_err(refused)?];
    let disk = workplace.write_secret("cidata", b"").map_err(refused)?;
    fill(&disk, &files, user_data.len() as u64)?;
    Ok(disk)
}

fn fill(disk: &Path, files: &[FatFile], more: u64) -> Result<(), BootError> {
    let refused = |source: io::Error| BootError::Workplace(source.into());
    let out = File::options().write(true).open(disk).map_err(refused)?;
    let size = DISK_BYTES + more.next_multiple_of(1 << 20) * 2;
    out.set_len(size).map_err(refused)?;
    let volume = Volume { size, id: ID, label: Some(LABEL), epoch: EPOCH };
    fat::write(&volume, files, &out).map_err(|source| BootError::UserDataDisk { source })
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::fs::FileExt};

    use super::*;
    use crate::store::Store;

    #[test]
    fn the_disk_has_both_files_and_is_called_as_it_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let workplace = Workplace::new(&Store::open(folder.path()).unwrap()).unwrap();
        let user_data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let disk = File::open(disk(&workplace, &user_data).unwrap()).unwrap();
        let size = disk.metadata().unwrap().len();
        let (volume, files) = fat::read(&disk, 0, size).unwrap();
        assert_eq!(volume, Volume { size, id: ID, label: Some(LABEL), epoch: EPOCH });
        let content = |name: &str| {
            let (offset, size) = files[&RelPath::new(name).unwrap()];
            let mut bytes = vec![0; size as usize];
            disk.read_exact_at(&mut bytes, offset).unwrap();
            bytes
        };
        assert_eq!(files.len(), 2);
        assert!(content("user-data") == user_data);
        assert_eq!(content("meta-data"), META_DATA);
        // Once more by the crate itself, which reads the label from the root folder.
        let system = fatfs::FileSystem::new(disk.try_clone().unwrap(), fatfs::FsOptions::new()).unwrap();
        assert_eq!(system.read_volume_label_from_root_dir().unwrap().as_deref(), Some("CIDATA"));
        assert_eq!(system.volume_label(), "CIDATA");
        let mut text = String::new();
        system.root_dir().open_file("meta-data").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text.as_bytes(), META_DATA);
    }
}
