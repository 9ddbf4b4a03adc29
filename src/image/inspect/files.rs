//! The root file system, read back: owners, modes, attributes, content, and nothing that must not be published.

use std::{
    io::{self, Read},
    os::unix::fs::PermissionsExt,
};

use erofs_rs::{EroFS, backend::SliceImage, types::Inode};
use memchr::memmem;
use rayon::prelude::*;

use super::{
    Inspection,
    boot::Boot,
    report::{Finding, Part},
    table::Partition,
};
use crate::{
    content::{Digest, Entry, Metadata, RelPath, Tree},
    image::{extent, verity::Superblock},
    plan::layout::BLOCK,
};

/// A file system of more bytes is not read into memory.
const MAX_BYTES: u64 = 4 << 30;
/// More files than any root has are not read.
const MAX_PATHS: usize = 2_000_000;
/// A larger file is not read.
const MAX_FILE: u64 = 4 << 30;
/// What every PEM private key has.
const KEY_HEADS: [&[u8]; 2] = [b"PRIVATE KEY-----\n", b"PRIVATE KEY-----\r"];

type Image<'a> = EroFS<SliceImage<'a>>;

/// A path that was read: what stands there, and what is wrong with it.
struct Found {
    path: RelPath,
    entry: Entry,
    metadata: Metadata,
    problems: Vec<String>,
    bytes: Vec<u8>,
}

impl Inspection<'_> {
    /// Reads every path of the root and compares it with the manifest's.
    pub(super) fn files(&mut self, root: &Partition, superblock: &Superblock, boot: Option<&Boot>) -> io::Result<()> {
        let size = superblock.data_blocks.saturating_mul(BLOCK);
        if size > root.size().min(MAX_BYTES) {
            self.findings.add(Part::Files, format!("it has {size} bytes, too many to read back"));
            return Ok(());
        }
        let mut bytes = vec![0; size as usize];
        extent::read(self.image, &mut bytes, root.start)?;
        let mut problems = Vec::new();
        match read_tree(&bytes, &mut problems) {
            Err(problem) => problems.push(format!("it cannot be read back: {problem}")),
            Ok((tree, os_release)) => {
                self.figures.paths = tree.len() as u64;
                self.figures.file_bytes = tree.file_bytes();
                let metadata = tree.metadata(&RelPath::ROOT);
                if metadata != Some(Metadata::with_mode(0o755)) {
                    problems.push("`/` is not 0755 and root's".to_owned());
                }
                if boot.is_some_and(|boot| Some(&boot.os_release) != os_release.as_ref()) {
                    problems.push("`/usr/lib/os-release` is not what the kernel image has in `.osrel`".to_owned());
                }
                if let Some(expected) = self.expected {
                    compare(&tree, &expected.root, &mut problems);
                }
            }
        }
        let finding = |problem| Finding { part: Part::Files, offset: None, block: None, problem };
        self.findings.extend(problems.into_iter().map(finding));
        Ok(())
    }
}

/// The tree in an EROFS image, and the bytes of its `os-release`.
fn read_tree(bytes: &[u8], problems: &mut Vec<String>) -> Result<(Tree, Option<Vec<u8>>), String> {
    let told = |error: erofs_rs::Error| error.to_string();
    let image: Image<'_> = EroFS::new(SliceImage::new(bytes)).map_err(told)?;
    let root = image.get_inode(image.super_block().root_inode_id()).map_err(told)?;
    let mut inodes = vec![(RelPath::ROOT, root)];
    for entry in image.walk_dir("/").map_err(told)? {
        let entry = entry.map_err(told)?;
        let path = entry.dir_entry.path().to_string_lossy().into_owned();
        let path = RelPath::from_archive(&path).map_err(|error| error.to_string())?;
        if inodes.len() > MAX_PATHS {
            return Err("it has more than two million paths".to_owned());
        }
        inodes.push((path, entry.inode));
    }
    let found: Result<Vec<Found>, String> =
        inodes.into_par_iter().map(|(path, inode)| read_path(&image, path, inode)).collect();
    let mut tree = Tree::new();
    let mut os_release = None;
    for found in found? {
        problems.extend(found.problems);
        if found.path.as_str() == brc_contract::well_known::OS_RELEASE {
            os_release = Some(found.bytes);
        }
        let inserted = tree.insert_with(found.path, found.entry, found.metadata);
        inserted.map_err(|error| error.to_string())?;
    }
    Ok((tree, os_release))
}

fn read_path(image: &Image<'_>, path: RelPath, inode: Inode) -> Result<Found, String> {
    let told = |error: erofs_rs::Error| format!("`{path}`: {error}");
    let mode = (inode.permissions().mode() & 0o7777) as u16;
    let mut metadata = Metadata { mode, uid: inode.uid(), gid: inode.gid(), xattrs: Default::default() };
    for (name, value) in image.xattrs_inode(inode).map_err(told)? {
        metadata.xattrs.insert(String::from_utf8_lossy(&name).into_owned(), value);
    }
    let (mut problems, mut bytes) = (Vec::new(), Vec::new());
    let entry = if inode.is_dir() {
        Entry::Directory
    } else if inode.is_symlink() {
        let target = image.read_link_inode(inode).map_err(told)?;
        Entry::Symlink { target: target.to_string_lossy().into_owned() }
    } else if inode.is_file() && inode.data_size() <= MAX_FILE {
        let file = image.open_inode_file(inode).map_err(told)?;
        file.take(inode.data_size()).read_to_end(&mut bytes).map_err(|error| format!("`{path}`: {error}"))?;
        problems.extend(secret(&path, &bytes));
        Entry::File { blob: Digest::of(&bytes), size: bytes.len() as u64, executable: mode & 0o111 != 0 }
    } else {
        return Err(format!("`{path}` is no file, folder or link, or larger than 4 GiB"));
    };
    if path.as_str() != brc_contract::well_known::OS_RELEASE {
        bytes = Vec::new();
    }
    Ok(Found { path, entry, metadata, problems, bytes })
}

/// What of a file must not be published.
fn secret(path: &RelPath, bytes: &[u8]) -> Option<String> {
    let has_key = KEY_HEADS.iter().any(|head| {
        memmem::find_iter(bytes, head)
            .any(|at| bytes[at.saturating_sub(32)..at].windows(11).any(|a| a == b"-----BEGIN "))
    });
    if has_key {
        return Some(format!("`{path}` holds a private key"));
    }
    match path.as_str() {
        "etc/machine-id" if !bytes.is_empty() => {
            Some(format!("`{path}` is not empty: every machine would have this id"))
        }
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
