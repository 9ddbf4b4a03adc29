//! How long a sandbox takes from start to stop around `true`, beside bubblewrap where that is installed.
//!
//! `cargo bench --bench sandbox`

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use brc::sandbox::linux::{Network, Root, Spec, Streams, Terminal, View, spawn};

const ROUNDS: u32 = 50;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let lower = folder.path().join("lower");
    lay_root(&lower);
    let mut rounds = 0;
    let ours = measure(|| {
        rounds += 1;
        let scratch = folder.path().join(rounds.to_string());
        for name in ["upper", "work", "root"] {
            fs::create_dir_all(scratch.join(name)).expect("a folder");
        }
        run(&lower, &scratch);
    });
    println!("brc: {ours:.1} ms");
    let root = lower.display().to_string();
    let bwrap = [
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--bind",
        &root,
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/run",
        "/bin/true",
    ];
    if Command::new("bwrap").arg("--version").stdout(Stdio::null()).status().is_ok() {
        let theirs = measure(|| {
            Command::new("bwrap").args(bwrap).status().expect("bwrap runs");
        });
        println!("bwrap: {theirs:.1} ms");
    }
}

/// A root with `true` and what it needs, from this machine.
fn lay_root(lower: &Path) {
    let needs = Command::new("ldd").arg("/bin/true").output().expect("ldd runs");
    let needs = String::from_utf8_lossy(&needs.stdout).into_owned();
    for name in ["dev", "proc", "tmp", "run"] {
        fs::create_dir_all(lower.join(name)).expect("a folder");
    }
    for file in needs.split_whitespace().filter(|word| word.starts_with('/')).chain(["/bin/true"]) {
        let to = lower.join(file.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("a file has a folder")).expect("a folder");
        fs::copy(file, to).expect("a file of this machine");
    }
}

/// The median of many rounds, in milliseconds.
fn measure(mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            round();
            started.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn run(lower: &Path, scratch: &Path) {
    let spec = Spec {
        root: Root::Overlay { lower: vec![lower.to_owned()], scratch: scratch.to_owned() },
        empty: Vec::new(),
        binds: Vec::new(),
        network: Network::None,
        uid: 0,
        view: View::Fixed { processors: 2 },
        command: vec!["/bin/true".into()],
        environment: BTreeMap::new(),
        directory: String::new(),
        terminal: Terminal::None,
    };
    let null = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from).expect("/dev/null");
    let streams = Streams { input: null(), output: null(), errors: null() };
    let mut child = spawn(Path::new(env!("CARGO_BIN_EXE_brc")), &spec, streams).expect("a sandbox starts");
    child.wait(None, &|| false).expect("a sandbox ends");
}
