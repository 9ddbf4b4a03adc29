//! Any bytes as an `InRelease`, as the text of one, and as the keyring that it is checked against.

#![no_main]

use libfuzzer_sys::fuzz_target;

const KEYRING: &[u8] = include_bytes!("../../keyrings/debian-archive-trixie.asc");
const NOW: u64 = 1_793_491_200;

fuzz_target!(|bytes: &[u8]| {
    brc::lock::probe::in_release(KEYRING, bytes, NOW);
    brc::lock::probe::in_release(bytes, bytes, NOW);
    if let Ok(text) = std::str::from_utf8(bytes) {
        brc::lock::probe::release_text(text, NOW);
    }
});
