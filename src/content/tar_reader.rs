//! A tar stream from a stranger, read member by member within limits; the one reader of tar that brc has.
//!
//! What readers of tar disagree about is refused, never guessed. Nothing that a header claims is believed before the
//! bytes are there, and all that is kept in memory is counted.

use std::io::{self, Read};

use tar::EntryType;

pub use super::limits::{Limits, ReadError};
use super::{Metadata, RelPath, pax::Extension};

/// One member of an archive, all its headers taken together.
#[derive(Debug)]
pub struct Member {
    /// Where it is to lie.
    pub path: RelPath,
    /// What it is.
    pub kind: Kind,
    /// How many bytes follow its header.
    pub size: u64,
    /// Its owner, mode and attributes.
    pub metadata: Metadata,
}

/// What a member is. Devices, pipes and sparse files are refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: String,
    },
    /// A further name of a file.
    Hardlink {
        /// Another path of the archive.
        target: RelPath,
    },
}

/// Reads a tar stream to its end mark. `each` gets every member, and a reader of the bytes behind its header, of which
/// it may leave some.
///
/// # Errors
/// What is no tar archive, is refused, or is beyond the limits; whatever `each` gives.
pub fn read_tar<E: From<ReadError>>(
    reader: &mut dyn Read,
    limits: &Limits,
    each: &mut dyn FnMut(Member, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = tar::Archive::new(reader);
    let mut extension = Extension::default();
    let (mut count, mut kept) = (0, 0_u64);
    for entry in archive.entries().map_err(ReadError::from_reader)?.raw(true) {
        let mut entry = entry.map_err(ReadError::from_reader)?;
        let size = entry.header().entry_size().map_err(ReadError::from_reader)?;
        match entry.header().entry_type() {
            EntryType::XHeader => extension.read_pax(&mut entry, size, limits)?,
            EntryType::XGlobalHeader => Extension::read_global(&mut entry, size, limits)?,
            EntryType::GNULongName => extension.read_long_path(&mut entry, size, limits)?,
            EntryType::GNULongLink => extension.read_long_link(&mut entry, size, limits)?,
            _ => {
                count += 1;
                limits.check_entries(count)?;
                let member = Member::read(entry.header(), std::mem::take(&mut extension))?;
                kept = kept.saturating_add(member.kept_bytes());
                limits.check_kept(kept)?;
                each(member, &mut entry)?;
            }
        }
    }
    if extension != Extension::default() { Err(ReadError::Truncated.into()) } else { Ok(()) }
}

impl Member {
    /// How many bytes of memory it takes, about.
    pub fn kept_bytes(&self) -> u64 {
        let target = match &self.kind {
            Kind::File | Kind::Directory => 0,
            Kind::Symlink { target } => target.len(),
            Kind::Hardlink { target } => target.as_str().len(),
        };
        let attributes = self.metadata.xattrs.iter().map(|(name, value)| name.len() + value.len());
        (self.path.as_str().len() + target + attributes.sum::<usize>()) as u64
    }

    fn read(header: &tar::Header, extension: Extension) -> Result<Member, ReadError> {
        let name = match extension.path {
            Some(path) => path,
            None => text(&header.path_bytes())?,
        };
        let path = read_path(&name)?;
        let refused = |reason: &str| ReadError::Entry { path: path.clone(), reason: reason.to_owned() };
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
        let size = header.entry_size().map_err(ReadError::from_reader)?;
        // The crate `tar` places the next entry by the header; a file too large for that is over the limit anyway.
        if extension.size.is_some_and(|stated| stated != size) {
            return Err(refused("its headers disagree about its size"));
        }
        let number = |stated: Option<u64>, read: io::Result<u64>| {
            let number = stated.map_or(read, Ok).map_err(ReadError::from_reader)?;
            u32::try_from(number).map_err(|_| refused("its owner or group is not a 32-bit number"))
        };
        let metadata = Metadata {
            mode: (header.mode().map_err(ReadError::from_reader)? & 0o7777) as u16,
            uid: number(extension.uid, header.uid())?,
            gid: number(extension.gid, header.gid())?,
            xattrs: extension.xattrs,
        };
        Ok(Member { path, kind, size, metadata })
    }
}

/// A name of an archive as text.
///
/// # Errors
/// It is not UTF-8.
pub fn text(bytes: &[u8]) -> Result<String, ReadError> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned)
        .map_err(|_| ReadError::Format(format!("the name `{}` is not UTF-8 text", bytes.escape_ascii())))
}

/// Reads a path that must lie below the root: not absolute, no `..`.
///
/// # Errors
/// Any other.
pub fn read_path(name: &str) -> Result<RelPath, ReadError> {
    let shown = || name.escape_debug().to_string();
    let path = name.trim_end_matches('/');
    if name.starts_with('/') {
        return Err(ReadError::Format(format!("the path `{}` is absolute", shown())));
    }
    RelPath::from_archive(path).map_err(|_| ReadError::Format(format!("the path `{}` is not allowed", shown())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an archive of links, each with a target of 1000 bytes.
    fn read_links(count: usize, limits: &Limits) -> Result<(), ReadError> {
        let mut builder = tar::Builder::new(Vec::new());
        for number in 0..count {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            header.set_uid(0);
            header.set_gid(0);
            builder.append_link(&mut header, number.to_string(), "t".repeat(1000)).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        read_tar(&mut &bytes[..], limits, &mut |_, _| Ok(()))
    }

    #[test]
    fn what_is_kept_in_memory_is_counted() {
        let limits = Limits { kept_bytes: 10_000, ..Limits::default() };
        assert!(read_links(9, &limits).is_ok());
        let refused = read_links(10, &limits);
        assert!(matches!(refused, Err(ReadError::Limit { limit: 10_000, .. })), "{refused:?}");
    }
}
