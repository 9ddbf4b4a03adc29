//! Composing the quickstart again with nothing changed, and with everything in the store but what is made of the
//! finished root on.
//!
//! `cargo bench --bench compose`; the store is the user's, since the kernel in it takes minutes.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

mod quickstart;
mod timing;

use std::{env::consts::ARCH, fs, path::Path, process::Command};

use quickstart::{events, memo, recipe};
use timing::{Took, is_installed, median, run, tell};

/// Everything that is made after the packages are fetched and the kernel is compiled.
const IMAGE_STAGES: [&str; 8] = ["root", "finish", "erofs", "verity", "uki", "esp", "disk", "manifest"];

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut compose = Command::new(env!("CARGO_BIN_EXE_brc"));
    compose.args(["compose", "--out"]).arg(folder.path()).arg(recipe(folder.path()));
    compose.arg(format!("--arch={ARCH}"));
    let memo = memo(&events(&mut compose), "quickstart", &IMAGE_STAGES);
    assert_eq!(memo.len(), IMAGE_STAGES.len());
    let mkosi = mkosi(folder.path());
    tell("compose again", median(|| {}, || run(&mut compose)), mkosi.as_ref().map(|took| ("mkosi", *took)));
    let forget = || memo.iter().for_each(|path| fs::remove_file(path).expect("it was remembered"));
    tell(
        "compose from packages and kernel",
        median(forget, || run(&mut compose)),
        mkosi.as_ref().map(|took| ("mkosi", *took)),
    );
}

/// What `mkosi` takes for a disk of the same packages, all of them downloaded before.
fn mkosi(folder: &Path) -> Option<Took> {
    if !is_installed("mkosi") {
        println!("mkosi is not installed here: not measured beside it");
        return None;
    }
    let lock = fs::read_to_string(folder.join("brc.lock")).expect("the lock");
    let closure =
        lock.split("\nclosure ").find(|closure| closure.starts_with("\"variant quickstart\"")).expect("it is locked");
    let wants = closure.lines().filter_map(|line| line.trim().strip_prefix("want \"")?.split('"').next());
    let packages: Vec<&str> = wants.collect();
    let folder = folder.join("mkosi");
    fs::create_dir(&folder).expect("a folder");
    let text = format!(
        "[Distribution]\nDistribution=debian\nRelease=trixie\n[Output]\nFormat=disk\n\
         [Build]\nPackageCacheDirectory=packages\nToolsTree=default\nToolsTreeRelease=trixie\n[Content]\nBootable=no\nPackages={}\n",
        packages.join(" ")
    );
    fs::write(folder.join("mkosi.conf"), text).expect("a file");
    fs::create_dir(folder.join("packages")).expect("a folder");
    let mut build = Command::new("mkosi");
    build.current_dir(&folder).args(["--force", "build"]);
    let first = build.output().expect("mkosi starts");
    if !first.status.success() {
        let printed = String::from_utf8_lossy(&first.stderr);
        let lines: Vec<&str> = printed.lines().collect();
        println!("mkosi cannot run here: {}; its last lines:", first.status);
        lines[lines.len().saturating_sub(5)..].iter().for_each(|line| println!("  {line}"));
        return None;
    }
    Some(median(|| {}, || run(&mut build)))
}
