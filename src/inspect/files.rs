//! The root file system, read back: owners, modes, attributes, content, and nothing that must not be published.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use brc_contract::well_known;
use erofs_rs::types::Inode;
use memchr::memmem;
use rayon::prelude::*;

use super::{
    Inspection,
    boot::Boot,
    erofs::{FileSystem, Stretch},
    report::{Finding, Part},
    table::Partition,
};
use crate::{
    content::{DigestHasher, Entry, Metadata, RelPath, Tree},
    image::verity::Superblock,
    plan::layout::BLOCK,
};

/// The files of a root together have no more bytes than this: a few blocks can say that they are exabytes of zeros.
const MAX_FILE_BYTES: u64 = 16 << 30;
/// What the root says of the image it is in: the files that are looked into.
const KEPT: [&str; 2] = [well_known::OS_RELEASE, well_known::BOOT_RECORD];
/// A larger one is not looked into.
const MAX_KEPT_BYTES: u64 = 1 << 20;
/// What every PEM private key has.
const KEY_HEADS: [&[u8]; 2] = [b"PRIVATE KEY-----\n", b"PRIVATE KEY-----\r"];
/// What stands before the kind of a PEM key, and how far before.
const KEY_BEGIN: &[u8] = b"-----BEGIN ";
const KEY_BEGIN_DISTANCE: usize = 32;
/// What the names of libraries begin with that hold keys which everybody has: those of their own tests (GnuTLS tests itself
/// when it is loaded, `lib/crypto-selftests-pk.c`).
const KEYS_OF_TESTS: [&str; 1] = ["libgnutls.so."];

/// The files of [`KEPT`] that are there.
pub(super) type Kept = BTreeMap<&'static str, Vec<u8>>;

/// A path that was read: what stands there, and what is wrong with it.
struct Found {
    path: RelPath,
    entry: Entry,
    metadata: Metadata,
    problem: Option<String>,
    kept: Option<(&'static str, Vec<u8>)>,
}

impl Inspection<'_> {
    /// Reads every path of the root and compares it with the manifest's; gives what the root says of its image.
    pub(super) fn files(&mut self, root: &Partition, superblock: &Superblock, boot: Option<&Boot>) -> Kept {
        let size = superblock.data_blocks.saturating_mul(BLOCK).min(root.size());
        let mut problems = Vec::new();
        let read = read_tree(Stretch { file: self.image, start: root.start, size }, &mut problems);
        let mut kept = Kept::new();
        match read {
            Err(problem) => problems.push(format!("it cannot be read back: {problem}")),
            Ok((tree, files)) => {
                kept = files;
                self.figures.paths = tree.len() as u64;
                self.figures.file_bytes = tree.file_bytes();
                if tree.metadata(&RelPath::ROOT) != Some(Metadata::with_mode(0o755)) {
                    problems.push("`/` is not 0755 and root's".to_owned());
                }
                if boot.is_some_and(|boot| Some(&boot.os_release) != kept.get(well_known::OS_RELEASE)) {
                    problems.push("`/usr/lib/os-release` is not what the kernel image has in `.osrel`".to_owned());
                }
                if let Some(manifest) = &self.expected.manifest {
                    compare(&tree, &manifest.root, &mut problems);
                }
            }
        }
        let finding = |problem| Finding { part: Part::Files, offset: None, block: None, problem };
        self.findings.extend(problems.into_iter().map(finding));
        kept
    }
}

/// The tree in an EROFS image, and what is kept of it.
fn read_tree(image: Stretch<'_>, problems: &mut Vec<String>) -> Result<(Tree, Kept), String> {
    let mut file_system = FileSystem::open(image)?;
    let inodes = std::mem::take(&mut file_system.inodes);
    let sizes = inodes.iter().filter(|(_, inode)| inode.is_file()).map(|(_, inode)| inode.data_size());
    if sizes.fold(0, u64::saturating_add) > MAX_FILE_BYTES {
        return Err("its files have more than 16 GiB".to_owned());
    }
    let read = |(path, inode)| read_path(&file_system, path, inode);
    let found: Result<Vec<Found>, String> = inodes.into_par_iter().map(read).collect();
    let (mut tree, mut kept) = (Tree::new(), Kept::new());
    for found in found? {
        problems.extend(found.problem);
        kept.extend(found.kept);
        let inserted = tree.insert_with(found.path, found.entry, found.metadata);
        inserted.map_err(|error| error.to_string())?;
    }
    Ok((tree, kept))
}

fn read_path(file_system: &FileSystem<'_>, path: RelPath, inode: Inode) -> Result<Found, String> {
    let told = |error: String| format!("`{path}`: {error}");
    let mode = (inode.permissions().mode() & 0o7777) as u16;
    let mut metadata = Metadata { mode, uid: inode.uid(), gid: inode.gid(), xattrs: Default::default() };
    for (name, value) in file_system.attributes(inode).map_err(told)? {
        metadata.xattrs.insert(String::from_utf8_lossy(&name).into_owned(), value);
    }
    let (mut problem, mut kept) = (None, None);
    let entry = if inode.is_dir() {
        Entry::Directory
    } else if inode.is_symlink() {
        Entry::Symlink { target: file_system.link(inode).map_err(told)? }
    } else if inode.is_file() {
        let size = inode.data_size();
        let name = KEPT.into_iter().find(|name| path.as_str() == *name && size <= MAX_KEPT_BYTES);
        let (mut hasher, mut keys, mut bytes) = (DigestHasher::default(), KeySearch::default(), Vec::new());
        file_system
            .read(inode, |piece| {
                hasher.update(piece);
                keys.look(piece);
                bytes.extend_from_slice(if name.is_some() { piece } else { &[] });
            })
            .map_err(told)?;
        problem = secret(&path, size, &keys);
        kept = name.map(|name| (name, bytes));
        Entry::File { blob: hasher.finish(), size, executable: mode & 0o111 != 0 }
    } else {
        return Err(format!("`{path}` is no file, folder or link"));
    };
    Ok(Found { path, entry, metadata, problem, kept })
}

/// Looks for a private key in a file that comes in pieces.
#[derive(Default)]
struct KeySearch {
    /// The end of what was looked at, in which a key may begin.
    end: Vec<u8>,
    found: bool,
}

impl KeySearch {
    fn look(&mut self, piece: &[u8]) {
        self.end.extend_from_slice(piece);
        let bytes = &self.end;
        let begins = |at: usize| memmem::find(&bytes[at.saturating_sub(KEY_BEGIN_DISTANCE)..at], KEY_BEGIN).is_some();
        self.found |= KEY_HEADS.iter().any(|head| memmem::find_iter(bytes, head).any(begins));
        let keep = KEY_BEGIN_DISTANCE + KEY_HEADS[0].len();
        self.end.drain(..self.end.len().saturating_sub(keep));
    }
}

/// What of a file must not be published.
fn secret(path: &RelPath, size: u64, keys: &KeySearch) -> Option<String> {
    let of_tests =
        path.as_str().starts_with("usr/lib/") && KEYS_OF_TESTS.iter().any(|start| path.name().starts_with(start));
    if keys.found && !of_tests {
        return Some(format!("`{path}` holds a private key"));
    }
    match path.as_str() {
        "etc/machine-id" if size > 0 => Some(format!("`{path}` is not empty: every machine would have this id")),
        "var/lib/systemd/random-seed" => Some(format!("`{path}` is there: every machine would have this seed")),
        _ => None,
    }
}

/// What differs between the image's tree and the manifest's.
fn compare(found: &Tree, expected: &Tree, problems: &mut Vec<String>) {
    let root = (&RelPath::ROOT, &Entry::Directory);
    for (path, entry) in std::iter::once(root).chain(expected.entries()) {
        match found.entry(path) {
            None => problems.push(format!("`{path}` of the manifest is not there")),
            Some(there) if there != entry => problems.push(format!("`{path}` is not what the manifest says")),
            Some(_) if found.metadata(path) != expected.metadata(path) => {
                let (found, expected) = (found.metadata(path), expected.metadata(path));
                problems.push(format!("`{path}` has {}, the manifest says {}", shown(found), shown(expected)));
            }
            Some(_) => {}
        }
    }
    let more = found.entries().filter(|(path, _)| expected.entry(path).is_none());
    problems.extend(more.map(|(path, _)| format!("`{path}` is not in the manifest")));
}

fn shown(metadata: Option<Metadata>) -> String {
    let Some(metadata) = metadata else { return String::new() };
    let attributes: Vec<String> = metadata
        .xattrs
        .iter()
        .map(|(name, value)| format!(" {name}={}", value.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
        .collect();
    format!("{:04o} {}:{}{}", metadata.mode, metadata.uid, metadata.gid, attributes.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_found_wherever_a_piece_ends_in_it() {
        let key = b"x\n-----BEGIN RSA PRIVATE KEY-----\nMIIB";
        let search = |pieces: &[&[u8]]| {
            let mut keys = KeySearch::default();
            pieces.iter().for_each(|piece| keys.look(piece));
            keys.found
        };
        let before = [b'y'; 4096];
        for at in 0..key.len() {
            let (head, tail) = key.split_at(at);
            assert!(search(&[&before, head, tail, &before]), "{at}");
        }
        assert!(search(&key.iter().map(std::slice::from_ref).collect::<Vec<_>>()));
        assert!(!search(&[b"-----BEGIN PUBLIC KEY-----\n", &before, b"PRIVATE KEY-----\n"]));
    }

    #[test]
    fn a_library_may_hold_the_keys_of_its_own_tests() {
        let mut keys = KeySearch::default();
        keys.look(b"-----BEGIN RSA PRIVATE KEY-----\nMIIB");
        for (path, is_secret) in [
            ("usr/lib/x86_64-linux-gnu/libgnutls.so.30.40.3", false),
            ("usr/lib/x86_64-linux-gnu/libssl.so.3", true),
            ("etc/libgnutls.so.30", true),
            ("usr/lib/libgnutls.so.30/key", true),
        ] {
            assert_eq!(secret(&RelPath::new(path).unwrap(), 1, &keys).is_some(), is_secret, "{path}");
        }
    }
}
