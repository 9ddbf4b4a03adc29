//! Taking what a command left: from the overlay's upper folder into the store.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::watch::Watch;
use crate::{
    content::{Digest, Entry, Metadata, RelPath, Tree, TreeError},
    store::{Store, StoreError},
};

/// Attributes by which an overlay tells itself what it did.
const OVERLAY_PREFIX: &str = "user.overlay.";
/// A folder with this attribute hides all that lies below it.
const OPAQUE: &str = "user.overlay.opaque";
/// An empty file with this attribute stands for something that was removed, as a device 0:0 does.
const WHITEOUT: &str = "user.overlay.whiteout";

/// The most bytes that an output may have: four times what an archive may, and more than any root that an image has
/// room for. Holes count, as whoever reads the output reads them.
const MAX_BYTES: u64 = 32 << 30;

/// Takes outputs into a store, as long as the run is not over.
#[derive(Clone, Copy)]
pub(super) struct Taker<'a> {
    pub(super) store: &'a Store,
    pub(super) watch: &'a Watch<'a>,
}

/// What was found at one path of an upper folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Where, below the folder that was read.
    pub(super) path: RelPath,
    /// What.
    pub(super) what: What,
    /// Its permission bits, 12 of them.
    pub(super) mode: u16,
}

/// What stands at a path of an upper folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// Something was here and was removed.
    Removed,
    /// A folder.
    Folder {
        /// Whether it is new, hiding what the layers below have there.
        opaque: bool,
    },
    /// A link.
    Symlink(String),
    /// A file, which is in the store now.
    File { blob: Digest, size: u64 },
    /// A file that is not in the store yet.
    Content,
}

/// Adds what is new: its owner is root, only its mode counts.
pub(super) fn add(tree: &mut Tree, path: RelPath, entry: Entry, mode: u16) -> Result<(), TreeError> {
    let mode = if matches!(entry, Entry::Symlink { .. }) { 0o777 } else { mode };
    tree.insert_with(path, entry, Metadata::with_mode(mode))
}

impl Found {
    /// What it is in a tree; `None` for what was removed.
    pub(super) fn entry(&self) -> Option<Entry> {
        match &self.what {
            What::Removed | What::Content => None,
            What::Folder { .. } => Some(Entry::Directory),
            What::Symlink(target) => Some(Entry::Symlink { target: target.clone() }),
            What::File { blob, size } => {
                Some(Entry::File { blob: *blob, size: *size, executable: self.mode & 0o111 != 0 })
            }
        }
    }
}

impl Taker<'_> {
    /// The content of an output folder that was empty before the command.
    pub(super) fn folder(self, upper: &Path, path: &RelPath) -> Result<Tree, OutputError> {
        let mut tree = Tree::new();
        for found in self.read(upper, path)? {
            if let Some(entry) = found.entry() {
                add(&mut tree, found.path, entry, found.mode).map_err(|source| OutputError::Tree { source })?;
            }
        }
        Ok(tree)
    }

    /// Reads everything at `path` of an upper folder, folders before what is in them, and puts all files into the store.
    /// Nothing is found when the overlay never had to copy the folder up.
    pub(super) fn read(self, upper: &Path, path: &RelPath) -> Result<Vec<Found>, OutputError> {
        let mut parts: Vec<RelPath> = path.ancestors().collect();
        parts.reverse();
        parts.push(path.clone());
        for part in parts {
            let at = part.on(upper);
            match fs::symlink_metadata(&at) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(OutputError::NoFolder { path: part }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(source) => return Err(OutputError::Read { path: part, source }),
            }
        }
        let base = path.on(upper);
        let mut found = self.walk(&base).map_err(|error| error.below(path))?;
        found.par_iter_mut().filter(|found| found.what == What::Content).try_for_each(|found| {
            let at = found.path.on(&base);
            prepare(&at, found.mode).map_err(|source| OutputError::Read { path: path.join(&found.path), source })?;
            let (blob, size) = self.store.put_file_unless(&at, &|| self.watch.over().is_some())?;
            found.what = What::File { blob, size };
            Ok::<(), OutputError>(())
        })?;
        Ok(found)
    }

    /// Lists a folder and everything in it, within what a tree may hold: nothing of it was looked at before, so it may
    /// be of any depth and size.
    fn walk(self, base: &Path) -> Result<Vec<Found>, OutputError> {
        let (root, mut bytes) = (look(base, RelPath::ROOT)?.0, 0_u64);
        let mut found = vec![root];
        let mut waiting = vec![RelPath::ROOT];
        while let Some(folder) = waiting.pop() {
            let failed = |source| OutputError::Read { path: folder.clone(), source };
            for at in names(&folder.on(base)).map_err(failed)? {
                self.watch.go_on()?;
                let path = path_in(&folder, &at)?;
                let (new, size) = look(&at, path)?;
                bytes = bytes.saturating_add(size);
                if bytes > MAX_BYTES {
                    return Err(OutputError::TooLarge { path: new.path });
                }
                // The root is none of a tree's entries.
                if found.len() > Tree::MAX_ENTRIES {
                    return Err(OutputError::Tree { source: TreeError::TooMany });
                }
                if matches!(new.what, What::Folder { .. }) {
                    waiting.push(new.path.clone());
                }
                found.push(new);
            }
        }
        Ok(found)
    }
}

/// The path of something in a folder of an output, if a tree can hold it.
fn path_in(folder: &RelPath, at: &Path) -> Result<RelPath, OutputError> {
    let name = at.file_name().unwrap_or_default();
    let read = name.to_str().and_then(|name| RelPath::new(name).ok());
    let Some(name) = read else {
        return Err(OutputError::Name {
            folder: folder.clone(),
            name: name.as_encoded_bytes().escape_ascii().to_string(),
        });
    };
    let path = folder.join(&name);
    Tree::check_path(&path).map(|()| path).map_err(|source| OutputError::Tree { source })
}

/// What stands at a path, and its size in bytes.
fn look(at: &Path, path: RelPath) -> Result<(Found, u64), OutputError> {
    let failed = |source| OutputError::Read { path: path.clone(), source };
    let metadata = fs::symlink_metadata(at).map_err(failed)?;
    let mode = (metadata.mode() & 0o7777) as u16;
    let kind = metadata.file_type();
    let what = if kind.is_dir() {
        // Its owner may have made it inaccessible to himself.
        if metadata.mode() & 0o700 != 0o700 {
            fs::set_permissions(at, fs::Permissions::from_mode(metadata.mode() & 0o7777 | 0o700)).map_err(failed)?;
        }
        What::Folder { opaque: attribute(at, OPAQUE).map_err(failed)? == Some(b'y') }
    } else if kind.is_symlink() {
        let target = fs::read_link(at).map_err(failed)?;
        What::Symlink(target.into_os_string().into_string().map_err(|_| OutputError::Link { path: path.clone() })?)
    } else if kind.is_file() {
        let is_removed = metadata.len() == 0 && attribute(at, WHITEOUT).map_err(failed)?.is_some();
        if is_removed { What::Removed } else { What::Content }
    } else if kind.is_char_device() && metadata.rdev() == 0 {
        What::Removed
    } else {
        let kind = if kind.is_socket() {
            "socket"
        } else if kind.is_fifo() {
            "FIFO"
        } else {
            "device"
        };
        return Err(OutputError::Special { path, kind });
    };
    let size = if what == What::Content { metadata.len() } else { 0 };
    Ok((Found { path, what, mode }, size))
}

/// The paths in a folder, sorted.
pub(super) fn names(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// The first byte of an attribute; NUL when it is empty, nothing when it is not there.
fn attribute(at: &Path, name: &str) -> io::Result<Option<u8>> {
    use rustix::io::Errno;
    let mut value = [0_u8; 8];
    match rustix::fs::lgetxattr(at, name, &mut value) {
        Ok(_) => Ok(Some(value[0])),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(Errno::RANGE) => Ok(Some(0)),
        Err(error) => Err(error.into()),
    }
}

/// Makes a file readable, and free of what the overlay wrote on it, so that the store takes it over.
fn prepare(at: &Path, mode: u16) -> io::Result<()> {
    if mode & 0o400 == 0 {
        fs::set_permissions(at, fs::Permissions::from_mode(u32::from(mode) | 0o600))?;
    }
    let mut names = vec![0_u8; 4096];
    let length = match rustix::fs::llistxattr(at, &mut names) {
        Ok(length) => length,
        // More than that is not the overlay's; the store copies such a file.
        Err(rustix::io::Errno::RANGE | rustix::io::Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        if name.starts_with(OVERLAY_PREFIX.as_bytes()) {
            rustix::fs::lremovexattr(at, name)?;
        }
    }
    Ok(())
}

/// What a command left cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// An output is no folder any more.
    #[error("the output `{path}` is not a folder: the command removed or replaced it")]
    NoFolder { path: RelPath },
    /// Something that has no place in a tree.
    #[error("`{path}` is a {kind}; outputs hold files, folders and symbolic links only")]
    Special { path: RelPath, kind: &'static str },
    /// A name that is not UTF-8, written with escapes.
    #[error("the folder `{folder}` has the name `{name}`: names in outputs are UTF-8")]
    Name { folder: RelPath, name: String },
    /// The target of a link is not UTF-8.
    #[error("the link `{path}` points to what is not UTF-8: links in outputs are UTF-8")]
    Link { path: RelPath },
    /// More than anybody wants to keep.
    #[error(
        "with `{path}` it has more than {} GiB: an output holds less, the holes of sparse files included", MAX_BYTES >> 30
    )]
    TooLarge { path: RelPath },
    /// The file system refused something.
    #[error("the output `{path}` cannot be read")]
    Read { path: RelPath, source: io::Error },
    /// The store did not take something.
    #[error("an output cannot be put into the store")]
    Store {
        #[from]
        source: StoreError,
    },
    /// The pieces do not fit together, or are too many.
    #[error("what lies there is no tree that can be kept")]
    Tree { source: TreeError },
}

impl OutputError {
    /// The same error, told with the whole path.
    fn below(self, base: &RelPath) -> Self {
        match self {
            OutputError::Special { path, kind } => OutputError::Special { path: base.join(&path), kind },
            OutputError::Name { folder, name } => OutputError::Name { folder: base.join(&folder), name },
            OutputError::Link { path } => OutputError::Link { path: base.join(&path) },
            OutputError::TooLarge { path } => OutputError::TooLarge { path: base.join(&path) },
            OutputError::Read { path, source } => OutputError::Read { path: base.join(&path), source },
            other => other,
        }
    }
}
