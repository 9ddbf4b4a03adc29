//! Looking at everything in a folder, of any depth, while others may be removing it.
//!
//! One folder is open at a time, and the way back up is `..`: no path grows too long, and no stack overflows.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::OwnedFd,
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};

/// A folder on the way down.
struct Level {
    /// Device and inode, by which it is known again on the way up.
    id: (u64, u64),
    /// Its folders that were not entered yet.
    waiting: Vec<CString>,
}

/// Shows what `lstat` says of a path and of everything below it. What vanishes meanwhile, and what is in a folder that
/// may not be read, is passed over.
pub(super) fn walk(path: &Path, each: &mut dyn FnMut(&Stat)) -> io::Result<()> {
    let found = match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    each(&found);
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(());
    }
    let Some(mut folder) = open(&CWD, path)? else { return Ok(()) };
    let mut levels = vec![look(&folder, each)?];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.waiting.pop() {
            if let Some(inner) = open(&folder, name.as_c_str())? {
                levels.push(look(&inner, each)?);
                folder = inner;
            }
            continue;
        }
        levels.pop();
        let Some(above) = levels.last() else { break };
        match open(&folder, c"..")? {
            Some(outer) if id(&rustix::fs::fstat(&outer)?) == above.id => folder = outer,
            // Somebody moved the folder: the rest of the walk would look at something else.
            _ => break,
        }
    }
    Ok(())
}

/// Shows what is in a folder.
fn look(folder: &OwnedFd, each: &mut dyn FnMut(&Stat)) -> io::Result<Level> {
    let mut level = Level { id: id(&rustix::fs::fstat(folder)?), waiting: Vec::new() };
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => {
                each(&found);
                if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
                    level.waiting.push(name.to_owned());
                }
            }
            Err(Errno::NOENT | Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(level)
}

/// Opens a folder; `None` when it is gone or may not be read.
fn open(at: &impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(at, name, flags, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn id(found: &Stat) -> (u64, u64) {
    (found.st_dev, found.st_ino)
}
