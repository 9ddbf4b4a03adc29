//! The canonical bytes of a tree, version 1.
//!
//! A tree is three kinds of objects, each named by the BLAKE3 digest of its bytes:
//!
//! - *tree*: `brc-tree 1\n`, the 32-byte digest of the root directory, the 32-byte digest of the metadata;
//! - *directory*: `brc-directory 1\n`, then per entry, sorted bytewise by name: one kind byte (`f` file, `x`
//!   executable file, `d` directory, `l` link), the name (u32 length, bytes), then for files the digest and a
//!   u64 size, for directories the digest of the directory object, for links the target (u32 length, bytes);
//! - *metadata*: `brc-metadata 1\n`, then per path that is not plain, sorted bytewise: the path (u32 length,
//!   bytes), u16 mode, u32 uid, u32 gid, u32 number of attributes, each as name and value (u32 length, bytes).
//!
//! All numbers are little-endian.

use std::collections::BTreeMap;

use super::{Digest, Entry, Metadata, RelPath, Tree, TreeError};

const TREE: &[u8] = b"brc-tree 1\n";
const DIRECTORY: &[u8] = b"brc-directory 1\n";
const METADATA: &[u8] = b"brc-metadata 1\n";

/// A tree as the objects that are stored: its own digest and every object it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedTree {
    /// The digest of the tree object.
    pub digest: Digest,
    /// Every object by digest: directories, metadata, and the tree object itself.
    pub objects: BTreeMap<Digest, Vec<u8>>,
}

/// Stored bytes are not a tree.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError<E> {
    /// An object could not be had.
    #[error("object `{digest}` of a tree cannot be read")]
    Load { digest: Digest, source: E },
    /// An object is there, but is not what it should be.
    #[error("object `{digest}` is not a {expected}: {reason}")]
    Malformed { digest: Digest, expected: &'static str, reason: &'static str },
}

impl Tree {
    /// The tree's canonical objects.
    pub fn encode(&self) -> EncodedTree {
        let mut objects = BTreeMap::new();
        let mut folders: BTreeMap<RelPath, Vec<(&str, &RelPath, &Entry)>> = BTreeMap::new();
        folders.insert(RelPath::ROOT, Vec::new());
        for (path, entry) in self.entries() {
            if *entry == Entry::Directory {
                folders.entry(path.clone()).or_default();
            }
            let parent = path.parent().unwrap_or_default();
            folders.entry(parent).or_default().push((path.name(), path, entry));
        }
        // Deepest first, so that a folder's digest is known before its parent is written.
        let mut digests: BTreeMap<RelPath, Digest> = BTreeMap::new();
        for (folder, mut entries) in folders.into_iter().rev() {
            entries.sort_by_key(|(name, ..)| *name);
            let bytes = encode_directory(&entries, &digests);
            let digest = Digest::of(&bytes);
            objects.insert(digest, bytes);
            digests.insert(folder, digest);
        }
        let metadata = encode_metadata(self);
        let metadata_digest = Digest::of(&metadata);
        objects.insert(metadata_digest, metadata);
        let mut tree = TREE.to_vec();
        tree.extend(digests[&RelPath::ROOT].as_bytes());
        tree.extend(metadata_digest.as_bytes());
        let digest = Digest::of(&tree);
        objects.insert(digest, tree);
        EncodedTree { digest, objects }
    }

    /// The digest that names this tree.
    pub fn digest(&self) -> Digest {
        self.encode().digest
    }

    /// Reads a tree back; `load` gives the bytes of an object, whose digest it has checked.
    ///
    /// # Errors
    /// An object that cannot be loaded, or that [`Tree::encode`] would have written otherwise. A folder may be named
    /// many times, so a few small objects can stand for any number of entries: the tree's limits end that.
    pub fn decode<E>(
        digest: Digest,
        mut load: impl FnMut(Digest) -> Result<Vec<u8>, E>,
    ) -> Result<Tree, DecodeError<E>> {
        let (root, metadata) = Tree::decode_parts(digest, &mut load)?;
        let mut tree = Tree::new();
        let mut waiting = vec![(RelPath::ROOT, root)];
        while let Some((folder, digest)) = waiting.pop() {
            let malformed = |reason| DecodeError::Malformed { digest, expected: "directory", reason };
            let bytes = load(digest).map_err(|source| DecodeError::Load { digest, source })?;
            for (name, item) in decode_directory(&bytes).map_err(malformed)? {
                let path = folder.join(&name);
                let entry = match item {
                    Item::Entry(entry) => entry,
                    Item::Folder(digest) => {
                        waiting.push((path.clone(), digest));
                        Entry::Directory
                    }
                };
                tree.insert(path, entry).map_err(|error| malformed(misfit(&error)))?;
            }
        }
        let malformed = |reason| DecodeError::Malformed { digest: metadata, expected: "list of metadata", reason };
        let bytes = load(metadata).map_err(|source| DecodeError::Load { digest: metadata, source })?;
        for (path, data) in decode_metadata(&bytes).map_err(malformed)? {
            let entry = tree.entry(&path).ok_or_else(|| malformed("it names a path that is not in the tree"))?;
            if data == entry.plain_metadata() {
                return Err(malformed("it has metadata that is plain"));
            }
            if matches!(entry, Entry::File { executable, .. } if *executable != (data.mode & 0o111 != 0)) {
                return Err(malformed("a mode does not agree with its entry"));
            }
            tree.set_metadata(path, data);
        }
        Ok(tree)
    }

    /// The digests of the root directory and of the metadata that a tree object names.
    fn decode_parts<E>(
        digest: Digest,
        load: &mut impl FnMut(Digest) -> Result<Vec<u8>, E>,
    ) -> Result<(Digest, Digest), DecodeError<E>> {
        let malformed = |reason| DecodeError::Malformed { digest, expected: "tree", reason };
        let bytes = load(digest).map_err(|source| DecodeError::Load { digest, source })?;
        let mut reader = Reader::new(&bytes, TREE).map_err(malformed)?;
        let parts = (reader.digest().map_err(malformed)?, reader.digest().map_err(malformed)?);
        if reader.rest.is_empty() { Ok(parts) } else { Err(malformed("bytes follow its end")) }
    }
}

/// Why an entry that was read does not fit into its tree.
fn misfit(error: &TreeError) -> &'static str {
    match error {
        TreeError::ParentIsNoDirectory { .. } | TreeError::Taken { .. } => "an entry does not fit",
        TreeError::TooDeep { .. } => "folders are nested too deeply",
        TreeError::TooLong { .. } => "a path is too long",
        TreeError::TooMany => "the tree has too many entries",
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text);
}

fn encode_directory(entries: &[(&str, &RelPath, &Entry)], digests: &BTreeMap<RelPath, Digest>) -> Vec<u8> {
    let mut bytes = DIRECTORY.to_vec();
    for (name, path, entry) in entries {
        let kind = match entry {
            Entry::File { executable: false, .. } => b'f',
            Entry::File { executable: true, .. } => b'x',
            Entry::Directory => b'd',
            Entry::Symlink { .. } => b'l',
        };
        bytes.push(kind);
        put_text(&mut bytes, name.as_bytes());
        match entry {
            Entry::File { blob, size, .. } => {
                bytes.extend(blob.as_bytes());
                bytes.extend(size.to_le_bytes());
            }
            Entry::Directory => bytes.extend(digests[*path].as_bytes()),
            Entry::Symlink { target } => put_text(&mut bytes, target.as_bytes()),
        }
    }
    bytes
}

fn encode_metadata(tree: &Tree) -> Vec<u8> {
    let mut bytes = METADATA.to_vec();
    for (path, data) in tree.special_metadata() {
        put_text(&mut bytes, path.as_str().as_bytes());
        bytes.extend(data.mode.to_le_bytes());
        bytes.extend(data.uid.to_le_bytes());
        bytes.extend(data.gid.to_le_bytes());
        bytes.extend((data.xattrs.len() as u32).to_le_bytes());
        for (name, value) in &data.xattrs {
            put_text(&mut bytes, name.as_bytes());
            put_text(&mut bytes, value);
        }
    }
    bytes
}

enum Item {
    Entry(Entry),
    Folder(Digest),
}

fn decode_directory(bytes: &[u8]) -> Result<Vec<(RelPath, Item)>, &'static str> {
    let mut reader = Reader::new(bytes, DIRECTORY)?;
    let mut items: Vec<(RelPath, Item)> = Vec::new();
    while !reader.rest.is_empty() {
        let kind = reader.byte()?;
        let name = reader.path()?;
        if name.is_root() || name.as_str().contains('/') {
            return Err("a name is empty or has a `/`");
        }
        if items.last().is_some_and(|(last, _)| *last >= name) {
            return Err("its names are not sorted");
        }
        let item = match kind {
            b'f' | b'x' => {
                let (blob, size) = (reader.digest()?, reader.number()?);
                Item::Entry(Entry::File { blob, size, executable: kind == b'x' })
            }
            b'd' => Item::Folder(reader.digest()?),
            b'l' => Item::Entry(Entry::Symlink { target: reader.text()? }),
            _ => return Err("it has an entry of an unknown kind"),
        };
        items.push((name, item));
    }
    Ok(items)
}

fn decode_metadata(bytes: &[u8]) -> Result<Vec<(RelPath, Metadata)>, &'static str> {
    let mut reader = Reader::new(bytes, METADATA)?;
    let mut list: Vec<(RelPath, Metadata)> = Vec::new();
    while !reader.rest.is_empty() {
        let path = reader.path()?;
        if list.last().is_some_and(|(last, _)| *last >= path) {
            return Err("its paths are not sorted");
        }
        let mode = u16::from_le_bytes(reader.array()?);
        if mode > 0o7777 {
            return Err("a mode has more than 12 bits");
        }
        let (uid, gid) = (reader.length()?, reader.length()?);
        let mut xattrs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for _ in 0..reader.length()? {
            let name = reader.text()?;
            if xattrs.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err("its attributes are not sorted");
            }
            let length = reader.length()? as usize;
            xattrs.insert(name, reader.take(length)?.to_vec());
        }
        list.push((path, Metadata { mode, uid, gid, xattrs }));
    }
    Ok(list)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], magic: &[u8]) -> Result<Self, &'static str> {
        bytes.strip_prefix(magic).map(|rest| Reader { rest }).ok_or("its first line is another one")
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        self.take(N)?.try_into().map_err(|_| "it ends too early")
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        Ok(self.array::<1>()?[0])
    }

    fn length(&mut self) -> Result<u32, &'static str> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn digest(&mut self) -> Result<Digest, &'static str> {
        Ok(Digest::from_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, &'static str> {
        let length = self.length()? as usize;
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| "a text is not UTF-8")
    }

    fn path(&mut self) -> Result<RelPath, &'static str> {
        RelPath::new(&self.text()?).map_err(|_| "a path leaves its root")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::new();
        let path = |text: &str| RelPath::new(text).unwrap();
        let file = |text: &str, executable| Entry::File {
            blob: Digest::of(text.as_bytes()),
            size: text.len() as u64,
            executable,
        };
        tree.insert(path("usr/bin/true"), file("true", true)).unwrap();
        tree.insert(path("usr/bin-x"), file("x", false)).unwrap();
        tree.insert(path("bin"), Entry::Symlink { target: "usr/bin".into() }).unwrap();
        let mut capable = Metadata::with_mode(0o4755);
        capable.gid = 42;
        capable.xattrs.insert("security.capability".into(), vec![1, 0, 0, 2]);
        tree.insert_with(path("usr/bin/ping"), file("ping", true), capable).unwrap();
        tree.insert_with(path("tmp"), Entry::Directory, Metadata::with_mode(0o1777)).unwrap();
        tree
    }

    #[test]
    fn a_tree_is_read_back_as_written() {
        let tree = sample();
        let encoded = tree.encode();
        let load = |digest: Digest| encoded.objects.get(&digest).cloned().ok_or(());
        assert_eq!(Tree::decode(encoded.digest, load).unwrap(), tree);
    }

    #[test]
    fn the_digest_of_a_known_tree_does_not_change() {
        // A change here is a change of the store's format: it needs a new version in `TREE`.
        assert_eq!(sample().digest().short(), "437fa44201e7");
    }

    #[test]
    fn a_damaged_object_is_refused() {
        let encoded = sample().encode();
        for (digest, bytes) in &encoded.objects {
            let load = |wanted: Digest| -> Result<Vec<u8>, ()> {
                let bytes = if wanted == *digest { &bytes[..bytes.len() - 1] } else { &encoded.objects[&wanted] };
                Ok(bytes.to_vec())
            };
            assert!(Tree::decode(encoded.digest, load).is_err());
        }
    }

    #[test]
    fn bytes_that_no_tree_encodes_to_are_refused() {
        let attributes = |names: &[&str]| {
            let mut bytes = METADATA.to_vec();
            put_text(&mut bytes, b"");
            bytes.extend([0o755_u16.to_le_bytes()].concat());
            bytes.extend([[0; 4], [0; 4], (names.len() as u32).to_le_bytes()].concat());
            for name in names {
                put_text(&mut bytes, name.as_bytes());
                put_text(&mut bytes, b"");
            }
            bytes
        };
        assert!(decode_metadata(&attributes(&["a", "b"])).is_ok());
        assert!(decode_metadata(&attributes(&["b", "a"])).is_err());
        assert!(decode_metadata(&attributes(&["a", "a"])).is_err());
        let plain = attributes(&[]);
        let wide: Vec<u8> = [&plain[..METADATA.len() + 4], &[0, 0x10], &plain[METADATA.len() + 6..]].concat();
        assert!(decode_metadata(&wide).is_err());
        let directory = DIRECTORY.to_vec();
        let mut tree = TREE.to_vec();
        tree.extend(Digest::of(&directory).as_bytes());
        tree.extend(Digest::of(&plain).as_bytes());
        let objects = BTreeMap::from([&directory, &plain, &tree].map(|bytes| (Digest::of(bytes), bytes.clone())));
        let load = |digest: Digest| objects.get(&digest).cloned().ok_or(());
        assert!(
            matches!(Tree::decode(Digest::of(&tree), load), Err(DecodeError::Malformed { reason, .. }) if reason.contains("plain"))
        );
    }

    #[test]
    fn a_few_objects_cannot_stand_for_endless_entries() {
        let mut objects = BTreeMap::new();
        let mut store = |bytes: Vec<u8>| {
            let digest = Digest::of(&bytes);
            objects.insert(digest, bytes);
            digest
        };
        let mut folder = store(DIRECTORY.to_vec());
        for _ in 0..64 {
            let mut bytes = DIRECTORY.to_vec();
            for name in [b"a", b"b"] {
                bytes.push(b'd');
                put_text(&mut bytes, name);
                bytes.extend(folder.as_bytes());
            }
            folder = store(bytes);
        }
        let metadata = store(METADATA.to_vec());
        let tree = store([TREE, folder.as_bytes(), metadata.as_bytes()].concat());
        let load = |digest: Digest| objects.get(&digest).cloned().ok_or(());
        assert!(matches!(Tree::decode(tree, load), Err(DecodeError::Malformed { .. })));
    }
}
