//! Any text as an index: a closure of what it lists is solved, and its lock is written and read back as the same.

#![no_main]

use brc::lock::{Lock, probe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    probe::compressed_packages(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(lock) = probe::packages(text) {
            assert_eq!(Lock::parse(&lock.to_text()), Ok(lock));
        }
    }
});
