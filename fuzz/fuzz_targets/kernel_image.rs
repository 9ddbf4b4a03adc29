//! `brc verify` reads kernel images and hash superblocks that anybody may have made.
#![no_main]

use brc::image::{
    pe::{Content, PeFile},
    verity::{BLOCK_BYTES, Superblock},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(block) = data.get(..BLOCK_BYTES)
        && let Ok(superblock) = Superblock::decode(block)
    {
        assert_eq!(superblock.encode(), block, "a superblock that is accepted is the one that is written");
    }
    let Ok(mut file) = PeFile::parse(data.to_vec()) else { return };
    for section in file.sections().to_vec() {
        if let Some(bytes) = file.section(&section.name) {
            assert!(bytes.len() <= data.len());
        }
    }
    if file.append(".fuzz", b"content", Content::Data).is_ok() {
        let again = PeFile::parse(file.into_bytes()).expect("what was appended to can be read");
        assert!(again.sections().iter().any(|section| section.name == ".fuzz"));
    }
});
