//! Any bytes as what is said at the door of a machine: taking it apart must end, without a panic, and what is found is
//! found again when it is said once more; any bytes as files that are copied must write nothing outside of their place.

#![no_main]

use brc_contract::door::{Decoder, parse_entry};
use brc_linux::copied::receive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::default();
    for frame in bytes.chunks(7).flat_map(|piece| decoder.feed(piece)).flatten() {
        assert_eq!(Decoder::default().feed(&frame.encode()), [Ok(frame)]);
    }
    if let Ok(Some((entry, length))) = parse_entry(bytes) {
        assert_eq!(entry.encode(), bytes[..length]);
    }
    let folder = tempfile::tempdir().unwrap();
    let _ = receive(&folder.path().join("place"), "name", &mut &bytes[..]);
    assert!(folder.path().read_dir().unwrap().all(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("place")));
});
