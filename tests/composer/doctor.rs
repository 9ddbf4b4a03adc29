//! What `brc doctor` says of this machine.

use std::{fs, process::Command};

use crate::support::project::{Ran, folder, text};

#[test]
fn the_mirrors_of_the_project_around_are_looked_at() {
    let project = folder("doctor-project");
    let below = project.join("variants");
    fs::create_dir(&below).unwrap();
    fs::write(project.join("brc.kdl"), "project \"doctor\"\n").unwrap();
    let mirror = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brc"));
        command
            .arg("doctor")
            .current_dir(&below)
            .env("XDG_CONFIG_HOME", &project)
            .env("BRC_STORE", project.join("store"));
        let ran = Ran::new(&mut command);
        let finding = ran.events.iter().find(|event| event["what"] == "mirror").unwrap();
        (text(finding, "state").to_owned(), text(finding, "text").to_owned(), ran.output.status.code())
    };
    let file = project.join("mirrors.toml");
    fs::write(&file, "debian = \"file:///nowhere\"\n").unwrap();
    assert_eq!(mirror().0, "good");
    fs::write(&file, "debian = 7\n").unwrap();
    let (state, text, code) = mirror();
    assert_eq!((state.as_str(), code), ("lacking", Some(3)));
    assert!(text.contains(&format!("`debian` in `{}` is no URL", file.display())), "{text}");
}

#[test]
fn whether_the_memory_of_builds_is_limited_is_said() {
    let store = folder("doctor-store");
    let ran = Ran::new(Command::new(env!("CARGO_BIN_EXE_brc")).arg("doctor").env("BRC_STORE", &store));
    let finding = ran.events.iter().find(|event| event["what"] == "memory").unwrap();
    let said = text(finding, "text");
    match text(finding, "state") {
        "good" => assert!(said.contains("says a control group"), "{said}"),
        state => assert!(state == "note" && said.contains("MemoryMax="), "{state}: {said}"),
    }
}
