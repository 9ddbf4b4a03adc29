//! The quickstart's kernel compiled by brc, beside plain `make` in a `chroot` with the same source, configuration and
//! compilers, both from the packed source and in memory.
//!
//! `cargo bench --bench kernel`; the tools, the source and the configuration come from the user's store. Each compile
//! takes minutes, so there are two of each, in turn, and all times are printed.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

mod quickstart;

use std::{env::consts::ARCH, fs, path::Path, process::Command, time::Instant};

use quickstart::{events, memo, recipe};
use serde_json::Value;

const ROUNDS: usize = 2;
/// What a person would type, in a name space of its own for the mounts.
const PLAIN: &str = r#"
    mount -t tmpfs none "$1/tmp"
    mount --rbind /dev "$1/dev"
    mount -t proc none "$1/proc"
    exec chroot "$1" /usr/bin/env -i PATH=/usr/bin:/usr/sbin LC_ALL=C.UTF-8 ARCH="$2" /usr/bin/sh -euc '
        mkdir /tmp/source /tmp/o
        xz -T2 -dc /linux.tar.xz | tar -x -C /tmp/source --strip-components=1
        cp /config /tmp/o/.config
        cd /tmp/source
        make -s -j"$(nproc)" O=/tmp/o
    '
"#;

/// What one compile took, in seconds.
#[derive(Debug, Clone, Copy)]
struct Took {
    wall: f64,
    processors: f64,
}

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let recipe = recipe(folder.path());
    let ours = || {
        let mut build = Command::new(env!("CARGO_BIN_EXE_brc"));
        build.arg("build").arg(&recipe).arg("linux-6.12").arg(format!("--arch={ARCH}"));
        build
    };
    // Whatever is missing is made now: tools, source, configuration.
    let memo = memo(&events(&mut ours()), "brc/linux-6.12", &["compile"]);
    assert_eq!(memo.len(), 1);
    let root = folder.path().join("root");
    lay_root(&recipe, &root);
    let (mut brc, mut plain) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Each is the first once, so that a machine that slows down slows both.
        for is_ours in [round % 2 == 0, round % 2 != 0] {
            if is_ours {
                memo.iter().for_each(|path| fs::remove_file(path).expect("it was remembered"));
                brc.push(tell("brc", timed(|| assert_performed(&events(&mut ours())))));
            } else {
                plain.push(tell("plain make", timed(|| compile_plain(&root))));
            }
        }
    }
    let ratio = |of: fn(&Took) -> f64| brc.iter().map(of).sum::<f64>() / plain.iter().map(of).sum::<f64>();
    println!(
        "brc takes {:.3} of its time, {:.3} of its CPU time",
        ratio(|took| took.wall),
        ratio(|took| took.processors)
    );
}

/// Copies tools, packed source and configuration to a root for `chroot`.
fn lay_root(recipe: &Path, root: &Path) {
    let brc = |verb: &[&str]| {
        let mut brc = Command::new(env!("CARGO_BIN_EXE_brc"));
        brc.args(verb).arg(recipe).arg(format!("--arch={ARCH}"));
        brc
    };
    let built = |component: &str, output: &str| {
        let events = events(brc(&["build"]).arg(component));
        let mut built = events.iter().filter(|event| event["event"] == "built" && event["output"] == output);
        built.next().and_then(|event| event["path"].as_str().map(str::to_owned)).expect("it was built")
    };
    copy(&built("brc/kernel-tools", "root"), root);
    let packed = format!("{}/usr/src/linux-source-6.12.tar.xz", built("linux-source-6.12", "data"));
    fs::copy(packed, root.join("linux.tar.xz")).expect("the source");
    let options = brc(&["kernel", "config", "--all"]).output().expect("brc starts");
    let options = String::from_utf8(options.stdout).expect("text");
    let options = options.lines().filter(|line| line.starts_with("CONFIG_"));
    let config: String =
        options.map(|line| format!("{}\n", line.split("  # ").next().unwrap_or(line).trim())).collect();
    fs::write(root.join("config"), config).expect("the configuration");
    for name in ["dev", "proc", "tmp"] {
        fs::create_dir_all(root.join(name)).expect("a folder");
    }
}

fn copy(from: &str, to: &Path) {
    let copied = Command::new("cp").args(["-R", "--no-preserve=mode", from]).arg(to).status().expect("cp starts");
    assert!(copied.success());
    let may_run = Command::new("chmod").args(["-R", "u+rwx,go+rx"]).arg(to).status().expect("chmod starts");
    assert!(may_run.success());
}

fn compile_plain(root: &Path) {
    let mut make = Command::new("unshare");
    make.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "sh", "-euc", PLAIN, "sh"]);
    let made = make.arg(root).arg(ARCH.replace("aarch64", "arm64")).output().expect("unshare starts");
    let printed = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{printed}");
}

fn assert_performed(events: &[Value]) {
    let performed = events.iter().filter(|event| event["event"] == "finished").count();
    assert_eq!(performed, 1, "the compile and nothing else");
}

fn timed(run: impl FnOnce()) -> Took {
    let (start, worked) = (Instant::now(), processors());
    run();
    Took { wall: start.elapsed().as_secs_f64(), processors: processors() - worked }
}

/// How long processors have worked for children that ended (proc_pid_stat(5), fields 16 and 17, in 1/100 s).
fn processors() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields = stat.rsplit(") ").next().expect("fields after the name");
    fields.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
}

fn tell(what: &str, took: Took) -> Took {
    println!("{what}: {:.1} s, {:.1} s of CPU", took.wall, took.processors);
    took
}
