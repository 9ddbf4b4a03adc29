//! Opening what recipes name: beneath the folder of their set, wherever links lead.
//!
//! Reading recipes compares paths as text; the kernel resolves them. Only an opening that the kernel itself keeps
//! beneath a folder (`RESOLVE_BENEATH` of openat2(2)) makes the two agree.

use std::{
    fmt, fs, io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2},
    io::Errno,
};

use crate::recipe::{Presence, SourcePath};

/// How often a look-up is tried again that something else's renaming has disturbed.
const ATTEMPTS: usize = 16;
/// How files are opened: a FIFO without a writer is not waited for, a terminal does not become ours.
const FOR_READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A folder beneath which paths are opened.
pub(super) struct Beneath {
    folder: OwnedFd,
    shown: PathBuf,
}

/// A path leaves the folder that it has to stay in.
#[derive(Debug)]
struct Outside {
    folder: PathBuf,
}

impl std::error::Error for Outside {}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        write!(f, "a link leads out of the recipes' folder `{folder}`: copy what it points to into that folder")
    }
}

/// Which of the folders of recipe sets a path lies in, the innermost, and where below it.
pub(super) fn set_of<'s, 'p>(
    roots: impl IntoIterator<Item = &'s SourcePath>,
    path: &'p SourcePath,
) -> Option<(&'s SourcePath, &'p str)> {
    let around = roots.into_iter().filter_map(|root| Some((root, path.below(root)?)));
    around.max_by_key(|(root, _)| root.as_str().len())
}

impl Beneath {
    /// Paths beneath `folder`; the way to the folder itself may be over links.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let opened = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Beneath { folder: opened, shown: folder.to_owned() })
    }

    /// What a path is. What no name leads to is missing; what may not be looked at is an error.
    pub(super) fn presence(&self, path: &str) -> io::Result<Presence> {
        match self.open(path, OFlags::PATH) {
            Ok(found) => Ok(match FileType::from_raw_mode(fstat(&found)?.st_mode) {
                FileType::RegularFile => Presence::File,
                FileType::Directory => Presence::Folder,
                _ => Presence::Missing,
            }),
            Err(error) if is_outside(&error) => Ok(Presence::Outside),
            Err(error) if is_missing(&error) => Ok(Presence::Missing),
            Err(error) => Err(error),
        }
    }

    /// Opens a file for reading. What is no regular file is refused and never waited for.
    pub(super) fn file(&self, path: &str) -> io::Result<fs::File> {
        regular(self.open(path, FOR_READING)?)
    }

    /// Where a folder is without a link on the way.
    pub(super) fn folder(&self, path: &str) -> io::Result<PathBuf> {
        let opened = self.open(path, OFlags::PATH | OFlags::DIRECTORY)?;
        fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd()))
    }

    fn open(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        open_beneath(&self.folder, path, flags | OFlags::CLOEXEC).map_err(|error| match error {
            Errno::XDEV => io::Error::new(io::ErrorKind::CrossesDevices, Outside { folder: self.shown.clone() }),
            error => error.into(),
        })
    }
}

/// Opens a file that people name, wherever it is. What is no regular file is refused and never waited for.
pub(super) fn open_file(path: &Path) -> io::Result<fs::File> {
    regular(open(path, FOR_READING | OFlags::CLOEXEC, Mode::empty())?)
}

fn regular(opened: OwnedFd) -> io::Result<fs::File> {
    let is = match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
        FileType::RegularFile => return Ok(fs::File::from(opened)),
        FileType::Directory => "a folder",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        _ => "a device",
    };
    Err(io::Error::other(format!("expected a file, found {is}")))
}

/// Whether an error says that a path leaves its folder.
pub(super) fn is_outside(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Outside>())
}

/// Whether an error says that nothing is there: no name, a file where a folder is wanted, a link that leads to nothing
/// or around in a circle.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

fn open_beneath(folder: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..ATTEMPTS {
        match openat2(folder, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS | Errno::PERM) => return open_without_links(folder, path, flags),
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// For a kernel before 5.6, and where a filter does not know openat2: the same, but every link on the way counts as one
/// that leads out.
fn open_without_links(folder: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let step = |at: BorrowedFd<'_>, name: &str, flags| {
        let here = openat(at, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&here)?.st_mode) == FileType::Symlink {
            return Err(Errno::XDEV);
        }
        openat(at, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    };
    let mut at = openat(folder, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    for name in above.split('/').filter(|name| !name.is_empty()) {
        at = step(std::os::fd::AsFd::as_fd(&at), name, OFlags::PATH | OFlags::DIRECTORY)?;
    }
    step(std::os::fd::AsFd::as_fd(&at), name, flags)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_leads_out_opens_nothing() {
        let outer = tempfile::tempdir().unwrap();
        let set = outer.path().join("set");
        fs::create_dir_all(set.join("in")).unwrap();
        for path in ["set/file", "set/in/file", "secret"] {
            fs::write(outer.path().join(path), path).unwrap();
        }
        rustix::fs::mknodat(rustix::fs::CWD, set.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for (target, link) in [
            ("file", "same"),
            ("in", "inner"),
            ("../file", "in/up"),
            ("../secret", "out"),
            ("..", "above"),
            ("../set/file", "back"),
            ("nothing", "dangling"),
            ("around", "around"),
        ] {
            symlink(target, set.join(link)).unwrap();
        }
        symlink(outer.path().join("secret"), set.join("absolute")).unwrap();
        let beneath = Beneath::new(&set).unwrap();
        use Presence::{File, Folder, Missing, Outside};
        // As openat2 has it, and as where the kernel lacks it.
        for (path, expected, without) in [
            ("file", File, File),
            ("in/file", File, File),
            ("in", Folder, Folder),
            ("", Folder, Folder),
            ("same", File, Outside),
            ("inner/file", File, Outside),
            ("in/up", File, Outside),
            ("out", Outside, Outside),
            ("above/secret", Outside, Outside),
            ("back", Outside, Outside),
            ("absolute", Outside, Outside),
            ("dangling", Missing, Outside),
            ("around", Missing, Outside),
            ("file/x", Missing, Missing),
            ("none", Missing, Missing),
            ("pipe", Missing, Missing),
        ] {
            assert_eq!(beneath.presence(path).unwrap(), expected, "{path}");
            assert_eq!(beneath.file(path).is_ok(), expected == File, "{path}");
            assert_eq!(beneath.folder(path).is_ok(), expected == Folder, "{path}");
            let name = if path.is_empty() { "." } else { path };
            let found = open_without_links(&beneath.folder, name, OFlags::RDONLY | OFlags::NONBLOCK);
            assert_eq!(matches!(found, Err(Errno::XDEV)), without == Outside, "{path}");
            assert_eq!(
                found.and_then(|found| regular(found).map_err(|_| Errno::INVAL)).is_ok(),
                without == File,
                "{path}"
            );
        }
        assert_eq!(beneath.folder("inner").unwrap(), set.canonicalize().unwrap().join("in"));
        let told = beneath.file("out").unwrap_err().to_string();
        assert!(told.contains("a link leads out of the recipes' folder"), "{told}");
        assert!(beneath.file("pipe").unwrap_err().to_string().contains("found a FIFO"));
        assert!(open_file(&set.join("pipe")).is_err());
    }

    #[test]
    fn the_innermost_set_around_a_path_counts() {
        let roots = ["", "vendor/brc", "../other"].map(SourcePath::new);
        for (path, expected) in [
            ("a", Some(("", "a"))),
            ("vendor/brc/a", Some(("vendor/brc", "a"))),
            ("vendor/a", Some(("", "vendor/a"))),
            ("../other/a", Some(("../other", "a"))),
            ("../a", None),
            ("/a", None),
        ] {
            let path = SourcePath::new(path);
            assert_eq!(set_of(&roots, &path).map(|(root, below)| (root.as_str(), below)), expected, "{path}");
        }
    }
}
