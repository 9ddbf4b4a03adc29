//! Whose keys sign a repository: held by programs, in several places, replaced.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::project::{Ran, brc, folder, text};

const ROLES: [&str; 4] = ["root", "targets", "snapshot", "timestamp"];

fn repo(verb: &str, repository: &Path, more: &[&str], keys: &Path) -> Command {
    let mut command = brc();
    command.args(["repo", verb]).arg(repository).args(more).arg("--keys").arg(keys);
    command
}

/// What a repository says of itself, checked.
fn checked(repository: &Path) -> Value {
    Ran::well(brc().args(["repo", "check"]).arg(repository)).events.last().unwrap().clone()
}

fn refused(command: &mut Command, code: i32) -> String {
    let ran = Ran::new(command);
    assert_eq!(ran.output.status.code(), Some(code), "{:?}", ran.events);
    text(ran.events.last().unwrap(), "error").to_owned()
}

fn new_keys(folder: &Path, more: &[&str]) -> Vec<PathBuf> {
    let ran = Ran::well(brc().args(["keys", "new"]).arg(folder).args(more));
    ran.of("written").map(|event| PathBuf::from(text(event, "file"))).collect()
}

/// Replaces every key so many times: the old and the new ones sign each root, then the old ones are gone.
pub fn rotated(repository: &Path, keys: &Path, times: usize) {
    for number in 1..=times {
        let name = format!("r{number}");
        let old: Vec<PathBuf> = fs::read_dir(keys).unwrap().map(|file| file.unwrap().path()).collect();
        new_keys(keys, &["--name", &name]);
        let mut command = repo("root", repository, &[], keys);
        for role in ROLES {
            let of = |path: &&PathBuf| {
                let name = path.file_name().unwrap().to_str().unwrap();
                name.starts_with(role) && !name.ends_with(".toml")
            };
            command.arg("--add-key").arg(format!("{role}={}", keys.join(format!("{role}-{name}.pub")).display()));
            command.arg("--drop-key").arg(format!("{role}={}", old.iter().find(of).unwrap().display()));
        }
        Ran::well(&mut command);
        old.iter().for_each(|path| fs::remove_file(path).unwrap());
    }
}

#[test]
fn keys_that_programs_hold_sign_what_a_repository_offers() {
    let folder = folder("signing-program");
    let (keys, repository, vault) = (folder.join("keys"), folder.join("repository"), folder.join("vault"));
    new_keys(&keys, &[]);
    fs::create_dir(&vault).unwrap();
    // The timestamp's is of P-256, as services that hold keys have them, and signs from its file.
    let elliptic = include_bytes!("../data/signing/elliptic.key");
    fs::write(keys.join("timestamp.pem"), elliptic).unwrap();
    fs::remove_file(keys.join("timestamp.pub")).unwrap();
    // The targets' keys are elsewhere: one of either kind.
    fs::rename(keys.join("targets.pem"), vault.join("targets.pem")).unwrap();
    fs::write(vault.join("targets-service.pem"), elliptic).unwrap();
    let public = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3Lt7q6lLAwzDJPJ3dpWp1ESfBizy\n\
        Kt/nk9gaKwBA+t2abvbuJPMhgXFw53oZDpo5yskIkPLYCwHUU5HFFsNwwg==\n-----END PUBLIC KEY-----\n";
    fs::write(keys.join("targets-service.pub"), public).unwrap();
    let describe = |name: &str, program: &str| {
        let command = json!([program, "keys", "sign", vault.join(format!("{name}.pem"))]);
        let text = format!("public-key = \"{name}.pub\"\ncommand = {command}\n");
        fs::write(keys.join(format!("{name}.toml")), text).unwrap();
    };
    describe("targets", env!("CARGO_BIN_EXE_brc"));
    describe("targets-service", env!("CARGO_BIN_EXE_brc"));
    let ran = Ran::well(brc().args(["keys", "show"]).arg(&keys));
    assert_eq!(ran.events.len(), 5);
    let by_program: Vec<_> = ran.events.iter().filter(|key| key["command"].is_array()).collect();
    assert_eq!((by_program.len(), text(by_program[0], "role")), (2, "targets"));
    assert!(ran.events.iter().all(|key| key["signs"] == true));

    Ran::well(&mut repo("init", &repository, &["--threshold", "targets=2", "--days", "timestamp=3"], &keys));
    Ran::well(&mut repo("limit", &repository, &["1.9.0"], &keys));
    Ran::well(&mut repo("refresh", &repository, &[], &keys));
    let found = checked(&repository);
    assert_eq!((found["roles"][1]["version"].as_u64(), &found["max_version"]), (Some(2), &json!("1.9.0")));
    let targets: Value =
        serde_json::from_slice(&fs::read(repository.join("metadata/2.targets.json")).unwrap()).unwrap();
    assert_eq!(targets["signatures"].as_array().unwrap().len(), 2);

    // A program with another key, one that fails, and none: nothing is written, and what to look at is named.
    let before = fs::read(repository.join("metadata/timestamp.json")).unwrap();
    fs::copy(keys.join("root.pem"), vault.join("targets.pem")).unwrap();
    let told = refused(&mut repo("limit", &repository, &["1.8.0"], &keys), 4);
    let expected = "gave 64 bytes that are no signature with its public key of what it was handed";
    assert!(told.contains(expected) && told.contains("keys sign") && told.contains("targets.toml"), "{told}");
    fs::remove_file(vault.join("targets.pem")).unwrap();
    let told = refused(&mut repo("limit", &repository, &["1.8.0"], &keys), 4);
    assert!(told.contains("ended with exit status: 2") && told.contains("targets.pem` cannot be read"), "{told}");
    describe("targets", "no-such-program");
    let told = refused(&mut repo("limit", &repository, &["1.8.0"], &keys), 4);
    assert!(told.contains("cannot be started: expected a program that is in PATH"), "{told}");
    assert!(fs::read(repository.join("metadata/timestamp.json")).unwrap() == before);
}

#[test]
fn what_signs_for_others_gives_the_bytes_of_a_signature() {
    let folder = folder("signing-bytes");
    let keys = new_keys(&folder, &["--role", "targets"]);
    assert_eq!(keys, [folder.join("targets.pem"), folder.join("targets.pub")]);
    let sign = |key: &Path| {
        let mut command = brc();
        command.args(["keys", "sign"]).arg(key).stdin(Stdio::null()).output().unwrap()
    };
    assert_eq!(sign(&keys[0]).stdout.len(), 64);
    let other = sign(&keys[1]);
    assert_eq!((other.status.code(), other.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&other.stderr).contains("is the public half of a key, which cannot sign"));
    for (more, expected) in [
        (["--role", "mirrors"], "`--role mirrors`: expected `root`, `targets`, `snapshot` or `timestamp`"),
        (["--name", "a/b"], "`--name a/b`: expected letters, digits"),
        (["--role", "targets"], "a key is never overwritten"),
    ] {
        let told = refused(brc().args(["keys", "new"]).arg(&folder).args(more), 2);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn what_one_place_cannot_sign_another_does_and_the_first_publishes_it() {
    let folder = folder("signing-places");
    let (online, offline, repository) = (folder.join("online"), folder.join("offline"), folder.join("repository"));
    new_keys(&online, &[]);
    new_keys(&online, &["--role", "root", "--role", "targets", "--name", "anna"]);
    // Whoever keeps the keys of root and targets gives away the public halves.
    fs::create_dir(&offline).unwrap();
    for name in ["root", "root-anna", "targets", "targets-anna"] {
        fs::rename(online.join(format!("{name}.pem")), offline.join(format!("{name}.pem"))).unwrap();
    }
    let policy = ["--threshold", "root=2", "--threshold", "targets=2"];
    let told = refused(&mut repo("init", &repository, &policy, &online), 2);
    assert!(told.contains("there is no key of `targets`") && told.contains("`--draft`"), "{told}");
    Ran::well(&mut repo("init", &repository, &[&policy[..], &["--draft"]].concat(), &online));
    let found = checked(&repository);
    assert_eq!((&found["roles"], found["waiting"].as_array().unwrap().len()), (&json!([]), 2));
    let tally = &found["waiting"][0]["tallies"][0];
    assert_eq!((&tally["threshold"], tally["missing"].as_array().unwrap().len()), (&json!(2), 2));
    let told = refused(&mut repo("sign", &repository, &[], &online), 2);
    assert!(told.contains("signs what waits, or all of them have"), "{told}");

    Ran::well(&mut repo("sign", &repository, &[], &offline));
    assert_eq!(checked(&repository)["roles"], json!([]), "it is for others to publish");
    Ran::well(&mut repo("sign", &repository, &[], &online));
    let found = checked(&repository);
    assert_eq!((found["roles"].as_array().unwrap().len(), &found["waiting"]), (4, &json!([])));

    // A copy without its images is signed far away, and its signatures alone come back.
    Ran::well(&mut repo("limit", &repository, &["1.9.0", "--draft"], &online));
    let copy = folder.join("copy");
    Command::new("cp").arg("-r").arg(&repository).arg(&copy).status().unwrap();
    let signed = Ran::well(&mut repo("sign", &copy, &[], &offline));
    let waiting = &signed.events.last().unwrap()["waiting"][0];
    assert_eq!(
        (&waiting["changes"], &waiting["tallies"][0]["missing"]),
        (&json!(["no machine goes beyond 1.9.0"]), &json!([]))
    );
    let copied = copy.join("drafts/targets.json");
    Ran::well(&mut repo("sign", &repository, &[copied.to_str().unwrap()], &online));
    assert_eq!(checked(&repository)["max_version"], "1.9.0");
    assert!(refused(&mut repo("sign", &repository, &[], &online), 2).starts_with("nothing waits for signatures in "));
    let said = brc().args(["repo", "limit", "--draft"]).arg(&repository).arg("--keys").arg(&online).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(out.contains("waits: targets version 3 until ") && out.contains("  takes the limit away\n"), "{out}");
    assert!(out.contains("  signed by 0 of the 2 keys that root 1 wants; not yet: "), "{out}");
    assert!(errors.contains("help: whoever has a missing key runs `brc repo sign`"), "{errors}");
}

#[test]
fn keys_are_replaced_added_and_dropped_by_roots_that_follow_on_each_other() {
    let folder = folder("signing-rotation");
    let (keys, repository) = (folder.join("keys"), folder.join("repository"));
    new_keys(&keys, &[]);
    Ran::well(&mut repo("init", &repository, &[], &keys));
    let before = checked(&repository);
    rotated(&repository, &keys, 2);
    let after = checked(&repository);
    assert_eq!(after["roles"][0]["version"], 3);
    for role in 0..4 {
        assert_ne!(before["roles"][role]["keys"], after["roles"][role]["keys"]);
    }
    // A second key of the targets, of which both must sign; then the first one goes.
    new_keys(&keys, &["--role", "targets", "--name", "bert"]);
    let bert = format!("targets={}", keys.join("targets-bert.pub").display());
    let more = ["--add-key", &bert, "--threshold", "targets=2"];
    let found = Ran::well(&mut repo("root", &repository, &more, &keys)).events.last().unwrap().clone();
    assert_eq!((&found["roles"][1]["threshold"], &found["roles"][0]["version"]), (&json!(2), &json!(4)));
    let first = after["roles"][1]["keys"][0].as_str().unwrap();
    let drop = format!("targets={}", &first[..12]);
    let told = refused(&mut repo("root", &repository, &["--drop-key", &drop], &keys), 2);
    assert!(told.contains("`targets` would want 2 signatures and have 1 key"), "{told}");
    Ran::well(&mut repo("root", &repository, &["--drop-key", &drop, "--threshold", "targets=1"], &keys));
    assert_eq!(checked(&repository)["roles"][1]["keys"].as_array().unwrap().len(), 1);
    for (more, expected) in [
        (["--drop-key", "targets=00000000"], "has no key `00000000` that could go: its keys are `"),
        (["--drop-key", "targets=none.pub"], "`none.pub` cannot be read"),
        (["--threshold", "targets=0"], "expected a number from 1 to 36500"),
        (["--days", "mirrors=3"], "expected `root`, `targets`, `snapshot` or `timestamp`"),
    ] {
        let told = refused(&mut repo("root", &repository, &more, &keys), 2);
        assert!(told.contains(expected), "{told}");
    }
}
