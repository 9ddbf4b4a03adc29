//! Packs and trees of git from strangers: `cargo +nightly fuzz run git`.
#![no_main]

use std::{collections::BTreeSet, io::Read, io::Write, sync::atomic::AtomicBool};

use brc::{
    content::{Digest, Entry},
    fetch::{GitLimits, ObjectName, read_git_pack},
    store::{Blobs, StoreError},
};
use flate2::{Compression, write::ZlibEncoder};
use libfuzzer_sys::fuzz_target;
use sha1_checked::{Digest as _, Sha1};

/// Takes every file and keeps none, so that a run costs no disk.
struct Nowhere;

impl Blobs for Nowhere {
    fn missing(&self, blobs: &BTreeSet<Digest>) -> Result<BTreeSet<Digest>, StoreError> {
        Ok(blobs.clone())
    }

    fn open(&self, blob: Digest) -> Result<Box<dyn Read + Send>, StoreError> {
        Err(StoreError::Missing { digest: blob })
    }

    fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|source| StoreError::Input { source })?;
        Ok((Digest::of(&bytes), bytes.len() as u64))
    }
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    Sha1::digest(bytes).to_vec()
}

fn name_of(kind: &str, bytes: &[u8]) -> Vec<u8> {
    sha1(&[format!("{kind} {}\0", bytes.len()).as_bytes(), bytes].concat())
}

/// An entry of a pack.
fn entry(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut entry = vec![(kind << 4) | (bytes.len() & 15) as u8];
    let mut rest = bytes.len() >> 4;
    while rest > 0 {
        *entry.last_mut().unwrap() |= 0x80;
        entry.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    let mut encoder = ZlibEncoder::new(&mut entry, Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
    entry
}

// The first byte says how long a tree is, which a commit is of; what comes behind it are further entries as they are.
// The checksum is right, and so are the names of the tree and of a file that may be in it.
fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first() else { return };
    let (tree, entries) = rest.split_at(rest.len().min(usize::from(*length)));
    let file = name_of("blob", b"x");
    let tree: Vec<u8> = tree.iter().flat_map(|byte| if *byte == 0xff { file.clone() } else { vec![*byte] }).collect();
    let hex: String = name_of("tree", &tree).iter().map(|byte| format!("{byte:02x}")).collect();
    let commit = format!("tree {hex}\n");
    let mut pack = [&b"PACK\0\0\0\x02\0\0\0"[..], &[3 + u8::from(!entries.is_empty())]].concat();
    pack.extend([entry(1, commit.as_bytes()), entry(2, &tree), entry(3, b"x"), entries.to_vec()].concat());
    pack.extend(sha1(&pack));
    let hex: String = name_of("commit", commit.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let commit = ObjectName::parse(&hex).unwrap();
    let limits = GitLimits { pack_bytes: 1 << 20, objects: 1000, bytes: 16 << 20, entries: 1000 };
    if let Ok(tree) = read_git_pack(&pack, commit, &Nowhere, &limits, &AtomicBool::new(false)) {
        assert!(tree.entries().all(|(path, entry)| !path.is_root() || *entry == Entry::Directory));
        assert!(tree.entries().all(|(path, _)| !path.as_str().split('/').any(|name| name == ".git")));
        tree.digest();
    }
});
