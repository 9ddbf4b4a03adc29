//! A machine's own disk and the variables of its firmware: copies, so that an image is never written.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::{fs::FlockOperation, io::Errno};

use super::{
    BootError,
    order::{BootOrder, Disk},
    qemu::Durability,
};

/// The files that a machine writes to.
#[derive(Debug)]
pub(super) struct Own {
    /// Its disk.
    pub disk: PathBuf,
    /// The disk of its data, where that is another one.
    pub data: Option<PathBuf>,
    /// The variables of its firmware.
    pub variables: PathBuf,
    /// What becomes of them.
    pub durability: Durability,
    /// Held while the machine runs, so that no other one writes to the same disk.
    lock: File,
}

impl Own {
    /// Makes the files, or finds those that are kept. `variables` are those that the firmware is delivered with;
    /// what is thrown away afterwards is made in `workplace`.
    ///
    /// # Errors
    /// An image that cannot be read, a copy that cannot be made or is in use.
    pub(super) fn prepare(order: &BootOrder, workplace: &Path, variables: &Path) -> Result<Self, BootError> {
        let unreadable = |source| BootError::Image { path: order.image.clone(), source };
        let image = File::open(&order.image).map_err(unreadable)?;
        let metadata = image.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Err(unreadable(io::Error::other("it is not a file with something in it")));
        }
        let (disk, durability) = match &order.disk {
            Disk::Snapshot => (workplace.join("disk"), Durability::Transient),
            Disk::Kept(path) => (path.clone(), Durability::Durable),
        };
        let own_variables = beside(&disk, ".vars");
        let make = |path: &Path, from: &Path, bytes: u64| {
            make(path, from, bytes).map_err(|source| BootError::Copy { path: path.to_owned(), source })
        };
        make(&disk, &order.image, order.disk_bytes)?;
        // What is in use, or is the image itself, gets nothing put beside it.
        let lock = lock(&disk, &metadata)?;
        make(&own_variables, variables, 0)?;
        let data = order.data_disk.as_ref().map(|wanted| (beside(&disk, ".data"), wanted));
        if let Some((path, wanted)) = &data {
            make(path, wanted.from.as_deref().unwrap_or(Path::new("/dev/null")), wanted.bytes)?;
        }
        let data = data.map(|(path, _)| path);
        Ok(Self { disk, data, variables: own_variables, durability, lock })
    }

    /// Waits until everything that was written is on the host's disk, where it is kept.
    ///
    /// # Errors
    /// The host's disk.
    pub(super) fn flush(&self) -> Result<(), BootError> {
        if self.durability != Durability::Durable {
            return Ok(());
        }
        let mut others = self.data.iter().chain([&self.variables]);
        let others = others.try_for_each(|path| File::open(path).and_then(|file| file.sync_all()));
        self.lock.sync_all().and(others).map_err(|source| BootError::Copy { path: self.disk.clone(), source })
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Copies `from` to `path` and grows it to `bytes`, unless something is there. It is there as a whole or not at all.
fn make(path: &Path, from: &Path, bytes: u64) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = tempfile::Builder::new().prefix(".brc-").tempfile_in(folder)?;
    copy(&mut File::open(from)?, new.as_file(), bytes)?;
    match new.persist_noclobber(path) {
        // Another process was first; the lock decides who uses it.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop).map_err(|error| error.error),
    }
}

/// Copies a file, holes as holes, into an empty one that gets at least `bytes`.
fn copy(from: &mut File, mut to: &File, bytes: u64) -> io::Result<()> {
    let size = from.metadata()?.len();
    to.set_len(size.max(bytes))?;
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(&*from, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&*from, rustix::fs::SeekFrom::Hole(start))?.min(size);
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        let wanted = end.saturating_sub(start);
        if io::copy(&mut from.take(wanted), &mut to)? < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at = end;
    }
    Ok(())
}

/// Takes a machine's disk for ourselves.
fn lock(path: &Path, image: &fs::Metadata) -> Result<File, BootError> {
    let failed = |source| BootError::Copy { path: path.to_owned(), source };
    let file = File::options().read(true).write(true).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if (metadata.dev(), metadata.ino()) == (image.dev(), image.ino()) {
        return Err(BootError::ImageItself { path: path.to_owned() });
    }
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(BootError::Busy { path: path.to_owned() }),
        Err(error) => Err(failed(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::vm::DataDisk;

    fn fixture(folder: &Path) -> (BootOrder, PathBuf) {
        let (image, variables) = (folder.join("image.raw"), folder.join("delivered"));
        let file = File::create(&image).unwrap();
        file.set_len(40 << 20).unwrap();
        for at in [0, 10 << 20, (40 << 20) - 3] {
            file.write_all_at(b"brc", at).unwrap();
        }
        fs::write(&variables, "variables").unwrap();
        (BootOrder { disk_bytes: 100 << 20, ..BootOrder::new(image) }, variables)
    }

    #[test]
    fn a_snapshot_is_a_sparse_copy_that_has_grown() {
        let folder = tempfile::tempdir().unwrap();
        let (order, variables) = fixture(folder.path());
        let workplace = folder.path().join("work");
        let own = Own::prepare(&order, &workplace, &variables).unwrap();
        let copied = fs::read(&own.disk).unwrap();
        let image = fs::read(&order.image).unwrap();
        assert!(copied[..image.len()] == image && copied[image.len()..].iter().all(|byte| *byte == 0));
        assert_eq!(copied.len(), 100 << 20);
        assert!(fs::metadata(&own.disk).unwrap().blocks() * 512 < 1 << 20);
        assert_eq!(fs::read(&own.variables).unwrap(), b"variables");
        assert!(own.disk.starts_with(&workplace) && own.variables.starts_with(&workplace));
    }

    #[test]
    fn a_kept_disk_is_made_once_and_used_by_one_machine_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (mut order, variables) = fixture(folder.path());
        let kept = folder.path().join("kept/disk.raw");
        order.disk = Disk::Kept(kept.clone());
        let own = Own::prepare(&order, folder.path(), &variables).unwrap();
        assert!(
            matches!(Own::prepare(&order, folder.path(), &variables), Err(BootError::Busy { path }) if path == kept)
        );
        own.lock.write_all_at(b"new", 0).unwrap();
        fs::write(&own.variables, "changed").unwrap();
        own.flush().unwrap();
        drop(own);
        let again = Own::prepare(&order, folder.path(), &variables).unwrap();
        assert_eq!(&fs::read(&again.disk).unwrap()[..4], b"new\0");
        assert_eq!(fs::read(&again.variables).unwrap(), b"changed");
        assert_eq!(&fs::read(&order.image).unwrap()[..4], b"brc\0");
        assert_eq!(fs::read_dir(folder.path().join("kept")).unwrap().count(), 2);
    }

    #[test]
    fn data_has_a_disk_of_its_own_beside_a_kept_one_where_the_image_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let (mut order, variables) = fixture(folder.path());
        order.data_disk = Some(DataDisk { bytes: 30 << 20, from: None });
        order.disk = Disk::Kept(folder.path().join("kept/disk.raw"));
        let own = Own::prepare(&order, folder.path(), &variables).unwrap();
        let data = own.data.clone().unwrap();
        assert_eq!(data, folder.path().join("kept/disk.raw.data"));
        let metadata = fs::metadata(&data).unwrap();
        assert_eq!((metadata.len(), metadata.blocks()), (30 << 20, 0));
        fs::write(&data, "kept").unwrap();
        own.flush().unwrap();
        drop(own);
        Own::prepare(&order, folder.path(), &variables).unwrap();
        assert_eq!(fs::read(&data).unwrap(), b"kept");
        let given = folder.path().join("given");
        fs::write(&given, "given").unwrap();
        order.data_disk = Some(DataDisk { bytes: 20 << 20, from: Some(given) });
        order.disk = Disk::Snapshot;
        let own = Own::prepare(&order, folder.path(), &variables).unwrap();
        let data = fs::read(own.data.unwrap()).unwrap();
        assert_eq!((&data[..6], data.len()), (&b"given\0"[..], 20 << 20));
    }

    #[test]
    fn what_is_no_image_and_the_image_itself_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (good, variables) = fixture(folder.path());
        let empty = folder.path().join("empty");
        fs::write(&empty, "").unwrap();
        for path in [folder.path().join("missing"), folder.path().to_owned(), empty] {
            let refused = Own::prepare(&BootOrder::new(path), folder.path(), &variables);
            assert!(matches!(refused, Err(BootError::Image { .. })), "{refused:?}");
        }
        let other_name = folder.path().join("link.raw");
        fs::hard_link(&good.image, &other_name).unwrap();
        for path in [good.image.clone(), other_name] {
            let order = BootOrder { disk: Disk::Kept(path), ..good.clone() };
            let refused = Own::prepare(&order, folder.path(), &variables);
            assert!(matches!(refused, Err(BootError::ImageItself { .. })), "{refused:?}");
            assert!(!folder.path().join("image.raw.vars").exists());
        }
    }
}
