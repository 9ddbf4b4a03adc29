//! Where a machine that runs is found by its name: a socket in its folder.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{DirBuilderExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{fs::FlockOperation, io::Errno};

use super::super::BootError;

/// The socket.
const SOCKET: &str = "door.socket";

/// The folder of a machine that runs, ours alone.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    /// Locked while the machine runs.
    _opened: File,
    pub listener: UnixListener,
}

impl Place {
    /// Takes a folder, and listens in it.
    ///
    /// # Errors
    /// A machine with this name runs, or the file system refuses.
    pub fn claim(folder: &Path) -> Result<Self, BootError> {
        let failed = |source: io::Error| BootError::Door { path: folder.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let opened = File::open(folder).map_err(failed)?;
        match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(BootError::Running { path: folder.to_owned() }),
            Err(error) => return Err(failed(error.into())),
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        // What a machine has left that was killed.
        fs::remove_file(folder.join(SOCKET)).or_else(absent).map_err(failed)?;
        let listener = UnixListener::bind(short(&opened)).map_err(failed)?;
        fs::set_permissions(folder.join(SOCKET), fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), _opened: opened, listener })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Best effort: a socket that nobody listens at is known as such, and a folder that holds a disk stays.
        fs::remove_file(self.folder.join(SOCKET)).unwrap_or_default();
        fs::remove_dir(&self.folder).unwrap_or_default();
    }
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The socket in an open folder, by a way that is always short: the path of a socket has at most 107 bytes.
fn short(folder: &File) -> String {
    format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())
}

/// Connects to the machine whose folder this is; nothing when it does not run.
pub(super) fn connect(folder: &Path) -> io::Result<Option<UnixStream>> {
    let connected = File::open(folder).and_then(|opened| UnixStream::connect(short(&opened)));
    match connected {
        Ok(stream) => Ok(Some(stream)),
        // There is no socket, or one that a machine has left that was killed.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names of the machines that run, of those whose folders are below `machines`.
pub fn running(machines: &Path) -> Vec<String> {
    let entries = fs::read_dir(machines).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut running: Vec<String> =
        names.filter(|name| connect(&machines.join(name)).is_ok_and(|stream| stream.is_some())).collect();
    running.sort();
    running
}

/// Whether a text can be a machine's name.
pub fn is_machine_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.len() <= 64 && !text.starts_with('.') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_machines_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than the path of a socket may be.
        let machines = folder.path().join("x".repeat(120));
        let (first, kept) = (machines.join("first"), machines.join("kept"));
        assert!(running(&machines).is_empty());
        let place = Place::claim(&first).unwrap();
        assert!(matches!(Place::claim(&first), Err(BootError::Running { .. })));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&first), mode(&first.join(SOCKET))), (0o700, 0o600));
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("disk.raw"), "").unwrap();
        let other = Place::claim(&kept).unwrap();
        assert_eq!(running(&machines), ["first", "kept"]);
        drop((place, other));
        assert!(!first.exists() && fs::read_dir(&kept).unwrap().count() == 1);
        // A machine that was killed leaves its socket; it does not run, and the next one takes its place.
        drop(UnixListener::bind(short(&File::open(&kept).unwrap())).unwrap());
        assert!(kept.join(SOCKET).exists() && running(&machines).is_empty());
        let _again = Place::claim(&kept).unwrap();
        assert_eq!(running(&machines), ["kept"]);
    }

    #[test]
    fn names_are_plain() {
        for (text, is_name) in [("a-1.B_", true), ("", false), (".a", false), ("a/b", false), ("ä", false)] {
            assert_eq!(is_machine_name(text), is_name, "{text}");
        }
        assert!(!is_machine_name(&"a".repeat(65)));
    }
}
