//! What cannot be built from source: each names the component, the file, what was expected and found, and what to do.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    from_source::{MODULE_SOURCE, copy_of_project, module_proxy, project},
    support::project::{Ran, brc, folder, repository, signed_module},
};

/// What a command that must fail says.
fn refused(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{talk}");
    talk
}

fn says(talk: &str, parts: &[&str]) {
    for part in parts {
        assert!(talk.contains(part), "{part:?} in\n{talk}");
    }
}

#[test]
fn a_go_module_that_go_sum_lacks_or_states_otherwise_is_not_locked() {
    let recipe = copy_of_project("refused-modules-project");
    // All but the modules is locked.
    fs::copy(project().with_file_name("brc.lock"), recipe.with_file_name("brc.lock")).unwrap();
    let sums = recipe.with_file_name("go").join("go.sum");
    let good = fs::read_to_string(&sums).unwrap();
    let second = good.lines().nth(1).unwrap();
    let other = MODULE_SOURCE.replace("hello", "goodbye");
    for (text, source, found) in [
        ("", MODULE_SOURCE, "missing go.sum entry"),
        (second, MODULE_SOURCE, "found: no line `example.org/word v1.0.0 h1:…` in `go.sum`."),
        (&good, &other, "checksum mismatch"),
    ] {
        // Another comment, so that no earlier run of this test counts.
        fs::write(&sums, format!("{text}\n")).unwrap();
        let module = format!("// {}\n", std::process::id());
        let file = sums.with_file_name("go.mod");
        let before = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{module}{before}")).unwrap();
        let proxy = module_proxy(source);
        let talk = refused(brc().arg("lock").arg(&recipe).env("GOPROXY", proxy.url("")), 4);
        let expected = "expected: every module that `go.mod` needs, as its `go.sum` says";
        says(&talk, &["`acme/greet-go`", expected, found, "help: where `go.sum` lacks something, `go mod tidy`"]);
        assert!(!talk.contains("brc shell"), "what is not locked yet is no action of an image: {talk}");
    }
}

/// Adds a component to the project, and has it in the variant `all`.
fn add(recipe: &Path, name: &str, block: &str) {
    let text = fs::read_to_string(recipe).unwrap();
    let (before, included) = text.rsplit_once("include ").unwrap();
    let text = format!("{before}include \"{name}\" {included}");
    let component = format!("component \"{name}\" {{\n    version \"1\"\n    build-with \"brc/c\"\n{block}}}\n");
    fs::write(recipe, format!("{text}\n{component}")).unwrap();
}

#[test]
fn what_a_build_must_not_do_is_told_with_a_way_out() {
    let recipe = copy_of_project("refused-builds-project");
    let source = "    upstream { folder \"autotools\" }\n";
    // What a URL does not give is told when it is locked: locking.rs.
    fs::write(
        recipe.with_file_name("patches").join("bad.patch"),
        "--- a/word.c\n+++ b/word.c\n@@ -1 +1 @@\n-no\n+yes\n",
    )
    .unwrap();
    let cases: [(&str, String, i32, &[&str]); 7] = [
        (
            "patched",
            format!("{source}    patch \"patches/bad.patch\"\n    step \"true\"\n"),
            1,
            &[
                "failed at `build`",
                "Hunk #1 FAILED",
                "expected: `bad.patch` fits the source",
                "help: bring the patch up",
            ],
        ),
        (
            "located",
            format!("{source}    step #\"pwd >\"$out/x\"\"#\n"),
            1,
            &[
                "failed at `build`: the output is refused: `/x` says where it was built: expected nothing of `/brc-build`, found ",
                "compile with `-ffile-prefix-map`",
            ],
        ),
        (
            "dated",
            format!("{source}    step #\"date +%F >\"$out/x\"\"#\n"),
            1,
            &[
                "failed at `build`: the output is refused: `/x` says when it was built: expected no date but ",
                "take the time from `$SOURCE_DATE_EPOCH`",
            ],
        ),
        (
            "strayed",
            format!(
                "{source}    step \"mkdir -p /usr/local/bin; echo >/usr/local/bin/word; ln -s word /usr/local/bin/w; echo >/tmp/x\"\n"
            ),
            1,
            &[
                "failed at `build`: the output is refused: 2 files written outside the outputs would be lost, \
                 `/usr/local/bin/w`, `/usr/local/bin/word` among them: expected all below `$out`",
                "install with `DESTDIR=\"$out\"`",
            ],
        ),
        (
            "named",
            format!(
                "{source}    step \"python3 -c \\\"import urllib.request as r; r.urlopen('http://example.org/x')\\\"\"\n"
            ),
            1,
            &[
                "failed at `build`: `/usr/bin/sh` exited with 1 and tried the network",
                "help: have what it fetches locked",
            ],
        ),
        (
            "addressed",
            format!(
                "{source}    step \"python3 -c \\\"import socket as s; s.create_connection(('192.0.2.1', 80))\\\"\"\n"
            ),
            1,
            &[
                "failed at `build`: `/usr/bin/sh` exited with 1 and tried the network",
                "help: have what it fetches locked",
            ],
        ),
        (
            "installed",
            format!("{source}    step \"true\"\n    install \"bin/word\" to=\"/usr/bin/word\"\n"),
            1,
            &[
                "failed at `build`",
                "expected: a file `bin/word` for `install` when the steps are done; found: nothing there.",
                "help: correct the path, which counts from `/brc-build`",
            ],
        ),
    ];
    for (name, block, ..) in &cases {
        add(&recipe, name, block);
    }
    // All but their own is locked.
    fs::copy(project().with_file_name("brc.lock"), recipe.with_file_name("brc.lock")).unwrap();
    for (name, _, code, parts) in cases {
        let talk = refused(brc().arg("build").arg(&recipe).args([name, "--variant=all", "--arch=x86_64"]), code);
        says(&talk, &[&format!("`acme/{name}`")]);
        says(&talk, parts);
    }
}

#[test]
fn what_modules_cannot_be_signed_with_is_told_before_anything_is_built() {
    let project = folder("refused-signing");
    let recipe = signed_module(&project);
    let data = repository().join("tests/data/signing");
    // Nothing is in this store, and nothing can be fetched.
    let command = || {
        let mut compose = brc();
        compose.args(["compose", "--offline", "--arch=x86_64", "--store"]).arg(project.join("store")).arg(&recipe);
        compose
    };
    let with_key = |key: &str, code| refused(command().arg("--signing-key").arg(data.join(key)), code);
    let signed_for = "warning: kernel modules are signed for `CN=modules of brc's tests`, and ";
    let next = "give the file of its private key with `--signing-key FILE`";
    // What is signed already needs no key, so a missing one is a warning.
    says(&refused(&mut command(), 3), &[signed_for, "no key was given", next, "started"]);
    says(&with_key("other.key", 3), &[signed_for, "no key that was given is of that certificate", next, "started"]);
    assert!(!with_key("modules.key", 3).contains("warning"));
    let unusable =
        [("elliptic.key", "cannot be used as a signing key: it is no RSA key"), ("no.key", "cannot be read")];
    for (key, message) in unusable {
        let talk = with_key(key, 2);
        says(&talk, &[key, message]);
        assert!(!talk.contains("started"), "{talk}");
    }
    // A key for a certificate is not even kept.
    for (file, message) in [("modules.key", "it holds a private key"), ("elliptic.pem", "its key is not RSA")] {
        fs::copy(data.join(file), project.join("modules.pem")).unwrap();
        let talk = with_key("modules.key", 2);
        says(&talk, &["modules.pem` cannot be used as a `module-certificate`: ", message]);
        assert!(!talk.contains("started"), "{talk}");
    }
    let kept = files_below(&project.join("store"));
    assert!(kept.iter().any(|bytes| bytes.starts_with(b"-----BEGIN CERTIFICATE-----")));
    assert!(!kept.iter().any(|bytes| bytes.starts_with(b"-----BEGIN PRIVATE KEY-----")));
}

fn files_below(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(fs::read(&path).unwrap()) }
    }
    found
}

#[test]
fn nothing_becomes_a_signed_root_but_by_the_signer() {
    let project = folder("signed-plan");
    let recipe = signed_module(&project);
    let plan = Ran::well(brc().args(["plan", "--arch=x86_64", "--store"]).arg(project.join("store")).arg(&recipe));
    let step = |stage: &str| {
        let of_image = |step: &&Value| step["stage"] == stage && step["component"] == "kernel-module";
        let found: Vec<&Value> = plan.events.iter().filter(of_image).collect();
        assert_eq!(found.len(), 1, "{stage}");
        (found[0]["step"].as_u64().unwrap(), found[0]["needs"].as_array().unwrap().clone())
    };
    let ((finish, _), (modules, of_modules)) = (step("visible"), step("modules"));
    let ((sign, of_sign), (root, of_root)) = (step("sign"), step("signed-root"));
    assert_eq!(of_modules, [finish]);
    assert_eq!(of_sign, [modules]);
    assert_eq!(of_root, [finish, sign]);
    let (_, of_file_system) = step("erofs");
    assert!(of_file_system.contains(&root.into()) && !of_file_system.contains(&finish.into()), "{of_file_system:?}");
}
