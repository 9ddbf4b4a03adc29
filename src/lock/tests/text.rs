//! The text of the lock.

use proptest::prelude::*;

use super::*;
use crate::{
    content::{Digest, Sha256, Url},
    recipe::{Reference, Revision, SetSource},
};

/// A lock with one of everything.
fn full() -> Lock {
    let world = World::new(&[
        SuiteSpec::new(
            "trixie",
            vec![
                PackageSpec::new("a", "1:1.0-1")
                    .depends("b (>= 1), c")
                    .provides("v (= 1)")
                    .with("Breaks", "old (<< 1)")
                    .script("postinst")
                    .file("usr/lib/sysusers.d/a.conf", "u a -\ng shared -\n"),
                PackageSpec::new("b", "1").architecture("all").with("Source", "bee (1.0-3)"),
                PackageSpec::new("c", "1"),
            ],
        ),
        SuiteSpec {
            sources: vec![SourceSpec::quilt("s", "1.0-1", &[], &[])],
            ..SuiteSpec::new("trixie-updates", vec![PackageSpec::new("c", "2")])
        },
    ]);
    let mut asked = closure(&["a"]);
    asked.packages[0].without = vec!["c".to_owned()];
    asked.packages[0].version = Some("1:1.0-1".to_owned());
    asked.without = vec![Pruned { name: "debconf".to_owned(), reason: "quiet".to_owned() }];
    asked.satisfied = vec![("runc".to_owned(), "1.2".to_owned())];
    let image = Closure { name: "variant test".to_owned(), purpose: Purpose::Image, ..asked };
    let mut wanted = world.wanting(vec![image, closure(&["c"])]);
    let sha256 = Sha256::of(b"x");
    wanted.urls = vec![WantedUrl { url: Url::new("https://example.org/x?a=\"b\""), sha256, origin: String::new() }];
    let id = |version: Option<&str>| SourceId {
        name: "s".to_owned(),
        archive: "debian".to_owned(),
        suite: "trixie".to_owned(),
        version: version.map(str::to_owned),
    };
    wanted.sources = vec![None, Some("1.0")]
        .into_iter()
        .map(|version| WantedSource { id: id(version), origin: String::new() })
        .collect();
    let mut lock = world.lock(wanted, &Lock::default(), Goal::Complete).unwrap().0;
    // Sizes and digests of what is compressed are the compressor's, not ours.
    for (size, (id, package)) in (1000..).zip(&mut lock.packages) {
        (package.size, package.sha256) = (size, Sha256::of(id.name.as_bytes()));
    }
    for (path, file) in lock.sources.values_mut().flat_map(|source| &mut source.files) {
        (file.size, file.sha256) = (2000, Sha256::of(path.as_bytes()));
    }
    for ((_, name), suite) in &mut lock.suites {
        suite.sha256 = Sha256::of(name.as_bytes());
    }
    let id = TreeId { component: "brc/a".to_owned(), kind: TreeKind::GoModules, question: Digest::of(b"question") };
    lock.trees.insert(id, Digest::of(b"tree"));
    let commit = "0123456789abcdef0123456789abcdef01234567".to_owned();
    for (name, revision) in [
        ("brc", Revision::Tag("v0.4.0".to_owned())),
        ("other", Revision::Branch("main".to_owned())),
        ("third", Revision::Commit(commit.clone())),
    ] {
        let source = SetSource::Git { url: Url::new(format!("https://git.example.org/{name}.git")), revision };
        let (pin, tree) = (commit.clone(), Digest::of(b"set"));
        lock.sets.insert(name.to_owned(), LockedSet { source, pin, tree });
    }
    for (name, reference) in [("fourth", Reference::Tag("v1".to_owned())), ("fifth", Reference::Digest(sha256))] {
        let source = SetSource::Oci { repository: format!("registry.example.org/{name}"), reference };
        lock.sets.insert(name.to_owned(), LockedSet { source, pin: sha256.to_string(), tree: Digest::of(b"set") });
    }
    lock.users.insert("gone".to_owned(), User { uid: 898, gid: 898, standing: Standing::Retired });
    lock
}

#[test]
fn the_text_is_as_it_was_last_agreed() {
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("brc.lock", full().to_text());
    });
}

#[test]
fn what_is_written_is_read_back() {
    let lock = full();
    assert_eq!(Lock::parse(&lock.to_text()), Ok(lock.clone()));
    let empty = Lock::default();
    assert_eq!(Lock::parse(&empty.to_text()), Ok(empty));
    let mut lock = lock;
    let states = [BuiltFrom::Unasked, BuiltFrom::Unlisted];
    lock.packages.values_mut().zip(states).for_each(|(package, state)| package.built_from = state);
    assert_eq!(Lock::parse(&lock.to_text()), Ok(lock.clone()));
    // Two versions of one package, so that `hold` has to say which.
    let (id, package) =
        lock.packages.iter().find(|(id, _)| id.name == "c").map(|(a, b)| (a.clone(), b.clone())).unwrap();
    let other = PackageId { version: "1".to_owned(), ..id };
    lock.packages.insert(other.clone(), package);
    let closure = lock.closures.values_mut().find(|closure| closure.purpose == Purpose::Image).unwrap();
    closure.members.insert(other, Some("a".to_owned()));
    assert_eq!(Lock::parse(&lock.to_text()), Ok(lock));
}

#[test]
fn the_text_is_kdl() {
    let text = full().to_text();
    let document: kdl::KdlDocument = text.parse().unwrap();
    assert_eq!(document.nodes()[0].name().value(), "lock");
}

#[test]
fn what_is_no_lock_is_refused_with_its_line() {
    let text = full().to_text();
    for (from, to, expected) in [
        (
            "lock 2",
            "lock 3",
            "line 2 of the lock cannot be read: `lock`: this is format 3, and this brc reads formats 1 to 2",
        ),
        ("lock 2", "luck 2", "a lock begins with"),
        ("lock 2", "lock 2 2", "one word too many"),
        ("source \"bee\" \"1.0-3\"", "source \"bee\"", "a source has a name and a version"),
        ("source \"bee\"", "source \"bee\" \"1\"\n    source \"bee\"", "a second time"),
        ("lock 2\n", "<<<<<<< HEAD\nlock 2\n", "line 2 of the lock cannot be read: a merge is not finished here"),
        ("epoch \"", "epoch \"x", "is no time like"),
        ("\nuser \"a\"", "\nusers \"a\"", "no word of a lock"),
        ("uid=899", "uid=8990000000", "is no number of a user"),
        ("uid=899", "uid=-1", "neither quoted, whole number"),
        ("uid=899", "uid=899 uid=901", "`uid` twice"),
        ("hold \"b\"", "hold \"x\"", "no package of the lock is `x`"),
        ("hold \"b\"", "hold \"b\" \"b\"", "one word too many"),
        ("hold \"b\" by=\"a\"", "hold \"b\" by=\"a\"\n    hold \"b\"", "a second time"),
        ("for=\"image\"", "for=\"fun\"", "`for` is"),
        ("for=\"image\"", "", "`for=` is missing"),
        ("\"x86_64\"", "\"z80\"", "`z80` is no architecture"),
        ("file \"pool", "file \"../pool", "leaves the mirror"),
        ("file \"pool", "file \"pool\" \"pool", "one word too many"),
        (" size=", " sizes=", "`size=` is missing"),
        ("    scripts \"postinst\"\n", "", "come together"),
        ("sha256=\"", "sha256=\"g", "is not a digest"),
        ("depends \"b", "depends \\\"b", "neither quoted"),
        ("depends \"b", "depends \"\\q b", "neither quoted"),
        ("}\n", "", "a block inside a block"),
        ("}\n", "}\n}\n", "closes nothing"),
        ("chosen \"1.0-1\"", "chosen", "`chosen`: a word is missing"),
        ("    chosen \"1.0-1\" suite=\"trixie-updates\" mirror=\"debian\"\n", "", "it lacks `chosen`"),
        ("file \"pool/main/s/s_1.0.orig.tar.xz", "file \"../s_1.0.orig.tar.xz", "its path leaves the mirror"),
        ("s_1.0.orig.tar.xz", "s_1.0.dsc", "is no archive of a source package"),
        ("\"go-modules\"", "\"modules\"", "`modules` is no kind of tree"),
        ("question=\"", "question=\"g", "is not a digest"),
        ("retired=#true", "retired=#false", "neither quoted, whole number nor #true"),
    ] {
        let changed = text.replacen(from, to, 1);
        match Lock::parse(&changed) {
            Err(error) => assert!(error.to_string().contains(expected), "{to}: {error}"),
            Ok(_) => panic!("{to} was read"),
        }
    }
    assert_eq!(Lock::parse("").unwrap_err().to_string(), "line 1 of the lock cannot be read: it is empty");
    let open = text.trim_end().rsplit_once("\n}").unwrap().0;
    assert!(Lock::parse(open).unwrap_err().reason.contains("is not closed"));
}

#[test]
fn lines_of_two_branches_merge_in_any_order() {
    let lock = full();
    let text = lock.to_text();
    let (head, rest) = text.split_once("\n\n").unwrap();
    let mut blocks: Vec<&str> = rest.trim_end().split("\n\n").collect();
    blocks.reverse();
    assert_eq!(Lock::parse(&format!("{head}\n\n{}\n", blocks.join("\n\n"))), Ok(lock));
}

fn lock() -> impl Strategy<Value = Lock> {
    let words = ".*";
    let package = (words, words, words, any::<u64>(), any::<Option<(String, Vec<String>)>>());
    let packages = proptest::collection::vec(package, 0..6);
    let users = proptest::collection::btree_map(words, (any::<u32>(), any::<u32>(), any::<bool>()), 0..4);
    (packages, users, words, 0..200_000_000_000_u64).prop_map(|(packages, users, word, epoch)| {
        let standing = |retired| if retired { Standing::Retired } else { Standing::Active };
        let mut lock = Lock { epoch, ..Lock::default() };
        let mut members = BTreeMap::new();
        for (number, (name, depends, suite, size, contents)) in packages.into_iter().enumerate() {
            let built_for = [BuiltFor::All, BuiltFor::Only(Architecture::X86_64)][number % 2];
            let id = PackageId { name, built_for, version: suite.clone(), archive: word.clone() };
            let package = Package {
                suite,
                mirror: word.clone(),
                path: format!("pool/{number}"),
                size,
                sha256: Sha256::of(depends.as_bytes()),
                built_from: match number % 3 {
                    0 => BuiltFrom::Source { name: depends.clone(), version: word.clone() },
                    1 => BuiltFrom::Unlisted,
                    _ => BuiltFrom::Unasked,
                },
                relations: Relations { depends, ..Relations::default() },
                contents: contents.map(|(license, scripts)| Contents {
                    license,
                    scripts: scripts.into_iter().collect(),
                    identities: Default::default(),
                }),
            };
            members.insert(id.clone(), (number % 3 == 0).then(|| word.clone()));
            lock.packages.insert(id, package);
        }
        let id = ClosureId { name: word, architecture: Architecture::X86_64 };
        let closure = LockedClosure {
            purpose: Purpose::Image,
            wants: BTreeMap::new(),
            without: Default::default(),
            satisfied: BTreeMap::new(),
            members,
        };
        lock.closures.insert(id, closure);
        let user = |(name, (uid, gid, retired))| (name, User { uid, gid, standing: standing(retired) });
        lock.users = users.into_iter().map(user).collect();
        lock
    })
}

proptest! {
    #[test]
    fn every_lock_is_read_back_as_written(lock in lock()) {
        // An empty relation is the same as none, and more than 64 words do not fit a line.
        let text = lock.to_text();
        match Lock::parse(&text) {
            Ok(read) => prop_assert_eq!(read, lock),
            Err(error) => prop_assert!(error.reason.contains("too many words"), "{}", error),
        }
    }

    #[test]
    fn no_text_stops_the_reader(text in "(lock [12]\n)?([a-z]{1,8}( \"[^\n]{0,9}\"| [a-z]=[0-9\"#tru]{1,6}| \\{|\n|\n\\}\n){0,6}){0,6}") {
        let _ = Lock::parse(&text);
    }
}
