//! The verity tree of a cached file of 2 GiB, on two threads, beside `veritysetup format`.
//!
//! `cargo bench --bench verity`

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

mod timing;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    process::Command,
};

use brc::image::verity::{Superblock, write_hash_file};
use timing::{is_installed, median, run, tell};

const BYTES: u64 = 2 << 30;
const BLOCK: u64 = 4096;
const THREADS: usize = 2;

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build_global().expect("the only pool");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (data, hash) = (folder.path().join("data"), folder.path().join("hash"));
    fill(&data);
    let superblock = Superblock { uuid: [1; 16], data_blocks: BYTES / BLOCK, salt: [2; 32] };
    let file = File::open(&data).expect("the data");
    let again = || drop(fs::remove_file(&hash));
    let mut root = String::new();
    let ours = median(again, || {
        let out = File::options().read(true).write(true).create_new(true).open(&hash).expect("a file");
        let digest = write_hash_file(&file, &superblock, &out, &|_| true).expect("a tree");
        root = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        0
    });
    let theirs = is_installed("veritysetup").then(|| {
        let mut format = Command::new("veritysetup");
        format.args(["format", "--uuid", "01010101-0101-0101-0101-010101010101", "--salt", &"02".repeat(32)]);
        format.args([&data, &hash]);
        let theirs = median(again, || run(&mut format));
        // It is the same tree.
        let verify = Command::new("veritysetup").arg("verify").args([&data, &hash]).arg(&root).status();
        assert!(verify.expect("it starts").success(), "the root hash is another one");
        theirs
    });
    if theirs.is_none() {
        println!("veritysetup is not installed here: not measured beside it");
    }
    tell("verity tree of 2 GiB", ours, theirs.map(|theirs| ("veritysetup", theirs)));
}

/// Writes bytes of which no two blocks are alike, and leaves them in the page cache.
fn fill(path: &Path) {
    let mut out = File::create(path).expect("a file");
    let mut piece = vec![0; 1 << 20];
    let mut random = blake3::Hasher::new().finalize_xof();
    for _ in 0..BYTES / piece.len() as u64 {
        random.fill(&mut piece);
        out.write_all(&piece).expect("room for 2 GiB");
    }
    out.sync_all().expect("a disk");
    io::copy(&mut File::open(path).expect("the data"), &mut io::sink()).expect("to read it");
}
