//! What `brc lock` and `brc compose --relock` do with an archive that moves on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::{
    archive::{ArchiveKey, KeySpec, PackageSpec, SourceSpec, SuiteSpec},
    package::TarEntry,
    project::{Ran, brc, copy_of_quickstart, folder, quickstart},
};

/// A copy of quickstart beside an archive `notes`, whose mirror is a folder.
struct Project {
    recipe: PathBuf,
    key: ArchiveKey,
}

impl Project {
    /// With recipes of its own, and these components in the image.
    fn new(name: &str, recipes: &str, include: &str) -> Project {
        let recipe = copy_of_quickstart(&folder(name));
        let (key, mirror) = (ArchiveKey::new(&KeySpec::default()), recipe.with_file_name("mirror"));
        fs::write(recipe.with_file_name("notes.asc"), key.certificate()).unwrap();
        fs::write(recipe.with_file_name("mirrors.toml"), format!("notes = {mirror:?}\n")).unwrap();
        let archive = "archive \"notes\" {\n    suite \"notes\" \"later\"\n    keyring \"notes.asc\"\n}\n";
        let variant = fs::read_to_string(&recipe).unwrap().replace("include ", &format!("include {include} "));
        // The archive is for one architecture.
        let variant = variant.replace(" \"aarch64\"", "");
        fs::write(&recipe, format!("{archive}{recipes}\n{variant}")).unwrap();
        Project { recipe, key }
    }

    /// Has the mirror hold these suites and nothing else.
    fn publish(&self, suites: &[SuiteSpec]) {
        let mirror = self.recipe.with_file_name("mirror");
        let _ = fs::remove_dir_all(&mirror);
        for (path, bytes) in suites.iter().flat_map(|suite| suite.files(&self.key)) {
            let path = mirror.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    fn run(&self, verb: &str, words: &[&str]) -> Ran {
        Ran::new(brc().arg(verb).arg(&self.recipe).args(words))
    }
}

fn suite(name: &str, packages: Vec<PackageSpec>) -> SuiteSpec {
    SuiteSpec { mirror: "notes".to_owned(), valid_until: None, ..SuiteSpec::new(name, packages) }
}

fn line_of(recipe: &Path, text: &str) -> usize {
    fs::read_to_string(recipe).unwrap().lines().position(|line| line.contains(text)).unwrap() + 1
}

#[test]
fn a_library_of_another_version_than_its_compiler_is_not_locked() {
    let recipes = r#"
packages "compiler" archive="notes" suite="notes" { brc-compiler }
packages "library" archive="notes" suite="later" { brc-library }
component "tools" {
    needs "compiler"
    link-with "library"
    same-version "brc-compiler" "brc-library"
}
component "compiled" {
    build-with "tools"
    step "true"
}
"#;
    let project = Project::new("same-version-project", recipes, "\"compiled\"");
    let with = |compiler: &str, library: &str| {
        let library = suite("later", vec![PackageSpec::new("brc-library", library)]);
        project.publish(&[suite("notes", vec![PackageSpec::new("brc-compiler", compiler)]), library]);
    };
    with("1", "2");
    let refused = project.run("lock", &[]);
    let message = format!("{:?}", refused.events);
    assert_eq!(refused.output.status.code(), Some(2), "{message}");
    for part in [
        &format!("quickstart.kdl:{}: ", line_of(&project.recipe, "same-version")),
        "expected one version of `brc-compiler` and `brc-library`",
        "`brc-compiler` 1 in tool quickstart/tools (x86_64)",
        "`brc-library` 2 in sysroot quickstart/compiled (x86_64)",
        "`brc update FILE brc-compiler brc-library`",
    ] {
        assert!(message.contains(part), "{part:?} in {message}");
    }
    with("2", "2");
    let locked = project.run("lock", &[]);
    assert!(locked.output.status.success(), "{:?}", locked.events);
}

#[test]
fn relock_moves_a_source_package_whose_archive_is_gone() {
    // It compiles the kernel where the store does not have it.
    quickstart();
    let recipes = r#"
component "note" {
    upstream { debian-source "brc-note" archive="notes" suite="notes" }
    build-with "brc/c"
    install "note" to="/usr/lib/note" mode=0o644
}
"#;
    let project = Project::new("relock-project", recipes, "\"note\"");
    // Of each run its own, so that no store has it.
    let stamp = std::process::id();
    let with = |version: &str| {
        let orig = [TarEntry::file("brc-note/note", format!("{stamp}\n").as_bytes())];
        let source =
            SourceSpec::quilt("brc-note", version, &orig, &[TarEntry::file("debian/rules", version.as_bytes())]);
        project.publish(&[SuiteSpec { sources: vec![source], ..suite("notes", vec![]) }, suite("later", vec![])]);
    };
    with("1-1");
    assert!(project.run("lock", &[]).output.status.success());
    let lock = || fs::read_to_string(project.recipe.with_file_name("brc.lock")).unwrap();
    let before = lock();
    // Two archives of two versions: the upstream one stays, those of Debian come and go.
    with("1-2");
    let out = folder("relock-out");
    let words = ["--arch=x86_64", "--out", out.to_str().unwrap()];
    let gone = project.run("compose", &words);
    assert_eq!(gone.output.status.code(), Some(4), "{:?}", gone.events.last());
    assert_eq!(lock(), before, "only `--relock` moves the lock");
    let moved = project.run("compose", &[&words[..], &["--relock"]].concat());
    let talk = String::from_utf8_lossy(&moved.output.stderr).into_owned();
    assert!(moved.output.status.success(), "{talk}{:?}", moved.events.last());
    assert!(talk.contains("warning:   brc-note source 1-1 -> 1-2\n"), "{talk}");
    let changed: Vec<String> = lock().lines().filter(|line| !before.contains(*line)).map(str::to_owned).collect();
    assert!(changed.iter().all(|line| line.contains("brc-note_1") || line.contains("notes")), "{changed:#?}");
    assert!(changed.iter().any(|line| line.contains("brc-note_1-2.debian.tar.xz")), "{changed:#?}");
}
