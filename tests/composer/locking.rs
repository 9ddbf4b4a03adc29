//! What `brc lock` and `brc compose --relock` do with an archive that moves on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::{
    archive::{ArchiveKey, KeySpec, PackageSpec, SourceSpec, SuiteSpec},
    package::TarEntry,
    project::{Ran, brc, copy_of_quickstart, folder, linked_store, quickstart},
    server::Server,
    sha256_hex,
};

/// A copy of quickstart beside an archive `notes`, whose mirror is a folder.
pub struct Project {
    pub recipe: PathBuf,
    key: ArchiveKey,
}

impl Project {
    /// With recipes of its own, and these components in the image.
    pub fn new(name: &str, recipes: &str, include: &str) -> Project {
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
    pub fn publish(&self, suites: &[SuiteSpec]) {
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

pub fn suite(name: &str, packages: Vec<PackageSpec>) -> SuiteSpec {
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
        "`brc update brc-compiler brc-library`",
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

/// A copy of quickstart with a component whose source is by URL, and a store of its own.
struct ByUrl {
    recipe: PathBuf,
    store: PathBuf,
    variant: String,
    server: Server,
}

impl ByUrl {
    fn new(name: &str) -> ByUrl {
        let recipe = copy_of_quickstart(&folder(name));
        let variant = fs::read_to_string(&recipe).unwrap().replace("include ", "include \"thing\" ");
        let store = linked_store(&format!("{name}-store"));
        ByUrl { recipe, store, variant, server: Server::start() }
    }

    /// States version and URLs, the digest being that of these bytes.
    fn state(&self, version: &str, urls: &[&str], content: &[u8]) {
        let urls: Vec<String> = urls.iter().map(|url| format!("{:?}", self.url(url))).collect();
        let component = format!(
            "component \"thing\" {{\nversion {version:?}\nupstream {{ url {} sha256=\"{}\" unpack=#false; }}\n\
             build-with \"brc/finish-tools\"\nstep \"true\"\n}}\n",
            urls.join(" "),
            sha256_hex(content)
        );
        fs::write(&self.recipe, component + &self.variant).unwrap();
    }

    fn url(&self, path: &str) -> String {
        if path.contains("://") { path.to_owned() } else { self.server.url(path) }
    }

    /// The exit code of `brc VERB`, and everything that it says.
    fn run(&self, verb: &str, words: &[&str]) -> (Option<i32>, String) {
        let mut command = brc();
        command.arg(verb).arg("--store").arg(&self.store).arg(&self.recipe).args(words);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    fn lock(&self) -> (Option<i32>, String) {
        self.run("lock", &[])
    }

    fn locked(&self) -> String {
        fs::read_to_string(self.recipe.with_file_name("brc.lock")).unwrap()
    }
}

#[test]
fn a_url_that_no_lock_has_seen_is_held_to_its_digest_once() {
    let project = ByUrl::new("by-url-project");
    project.server.put_bytes("/x-1.0.tar.gz", b"one");
    project.state("1.0", &["/x-{version}.tar.gz"], b"one");
    let (code, talk) = project.lock();
    assert_eq!(code, Some(0), "{talk}");
    assert_eq!(project.server.seen().len(), 1);
    assert_eq!(project.lock().0, Some(0));
    assert_eq!(project.server.seen().len(), 1, "what is locked is not asked again");
    // The store has seen it, whatever becomes of the lock.
    let kept = project.locked().lines().filter(|line| !line.contains("/x-1.0.tar.gz")).collect::<Vec<_>>().join("\n");
    fs::write(project.recipe.with_file_name("brc.lock"), kept + "\n").unwrap();
    let (code, talk) = project.run("lock", &["--offline"]);
    assert_eq!((code, project.server.seen().len()), (Some(0), 1), "{talk}");

    // A new version with the digest of the old one: its file is not there, or is another, or is the same after all.
    project.state("2.0", &["/x-{version}.tar.gz"], b"one");
    let before = project.locked();
    let [old, new] = ["/x-1.0.tar.gz", "/x-2.0.tar.gz"].map(|path| project.server.url(path));
    let place = format!("quickstart.kdl:{}: ", line_of(&project.recipe, "upstream"));
    let stated = format!("the SHA-256 that is stated for it is that of `{old}`");
    for (verb, words) in [("lock", &[][..]), ("build", &["thing", "--arch=x86_64"])] {
        let (code, talk) = project.run(verb, words);
        assert_eq!(code, Some(2), "{talk}");
        for part in [&place, &format!("`{new}` is not there"), &stated] {
            assert!(talk.contains(part), "{part:?} in {talk}");
        }
    }
    project.server.put_bytes("/x-2.0.tar.gz", b"two");
    let (code, talk) = project.lock();
    let found = format!("`{new}` has the SHA-256 {}", sha256_hex(b"two"));
    assert!(code == Some(2) && talk.contains(&found) && talk.contains(&stated), "{code:?} {talk}");
    assert_eq!(project.locked(), before);
    project.server.put_bytes("/x-2.0.tar.gz", b"one");
    assert_eq!(project.lock().0, Some(0));
    assert!(project.locked().contains(&new) && !project.locked().contains(&old));

    // What was fetched while locking is not fetched again to build with it.
    project.server.put_bytes("/x-3.0.tar.gz", b"three");
    project.state("3.0", &["/x-{version}.tar.gz"], b"three");
    assert_eq!(project.lock().0, Some(0));
    let wrong = project.server.url("/x-4.0.tar.gz");
    project.server.put_bytes("/x-4.0.tar.gz", b"not four");
    project.state("4.0", &["/x-{version}.tar.gz"], b"four");
    let (code, talk) = project.lock();
    let found = format!("expected SHA-256 {}, found {}", sha256_hex(b"four"), sha256_hex(b"not four"));
    assert!(code == Some(4) && talk.contains(&wrong) && talk.contains(&found), "{code:?} {talk}");
}

#[test]
fn one_of_several_urls_is_enough_and_no_password_of_any_is_shown() {
    let project = ByUrl::new("several-urls-project");
    project.server.put_bytes("/x", b"one");
    let secret = project.server.url("/none").replace("http://", "http://user:s3cret@");
    project.state("1", &[&secret, "/x"], b"one");
    let (code, talk) = project.lock();
    assert_eq!(code, Some(0), "{talk}");
    let [none, there] = ["/none", "/x"].map(|path| project.server.url(path));
    assert!(talk.contains(&format!("warning: quickstart.kdl:3: `{none}`")), "{talk}");
    assert!(talk.contains(&format!("`{there}` has what is stated")), "{talk}");
    assert!(!talk.contains("s3cret"), "{talk}");
    // With nothing to fall back on, and where it is no URL at all.
    for url in [secret.as_str(), "http://user:s3cret@/x"] {
        project.state("1", &[url], b"two");
        for (verb, words) in [("lock", &[][..]), ("check", &[]), ("check", &["--locked"])] {
            let (code, talk) = project.run(verb, words);
            assert!(!talk.contains("s3cret"), "{verb} {words:?}: {talk}");
            assert!(code != Some(0) || verb == "check", "{talk}");
        }
    }
    for mirror in ["--mirror=debian=http://user:s3cret@/x", "--mirror=http://user:s3cret@example.org/debian"] {
        let (code, talk) = project.run("lock", &[mirror]);
        assert!(code == Some(2) && talk.contains("mirror") && !talk.contains("s3cret"), "{code:?} {talk}");
    }
    fs::write(project.recipe.with_file_name("mirrors.toml"), "notes = \"/srv\"\ndebian = \"http://user:s3cret@x\n")
        .unwrap();
    let (code, talk) = project.lock();
    assert!(code == Some(2) && talk.contains("line 2") && !talk.contains("s3cret"), "{code:?} {talk}");
}
