//! The other workspace: what runs on the machines.

use std::{path::Path, process::Command};

/// `cargo test` is the whole of the first tier, so it runs these tests as well. The folder for what is compiled is
/// one of ours: a build of `host` by hand, and a recipe that takes that folder as its source, stay apart from it.
#[test]
fn the_tests_of_the_host_workspace_pass() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/host/Cargo.toml");
    let arguments = ["test", "--locked", "--manifest-path", manifest, "--target-dir"];
    let output = Command::new(env!("CARGO")).args(arguments).arg(target).output().unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{printed}");
    assert!(output.status.success(), "`cargo test --manifest-path host/Cargo.toml`:\n{printed}\n{errors}");
    let ran = |file: &str| errors.contains(&format!("Running {file}"));
    assert!(ran("unittests src/lib.rs") && ran("tests/status.rs"), "not all of it ran:\n{errors}");
}

/// `brc-update` is a workspace of its own, with a hundred crates: in the second tier.
#[cfg(feature = "suite-vm")]
#[test]
fn the_tests_and_lints_of_what_takes_updates_pass() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host-update");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/host/update/Cargo.toml");
    for (command, options) in [("test", &[][..]), ("clippy", &["--all-targets", "--", "-D", "warnings"])] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([command, "--locked", "--manifest-path", manifest, "--target-dir"]).arg(&target).args(options);
        let output = cargo.output().unwrap();
        let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("{printed}");
        assert!(output.status.success(), "{cargo:?}:\n{printed}\n{errors}");
        assert!(command != "test" || printed.contains("the_tree_that_veritysetup_makes_is_right"), "{printed}");
    }
}

/// What `brc repo` writes, as the library on the machines sees it: twelve roots later, with two signatures of the targets
/// and a key of P-256.
#[cfg(feature = "suite-vm")]
#[test]
fn a_machine_believes_what_brc_publishes_after_twelve_roots() {
    use crate::{
        signing,
        support::project::{Ran, brc, folder},
    };

    let folder = folder("host-believe");
    let (keys, repository) = (folder.join("keys"), folder.join("repository"));
    Ran::well(brc().args(["keys", "new"]).arg(&keys));
    let repo = |verb: &str, more: &[&str]| {
        Ran::well(brc().args(["repo", verb]).arg(&repository).args(more).arg("--keys").arg(&keys));
    };
    repo("init", &[]);
    let first = repository.join("metadata/1.root.json");
    signing::rotated(&repository, &keys, 12);
    let elliptic = keys.join("targets-p256.pem");
    std::fs::write(&elliptic, include_bytes!("../data/signing/elliptic.key")).unwrap();
    repo("root", &["--add-key", &format!("targets={}", elliptic.display()), "--threshold", "targets=2"]);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host-update");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/host/update/Cargo.toml");
    let believe = |root: &Path| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["run", "--locked", "--example", "believe", "--manifest-path", manifest, "--target-dir"])
            .arg(&target);
        let output = cargo.arg("--").arg(&repository).arg(root).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (is_believed, said) = believe(&first);
    assert!(is_believed, "{said}");
    // Whoever trusts another root does not.
    let other = folder.join("other");
    Ran::well(brc().args(["keys", "new"]).arg(other.join("keys")));
    Ran::well(brc().args(["repo", "init"]).arg(other.join("repository")).arg("--keys").arg(other.join("keys")));
    let (is_believed, said) = believe(&other.join("repository/metadata/1.root.json"));
    assert!(!is_believed && said.contains("signature"), "{said}");
}
