//! Reading, resolving, lowering and checking the keys of 5,000, 10,000 and 20,000 components that need four others each
//! and are built from source, beside `nix-instantiate` of as many derivations; and telling of 5,000 names that nothing
//! has.
//!
//! `cargo bench --bench many`

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

mod timing;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use timing::{is_installed, median, run, tell};

/// How many components there are.
const COUNTS: [usize; 3] = [5000, 10_000, 20_000];
/// How many of them stand in a file.
const PER_FILE: usize = 1000;
/// How many names are wrong.
const UNKNOWN: usize = 5000;
/// How far before a component those that it needs stand.
const NEEDS: [usize; 4] = [1, 2, 3, 10];

fn main() {
    for count in COUNTS {
        plan(count);
    }
    unknown_names();
}

fn plan(count: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let recipe = recipes(folder.path(), count);
    let store = folder.path().join("store");
    let mut plan = Command::new(env!("CARGO_BIN_EXE_brc"));
    // One architecture: the same number of things as the other tool has.
    plan.arg("--store").arg(&store).arg("plan").arg(&recipe).arg("--arch=x86_64");
    let printed = plan.output().expect("brc starts");
    let steps = String::from_utf8_lossy(&printed.stdout).lines().filter(|line| line.contains(" build ")).count();
    assert!(steps >= count, "{steps} builds: {}", String::from_utf8_lossy(&printed.stderr));
    let ours = median(|| {}, || run(&mut plan));
    let theirs = is_installed("nix-instantiate").then(|| {
        let expression = derivations(folder.path(), count);
        let mut nix = Command::new("nix-instantiate");
        // A store and a state of its own; neither the user's nor the system's are touched.
        let root = format!("local?root={}", folder.path().join("nix").display());
        nix.args(["--option", "store", &root]).arg(expression);
        run(&mut nix);
        median(|| {}, || run(&mut nix))
    });
    if theirs.is_none() {
        println!("nix-instantiate is not installed here: not measured beside it");
    }
    tell(&format!("{count} components"), ours, theirs.map(|theirs| ("nix-instantiate, warm,", theirs)));
}

fn unknown_names() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let recipe = recipes(folder.path(), UNKNOWN);
    for file in 0..UNKNOWN / PER_FILE {
        let path = folder.path().join(format!("part-{file}.kdl"));
        let text = fs::read_to_string(&path).expect("a file").replace("license \"MIT\"", "needs \"d0\"");
        let mut number = 0;
        let wrong = text.split_inclusive('\n').map(|line| {
            number += usize::from(line.contains("\"d0\""));
            line.replace("\"d0\"", &format!("\"cc{}\"", file * PER_FILE + number))
        });
        fs::write(&path, wrong.collect::<String>()).expect("a file");
    }
    let mut check = Command::new(env!("CARGO_BIN_EXE_brc"));
    check.arg("check").arg(&recipe);
    let told = String::from_utf8_lossy(&check.output().expect("brc starts").stderr).into_owned();
    assert!(told.lines().filter(|line| line.contains("[unknown-name]")).count() >= UNKNOWN, "{told}");
    let took = median(
        || {},
        || {
            check.output().expect("brc starts");
            0
        },
    );
    tell("5,000 unknown names", took, None);
}

/// The components that number `number` needs.
fn needs(number: usize) -> impl Iterator<Item = usize> {
    NEEDS.into_iter().filter_map(move |back| number.checked_sub(back))
}

/// A copy of the quickstart that includes all of them; the recipe to plan.
fn recipes(folder: &Path, count: usize) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = repository.join("examples/quickstart");
    let read = |name: &str| fs::read_to_string(example.join(name)).expect("the example");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file");
    let import = format!("path {:?}", repository.display().to_string());
    let project = read("brc.kdl").replace("path \"../..\"", &import).replace("quickstart.kdl", "*.kdl");
    write("brc.kdl", &project);
    write("brc.lock", &read("brc.lock"));
    let last = count - 1;
    write("quickstart.kdl", &read("quickstart.kdl").replace("include ", &format!("include \"c{last}\" ")));
    for file in 0..count / PER_FILE {
        let mut text = String::new();
        for number in file * PER_FILE..(file + 1) * PER_FILE {
            let _ = writeln!(text, "component \"c{number}\" {{\n    version \"1\"\n    license \"MIT\"");
            let names: Vec<String> = needs(number).map(|need| format!("\"c{need}\"")).collect();
            if !names.is_empty() {
                let _ = writeln!(text, "    needs {}", names.join(" "));
            }
            let _ = writeln!(text, "    build-with \"brc/finish-tools\"\n    step \"echo {number} > made\"");
            let _ = writeln!(text, "    install \"made\" to=\"/usr/lib/many/{number}\"\n}}\n");
        }
        write(&format!("part-{file}.kdl"), &text);
    }
    folder.join("quickstart.kdl")
}

/// The same as one Nix expression: an attribute each, the last one asked for.
fn derivations(folder: &Path, count: usize) -> PathBuf {
    let mut text = "let\n".to_owned();
    for number in 0..count {
        let inputs: Vec<String> = needs(number).map(|need| format!("c{need}")).collect();
        let _ = writeln!(
            text,
            "c{number} = derivation {{ name = \"c{number}\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; \
             args = [ \"-c\" \"echo {number} > $out\" ]; needs = [ {} ]; }};",
            inputs.join(" ")
        );
    }
    let _ = writeln!(text, "in c{}", count - 1);
    let path = folder.join("many.nix");
    fs::write(&path, text).expect("a file");
    path
}
