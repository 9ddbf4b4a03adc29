//! A tar stream from a stranger becomes a tree, its files going straight into the store.
//!
//! Nothing is ever written to a path that an archive names: entries become values of [`Tree`], which cannot hold
//! a path outside of its root nor one that leads through a link. What readers of tar disagree about is refused,
//! never guessed: two entries for one path (dpkg lets the last win), two statements about one entry, data behind
//! a link. Devices, sockets and pipes are refused, as a tree has none.

use std::{
    io::{self, Read},
    sync::atomic::AtomicBool,
};

use tar::EntryType;

use super::{bounded::Bounded, pax::Extension};
use crate::{
    content::{Compression, Digest, Entry, Metadata, RelPath, Tree, TreeError},
    plan::Fault,
    store::{Store, StoreError},
};

/// Files up to this size are taken into memory and stored at once.
const SMALL_FILE_BYTES: u64 = 1 << 20;

/// The bytes of a header of tar.
const BLOCK_BYTES: u64 = 512;

/// What an archive may not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes when decompressed, headers included.
    pub total_bytes: u64,
    /// Entries.
    pub entries: u64,
    /// Bytes of one extended header: a path of 4096 bytes, or attributes of 64 KiB each.
    pub extension_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { total_bytes: 8 << 30, entries: 200_000, extension_bytes: 1 << 20 }
    }
}

/// Where the bytes of unpacked files go.
pub trait Blobs: Sync {
    /// Takes the bytes of one file.
    ///
    /// # Errors
    /// They cannot be kept.
    fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError>;

    /// Takes what a reader gives; its digest and size in bytes.
    ///
    /// # Errors
    /// [`StoreError::Input`] when the reader fails; else they cannot be kept.
    fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError>;
}

impl Blobs for Store {
    fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        Store::put(self, bytes)
    }

    fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        Store::put_reader(self, reader)
    }
}

/// Whose owners, special mode bits and attributes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ownership {
    /// The archive's: it is a distribution's package.
    Kept,
    /// Nobody's: whoever packed it knows nothing of an image's users. Everything is root's, modes are as if
    /// unpacked with umask 022, without setuid, setgid, sticky and attributes.
    Dropped,
}

/// How archives are unpacked.
#[derive(Clone, Copy)]
pub(super) struct Unpacker<'a> {
    pub blobs: &'a dyn Blobs,
    pub limits: &'a Limits,
    pub ownership: Ownership,
    pub cancelled: &'a AtomicBool,
}

impl Unpacker<'_> {
    /// Unpacks a compressed tar stream; reads it to its end, so that its checksums are looked at.
    pub fn unpack(&self, compression: Compression, reader: impl io::BufRead) -> Result<Tree, UnpackError> {
        let decoder = compression.decoder(reader).map_err(UnpackError::from_reader)?;
        let mut reader = Bounded::new(decoder, self.limits, self.cancelled);
        let mut start = Vec::new();
        reader.by_ref().take(BLOCK_BYTES).read_to_end(&mut start).map_err(UnpackError::from_reader)?;
        if !is_tar(&start) {
            return Err(UnpackError::NoTar { compression, found: kind_of(&start) });
        }
        let mut reader = start.as_slice().chain(reader);
        let tree = self.unpack_tar(&mut reader)?;
        io::copy(&mut reader, &mut io::sink()).map_err(UnpackError::from_reader)?;
        Ok(tree)
    }

    fn unpack_tar(&self, reader: &mut dyn Read) -> Result<Tree, UnpackError> {
        let mut archive = tar::Archive::new(reader);
        let mut tree = Tree::new();
        let mut extension = Extension::default();
        let mut count = 0;
        for entry in archive.entries().map_err(UnpackError::from_reader)?.raw(true) {
            let mut entry = entry.map_err(UnpackError::from_reader)?;
            let size = entry.header().entry_size().map_err(UnpackError::from_reader)?;
            match entry.header().entry_type() {
                EntryType::XHeader => extension.read_pax(&mut entry, size, self.limits)?,
                EntryType::XGlobalHeader => Extension::read_global(&mut entry, size, self.limits)?,
                EntryType::GNULongName => extension.read_long_path(&mut entry, size, self.limits)?,
                EntryType::GNULongLink => extension.read_long_link(&mut entry, size, self.limits)?,
                _ => {
                    count += 1;
                    if count > self.limits.entries {
                        return Err(UnpackError::Limit { what: "entries", limit: self.limits.entries });
                    }
                    let head = Head::read(entry.header(), std::mem::take(&mut extension))?;
                    self.add(&mut tree, head, &mut entry)?;
                }
            }
        }
        if extension != Extension::default() { Err(UnpackError::Truncated) } else { Ok(tree) }
    }

    /// Adds one entry to the tree, its bytes to the store.
    pub(super) fn add(&self, tree: &mut Tree, head: Head, reader: &mut dyn Read) -> Result<(), UnpackError> {
        let path = head.path.clone();
        let refused = |reason: String| UnpackError::Entry { path: path.clone(), reason };
        let has_no_data = |kind: &str| match head.size {
            0 => Ok(()),
            _ => Err(refused(format!("it is a {kind} and has data behind it"))),
        };
        let mut metadata = head.metadata;
        let entry = match head.kind {
            Kind::Directory => {
                has_no_data("directory")?;
                Entry::Directory
            }
            Kind::Symlink { target } => {
                has_no_data("link")?;
                // Every program creates links with this mode; Linux ignores it.
                metadata.mode = 0o777;
                Entry::Symlink { target }
            }
            Kind::Hardlink { target } => {
                has_no_data("link")?;
                let Some(entry @ Entry::File { .. }) = tree.entry(&target).cloned() else {
                    return Err(refused(format!("it is a hard link to `{target}`, which is no file before it")));
                };
                metadata = tree.metadata(&target).unwrap_or(metadata);
                entry
            }
            Kind::File => {
                let (blob, size) = self.put(reader, head.size)?;
                Entry::File { blob, size, executable: metadata.mode & 0o111 != 0 }
            }
        };
        if self.ownership == Ownership::Dropped {
            let mode = if matches!(entry, Entry::Symlink { .. }) { 0o777 } else { metadata.mode & 0o755 };
            metadata = Metadata::with_mode(mode);
        }
        if path.is_root() && entry != Entry::Directory {
            return Err(refused("the root can only be a directory".to_owned()));
        }
        tree.insert_with(path.clone(), entry, metadata).map_err(|error| {
            refused(match error {
                TreeError::Taken { .. } => "it is there twice".to_owned(),
                TreeError::ParentIsNoDirectory { parent, .. } => format!("`{parent}` is not a directory"),
            })
        })
    }

    fn put(&self, reader: &mut dyn Read, size: u64) -> Result<(Digest, u64), UnpackError> {
        if size > self.limits.total_bytes {
            return Err(UnpackError::Limit { what: "bytes when decompressed", limit: self.limits.total_bytes });
        }
        let (digest, found) = if size <= SMALL_FILE_BYTES {
            let mut bytes = Vec::with_capacity(size as usize);
            reader.take(size).read_to_end(&mut bytes).map_err(UnpackError::from_reader)?;
            (self.blobs.put(&bytes).map_err(UnpackError::from_store)?, bytes.len() as u64)
        } else {
            self.blobs.put_reader(&mut reader.take(size)).map_err(UnpackError::from_store)?
        };
        if found < size { Err(UnpackError::Truncated) } else { Ok((digest, size)) }
    }
}

/// Whether a stream that begins so is a tar archive: its first header has the right sum, or it ends at once.
fn is_tar(start: &[u8]) -> bool {
    let Ok(block) = <&[u8; BLOCK_BYTES as usize]>::try_from(start) else { return start.is_empty() };
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    // The field of the sum counts as eight blanks.
    let expected = sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..]);
    let stated = tar::Header::from_byte_slice(block).cksum();
    block.iter().all(|byte| *byte == 0) || stated.is_ok_and(|stated| stated == expected)
}

/// What a file that begins so is, in words.
fn kind_of(start: &[u8]) -> &'static str {
    let kinds: [(&[u8], &str); 11] = [
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"Rar!\x1a\x07", "a RAR archive"),
        (b"LZIP", "data of lzip"),
        (b"\x04\x22\x4d\x18", "data of lz4"),
        (b"\x1f\x9d", "data of compress"),
        (b"!<arch>\n", "an `ar` archive or Debian package"),
        (b"\xed\xab\xee\xdb", "an RPM package"),
        (b"070701", "a cpio archive"),
        (b"\x7fELF", "a program or library"),
        (b"#!", "a script"),
        (b"<", "a page of HTML or XML"),
    ];
    kinds.iter().find(|(magic, _)| start.starts_with(magic)).map_or("one file", |(_, kind)| kind)
}

/// One entry, all headers taken together.
pub(super) struct Head {
    pub path: RelPath,
    pub kind: Kind,
    pub size: u64,
    pub metadata: Metadata,
}

/// What an entry is.
pub(super) enum Kind {
    File,
    Directory,
    Symlink { target: String },
    Hardlink { target: RelPath },
}

impl Head {
    fn read(header: &tar::Header, extension: Extension) -> Result<Head, UnpackError> {
        let name = match extension.path {
            Some(path) => path,
            None => text(&header.path_bytes())?,
        };
        let path = read_path(&name)?;
        let refused = |reason: &str| UnpackError::Entry { path: path.clone(), reason: reason.to_owned() };
        let link = match (extension.link, header.link_name_bytes()) {
            (Some(link), _) => Some(link),
            (None, Some(bytes)) => Some(text(&bytes)?),
            (None, None) => None,
        };
        let kind = match header.entry_type() {
            // Archives of the seventies mark directories by their name only; dpkg reads them so, too.
            EntryType::Regular if name.ends_with('/') => Kind::Directory,
            EntryType::Regular => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => {
                let target = link.filter(|target| !target.is_empty() && target.len() < 4096);
                Kind::Symlink { target: target.ok_or_else(|| refused("it is a link to nothing"))? }
            }
            EntryType::Link => {
                let target = link.ok_or_else(|| refused("it is a link to nothing"))?;
                Kind::Hardlink { target: read_path(&target)? }
            }
            EntryType::Char | EntryType::Block => return Err(refused("it is a device")),
            EntryType::Fifo => return Err(refused("it is a named pipe")),
            EntryType::GNUSparse => return Err(refused("it is a sparse file")),
            _ => return Err(refused("it is of a kind that is not known")),
        };
        let size = header.entry_size().map_err(UnpackError::from_reader)?;
        // The crate `tar` places the next entry by the header; a file too large for that is over the limit anyway.
        if extension.size.is_some_and(|stated| stated != size) {
            return Err(refused("its headers disagree about its size"));
        }
        let number = |stated: Option<u64>, read: io::Result<u64>| {
            let number = stated.map_or(read, Ok).map_err(UnpackError::from_reader)?;
            u32::try_from(number).map_err(|_| refused("its owner or group is not a 32-bit number"))
        };
        let metadata = Metadata {
            mode: (header.mode().map_err(UnpackError::from_reader)? & 0o7777) as u16,
            uid: number(extension.uid, header.uid())?,
            gid: number(extension.gid, header.gid())?,
            xattrs: extension.xattrs,
        };
        Ok(Head { path, kind, size, metadata })
    }
}

pub(super) fn text(bytes: &[u8]) -> Result<String, UnpackError> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned)
        .map_err(|_| UnpackError::Format(format!("the name `{}` is not UTF-8 text", bytes.escape_ascii())))
}

/// Reads a path that must lie below the root: not absolute, no `..`.
pub(super) fn read_path(name: &str) -> Result<RelPath, UnpackError> {
    let shown = || name.escape_debug().to_string();
    let path = name.trim_end_matches('/');
    if name.starts_with('/') {
        return Err(UnpackError::Format(format!("the path `{}` is absolute", shown())));
    }
    RelPath::from_archive(path).map_err(|_| UnpackError::Format(format!("the path `{}` is not allowed", shown())))
}

/// An archive could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is not what it should be, or not within what is accepted.
    #[error("{0}")]
    Format(String),
    /// One entry is refused.
    #[error("`{path}` is refused: {reason}")]
    Entry {
        /// The entry.
        path: RelPath,
        /// Why.
        reason: String,
    },
    /// It is too large.
    #[error("it has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is accepted.
        limit: u64,
    },
    /// There is something else in it.
    #[error("expected a tar archive, found {found}{}", if *compression == Compression::Plain { "" } else { ", compressed" })]
    NoTar {
        /// How it is compressed.
        compression: Compression,
        /// What is in it, in words.
        found: &'static str,
    },
    /// It ends too early.
    #[error("it ends too early")]
    Truncated,
    /// It cannot be read or decompressed.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// The store does not take it.
    #[error("its content cannot be stored")]
    Store(#[source] StoreError),
    /// The fetch was told to stop.
    #[error("the fetch was stopped")]
    Cancelled,
}

impl UnpackError {
    /// Whose fault it is.
    pub(super) const fn fault(&self) -> Fault {
        match self {
            UnpackError::Cancelled => Fault::Cancelled,
            UnpackError::Store(_) => Fault::Machine,
            _ => Fault::Outside,
        }
    }

    /// The reason that a bounded reader gave, or that it could not read.
    pub(super) fn from_reader(error: io::Error) -> Self {
        match error.downcast::<UnpackError>() {
            Ok(reason) => reason,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => UnpackError::Truncated,
            Err(error) => UnpackError::Read(error),
        }
    }

    fn from_store(error: StoreError) -> Self {
        match error {
            StoreError::Input { source } => UnpackError::from_reader(source),
            error => UnpackError::Store(error),
        }
    }
}
