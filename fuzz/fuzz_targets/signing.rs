//! Certificates and keys, as recipes and people name them.

#![no_main]

use brc::image::{Certificate, SigningKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Certificate::from_pem(bytes);
    let _ = SigningKey::from_pem(bytes);
});
