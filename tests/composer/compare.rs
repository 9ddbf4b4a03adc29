//! Two images compared by `brc diff`: the quickstart, and one in which something of everything was changed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::OnceLock,
};

use serde_json::Value;

use crate::support::project::{Ran, brc, copy_of_quickstart, folder, linked_store, quickstart, text};

/// What the other image has more, or has not.
const CHANGES: &str = r##"
    remove "brc/cni-plugins-debian"
    kernel-arg "panic_on_oops=1"
    user "etcd" home="/var/lib/etcd"
    group "vm-users"
    mask "systemd-tmpfiles-clean.timer"
    file "/usr/bin/raise" text="#!/bin/sh" mode=0o4755
    unit "tick.service" enable=#true text="[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target"
    settings { motd "hello" }
    version "0.2.0"
"##;

/// The disk of the other image, composed once for all tests.
pub fn changed() -> &'static Path {
    static COMPOSED: OnceLock<PathBuf> = OnceLock::new();
    COMPOSED.get_or_init(|| {
        let first = quickstart();
        let (store, out) = (linked_store("compare-store"), folder("compare-out"));
        let recipe = copy_of_quickstart(&folder("compare-project"));
        fs::copy(&first.lock, recipe.with_file_name("brc.lock")).unwrap();
        let stated = fs::read_to_string(&recipe).unwrap();
        let version = "    version \"0.1.0\"\n";
        assert!(stated.contains(version), "{stated}");
        fs::write(&recipe, stated.replace(version, CHANGES)).unwrap();
        let mut command = brc();
        command.args(["compose", "--arch=x86_64"]).arg("--store").arg(&store).arg("--out").arg(&out).arg(&recipe);
        let ran = Ran::well(&mut command);
        text(ran.of("composed").next().unwrap(), "disk").into()
    })
}

/// Runs `brc diff` in a folder.
fn diff(at: &Path, words: &[&str], old: &Path, new: &Path) -> Output {
    brc().arg("diff").args(words).arg(old).arg(new).current_dir(at).output().unwrap()
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// An image with its manifest under another name, without a copy.
fn linked(image: &Path, manifest_of: &Path, to: &Path) {
    fs::hard_link(image, to).unwrap();
    fs::hard_link(manifest_of.with_extension("manifest.json"), to.with_extension("manifest.json")).unwrap();
}

#[test]
fn of_two_images_everything_that_was_changed_is_told_and_nothing_else() {
    let ran = Ran::new(brc().arg("diff").arg(&quickstart().disk).arg(changed()));
    assert_eq!(ran.output.status.code(), Some(10));
    let [told] = ran.events.as_slice() else { panic!("{:?}", ran.events) };
    assert_eq!(told["equal"], false);
    let is_about_image = |change: &&Value| change["topic"] == "image";
    let changes = told["changes"].as_array().unwrap();
    let line = |change: &Value| {
        let side = |side: &str| change[side].as_str().unwrap_or("-").to_owned();
        format!("{} {}: {} -> {}", text(change, "topic"), text(change, "what"), side("old"), side("new"))
    };
    let lines: Vec<String> = changes.iter().filter(|change| !is_about_image(change)).map(line).collect();
    let user = lines.iter().find_map(|line| line.strip_prefix("users etcd: - -> uid ")).unwrap();
    let uid = user.split(',').next().unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(&quickstart().manifest).unwrap()).unwrap();
    let version_of = |name: &str| {
        let found = manifest["components"].as_array().unwrap().iter().find(|component| component["name"] == name);
        text(found.unwrap(), "version").to_owned()
    };
    let group = lines.iter().find_map(|line| line.strip_prefix("groups vm-users: - -> gid ")).unwrap();
    let expected = [
        "components brc/cni-plugins-debian:  -> -".to_owned(),
        "components brc/cni-plugins-debian-packages:  -> -".to_owned(),
        format!("components containernetworking-plugins (amd64): {} -> -", version_of("containernetworking-plugins")),
        "components quickstart/quickstart: 0.1.0 -> 0.2.0".to_owned(),
        "command-line panic_on_oops: - -> 1".to_owned(),
        format!("users etcd: - -> uid {uid}, gid {uid}, home /var/lib/etcd, shell /usr/sbin/nologin"),
        format!("groups etcd: - -> gid {uid}"),
        format!("groups vm-users: - -> gid {group}"),
        "units systemd-tmpfiles-clean.timer: wanted by timers.target -> masked, wanted by timers.target".to_owned(),
        "units tick.service: - -> wanted by multi-user.target".to_owned(),
        "privileges /usr/bin/raise: - -> 4755 0:0".to_owned(),
        "settings settings.motd: - -> \"hello\"".to_owned(),
    ];
    assert_eq!(lines, expected);
    let about: Vec<&str> = changes.iter().filter(is_about_image).map(|change| text(change, "what")).collect();
    let digests = ["SHA-256 of the ESP", "SHA-256 of the kernel image", "SHA-256 of the root", "root hash", "version"];
    assert_eq!(about, digests);
    let files = told["files"].as_array().unwrap();
    let of = |path: &str| files.iter().find(|file| file["path"] == path);
    assert_eq!(of("/usr/bin/raise").unwrap()["new_bytes"], 10);
    assert_eq!(of("/etc/passwd").unwrap()["differs"], serde_json::json!(["content"]));
    let cni =
        told["by_component"].as_array().unwrap().iter().find(|tally| tally["name"] == "containernetworking-plugins");
    let removed =
        files.iter().filter(|file| file["component"] == "containernetworking-plugins" && file["new_bytes"].is_null());
    assert_eq!(cni.unwrap()["removed"], removed.count());
}

#[test]
fn a_machine_downloads_as_many_bytes_as_a_repository_offers() {
    let keys = folder("compare-keys").join("keys");
    let repository = folder("compare-repository").join("repository");
    Ran::well(brc().args(["keys", "new"]).arg(&keys));
    Ran::well(brc().args(["repo", "init"]).arg(&repository).arg("--keys").arg(&keys));
    Ran::well(brc().args(["repo", "add"]).arg(&repository).arg("--keys").arg(&keys).arg(changed()));
    let mut offered = BTreeMap::new();
    for entry in fs::read_dir(repository.join("targets")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let parts = [(".root", "root"), (".verity", "hash tree"), (".efi", "unified kernel image")];
        if let Some((_, part)) = parts.iter().find(|(ending, _)| name.ends_with(ending)) {
            offered.insert((*part).to_owned(), entry.metadata().unwrap().len());
        }
    }
    assert_eq!(offered.len(), 3);
    let ran = Ran::new(brc().arg("diff").arg(&quickstart().disk).arg(changed()));
    let download = &ran.events[0]["download"];
    let parts = download["parts"].as_array().unwrap().iter();
    let told: BTreeMap<String, u64> =
        parts.map(|part| (text(part, "what").to_owned(), part["bytes"].as_u64().unwrap())).collect();
    assert_eq!(told, offered);
    assert_eq!(download["bytes"], offered.values().sum::<u64>());
}

#[test]
fn a_comparison_is_the_same_wherever_the_images_lie_and_names_no_place() {
    let old = &quickstart().disk;
    let elsewhere = folder("compare-elsewhere");
    linked(old, old, &elsewhere.join("old.raw"));
    linked(changed(), changed(), &elsewhere.join("new.raw"));
    for form in ["text", "markdown", "html", "json"] {
        let words = ["--verbose", "--format", form];
        let here = diff(Path::new("/"), &words, old, changed());
        assert_eq!(here.status.code(), Some(10), "{form}");
        let there = diff(&elsewhere, &words, Path::new("old.raw"), Path::new("new.raw"));
        assert!(here.stdout == there.stdout, "{form} is another one from another folder");
        let page = String::from_utf8(here.stdout).unwrap();
        for place in [old.parent().unwrap(), changed().parent().unwrap(), &elsewhere] {
            assert!(!page.contains(place.to_str().unwrap()), "{form} names {}", place.display());
        }
        assert!(page.contains("/usr/bin/raise"), "{form}");
    }
}

#[test]
fn images_that_are_the_same_end_with_0_and_what_cannot_be_compared_with_2() {
    let (old, new) = (&quickstart().disk, changed());
    let at = folder("compare-refused");
    let same = diff(&at, &[], old, old);
    assert_eq!((same.status.code(), words(&same).lines().last()), (Some(0), Some("Nothing differs.")));
    linked(new, old, &at.join("mixed.raw"));
    fs::hard_link(old, at.join("alone.raw")).unwrap();
    fs::hard_link(old, at.join("alone")).unwrap();
    fs::write(at.join("broken.raw"), "").unwrap();
    fs::write(at.join("broken.manifest.json"), "{}").unwrap();
    for (image, message) in [
        ("mixed.raw", "`mixed.manifest.json` is the manifest of another image: it says root hash"),
        ("alone.raw", "`alone.raw` has no manifest beside it"),
        ("alone", "`alone` has no manifest beside it"),
        ("broken.raw", "`broken.manifest.json` is no manifest"),
        ("nothing.raw", "the image `nothing.raw` cannot be read"),
        ("/dev/null", "`/dev/null` is no disk image"),
    ] {
        for [old, new] in [[old, Path::new(image)], [Path::new(image), old]] {
            let refused = diff(&at, &[], old, new);
            assert_eq!(refused.status.code(), Some(2), "{image}: {}", words(&refused));
            assert!(words(&refused).contains(message), "{image}: {}", words(&refused));
        }
    }
    let twice = diff(&at, &["--json", "--format", "html"], old, new);
    assert_eq!(twice.status.code(), Some(2), "{}", words(&twice));
}

#[test]
fn a_side_may_be_a_recipe_which_makes_the_same_image() {
    let recipe = copy_of_quickstart(&folder("compare-recipe"));
    fs::copy(&quickstart().lock, recipe.with_file_name("brc.lock")).unwrap();
    let told = |sides: [&Path; 2]| {
        let ran = Ran::new(brc().args(["diff", "--arch=x86_64"]).args(sides));
        (ran.output.status.code(), ran.events.last().unwrap().clone())
    };
    let (code, same) = told([&quickstart().disk, &recipe]);
    assert_eq!((code, &same["equal"]), (Some(0), &Value::Bool(true)), "{same}");
    let (code, different) = told([&recipe, changed()]);
    assert_eq!((code, text(&different["right"], "version")), (Some(10), "0.2.0"));
    let (code, same) = told([&recipe, &recipe]);
    assert_eq!((code, &same["equal"]), (Some(0), &Value::Bool(true)), "{same}");
}
