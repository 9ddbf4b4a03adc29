//! Debian packages from strangers: `cargo +nightly fuzz run deb`.
#![no_main]

use std::{collections::BTreeSet, io::Read, sync::atomic::AtomicBool};

use brc::{
    content::{Digest, Entry, tar_reader::Limits},
    fetch::unpack_deb,
    store::{Blobs, StoreError},
};
use libfuzzer_sys::fuzz_target;

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

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { total_bytes: 16 << 20, entries: 1000, extension_bytes: 1 << 16, kept_bytes: 1 << 20 };
    if let Ok(package) = unpack_deb(bytes, &Nowhere, &limits, &AtomicBool::new(false)) {
        for tree in [&package.control, &package.data] {
            assert!(tree.len() as u64 <= limits.entries);
            assert!(tree.entries().all(|(path, entry)| !path.is_root() || *entry == Entry::Directory));
            tree.digest();
        }
    }
});
