//! What recipes say of things that only the finished root shows: obeyed, or told with its line.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::project::{Ran, brc, copy_of_quickstart, folder, quickstart};

/// A copy of quickstart that says more in its variant, with a lock that serves it.
fn project(name: &str, more: &str) -> PathBuf {
    // What the two have in common is in the store then.
    quickstart();
    let recipe = copy_of_quickstart(&folder(name));
    let text = fs::read_to_string(&recipe).unwrap();
    let (before, _) = text.rsplit_once('}').unwrap();
    fs::write(&recipe, format!("{before}{more}\n}}\n")).unwrap();
    recipe
}

fn compose(recipe: &Path) -> Ran {
    let out = recipe.with_file_name("out");
    Ran::new(brc().args(["compose", "--arch=x86_64", "--out"]).arg(out).arg(recipe))
}

#[test]
fn what_the_finished_root_is_not_is_told_all_at_once() {
    let said = [
        (r#"unit "contanierd.service" enable=#true"#, "there is no unit `contanierd.service` in the image to enable"),
        (r#"unit "tock@a.service" enable=#true"#, "there is no unit `tock@a.service`"),
        (
            r#"unit "plain.service" enable=#true text="[Service]\nExecStart=/usr/bin/true""#,
            "`plain.service` cannot be enabled: its `[Install]` section says nothing that starts it",
        ),
        (r#"unit "nosuch.service" { drop-in "x.conf" text="[Service]"; }"#, "there is no unit `nosuch.service`"),
        (r#"user "mine" shell="/usr/bin/my sh""#, "the shell `/usr/bin/my sh` of the user `mine` is not in the image"),
        (r#"setuid "/usr/bin/env" reason="none""#, "`/usr/bin/env` is no file with a setuid or setgid bit"),
        (
            r#"finish "loose" { step "chmod 4755 $root/usr/bin/cat"; }"#,
            "quickstart x86_64: `/usr/bin/cat` has the mode 4755",
        ),
        (r#"mask "nothing.service""#, "warning: "),
    ];
    let lines: Vec<&str> = said.iter().map(|(line, _)| *line).collect();
    let recipe = project("stated-wrong", &lines.join("\n"));
    let text = fs::read_to_string(&recipe).unwrap();
    let small = text.replace("budget root=\"100MiB\"", "budget root=\"1MiB\"");
    assert_ne!(text, small);
    fs::write(&recipe, small).unwrap();
    let ran = compose(&recipe);
    let talk = String::from_utf8_lossy(&ran.output.stderr).into_owned() + &format!("{:?}", ran.events.last());
    assert_eq!(ran.output.status.code(), Some(1), "{talk}");
    assert!(talk.contains(" bytes, its budget is 1048576: drop files"), "{talk}");
    for (line, expected) in said {
        assert!(talk.contains(expected), "{expected:?} in\n{talk}");
        let number = text.lines().position(|found| found == line).unwrap() + 1;
        let place = format!("quickstart.kdl:{number}: ");
        assert!(expected.starts_with("quickstart ") || talk.contains(&place), "{place:?} in\n{talk}");
    }
    let written = fs::read_dir(recipe.with_file_name("out")).map_or(0, Iterator::count);
    assert_eq!(written, 0, "no file of an image that is not as stated");
}

#[test]
fn units_that_systemd_would_leave_out_fail_the_compose_by_name() {
    let unit = |name: &str, after: &str, program: &str| {
        format!(
            r#"unit "{name}.service" enable=#true text="[Unit]\nAfter={after}.service\n[Service]\nExecStart=/usr/bin/{program}\n[Install]\nWantedBy=multi-user.target""#
        )
    };
    let told = |name: &str, lines: &[String], expected: &[&str]| {
        let ran = compose(&project(name, &lines.join("\n")));
        let talk = String::from_utf8_lossy(&ran.output.stderr).into_owned() + &format!("{:?}", ran.events.last());
        assert_eq!(ran.output.status.code(), Some(1), "{talk}");
        for expected in expected {
            assert!(talk.contains(expected), "{expected:?} in\n{talk}");
        }
    };
    let lines = [unit("one", "two", "true"), unit("two", "one", "true"), unit("three", "one", "nosuch")];
    let expected = [".service: Found ordering cycle on ", "three.service: Command /usr/bin/nosuch is not"];
    told("stated-units", &lines, &expected);
    // What waits for the proof that the boot is good, and is waited for by what the proof waits for: systemd would leave the
    // proof out, and every new version would be given up.
    told("stated-proof", &[unit("late", "systemd-bless-boot", "true")], &[": Found ordering cycle on "]);
}

#[test]
fn users_groups_instances_and_content_below_var_are_in_the_image_as_they_are_said() {
    let recipe = project(
        "stated-right",
        r#"user "mine" comment="half of 100%" home="/srv/my home" shell="/usr/bin/bash" { group "both"; }
           group "both"
           unit "tick@.service" text="[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target"
           unit "tick@a.service" enable=#true
           unit "tick@b.service" enable=#true
           dir "/var/lib/mine" mode=0o700 owner="mine"
           file "/var/lib/mine/seed" text="seed" mode=0o600 owner="mine:both"
           file "/usr/bin/special" text="x" mode=0o4755"#,
    );
    let ran = compose(&recipe);
    let talk = String::from_utf8_lossy(&ran.output.stderr).into_owned();
    assert!(ran.output.status.success(), "{talk}");
    let composed = ran.of("composed").next().unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(composed["manifest"].as_str().unwrap()).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap();
    let of = |path: &str| files.iter().find(|file| file["path"] == path);
    let wants = "/etc/systemd/system/multi-user.target.wants";
    for path in [&format!("{wants}/tick@a.service"), &format!("{wants}/tick@b.service"), "/usr/bin/special"] {
        assert!(of(path).is_some(), "{path}");
    }
    let seed = of("/usr/share/factory/var/lib/mine/seed").unwrap();
    assert_eq!((&seed["mode"], &seed["owner"]), (&"0600".into(), &"quickstart/quickstart".into()), "{seed}");
    assert!(seed["uid"].as_u64() > Some(0) && seed["gid"] != seed["uid"], "{seed}");
    assert!(of("/usr/lib/tmpfiles.d/00-brc-factory.conf").is_some());
    let below_var = files.iter().filter(|file| file["path"].as_str().is_some_and(|path| path.starts_with("/var/")));
    assert_eq!(below_var.count(), 0);
    // What starts the image is a part of it, with its version and licence.
    let components = manifest["components"].as_array().unwrap();
    let kernel = components.iter().find(|component| component["name"] == "brc/debian-cloud").unwrap();
    assert_eq!(kernel["license"], "GPL-2.0-only", "{kernel}");
    assert!(kernel["version"].as_str().is_some_and(|version| version.starts_with("6.")), "{kernel}");
    for name in ["brc/early", "linux-image-cloud-amd64"] {
        assert!(components.iter().any(|component| component["name"] == name), "{name}");
    }
}
