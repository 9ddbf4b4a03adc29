//! Any bytes as a call of a machine's API, and as user data: reading must end without a panic, and what is taken as a call
//! never asks for more than it may.

#![no_main]

use brc_agent::{
    api::{Call, Request},
    settings::parse,
};
use brc_contract::settings::{KEYS, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::read(&mut &bytes[..]) {
        assert!(request.body.len() <= bytes.len());
        let _ = Call::of(&request);
    }
    if let Ok(values) = parse(bytes) {
        // What counts once counts again, and is the same.
        let checked = check(KEYS, &values);
        let again = check(KEYS, &checked.values);
        assert!(again.mistakes.is_empty() && again.unknown.is_empty() && again.values == checked.values);
    }
});
