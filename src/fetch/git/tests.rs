//! Packs as strangers make them.

use std::{collections::BTreeMap, io::Write as _, sync::atomic::AtomicBool};

use flate2::{Compression, write::ZlibEncoder};

use super::*;
use crate::{content::Entry, store::Store};

/// A pack that is put together entry by entry.
#[derive(Default)]
struct Pack {
    entries: Vec<Vec<u8>>,
}

impl Pack {
    /// Adds an entry with whatever size it states.
    fn raw(&mut self, kind: u8, stated: usize, before: &[u8], bytes: &[u8]) {
        let mut entry = vec![(kind << 4) | (stated & 0x0f) as u8];
        let mut rest = stated >> 4;
        while rest > 0 {
            *entry.last_mut().unwrap() |= 0x80;
            entry.push((rest & 0x7f) as u8);
            rest >>= 7;
        }
        entry.extend_from_slice(before);
        let mut encoder = ZlibEncoder::new(&mut entry, Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap();
        self.entries.push(entry);
    }

    fn object(&mut self, kind: u8, bytes: &[u8]) -> ObjectName {
        self.raw(kind, bytes.len(), b"", bytes);
        let kind = ["", "commit", "tree", "blob", "tag"][usize::from(kind)];
        ObjectName::of(kind, bytes).unwrap()
    }

    fn blob(&mut self, text: &str) -> ObjectName {
        self.object(3, text.as_bytes())
    }

    fn tree(&mut self, entries: &[(&str, &str, ObjectName)]) -> ObjectName {
        self.object(2, &tree_bytes(entries))
    }

    fn commit(&mut self, tree: ObjectName) -> ObjectName {
        self.object(1, format!("tree {tree}\nauthor a <a> 0 +0000\n\nx\n").as_bytes())
    }

    fn delta(&mut self, base: ObjectName, delta: &[u8]) {
        self.raw(7, delta.len(), &bytes_of(base), delta);
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"PACK\0\0\0\x02".to_vec();
        bytes.extend((self.entries.len() as u32).to_be_bytes());
        bytes.extend(self.entries.concat());
        let sum = ObjectName::of_bytes(&bytes).unwrap();
        bytes.extend(bytes_of(sum));
        bytes
    }
}

fn bytes_of(name: ObjectName) -> Vec<u8> {
    let text = name.to_string();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn tree_bytes(entries: &[(&str, &str, ObjectName)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mode, name, object) in entries {
        bytes.extend(format!("{mode} {name}\0").into_bytes());
        bytes.extend(bytes_of(*object));
    }
    bytes
}

fn read_with(bytes: &[u8], commit: ObjectName, limits: &GitLimits) -> Result<Tree, GitFormatError> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    read_git_pack(bytes, commit, &store, limits, &AtomicBool::new(false))
}

fn read(pack: &Pack, commit: ObjectName) -> Result<Tree, GitFormatError> {
    read_with(&pack.bytes(), commit, &GitLimits::default())
}

fn refused(pack: &Pack, commit: ObjectName) -> String {
    read(pack, commit).unwrap_err().to_string()
}

/// A delta of these orders for a base of one size that makes another.
fn delta(base: u8, made: u8, orders: &[u8]) -> Vec<u8> {
    [&[base, made][..], orders].concat()
}

#[test]
fn the_files_of_a_commit_are_a_tree_with_links_and_what_may_be_executed() {
    let mut pack = Pack::default();
    // The delta comes before its base, and the base is a delta itself.
    let (one, two, three) = ("one two", "two one two", "two");
    let names: BTreeMap<&str, ObjectName> =
        [one, two, three].map(|text| (text, ObjectName::of("blob", text.as_bytes()).unwrap())).into();
    pack.delta(names[two], &delta(11, 3, &[0x90, 3]));
    pack.delta(names[one], &delta(7, 11, &[0x91, 4, 3, 1, b' ', 0x90, 7]));
    pack.blob(one);
    let target = pack.blob("a/b");
    let inner = pack.tree(&[("100644", "b", names[one]), ("100755", "c", names[three])]);
    let root = pack.tree(&[("40000", "a", inner), ("100664", "d", names[two]), ("120000", "l", target)]);
    let commit = pack.commit(root);
    let tree = read(&pack, commit).unwrap();
    let shown: Vec<String> = tree
        .entries()
        .map(|(path, entry)| match entry {
            Entry::Directory => format!("{path}/"),
            Entry::Symlink { target } => format!("{path} -> {target}"),
            Entry::File { blob, size, executable } => {
                let text =
                    [one, two, three].into_iter().find(|text| crate::content::Digest::of(text.as_bytes()) == *blob);
                format!("{path} {} {size}{}", text.unwrap(), if *executable { " x" } else { "" })
            }
        })
        .collect();
    assert_eq!(shown, ["/a/", "/a/b one two 7", "/a/c two 3 x", "/d two one two 11", "/l -> a/b"]);
}

#[test]
fn a_tree_that_leads_anywhere_else_is_refused() {
    for (entries, expected) in [
        (&[("100644", "..")][..], "has an entry called `..`"),
        (&[("100644", ".")], "has an entry called `.`"),
        (&[("100644", "")], "has an entry called ``"),
        (&[("100644", "a/b")], "has an entry called `a/b`"),
        (&[("100644", "/etc")], "has an entry called `/etc`"),
        (&[("40000", ".git")], "has an entry called `.git`"),
        (&[("100644", ".GiT")], "has an entry called `.GiT`"),
        (&[("100644", "a"), ("100644", "a")], "has `a` twice"),
        (&[("120000", "a"), ("40000", "a")], "has `a` twice"),
        (&[("160000", "sub")], "`/sub` is refused: it is a submodule"),
        (&[("100600", "a")], "its mode is 100600"),
        (&[("20000", "a")], "its mode is 20000"),
        (&[("1234567", "a")], "an entry without a mode"),
        (&[("x", "a")], "an entry without a mode"),
        (&[("120000", "a")], "a link to what is no path"),
        (&[("40000", "a")], "is a blob, expected a tree"),
    ] {
        let mut pack = Pack::default();
        let blob = pack.blob("with a \0 in it");
        let entries: Vec<_> = entries.iter().map(|(mode, name)| (*mode, *name, blob)).collect();
        let root = pack.tree(&entries);
        let commit = pack.commit(root);
        let told = refused(&pack, commit);
        assert!(told.contains(expected), "{entries:?}: {told}");
    }
}

#[test]
fn an_object_counts_only_under_the_name_that_its_bytes_have() {
    let mut pack = Pack::default();
    let blob = pack.blob("good");
    let root = pack.tree(&[("100644", "a", blob)]);
    let commit = pack.commit(root);
    assert!(read(&pack, commit).is_ok());
    // Another blob in its place, with a checksum that is right.
    pack.entries.remove(0);
    pack.blob("evil");
    assert!(refused(&pack, commit).contains("the blob `") && refused(&pack, commit).contains("is not in the pack"));
    let other = ObjectName::of("commit", b"x").unwrap();
    assert!(refused(&pack, other).contains("the commit `"));
    // A commit without a tree, and what is no commit.
    let odd = pack.object(1, b"parent x\n");
    assert!(refused(&pack, odd).contains("does not begin with its tree"));
    assert!(refused(&pack, root).contains("is a tree, expected a commit"));
}

#[test]
fn deltas_take_no_byte_that_is_not_there() {
    let base = ObjectName::of("blob", b"0123456789").unwrap();
    for (bytes, expected) in [
        (delta(10, 5, &[0x91, 6, 5]), "takes bytes that its base does not have"),
        (delta(10, 5, &[0x9f, 255, 255, 255, 255, 5]), "takes bytes that its base does not have"),
        (delta(10, 5, &[0x80]), "takes bytes that its base does not have"),
        (delta(9, 5, &[0x90, 5]), "for a base of another size"),
        (delta(10, 4, &[0x90, 5]), "makes more than it states"),
        (delta(10, 6, &[0x90, 5]), "makes less than it states"),
        (delta(10, 5, &[0]), "has an order that there is not"),
        (delta(10, 5, &[5, b'a']), "ends too early"),
        (delta(10, 5, &[0x91]), "ends too early"),
        (vec![10], "ends too early"),
        (vec![], "ends too early"),
        (vec![0xff; 20], "bytes when it is unpacked"),
        // It states that it makes 2^55 bytes.
        ([&[10][..], &[0x80; 7], &[0x40], &[0x90, 5]].concat(), "bytes when it is unpacked"),
    ] {
        let mut pack = Pack::default();
        pack.blob("0123456789");
        pack.delta(base, &bytes);
        let told = refused(&pack, base);
        assert!(told.contains(expected), "{bytes:?}: {told}");
    }
    // Two that wait for each other, and one that waits for nobody.
    let mut pack = Pack::default();
    let (one, two) = (ObjectName::of("blob", b"1").unwrap(), ObjectName::of("blob", b"2").unwrap());
    pack.delta(one, &delta(1, 1, &[1, b'2']));
    pack.delta(two, &delta(1, 1, &[1, b'1']));
    assert!(refused(&pack, one).contains("which is not in the pack"));
    let mut pack = Pack::default();
    pack.raw(6, 1, b"\x01", b"x");
    assert!(refused(&pack, one).contains("ofs-delta"));
}

#[test]
fn what_swells_is_refused_before_it_takes_room() {
    let name = ObjectName::of("blob", b"").unwrap();
    let limits = GitLimits { pack_bytes: 1 << 20, objects: 10, bytes: 1 << 20, entries: 100 };
    let told = |pack: &Pack, commit| read_with(&pack.bytes(), commit, &limits).unwrap_err().to_string();
    // Zeros, with their size and with a smaller one.
    let zeros = vec![0; 8 << 20];
    let mut pack = Pack::default();
    pack.object(3, &zeros);
    assert!(told(&pack, name).contains("more than 1048576 bytes"));
    let mut pack = Pack::default();
    pack.raw(3, 10, b"", &zeros);
    assert!(told(&pack, name).contains("has not the 10 bytes"));
    let mut pack = Pack::default();
    pack.raw(3, usize::MAX, b"", b"x");
    assert!(told(&pack, name).contains("more than 1048576 bytes"));
    // A delta that copies its base again and again: 8 bytes a time for 64 KiB.
    let mut pack = Pack::default();
    let base = pack.object(3, &vec![0; 0x10000]);
    let orders: Vec<u8> = std::iter::repeat_n(0x80, 1000).collect();
    pack.delta(base, &[&[0x80, 0x80, 4, 0x80, 0x80, 0x80, 0x20][..], &orders].concat());
    assert!(told(&pack, name).contains("more than 1048576 bytes"));
    // More objects than are taken, stated and not there.
    let mut pack = Pack::default();
    (0..11).for_each(|number| _ = pack.blob(&number.to_string()));
    assert!(told(&pack, name).contains("it has 11 objects, more than 10"));
    // Ten folders in ten folders, five deep: 100,000 paths of six objects.
    let mut pack = Pack::default();
    let mut folder = pack.tree(&[("100644", "x", name)]);
    for _ in 0..5 {
        let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let entries: Vec<_> = names.iter().map(|name| ("40000", name.as_str(), folder)).collect();
        folder = pack.tree(&entries);
    }
    let commit = pack.commit(folder);
    pack.blob("");
    assert!(told(&pack, commit).contains("more than 100 files and folders"));
}

#[test]
fn a_pack_that_is_cut_or_changed_is_noticed() {
    let mut pack = Pack::default();
    let blob = pack.blob("text");
    let root = pack.tree(&[("100644", "a", blob)]);
    let commit = pack.commit(root);
    let (bytes, limits) = (pack.bytes(), GitLimits::default());
    let good = read_with(&bytes, commit, &limits).unwrap();
    for end in 0..bytes.len() {
        assert!(read_with(&bytes[..end], commit, &limits).is_err(), "{end}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        assert!(read_with(&changed, commit, &limits).unwrap_err().to_string().contains("checksum"), "{at}");
    }
    // With a checksum that is right each byte still has to mean something.
    let body = bytes.len() - 20;
    for at in 0..body {
        let mut changed = bytes[..body].to_vec();
        changed[at] ^= 0x40;
        let sum = ObjectName::of_bytes(&changed).unwrap();
        changed.extend(bytes_of(sum));
        // What fills up the last byte of a compressed stream means nothing.
        let found = read_with(&changed, commit, &limits);
        assert!(found.is_err() || found.unwrap() == good, "{at}");
    }
    let mut longer = bytes[..body].to_vec();
    longer.push(0);
    let sum = ObjectName::of_bytes(&longer).unwrap();
    longer.extend(bytes_of(sum));
    assert!(read_with(&longer, commit, &limits).unwrap_err().to_string().contains("goes on after"));
}
