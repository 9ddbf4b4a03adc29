//! Who may use whom, and what every room says at its door.

use std::{collections::BTreeSet, fs};

use crate::{
    holds, root,
    source::{Source, paths, rust_files, starts},
};

/// Every room and the rooms that it may use. `contract` is the crate `brc-contract`; a name with `::` is one part
/// of a room. ARCHITECTURE.md draws the same table.
pub const LAYERS: &[(&str, &[&str])] = &[
    ("content", &["contract"]),
    ("sandbox::linux", &[]),
    ("recipe", &["content", "contract"]),
    ("store", &["content"]),
    ("lock", &["recipe", "content", "contract"]),
    ("graph", &["recipe", "lock", "content", "contract"]),
    ("plan", &["graph", "recipe", "lock", "content", "contract"]),
    ("fetch", &["plan", "store", "content", "contract"]),
    ("sandbox", &["sandbox::linux", "plan", "store", "content", "contract"]),
    ("image", &["plan", "store", "content", "contract"]),
    ("artifact", &["plan", "store", "content", "contract"]),
    ("build", &["plan", "store", "content", "contract"]),
    ("inspect", &["image", "plan", "store", "content", "contract"]),
    ("vm", &["sandbox", "image", "store", "content", "contract"]),
    ("publish", &["artifact", "store", "content", "contract"]),
    ("release", &["inspect", "artifact", "image", "plan", "content", "contract"]),
    (
        "compose",
        &[
            "build", "fetch", "sandbox", "image", "artifact", "plan", "graph", "lock", "recipe", "store", "content",
            "contract",
        ],
    ),
    (
        "cli",
        &[
            "compose", "release", "publish", "vm", "inspect", "build", "fetch", "sandbox", "image", "artifact", "plan",
            "graph", "lock", "recipe", "store", "content", "contract",
        ],
    ),
];

/// The rooms that compute: no I/O, no clock, no environment, no randomness.
const PURE: &[&str] = &["content", "recipe", "lock", "graph", "plan", "release"];

/// The crates of the programs inside images.
const HOST: [&str; 6] = ["contract", "linux", "agent", "apiclient", "early", "update"];

/// The files of those programs that touch the machine; all others judge what these have read.
const HOST_DOORS: &[&str] = &[
    "host/linux/src/copied.rs",
    "host/linux/src/files.rs",
    "host/linux/src/whole_file.rs",
    "host/linux/src/device_mapper.rs",
    "host/linux/src/nvme.rs",
    "host/agent/src/door/program.rs",
    "host/agent/src/door/serve.rs",
    "host/agent/src/door/session.rs",
    "host/agent/src/first.rs",
    "host/agent/src/main.rs",
    "host/agent/src/settings/guestinfo.rs",
    "host/agent/src/settings/imds.rs",
    "host/agent/src/settings/named_url.rs",
    "host/agent/src/verb/api.rs",
    "host/agent/src/verb/exec_door.rs",
    "host/agent/src/verb/health.rs",
    "host/agent/src/verb/settings.rs",
    "host/agent/src/verb/mod.rs",
    "host/agent/src/verb/status.rs",
    "host/agent/src/verb/update.rs",
    "host/apiclient/src/exec.rs",
    "host/apiclient/src/main.rs",
    "host/apiclient/src/request.rs",
    "host/early/src/main.rs",
    "host/early/src/running.rs",
    "host/update/src/device.rs",
    "host/update/src/loader.rs",
    "host/update/src/machine.rs",
    "host/update/src/main.rs",
    "host/update/src/report.rs",
    "host/update/src/repository.rs",
    "host/update/src/transport.rs",
];

/// What a pure room may not touch. `std::io`'s traits and `std::path`'s types are values and stay allowed,
/// and so does `rayon`: threads that only compute.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::time",
    "std::process",
    "std::thread",
    "std::os",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "rustix",
    "libc",
    "tempfile",
    "ureq",
    "indicatif",
    "landlock",
    "seccompiler",
    "rand",
    "getrandom",
];

fn segments(room: &str) -> Vec<&str> {
    room.split("::").collect()
}

fn begins(path: &[String], room: &str) -> bool {
    let room = segments(room);
    path.len() >= room.len() && path.iter().zip(&room).all(|(name, word)| name == word)
}

/// The room that `path` lies in: of two that fit, the inner one.
fn room_of(path: &[String]) -> Option<&'static str> {
    LAYERS.iter().map(|(room, _)| *room).filter(|room| begins(path, room)).max_by_key(|room| room.len())
}

/// The sentences about what `source`, a file of `room`, uses and may not.
fn strangers(source: &Source, room: &str, allowed: &[&str]) -> Vec<String> {
    let module = source.module();
    let mut broken = Vec::new();
    for (line, path) in paths(&source.tokens, &module) {
        let reached = match path[0].as_str() {
            "crate" => path[1..].to_vec(),
            "brc_contract" => std::iter::once("contract".to_owned()).chain(path[1..].iter().cloned()).collect(),
            _ => continue,
        };
        let used = if path[0] == "crate" { room_of(&reached) } else { Some("contract") };
        if used.is_some_and(|used| used != room) && !allowed.iter().any(|allowed| begins(&reached, allowed)) {
            broken.push(format!("{}:{line}: `{room}` may not use `{}`", source.path, reached.join("::")));
        }
    }
    broken
}

#[test]
fn rooms_use_only_lower_rooms() {
    let mut broken = Vec::new();
    for source in rust_files(root(), &["src"]) {
        let module = source.module();
        match room_of(&module) {
            Some(room) => {
                let allowed =
                    LAYERS.iter().find(|(name, _)| *name == room).map_or(&[] as &[&str], |(_, allowed)| allowed);
                broken.extend(strangers(source, room, allowed));
            }
            None if source.path == "src/main.rs" => {
                let uses =
                    paths(&source.tokens, &module).into_iter().filter(|(_, path)| path[0] == "brc" && path.len() > 1);
                // The program is its own sandbox's first process, before it is anything else.
                let is_known = |path: &[String]| path[1] == "cli" || path[1..] == ["sandbox", "intercept"];
                broken.extend(uses.filter(|(_, path)| !is_known(path)).map(|(line, path)| {
                    format!("{}:{line}: the program uses only `cli`, not `{}`", source.path, path.join("::"))
                }));
            }
            None if source.path == "src/lib.rs" => {}
            None => broken.push(format!("{}: lies in no room of LAYERS", source.path)),
        }
    }
    holds("A room uses only the rooms below it; see LAYERS in tests/tidy/rooms.rs.", broken);
}

#[test]
fn the_table_of_layers_has_no_circle() {
    let mut below: BTreeSet<&str> = BTreeSet::from(["contract"]);
    let mut left: Vec<_> = LAYERS.iter().collect();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|(room, allowed)| {
            let ready = allowed.iter().all(|used| below.contains(used) || below.contains(segments(used)[0]));
            if ready {
                below.insert(room);
            }
            !ready
        });
        assert!(left.len() < before, "these rooms wait for each other or for a room that is not there: {left:?}");
    }
}

#[test]
fn every_room_is_in_the_table_and_declared() {
    let library = Source::read(root(), &root().join("src/lib.rs")).tokens;
    let mut broken = Vec::new();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !entry.path().is_dir() {
            if name != "lib.rs" && name != "main.rs" {
                broken.push(format!("src/{name}: a room is a folder"));
            }
            continue;
        }
        if !LAYERS.iter().any(|(room, _)| *room == name) {
            broken.push(format!("src/{name}: is missing from LAYERS"));
        }
        if !library.windows(3).any(|window| starts(window, &["mod", &name, ";"])) {
            broken.push(format!("src/{name}: is not declared in src/lib.rs, so nothing compiles it"));
        }
    }
    holds("Every room stands in LAYERS and in src/lib.rs.", broken);
}

#[test]
fn every_room_says_what_it_takes_gives_promises_and_does_not_know() {
    let mut doors: Vec<String> =
        LAYERS.iter().map(|(room, _)| format!("src/{}/mod.rs", room.replace("::", "/"))).collect();
    doors.extend(HOST.map(|room| format!("host/{room}/src/lib.rs")));
    let mut broken = Vec::new();
    for door in doors {
        let folder = root().join(&door).parent().unwrap().to_owned();
        if !folder.is_dir() {
            continue;
        }
        let text = fs::read_to_string(root().join(&door)).unwrap_or_default();
        let header: String = text.lines().take_while(|line| line.starts_with("//!")).map(str::to_lowercase).collect();
        for word in ["takes", "gives", "promises", "does not know"] {
            if !header.contains(&format!("*{word}*")) {
                broken.push(format!("{door}: the header has no *{word}*"));
            }
        }
    }
    holds("The header of a room says what it *Takes*, *Gives*, *Promises* and *Does not know*.", broken);
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    let mut broken = Vec::new();
    let folders = HOST.map(|room| format!("host/{room}/src"));
    for source in rust_files(root(), &[&["src"], folders.each_ref().map(String::as_str).as_slice()].concat()) {
        let module = source.module();
        let is_door = HOST_DOORS.contains(&source.path.as_str());
        let pure = PURE.iter().any(|room| begins(&module, room)) || source.path.starts_with("host/") && !is_door;
        if !pure {
            continue;
        }
        for (line, path) in paths(&source.program(), &module) {
            if let Some(banned) = IMPURE.iter().find(|banned| begins(&path, banned)) {
                broken.push(format!("{}:{line}: `{}` (`{banned}`)", source.path, path.join("::")));
            }
        }
    }
    holds(
        "`content recipe lock graph plan release contract`, and what judges on the machine, do no I/O and read no clock, environment or randomness.",
        broken,
    );
}
