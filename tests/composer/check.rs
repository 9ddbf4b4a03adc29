//! What `brc check` says of small projects: whatever recipes alone can know, with its place, before anything is done.

use std::{fs, path::Path, process::Output};

use crate::support::{
    archive::{ArchiveKey, KeySpec, PackageSpec, SuiteSpec},
    project::{brc, folder},
};

/// A kernel, and a variant `v` that has it.
const KERNEL: &str = r#"
archive "a" { suite "s"; keyring "key.asc" }
kernel "k" {
    debian "linux-source" archive="a" suite="s" unpack="/usr/src/*"
    config "k.config"
}
"#;

/// Runs `brc VERB` over a project with one recipe.
fn run(name: &str, verb: &str, recipe: &str) -> (Output, String) {
    let project = folder(name);
    for (file, text) in
        [("brc.kdl", "project \"p\"\nread \"x.kdl\"\n"), ("k.config", ""), ("key.asc", ""), ("x.kdl", recipe)]
    {
        fs::write(project.join(file), text).unwrap();
    }
    let output = brc().arg(verb).arg("--store").arg(project.join("store")).arg(project.join("x.kdl")).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, talk)
}

fn with_kernel(variant: &str) -> String {
    format!("{KERNEL}variant \"v\" {{\n    version \"1\"\n    arch \"x86_64\"\n    include \"k\"\n    {variant}\n}}\n")
}

#[test]
fn what_recipes_alone_show_is_told_with_its_place() {
    let long: String = (0..200).map(|at| format!("kernel-arg \"a{at}=0123456789\"; ")).collect();
    for (variant, expected) in [
        ("", None),
        (
            r#"file "/etc/a" text="a"; file "/etc/a/b" text="b""#,
            Some("x.kdl:11:34: `/etc/a/b` cannot stand below `/etc/a`"),
        ),
        (r#"file "/etc/a\nb" text="a""#, Some("x.kdl:11:10: a path has no control character; here is `\\n`")),
        (r#"dir "/etc/a" mode=0o700; dir "/etc/a" mode=0o750"#, Some("x.kdl:11:34: `/etc/a` has two modes or owners")),
        (r#"file "/run/a" text="a""#, Some("x.kdl:11:10: nobody would see `/run/a`")),
        (r#"kernel-arg "root=/dev/sda""#, Some("x.kdl:11:16: `root` is brc's own to say")),
        (&long, Some("the kernel's command line gets ")),
        (
            r#"file "/etc/a" text="a" mode=0x180"#,
            Some("x.kdl:11:33: a mode is an octal number without a sign, not 0x180"),
        ),
        (
            r#"platform "gce"; file "/etc/a" from="{platform}.config""#,
            // Where no platform has it, reading told it already.
            Some("there is no file `{platform}.config`"),
        ),
    ] {
        let (output, talk) = run("check-told", "check", &with_kernel(variant));
        match expected {
            None => assert_eq!(output.status.code(), Some(0), "{variant}: {talk}"),
            Some(expected) => {
                assert_eq!(output.status.code(), Some(2), "{variant}: {talk}");
                assert!(talk.contains(expected), "{expected:?} in\n{talk}");
            }
        }
    }
}

#[test]
fn a_platform_without_its_configuration_is_refused() {
    let recipe = with_kernel("platform \"azure\"").replace("k.config", "{platform}.config");
    let project = folder("check-platform");
    let file = |name: &str, text: &str| fs::write(project.join(name), text).unwrap();
    file("brc.kdl", "project \"p\"\nread \"x.kdl\"\n");
    file("key.asc", "");
    file("qemu.config", "");
    let check = |recipe: &str| {
        file("x.kdl", recipe);
        let output = brc().arg("check").arg(project.join("x.kdl")).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, talk) = check(&recipe);
    assert_eq!(code, Some(2), "{talk}");
    assert!(talk.contains("x.kdl:5:12: there is no `azure.config`, which `v x86_64` is to have"), "{talk}");
    assert_eq!(check(&recipe.replace("azure", "qemu")).0, Some(0));
}

#[test]
fn a_variant_without_a_kernel_is_told_unless_others_extend_it() {
    let alone = "variant \"v\" {\n    version \"1\"\n    arch \"x86_64\"\n}\n";
    for verb in ["check", "lock"] {
        let (output, talk) = run("check-kernel", verb, alone);
        assert_eq!(output.status.code(), Some(2), "{verb}: {talk}");
        assert!(talk.contains("x.kdl:1:9: variant `p/v` includes no kernel"), "{verb}: {talk}");
        let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check-kernel/brc.lock");
        assert!(!lock.exists(), "nothing is locked");
    }
    let base = "variant \"base\" { version \"1\"; arch \"x86_64\" }\n";
    let extended = with_kernel("extends \"base\"");
    assert_eq!(run("check-kernel", "check", &format!("{base}{extended}")).0.status.code(), Some(0));
}

#[test]
fn an_owner_or_group_that_nothing_makes_is_told_of_a_locked_project() {
    let project = folder("check-owners");
    let key = ArchiveKey::new(&KeySpec::default());
    let kernel = PackageSpec::new("linux-source", "1").file("usr/src/linux.tar.xz", "");
    let suite = SuiteSpec { mirror: "a".to_owned(), valid_until: None, ..SuiteSpec::new("s", vec![kernel]) };
    let mirror = project.join("mirror");
    for (path, bytes) in suite.files(&key) {
        let path = mirror.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let recipe = with_kernel("file \"/etc/a\" text=\"a\" owner=\"none\"; user \"b\" { group \"nobodies\"; }");
    let mirrors = format!("a = {mirror:?}\n");
    for (file, bytes) in [
        ("brc.kdl", b"project \"p\"\nread \"x.kdl\"\n".as_slice()),
        ("k.config", b""),
        ("key.asc", &key.certificate()),
        ("mirrors.toml", mirrors.as_bytes()),
        ("x.kdl", recipe.as_bytes()),
    ] {
        fs::write(project.join(file), bytes).unwrap();
    }
    let run = |words: &[&str]| {
        let mut command = brc();
        let output = command.args(words).arg("--store").arg(project.join("store")).arg(project.join("x.kdl")).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, talk) = run(&["lock"]);
    assert_eq!(code, Some(0), "{talk}");
    assert_eq!(run(&["check"]).0, Some(0));
    let (code, talk) = run(&["check", "--locked"]);
    assert_eq!(code, Some(2), "{talk}");
    for expected in [
        "x.kdl:11:34: nothing in the image makes a user `none`",
        "x.kdl:11:59: nothing in the image makes a group `nobodies`",
    ] {
        assert!(talk.contains(expected), "{expected:?} in\n{talk}");
    }
}
