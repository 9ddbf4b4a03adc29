//! What is not code: texts, data, commands that people copy, lists that must stay true.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    holds,
    rooms::LAYERS,
    root,
    source::{paths, rust_files},
};

/// Hosts that a text may name with `http:` or `https:`: examples, the machine itself, name spaces, and where
/// specifications and documentation stand. None of them serves packages.
const HOSTS: &[&str] = &[
    "example.org",
    "example.com",
    "example.net",
    "localhost",
    "127.0.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "10.0.2.100",
    "169.254.0.100",
    "[::1]",
    "apache.org",
    "btrfs.readthedocs.io",
    "cyclonedx.org",
    "datatracker.ietf.org",
    "doc.rust-lang.org",
    "docs.kernel.org",
    "erofs.docs.kernel.org",
    "freedesktop.org",
    "iana.org",
    "json-schema.org",
    "kdl.dev",
    "keepachangelog.com",
    "man7.org",
    "opensource.org",
    "reproducible-builds.org",
    "rfc-editor.org",
    "rustsec.org",
    "semver.org",
    "spdx.org",
    "systemd.io",
    "theupdateframework.io",
    "uapi-group.org",
    "uefi.org",
    "w3.org",
    "wiki.debian.org",
    "www.debian.org",
];

/// Hosts that one file must name, and why.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("src/image/uki.rs", "github.com", "the line that every `.sbat` section begins with, word for word")];

/// Servers that packages come from, in two parts so that this list does not trip over itself. Which server serves
/// an archive is configuration, so no text of ours names one.
const SERVERS: &[(&str, &str)] = &[
    ("deb", "debian.org"),
    ("ftp", "debian.org"),
    ("security", "debian.org"),
    ("snapshot", "debian.org"),
    ("archive", "ubuntu.com"),
    ("ports", "ubuntu.com"),
    ("cdn", "kernel.org"),
    ("mirrors", "kernel.org"),
    ("crates", "io"),
    ("proxy", "golang.org"),
    ("pypi", "org"),
    ("registry", "npmjs.org"),
    ("docker", "io"),
    ("ghcr", "io"),
    ("quay", "io"),
];

/// Files that tools write, with what archives and registries call their packages.
const GENERATED: &[&str] = &["Cargo.lock", "brc.lock"];

/// Every file of the repository with its path, except what `.gitignore` names at the root.
fn files() -> Vec<(String, PathBuf)> {
    fn collect(folder: &Path, skipped: &[String], found: &mut Vec<(String, PathBuf)>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let kind = entry.file_type().unwrap();
            if skipped.contains(&name) {
                continue;
            }
            if kind.is_dir() {
                collect(&path, skipped, found);
            } else if kind.is_file() {
                found.push((name, path));
            }
        }
    }
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let mut skipped: Vec<String> =
        ignored.lines().filter_map(|line| line.strip_prefix('/')).map(str::to_owned).collect();
    skipped.push(".git".to_owned());
    let mut found = Vec::new();
    collect(root(), &skipped, &mut found);
    found.sort();
    found
}

/// Every text file of ours with its content.
fn texts() -> Vec<(String, String)> {
    let ours =
        files().into_iter().filter(|(name, _)| !GENERATED.contains(&name.rsplit('/').next().unwrap_or_default()));
    ours.filter_map(|(name, path)| Some((name, String::from_utf8(fs::read(path).unwrap()).ok()?))).collect()
}

pub fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Each host that `line` names with `http:` or `https:`.
fn hosts(line: &str) -> Vec<&str> {
    let starts =
        ["http://", "https://"].into_iter().flat_map(|scheme| line.match_indices(scheme).map(|(at, s)| at + s.len()));
    let ends = |c: char| c.is_whitespace() || "/\"'`<>()#?,;|\\".contains(c);
    starts
        .map(|start| {
            let host = line[start..].split(ends).next().unwrap_or_default();
            let host = host.rsplit('@').next().unwrap_or_default();
            let port = host.rfind(':').filter(|colon| !host[*colon..].contains(']'));
            port.map_or(host, |colon| &host[..colon]).trim_end_matches('.')
        })
        .collect()
}

fn is_known(host: &str) -> bool {
    // Nothing, or a hole to fill in: `http://{address}`, `https://…`.
    let hole = host.is_empty() || host.starts_with(['{', '$', '…', '*', '%', '.']);
    let reserved = [".test", ".invalid", ".localhost", ".example"].iter().any(|end| host.ends_with(end));
    let listed =
        HOSTS.iter().any(|known| host == *known || host.strip_suffix(known).is_some_and(|rest| rest.ends_with('.')));
    hole || reserved || listed || !host.contains('.')
}

#[test]
fn what_cargo_builds_in_a_workspace_is_no_part_of_the_repository() {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let folder =
        |(name, _): &(String, PathBuf)| name.strip_suffix("Cargo.toml").map(|folder| format!("/{folder}target"));
    let is_workspace = |(name, path): &&(String, PathBuf)| {
        name.ends_with("Cargo.toml") && fs::read_to_string(path).is_ok_and(|text| text.contains("[workspace]"))
    };
    let files = files();
    let targets = files.iter().filter(is_workspace).filter_map(folder);
    let missing = targets.filter(|target| !ignored.lines().any(|line| line == target));
    holds(".gitignore names the folder that cargo builds each workspace in.", missing.collect());
}

#[test]
fn no_text_names_a_server_that_packages_come_from() {
    let mut broken = Vec::new();
    for (name, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let server =
                SERVERS.iter().map(|(host, domain)| format!("{host}.{domain}")).find(|server| names_host(line, server));
            let excepted = |host: &str| EXCEPTIONS.iter().any(|(file, known, _)| *file == name && *known == host);
            let strange = hosts(line).into_iter().find(|host| !is_known(host) && !excepted(host)).map(str::to_owned);
            if let Some(host) = server.or(strange) {
                broken.push(format!("{name}:{}: `{host}`", number + 1));
            }
        }
    }
    holds(
        "Recipes, tests and texts name archives, never servers; a place where a specification stands goes into HOSTS.",
        broken,
    );
}

/// Whether `server` stands in `line` as a host of its own: not inside a longer word.
fn names_host(line: &str, server: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    line.match_indices(server).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(inside);
        let after = line[at + server.len()..].chars().next().is_some_and(inside);
        !before && !after
    })
}

#[test]
fn no_text_names_a_developers_machine() {
    // Where this copy and its owner live. A folder right below `/` is no name of anybody: `/src`, `/root`.
    let places: Vec<String> = [Some(root().to_owned()), std::env::home_dir()]
        .into_iter()
        .flatten()
        .filter(|place| place.components().count() > 2)
        .map(|place| format!("{}/", place.display()))
        .collect();
    let mut broken = Vec::new();
    for (name, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            // One letter is nobody's name.
            let home = line
                .match_indices("/home/")
                .any(|(at, home)| line[at + home.len()..].chars().take_while(char::is_ascii_lowercase).count() > 1);
            if home || places.iter().any(|place| line.contains(place)) {
                broken.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    holds("No file names a path of the machine that it was written on.", broken);
}

#[test]
fn texts_are_plain() {
    let mut broken = Vec::new();
    for (name, text) in texts() {
        if text.contains('\r') && !name.starts_with("tests/data/") {
            broken.push(format!("{name}: has carriage returns"));
        }
        if text.starts_with('\u{feff}') {
            broken.push(format!("{name}: starts with a byte order mark"));
        }
        for mark in ["<<<<<<< ", ">>>>>>> "] {
            if text.lines().any(|line| line.starts_with(mark)) {
                broken.push(format!("{name}: has a conflict that was not resolved"));
            }
        }
    }
    holds("Texts have no carriage returns, byte order marks or conflict marks.", broken);
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for (name, text) in texts().into_iter().filter(|(name, _)| name.ends_with(".md")) {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                broken.push(format!("{name}: `{target}` is not there"));
            }
        }
    }
    holds("A link in a document leads to a file that is there.", broken);
}

/// The name of an expectation's case: `diagnostics__bad@no-kernel.snap` and `no-kernel.snap` are of `no-kernel`.
fn case_of(expectation: &str) -> &str {
    let name = expectation.rsplit('/').next().unwrap_or_default();
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let name = name.rsplit("__").next().unwrap_or(name);
    name.rsplit('@').next().unwrap_or(name)
}

#[test]
fn every_piece_of_bad_data_is_used() {
    let sources: Vec<String> = rust_files(root(), &["src", "tests"]).iter().map(|source| read(&source.path)).collect();
    let names: Vec<String> =
        files().into_iter().map(|(name, _)| name).filter(|name| name.starts_with("tests/")).collect();
    let mut broken = Vec::new();
    let folder = "tests/data/bad";
    for entry in fs::read_dir(root().join(folder)).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let own = format!("{folder}/{name}");
        let case = case_of(&name);
        let other = |file: &&String| **file != own && !file.starts_with(&format!("{own}/"));
        let has_partner = if name.ends_with(".snap") {
            names.iter().filter(other).any(|file| {
                file.strip_prefix(&format!("{folder}/{case}")).is_some_and(|rest| rest.starts_with(['.', '/']))
            })
        } else {
            names.iter().filter(other).any(|file| file.ends_with(".snap") && case_of(file) == case)
        };
        if !has_partner && !sources.iter().any(|text| text.contains(&format!("\"{case}"))) {
            broken.push(format!("{own}: no test names it, and nothing expected of it is recorded"));
        }
    }
    holds("Every bad recipe has a test or a recorded expectation, and the other way round.", broken);
}

#[test]
fn the_readme_says_the_two_commands_and_ci_runs_the_tests_with_the_same_words() {
    let readme = read("README.md");
    let commands: Vec<&str> =
        readme.lines().map(|line| line.trim_start_matches("    ").trim_start_matches("$ ")).collect();
    let test = "cargo test";
    for command in ["cargo run -- compose examples/quickstart/quickstart.kdl", test] {
        assert!(commands.contains(&command), "README.md has no line `{command}`");
    }
    let script = read(".ci/run");
    // CI wants to know everything that fails.
    let words = |line: &str| line.trim().trim_start_matches("step ").trim_end_matches(" --no-fail-fast").to_owned();
    for command in [test, "cargo fmt --all --check", "cargo clippy --all-targets -- -D warnings"] {
        assert!(script.lines().any(|line| words(line) == command), ".ci/run does not run `{command}`");
    }
    let mode = fs::metadata(root().join(".ci/run")).unwrap().permissions().mode();
    // Who else may is for the umask of whoever cloned to say.
    assert!(mode & 0o100 != 0, ".ci/run cannot be executed: its mode is {mode:o}");
}

#[test]
fn the_changelog_has_a_place_for_what_comes_next() {
    let changelog = read("CHANGELOG.md");
    let first = changelog.lines().find(|line| line.starts_with("## "));
    assert_eq!(first, Some("## [Unreleased]"), "the first section of CHANGELOG.md");
}

#[test]
fn every_ban_says_why() {
    let table: toml::Table = read("clippy.toml").parse().unwrap();
    let mut broken = Vec::new();
    for list in ["disallowed-methods", "disallowed-types"] {
        let bans = table[list].as_array().unwrap();
        assert!(!bans.is_empty(), "clippy.toml: `{list}` is empty");
        for ban in bans {
            if ban.get("reason").and_then(|reason| reason.as_str()).is_none_or(|reason| reason.len() < 10) {
                broken.push(format!("clippy.toml: {ban} has no reason"));
            }
        }
    }
    holds("A ban without its reason is an obstacle, not a rule.", broken);
}

/// The rows of every table in `text` whose first column's title is `title`, cells trimmed.
fn rows(text: &str, title: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if !line.starts_with('|') {
            inside = false;
        } else if inside && !line.starts_with("| ---") {
            found.push(cells(line));
        } else if !inside {
            inside = cells(line)[0] == title;
        }
    }
    found
}

/// What stands between backticks in `cell`.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn architecture_md_names_every_room() {
    let text = read("ARCHITECTURE.md");
    let drawn: Vec<String> = rows(&text, "layer")
        .iter()
        .flat_map(|row| quoted(&row[1]).into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let missing = LAYERS.iter().map(|(room, _)| room.replace("::", "/")).filter(|room| !drawn.contains(room));
    holds(
        "ARCHITECTURE.md's code map has every room of LAYERS.",
        missing.map(|room| format!("`{room}` is missing")).collect(),
    );
}

#[test]
fn architecture_md_names_tests_that_exist() {
    let text = read("ARCHITECTURE.md");
    let code: String = rust_files(root(), &["src", "host", "tests"])
        .iter()
        .map(|source| fs::read_to_string(root().join(&source.path)).unwrap())
        .collect();
    let mut broken = Vec::new();
    let invariants = rows(&text, "invariant");
    assert!(invariants.len() >= 8, "ARCHITECTURE.md has {} invariants, not 8", invariants.len());
    for row in &invariants {
        let held = quoted(&row[1]);
        if held.is_empty() && !row[1].contains("not yet") {
            broken.push(format!("no test holds: {}", row[0]));
        }
        broken.extend(
            held.iter().filter(|name| !stands(&code, name)).map(|name| format!("`{name}` is not there: {}", row[0])),
        );
    }
    holds("Each invariant of ARCHITECTURE.md names the tests, lints or files that hold it.", broken);
}

/// Whether `name` is a test, a file or a lint's configuration.
fn stands(code: &str, name: &str) -> bool {
    code.contains(&format!("fn {name}(")) || name.contains(['/', '.']) && root().join(name).exists()
}

#[test]
fn architecture_md_names_every_format_with_its_owner_and_version() {
    let text = read("ARCHITECTURE.md");
    let code: String = rust_files(root(), &["src", "host", "tests"])
        .iter()
        .map(|source| fs::read_to_string(root().join(&source.path)).unwrap())
        .collect();
    let formats = rows(&text, "format");
    assert!(!formats.is_empty(), "ARCHITECTURE.md has no table of formats");
    let mut broken = Vec::new();
    for row in &formats {
        let [format, owner, version, golden] = row.as_slice() else {
            broken.push(format!("the row `{}` has not four cells", row.join(" | ")));
            continue;
        };
        for file in quoted(owner) {
            let content = fs::read_to_string(root().join(file)).unwrap_or_default();
            if content.is_empty() {
                broken.push(format!("{format}: `{file}` is not there"));
            } else if let Some(version) = quoted(version).into_iter().find(|version| !content.contains(*version)) {
                broken.push(format!("{format}: `{file}` has no `{version}`"));
            }
        }
        broken.extend(
            quoted(golden).iter().filter(|test| !stands(&code, test)).map(|test| format!("{format}: no test `{test}`")),
        );
    }
    holds("Each format of ARCHITECTURE.md has its owner file, version and golden test.", broken);
}

#[test]
fn only_owners_of_formats_know_serde() {
    let text = read("ARCHITECTURE.md");
    let owners: Vec<String> = rows(&text, "format")
        .iter()
        .flat_map(|row| quoted(&row[1]).into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut broken = Vec::new();
    for source in rust_files(root(), &["src", "host"]) {
        let uses = paths(&source.program(), &source.module()).into_iter().find(|(_, path)| path[0] == "serde");
        if let Some((line, path)) = uses.filter(|_| !owners.contains(&source.path)) {
            broken.push(format!("{}:{line}: `{}`", source.path, path.join("::")));
        }
    }
    holds("Domain types are not `Serialize`; a file that derives it owns a format of ARCHITECTURE.md.", broken);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_whatever_stands_around_them() {
        let cases = [
            ("see <https://www.example.org/a>.", vec!["www.example.org"]),
            ("\"http://127.0.0.1:80/\" and https://user@a.test?x", vec!["127.0.0.1", "a.test"]),
            ("http://[::1]:8080/", vec!["[::1]"]),
            ("http://{address}/x", vec!["{address}"]),
        ];
        for (line, expected) in cases {
            assert_eq!(hosts(line), expected, "{line}");
        }
        assert!(is_known("www.example.org") && is_known("localhost") && is_known("a.test") && is_known("{address}"));
        assert!(!is_known("strange.net") && !is_known("notexample.org"));
    }

    #[test]
    fn a_server_is_found_as_a_word_of_its_own() {
        let server = format!("{}.{}", "deb", "debian.org");
        assert!(names_host(&format!("from {server}/debian"), &server));
        assert!(!names_host(&format!("x{server}"), &server));
    }

    #[test]
    fn a_table_is_read_by_its_first_title() {
        let text = "| a | b |\n| --- | --- |\n| 1 | `x` `y` |\n\n| c |\n| --- |\n| 2 |\n";
        assert_eq!(rows(text, "a"), [["1", "`x` `y`"]]);
        assert_eq!(quoted("`x` and `y`"), ["x", "y"]);
    }
}
