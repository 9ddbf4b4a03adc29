//! How long a disk takes to a snapshot of EBS and to an image of EC2, beside coldsnap where that is installed, which makes
//! the snapshot alone. Both send to moto's server on loopback behind the proxy of the tests.
//!
//! `cargo bench --bench upload [-- DISK]`

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/support/aws.rs"]
mod aws;
#[allow(dead_code, reason = "shared with other benchmarks")]
mod timing;

use std::{
    cell::RefCell,
    env,
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use aws::{BLOCK, Cloud, SECRET};

/// Blocks that hold something, of a disk of 4 GiB.
const FILLED: u64 = 256;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let named = env::args().skip(1).find(|word| !word.starts_with("--")).map(PathBuf::from);
    let disk = named.unwrap_or_else(|| disk(folder.path()));
    let cloud: RefCell<Option<Cloud>> = RefCell::new(None);
    let prepare = || {
        // The one before it ends first.
        cloud.replace(None);
        cloud.replace(Some(Cloud::start()));
    };
    let asking = |program: &str| {
        let mut command = Command::new(program);
        let url = cloud.borrow().as_ref().map(Cloud::url).expect("a server");
        command.env("AWS_ENDPOINT_URL", url).env("no_proxy", "127.0.0.1").env("AWS_REGION", "eu-central-1");
        command.env("AWS_ACCESS_KEY_ID", "AKIDTESTS").env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", folder.path());
        command
    };
    let ours = timing::median(prepare, || {
        let store = tempfile::tempdir().expect("a folder");
        let mut brc = asking(env!("CARGO_BIN_EXE_brc"));
        timing::run(brc.env("BRC_STORE", store.path()).args(["publish", "ami", "--no-verify"]).arg(&disk))
    });
    let theirs = timing::is_installed("coldsnap").then(|| {
        timing::median(prepare, || timing::run(asking("coldsnap").arg("upload").arg("--no-progress").arg(&disk)))
    });
    timing::tell("disk to image", ours, theirs.map(|took| ("coldsnap", took)));
    if let Some(theirs) = theirs {
        println!("disk to image: coldsnap had {} MiB", theirs.memory_kib / 1024);
    }
}

/// A disk with as many filled blocks as that of a small system has.
fn disk(folder: &Path) -> PathBuf {
    let path = folder.join("node_1.0.0_x86_64.raw");
    let file = File::create(&path).expect("a disk");
    file.set_len(4 << 30).expect("a disk");
    let mut state = 1_u64;
    for number in 0..FILLED {
        let block: Vec<u8> = (0..BLOCK / 8)
            .flat_map(|_| {
                // xorshift: bytes that nobody can pack.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            })
            .collect();
        file.write_all_at(&block, number * 16 * BLOCK as u64).expect("a disk");
    }
    path
}
