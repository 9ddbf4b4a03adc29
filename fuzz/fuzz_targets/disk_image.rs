//! `brc verify` reads disks that anybody may have made: tables, file systems, hash trees.
//!
//! The input is laid over a disk of zeros, once from its start and once where an ESP would begin, so that the file
//! system is reached without a partition table that fits.
#![no_main]

use std::os::unix::fs::FileExt;

use brc::image::{fat, inspect};
use libfuzzer_sys::fuzz_target;

/// The smallest ESP.
const ESP_BYTES: u64 = 34 << 20;

fuzz_target!(|data: &[u8]| {
    let disk = tempfile::NamedTempFile::new().expect("a temporary file");
    disk.as_file().write_all_at(data, 0).expect("written");
    inspect::verify(disk.path(), None).expect("a file that can be read gives a report");
    disk.as_file().set_len(ESP_BYTES).expect("grown");
    if let Ok((volume, files)) = fat::read(disk.as_file(), 0, ESP_BYTES) {
        assert_eq!(volume.size, ESP_BYTES);
        assert!(files.values().all(|(offset, size)| offset + size <= ESP_BYTES));
    }
});
