//! Any bytes as a Debian package: looking into it must end, and without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    brc::lock::probe::package(bytes);
});
