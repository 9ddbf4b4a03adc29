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

mod timing;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use timing::{Took, is_installed, median, run, tell};

/// Everything that is made after the packages are fetched and the kernel is compiled.
const IMAGE_STAGES: [&str; 8] = ["root", "finish", "erofs", "verity", "uki", "esp", "disk", "manifest"];

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut compose = Command::new(env!("CARGO_BIN_EXE_brc"));
    compose.args(["--json", "compose", "--out"]).arg(folder.path()).arg(recipe(folder.path()));
    let printed = compose.output().expect("brc starts");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let memo: Vec<PathBuf> = memo(&String::from_utf8_lossy(&printed.stdout));
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

/// A copy of the quickstart's project, so that its lock is not written.
fn recipe(folder: &Path) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = repository.join("examples/quickstart");
    for name in ["brc.kdl", "brc.lock", "quickstart.kdl"] {
        let text = fs::read_to_string(example.join(name)).expect("the example");
        let import = format!("path {:?}", repository.display().to_string());
        fs::write(folder.join(name), text.replace("path \"../..\"", &import)).expect("a file");
    }
    folder.join("quickstart.kdl")
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

/// Where the store remembers what the image's stages gave.
fn memo(events: &str) -> Vec<PathBuf> {
    let store = std::env::var_os("BRC_STORE").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
        cache.map(|cache| cache.join("brc"))
    });
    let memo = store.expect("BRC_STORE or HOME is set").join("memo");
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an event"));
    let of_image = |event: &serde_json::Value| {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (kind, stage, key) = (text("event"), text("stage"), text("key"));
        let is_one = ["reused", "finished"].contains(&kind.as_str()) && text("component") == "quickstart";
        (is_one && IMAGE_STAGES.contains(&stage.as_str())).then(|| memo.join(&key[..2]).join(key))
    };
    events.filter_map(|event| of_image(&event)).collect()
}
