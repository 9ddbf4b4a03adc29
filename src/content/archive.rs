//! The canonical archive of a tree: a POSIX tar stream that is the same for the same tree, always.

use std::io::{self, Read, Write};

use super::{Digest, Entry, RelPath, Tree};

/// A tree could not be written as an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes of a file could not be had, or are not as many as the tree says.
    #[error("the content of `{path}` cannot be read")]
    Content { path: RelPath, source: io::Error },
    /// The stream did not take what was written.
    #[error("the archive cannot be written at `{path}`")]
    Write { path: RelPath, source: io::Error },
}

/// Writes `tree` as a tar stream: `./` first, then every path sorted bytewise, each with owner, mode and
/// attributes (`SCHILY.xattr.` records), `time` (seconds since 1970) as every time, no user names.
///
/// `open` gives the bytes of a blob. `./` comes first because `mkfs.erofs` makes `/` 0777 without it.
///
/// # Errors
/// The first blob that cannot be read, or the first write that fails.
pub fn write_archive<R: Read>(
    tree: &Tree,
    time: u64,
    mut open: impl FnMut(Digest) -> io::Result<R>,
    out: &mut dyn Write,
) -> Result<(), ArchiveError> {
    let mut builder = tar::Builder::new(out);
    let root = (&RelPath::ROOT, &Entry::Directory);
    for (path, entry) in std::iter::once(root).chain(tree.entries()) {
        let failed = |source| ArchiveError::Write { path: path.clone(), source };
        let metadata = tree.metadata(path).unwrap_or_else(|| entry.plain_metadata());
        if !metadata.xattrs.is_empty() {
            let records: Vec<(String, &[u8])> = metadata
                .xattrs
                .iter()
                .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_slice()))
                .collect();
            builder
                .append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), *value)))
                .map_err(failed)?;
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(u32::from(metadata.mode));
        header.set_uid(u64::from(metadata.uid));
        header.set_gid(u64::from(metadata.gid));
        header.set_mtime(time);
        header.set_size(0);
        match entry {
            Entry::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                let name = if path.is_root() { "./".to_owned() } else { format!("./{}/", path.as_str()) };
                builder.append_data(&mut header, name, io::empty()).map_err(failed)?;
            }
            Entry::Symlink { target } => {
                header.set_entry_type(tar::EntryType::Symlink);
                set_target(&mut builder, &mut header, target).map_err(failed)?;
                builder.append_data(&mut header, format!("./{}", path.as_str()), io::empty()).map_err(failed)?;
            }
            Entry::File { blob, size, .. } => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(*size);
                let lost = |source| ArchiveError::Content { path: path.clone(), source };
                let mut content = Exactly { content: open(*blob).map_err(lost)?, left: *size, is_wrong: false };
                let appended = builder.append_data(&mut header, format!("./{}", path.as_str()), &mut content);
                appended.map_err(|error| if content.is_wrong { lost(error) } else { failed(error) })?;
            }
        }
    }
    builder.finish().map_err(|source| ArchiveError::Write { path: RelPath::ROOT, source })
}

/// Writes the target of a link as it is. (`append_link` would take it apart and drop doubled slashes.)
fn set_target(builder: &mut tar::Builder<&mut dyn Write>, header: &mut tar::Header, target: &str) -> io::Result<()> {
    if target.len() <= header.as_old().linkname.len() {
        return header.set_link_name_literal(target);
    }
    let mut long = tar::Header::new_gnu();
    long.set_path("././@LongLink")?;
    long.set_entry_type(tar::EntryType::GNULongLink);
    long.set_mode(0o644);
    long.set_uid(0);
    long.set_gid(0);
    long.set_mtime(0);
    // A NUL ends the name.
    long.set_size(target.len() as u64 + 1);
    long.set_cksum();
    builder.append(&long, target.as_bytes().chain(&[0_u8][..]))
}

/// A reader that fails unless exactly as many bytes come as were announced: the header is written already, so
/// one byte more or less would put everything behind it out of step.
struct Exactly<R> {
    content: R,
    left: u64,
    is_wrong: bool,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let size = match self.content.read(into) {
            Ok(size) => size,
            Err(error) => {
                self.is_wrong = error.kind() != io::ErrorKind::Interrupted;
                return Err(error);
            }
        };
        match self.left.checked_sub(size as u64) {
            Some(left) if size > 0 || left == 0 => {
                self.left = left;
                Ok(size)
            }
            _ => {
                self.is_wrong = true;
                let reason = if size == 0 {
                    "it has fewer bytes than the tree says"
                } else {
                    "it has more bytes than the tree says"
                };
                Err(io::Error::new(io::ErrorKind::InvalidData, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Metadata;

    #[test]
    fn the_archive_is_read_back_with_owners_and_attributes() {
        let mut tree = Tree::new();
        let mut data = Metadata::with_mode(0o4750);
        (data.uid, data.gid) = (3, 4);
        data.xattrs.insert("security.capability".into(), b"cap".to_vec());
        let entry = Entry::File { blob: Digest::of(b"ping"), size: 4, executable: true };
        let long = format!("usr/{}/ping", "long-name".repeat(20));
        tree.insert_with(RelPath::new(&long).unwrap(), entry, data).unwrap();
        let mut bytes = Vec::new();
        write_archive(&tree, 7, |_| Ok(&b"ping"[..]), &mut bytes).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            names.push(entry.path().unwrap().to_string_lossy().into_owned());
            assert_eq!(entry.header().mtime().unwrap(), 7);
            if entry.header().entry_type().is_file() {
                assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (3, 4));
                assert_eq!(entry.header().mode().unwrap(), 0o4750);
                let record = entry.pax_extensions().unwrap().unwrap().next().unwrap().unwrap();
                assert_eq!(record.key().unwrap(), "SCHILY.xattr.security.capability");
                assert_eq!(record.value_bytes(), b"cap");
            }
        }
        assert_eq!(names[0], "./");
        assert_eq!(names.len(), 4);
    }

    #[test]
    fn the_target_of_a_link_is_written_as_it_is() {
        for target in ["a//b/./c/", "/dev/null", "../x", &"long/".repeat(30), &format!("{}//x", "y".repeat(98))] {
            let mut tree = Tree::new();
            tree.insert(RelPath::new("link").unwrap(), Entry::Symlink { target: target.to_owned() }).unwrap();
            let mut bytes = Vec::new();
            write_archive(&tree, 0, |_| Ok(io::empty()), &mut bytes).unwrap();
            let mut archive = tar::Archive::new(&bytes[..]);
            let entry = archive.entries().unwrap().nth(1).unwrap().unwrap();
            assert_eq!(entry.link_name_bytes().unwrap(), target.as_bytes());
        }
    }

    #[test]
    fn content_of_another_size_is_refused() {
        let mut tree = Tree::new();
        let entry = Entry::File { blob: Digest::of(b"ping"), size: 4, executable: false };
        tree.insert(RelPath::new("ping").unwrap(), entry).unwrap();
        for content in ["", "pin", "pings"] {
            let result = write_archive(&tree, 0, |_| Ok(content.as_bytes()), &mut io::sink());
            assert!(matches!(result, Err(ArchiveError::Content { .. })), "{content}");
        }
        write_archive(&tree, 0, |_| Ok(&b"ping"[..]), &mut io::sink()).unwrap();
    }
}
