//! Any text as an index of source packages.

#![no_main]

use brc::lock::probe;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    probe::sources(text);
});
