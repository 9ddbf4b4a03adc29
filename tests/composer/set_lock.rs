//! What a recipe set has pinned, and the projects that start from it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    sandbox::bench::libraries_of,
    support::{
        archive::{ArchiveKey, KeySpec, NOW, PackageSpec, SourceSpec, SuiteSpec},
        package::TarEntry,
        project::{Ran, brc, folder, sha256},
        server::Server,
    },
};

/// A set with a shell as its only tool, a component that is built from a Debian source, and one that a project adds.
const SET: &str = r##"
project "small"
archive "notes" {
    suite "notes"
    keyring "notes.asc"
}
packages "shell" archive="notes" suite="notes" { brc-shell }
packages "library" archive="notes" suite="notes" { brc-library }
packages "more" archive="notes" suite="notes" { brc-more }
kernel "none" {
    version "1"
    upstream { url "file://KERNEL" sha256="SHA256" }
    config "none.config"
}
component "note" {
    upstream { debian-source "brc-note" archive="notes" suite="notes" }
    build-with "shell"
    link-with "library"
    step #"while read -r line; do echo "$line, $(cat /sysroot/usr/lib/word)"; done <note >"$out/note""#
}
variant "base" {
    version "1"
    arch "x86_64"
    include "none" "note"
    tool "root-filesystem" "shell"
    tool "finish" "shell"
    tool "boot-loader" "shell"
    tool "machine" "shell"
    tool "oracle" "shell"
    tool "probe" "shell"
}
"##;

/// A set, its archive on a server of this machine, a store, and projects on the set.
struct World {
    folder: PathBuf,
    key: ArchiveKey,
    server: Server,
    shell: Vec<TarEntry>,
}

impl World {
    fn new(name: &str) -> World {
        let folder = folder(name);
        let (key, server) = (ArchiveKey::new(&KeySpec::default()), Server::start());
        let world = World { folder, key, server, shell: shell() };
        world.write("set/kernel.tar", "no kernel is compiled here\n");
        let recipes = SET.replace("KERNEL", world.path("set/kernel.tar").to_str().unwrap());
        world.write("set/brc.kdl", &recipes.replace("SHA256", &sha256(&world.path("set/kernel.tar"))));
        world.write("set/none.config", "CONFIG_EFI=y\n");
        fs::write(world.path("set/notes.asc"), world.key.certificate()).unwrap();
        world
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap()
    }

    /// The archive has everything in this version, and its lists name nothing older.
    fn publish(&self, version: u64) {
        let number = version.to_string();
        let package = |name: &str| PackageSpec::new(name, &number);
        let shell = PackageSpec { files: self.shell.clone(), ..package("brc-shell") };
        let library = package("brc-library").file("usr/lib/word", &format!("word {number}\n"));
        let more = package("brc-more").file("usr/lib/sysusers.d/more.conf", &format!("u more{number} -\n"));
        let orig = [TarEntry::file("brc-note/note", format!("note {number}\n").as_bytes())];
        let source = SourceSpec::quilt("brc-note", &format!("{number}-1"), &orig, &[TarEntry::file("debian/x", b"")]);
        let suite = SuiteSpec {
            mirror: "notes".to_owned(),
            valid_until: None,
            date: NOW + version,
            sources: vec![source],
            ..SuiteSpec::new("notes", vec![shell.clone(), library, more])
        };
        for (path, bytes) in suite.files(&self.key) {
            self.server.put_bytes(&format!("/{path}"), &bytes);
        }
    }

    /// A project on the set, which adds a package of its own.
    fn project(&self, name: &str) {
        self.write(
            &format!("{name}/brc.kdl"),
            &format!("project {name:?}\nrecipes \"small\" {{ path \"../set\" }}\nread \"image.kdl\"\n"),
        );
        self.write(
            &format!("{name}/image.kdl"),
            &format!(
                "variant {name:?} {{\n    version \"1\"\n    extends \"small/base\"\n    include \"small/more\"\n}}\n"
            ),
        );
    }

    fn brc(&self, words: &[&str]) -> Command {
        let mut command = brc();
        let mirror = format!("notes={}", self.server.url(""));
        command.args(words).arg("--store").arg(self.path("store")).arg("--mirror").arg(mirror);
        command.current_dir(&self.folder);
        command
    }

    fn well(&self, words: &[&str]) -> Ran {
        Ran::well(&mut self.brc(words))
    }

    /// Builds the set's component in a project; what was performed for it.
    fn build(&self, project: &str) -> Vec<String> {
        self.well(&["build", &format!("{project}/image.kdl"), "small/note"]).performed()
    }

    /// The versions in a lock, by package.
    fn versions(&self, project: &str) -> BTreeSet<String> {
        let lock = brc::lock::Lock::parse(&self.read(&format!("{project}/brc.lock"))).unwrap();
        let packages = lock.packages.keys().map(|id| format!("{} {}", id.name, id.version));
        packages.chain(lock.sources.iter().map(|(id, source)| format!("{} {}", id.name, source.version))).collect()
    }
}

/// A shell of this machine and what it needs, as files of a package.
fn shell() -> Vec<TarEntry> {
    let mut files = BTreeSet::new();
    for program in ["/usr/bin/sh", "/usr/bin/cat"] {
        files.insert(program.to_owned());
        files.extend(libraries_of(program));
    }
    let entry = |path: &String| {
        let found = fs::canonicalize(path).unwrap();
        let mode = fs::metadata(&found).unwrap().permissions().mode() & 0o777;
        // Debian's own programs lie below `/usr`, whichever way this machine reaches them.
        let name = format!("./usr/{}", path.trim_start_matches('/').trim_start_matches("usr/"));
        TarEntry { mode, ..TarEntry::file(&name, &fs::read(found).unwrap()) }
    };
    files.iter().map(entry).collect()
}

const FIRST: [&str; 4] = ["brc-library 1", "brc-note 1-1", "brc-more 2", "brc-shell 1"];

fn set(versions: &[&str]) -> BTreeSet<String> {
    versions.iter().map(|version| (*version).to_owned()).collect()
}

#[test]
fn a_package_that_was_looked_into_for_the_lock_is_not_fetched_again() {
    let world = World::new("set-lock-fetched-once");
    world.publish(1);
    world.project("one");
    let fetched = || {
        let seen = world.server.seen();
        let paths = seen.into_iter().map(|seen| seen.path).filter(|path| path.ends_with(".deb"));
        paths.filter(|path| path.contains("brc-more")).count()
    };
    world.well(&["lock", "one/image.kdl"]);
    assert_eq!(fetched(), 1, "locking looks into what an image has");
    world.well(&["build", "one/image.kdl", "brc-more"]);
    assert_eq!(fetched(), 1);
}

#[test]
fn projects_on_one_set_share_every_build() {
    let world = World::new("set-lock");
    world.publish(1);
    world.well(&["lock", "set/brc.kdl"]);
    // The archive moves on; two projects begin.
    world.publish(2);
    ["first", "second", "third"].iter().for_each(|name| world.project(name));
    let built = world.build("first");
    assert!(built.contains(&"small/note build".to_owned()), "{built:?}");
    assert_eq!(world.versions("first"), set(&FIRST), "what the set lacks is the newest, and nothing else");
    assert_eq!(world.build("second"), [""; 0]);
    let lock = |name: &str| world.read(&format!("{name}/brc.lock")).replace(name, "NAME");
    assert_eq!(lock("first"), lock("second"));
    let epoch = |name: &str| world.read(&format!("{name}/brc.lock")).lines().nth(2).unwrap().to_owned();
    assert_eq!(epoch("first"), epoch("set"));

    // The set moves: projects stay until they are told to follow.
    world.well(&["update", "set/brc.kdl"]);
    assert_eq!(world.build("second"), [""; 0]);
    assert_eq!(world.versions("second"), set(&FIRST));
    let told = world.well(&["update", "first/image.kdl", "--from-set"]);
    let changes: Vec<String> =
        told.of("change").map(|change| format!("{} {}", change["package"], change["to"])).collect();
    assert_eq!(changes, ["\"brc-library\" \"2\"", "\"brc-note\" \"2-1\"", "\"brc-shell\" \"2\""]);
    let second = set(&["brc-library 2", "brc-note 2-1", "brc-more 2", "brc-shell 2"]);
    assert_eq!(world.versions("first"), second);
    assert_eq!(epoch("first"), epoch("set"));
    assert!(world.build("first").contains(&"small/note build".to_owned()));
    assert_eq!(world.build("third"), [""; 0], "a project that begins later starts from what the set has then");

    // `brc update` goes on where the set has not been yet.
    world.publish(3);
    world.well(&["update", "third/image.kdl"]);
    assert_eq!(world.versions("third"), set(&["brc-library 3", "brc-note 3-1", "brc-more 3", "brc-shell 3"]));
    // The number of a user of the older package stays taken.
    let third = world.read("third/brc.lock");
    assert!(third.contains("user \"more2\" uid=900 gid=900 retired=#true"), "{third}");
}

#[test]
fn without_pins_of_the_set_each_project_has_its_own() {
    let world = World::new("set-without-lock");
    world.publish(1);
    ["first", "second"].iter().for_each(|name| world.project(name));
    assert!(world.build("first").contains(&"small/note build".to_owned()));
    world.publish(2);
    assert!(world.build("second").contains(&"small/note build".to_owned()));
    let refused = Ran::new(&mut world.brc(&["update", "second/image.kdl", "--from-set"]));
    assert_eq!(refused.output.status.code(), Some(2));
    let message = format!("{:?}", refused.events);
    assert!(message.contains("no imported recipe set has pins to take"), "{message}");
}

#[test]
fn a_damaged_lock_of_a_set_is_named() {
    let world = World::new("set-damaged-lock");
    world.publish(1);
    world.project("first");
    world.well(&["lock", "set/brc.kdl"]);
    let lock = world.read("set/brc.lock");
    world.write("set/brc.lock", &lock.replace("size=", "size=x"));
    let refused = Ran::new(&mut world.brc(&["lock", "first/image.kdl"]));
    let message = format!("{:?}", refused.events);
    assert_eq!(refused.output.status.code(), Some(2), "{message}");
    assert!(message.contains("set/brc.lock` is not a lock that this brc reads"), "{message}");
    assert!(!Path::new(&world.path("first/brc.lock")).exists());
    // One that leads out of the set is not followed, and nothing of what it leads to is shown.
    std::fs::remove_file(world.path("set/brc.lock")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", world.path("set/brc.lock")).unwrap();
    let refused = Ran::new(&mut world.brc(&["lock", "first/image.kdl"]));
    let message = format!("{:?}", refused.events);
    assert!(message.contains("set/brc.lock") && !message.contains("root:"), "{message}");
    assert!(!refused.output.status.success(), "{message}");
    std::fs::remove_file(world.path("set/brc.lock")).unwrap();
    // Who has pinned everything does not need it.
    world.write("set/brc.lock", &lock);
    world.well(&["lock", "first/image.kdl"]);
    world.write("set/brc.lock", "no lock\n");
    world.build("first");
}
