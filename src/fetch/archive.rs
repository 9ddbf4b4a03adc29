//! A tar stream from a stranger becomes a tree, its files going straight into the store.
//!
//! Nothing is ever written to a path that an archive names: entries become values of [`Tree`], which cannot hold
//! a path outside of its root nor one that leads through a link. What readers of tar disagree about is refused,
//! never guessed: two entries for one path (dpkg lets the last win), data behind a link. The stream itself is read by
//! [`read_tar`].

use std::{
    io::{self, Read},
    sync::atomic::AtomicBool,
};

use super::{UnpackError, bounded::Bounded};
use crate::{
    content::{
        Compression, Digest, Entry, Metadata, Tree, TreeError,
        tar_reader::{Kind, Limits, Member, ReadError, read_tar},
    },
    store::Blobs,
};

/// Files up to this size are taken into memory and stored at once.
const SMALL_FILE_BYTES: u64 = 1 << 20;

/// The bytes of a header of tar.
const BLOCK_BYTES: u64 = 512;

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
        let mut tree = Tree::new();
        read_tar(reader, self.limits, &mut |member, content| self.add(&mut tree, member, content))?;
        Ok(tree)
    }

    /// Adds one entry to the tree, its bytes to the store.
    pub(super) fn add(&self, tree: &mut Tree, member: Member, reader: &mut dyn Read) -> Result<(), UnpackError> {
        let path = member.path.clone();
        let refused = |reason: String| UnpackError::from(ReadError::Entry { path: path.clone(), reason });
        let has_no_data = |kind: &str| match member.size {
            0 => Ok(()),
            _ => Err(refused(format!("it is a {kind} and has data behind it"))),
        };
        let mut metadata = member.metadata;
        let entry = match member.kind {
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
                let (blob, size) = self.put(reader, member.size)?;
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
                error => error.to_string(),
            })
        })?;
        // Folders that nobody named are entries too.
        Ok(self.limits.check_entries(tree.len() as u64)?)
    }

    fn put(&self, reader: &mut dyn Read, size: u64) -> Result<(Digest, u64), UnpackError> {
        if size > self.limits.total_bytes {
            return Err(ReadError::Limit { what: "bytes when decompressed", limit: self.limits.total_bytes }.into());
        }
        let (digest, found) = if size <= SMALL_FILE_BYTES {
            let mut bytes = Vec::with_capacity(size as usize);
            reader.take(size).read_to_end(&mut bytes).map_err(UnpackError::from_reader)?;
            (self.blobs.put(&bytes).map_err(UnpackError::from_store)?, bytes.len() as u64)
        } else {
            self.blobs.put_reader(&mut reader.take(size)).map_err(UnpackError::from_store)?
        };
        if found < size { Err(ReadError::Truncated.into()) } else { Ok((digest, size)) }
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
