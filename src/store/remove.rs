//! Removing what actions left behind: folders of any depth, which not even their owner may be allowed to write.
//!
//! A path longer than `PATH_MAX` cannot be named to the kernel, and a folder for each level would use up stack or
//! descriptors. So everything is reached through descriptors of two folders at most: whatever lies in a folder of the
//! top is removed or, when it is a folder with something in it, moved up into the top. Every folder moves at most once.

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, DirEntry, FileType, Mode, OFlags},
    io::Errno,
};

/// How a folder is opened: never through a link.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a file, or a folder with everything in it, however deep. What is not there is no error.
///
/// # Errors
/// The file system's; what could not be removed is still there then, perhaps elsewhere in the folder.
pub fn remove_all(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => empty(path).and_then(|()| fs::remove_dir(path)),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes everything in a folder as far as it can be removed. What stays is tried again next time, and `gc` says why
/// it cannot be removed.
pub(super) fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ = remove_all(&entry.path());
    }
}

fn empty(path: &Path) -> io::Result<()> {
    let top = open_folder(CWD, path)?;
    let mut moved = 0;
    loop {
        let mut is_empty = true;
        for entry in entries(&top)? {
            let entry = entry?;
            is_empty = false;
            if !remove_one(top.as_fd(), &entry)? {
                lift(top.as_fd(), entry.file_name(), &mut moved)?;
            }
        }
        if is_empty {
            return Ok(());
        }
    }
}

/// Removes a folder of the top, after what is in it was removed or moved up.
fn lift(top: BorrowedFd<'_>, name: &CStr, moved: &mut u64) -> io::Result<()> {
    let folder = open_folder(top, name)?;
    for entry in entries(&folder)? {
        let entry = entry?;
        if !remove_one(folder.as_fd(), &entry)? {
            move_up(folder.as_fd(), entry.file_name(), top, moved)?;
        }
    }
    match rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR) {
        // What was not listed is found by the next round.
        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Moves a folder up into the top, under a name that is free there.
fn move_up(from: BorrowedFd<'_>, name: &CStr, top: BorrowedFd<'_>, moved: &mut u64) -> io::Result<()> {
    let mut may_open = true;
    loop {
        match rustix::fs::renameat(from, name, top, moved.to_string()) {
            Ok(()) => {
                *moved += 1;
                return Ok(());
            }
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => *moved += 1,
            // To move a folder is to write to it: its `..` changes.
            Err(Errno::ACCESS | Errno::PERM) if may_open => {
                rustix::fs::chmodat(from, name, Mode::RWXU, AtFlags::empty())?;
                may_open = false;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes an entry of a folder; false when it is a folder with something in it.
fn remove_one(folder: BorrowedFd<'_>, entry: &DirEntry) -> io::Result<bool> {
    let name = entry.file_name();
    let flags = if entry.file_type() == FileType::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    let removed = match rustix::fs::unlinkat(folder, name, flags) {
        // A file system that does not tell kinds while it lists.
        Err(Errno::ISDIR) => rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR),
        other => other,
    };
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder and gives its owner all rights on it.
fn open_folder(at: BorrowedFd<'_>, name: impl rustix::path::Arg + Copy) -> io::Result<OwnedFd> {
    let folder = match rustix::fs::openat(at, name, FOLDER, Mode::empty()) {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(at, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(at, name, FOLDER, Mode::empty())?
        }
        other => other?,
    };
    if !Mode::from_raw_mode(rustix::fs::fstat(&folder)?.st_mode).contains(Mode::RWXU) {
        rustix::fs::fchmod(&folder, Mode::RWXU)?;
    }
    Ok(folder)
}

/// What is in a folder now, without itself and the one above.
fn entries(folder: &OwnedFd) -> io::Result<impl Iterator<Item = io::Result<DirEntry>> + use<>> {
    let is_real = |entry: &rustix::io::Result<DirEntry>| {
        entry.as_ref().map_or(true, |entry| ![c".", c".."].contains(&entry.file_name()))
    };
    Ok(Dir::read_from(folder)?.filter(is_real).map(|entry| entry.map_err(Into::into)))
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    /// Makes folders one in another below `path`, each with a file, the names `length` bytes long.
    pub(in crate::store) fn make_deep(path: &Path, depth: usize, length: usize) {
        let name = "d".repeat(length);
        fs::create_dir_all(path).unwrap();
        let mut folder = rustix::fs::open(path, FOLDER, Mode::empty()).unwrap();
        for _ in 0..depth {
            rustix::fs::mkdirat(&folder, &name, Mode::RWXU).unwrap();
            folder = rustix::fs::openat(&folder, &name, FOLDER, Mode::empty()).unwrap();
            rustix::fs::openat(&folder, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
        }
    }

    /// A folder on a file system that makes and removes many folders quickly.
    pub(in crate::store) fn in_memory() -> tempfile::TempDir {
        let memory = Path::new("/dev/shm");
        assert!(memory.is_dir(), "this test needs a file system in memory at /dev/shm");
        tempfile::tempdir_in(memory).unwrap()
    }

    #[test]
    fn folders_without_write_permission_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        for folder in ["a/b/c", "a/b", "a", ""] {
            fs::set_permissions(top.join(folder), Permissions::from_mode(0o555)).unwrap();
        }
        remove_all(&top).unwrap();
        remove_all(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn folders_of_any_depth_and_length_are_removed() {
        let dir = in_memory();
        for (depth, length) in [(60_000, 1), (100, 250)] {
            let top = dir.path().join("top");
            make_deep(&top, depth, length);
            // Names that are taken where folders are moved to.
            fs::write(top.join("0"), "").unwrap();
            fs::create_dir_all(top.join("1/2/3")).unwrap();
            remove_all(&top).unwrap();
            assert!(!top.exists());
        }
    }

    #[test]
    fn what_a_link_points_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (top, outside) = (dir.path().join("top"), dir.path().join("outside"));
        for folder in ["top/a/b", "outside"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(outside.join("file"), "x").unwrap();
        for link in ["link", "a/link", "a/b/link"] {
            std::os::unix::fs::symlink(&outside, top.join(link)).unwrap();
        }
        remove_all(&top).unwrap();
        assert!(!top.exists() && outside.join("file").exists());
    }
}
