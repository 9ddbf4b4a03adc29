//! Debian source packages: which version, from which index, and what is refused.

use super::*;
use support::package::TarEntry;

fn quilt(name: &str, version: &str) -> SourceSpec {
    SourceSpec::quilt(name, version, &[TarEntry::file("a/x", b"x")], &[TarEntry::file("debian/rules", b"")])
}

fn suite(name: &str, sources: Vec<SourceSpec>) -> SuiteSpec {
    SuiteSpec { sources, ..SuiteSpec::new(name, vec![PackageSpec::new("p", "1")]) }
}

fn world() -> World {
    World::new(&[
        suite("trixie", vec![quilt("a", "1:1.0-1"), quilt("a", "1:1.2-1"), quilt("b", "1")]),
        suite("trixie-updates", vec![quilt("a", "1:1.2-3")]),
        suite("trixie-backports", vec![quilt("a", "1:2.0-1")]),
    ])
}

fn source(name: &str, suite: &str, version: Option<&str>) -> WantedSource {
    let id = SourceId {
        name: name.to_owned(),
        archive: "debian".to_owned(),
        suite: suite.to_owned(),
        version: version.map(str::to_owned),
    };
    WantedSource { id, origin: "test.kdl:7".to_owned() }
}

fn wanting(world: &World, sources: &[WantedSource]) -> Wanted {
    Wanted { sources: sources.to_vec(), ..world.wanting(vec![]) }
}

fn lock_one(world: &World, wanted: &WantedSource) -> Result<LockedSource, String> {
    let locked = world.lock(wanting(world, std::slice::from_ref(wanted)), &Lock::default(), Goal::Complete);
    locked.map(|(lock, _)| lock.sources[&wanted.id].clone()).map_err(|error| error.to_string())
}

#[test]
fn the_highest_version_of_a_suite_and_its_updates_is_taken_unless_one_is_stated() {
    for (suite, stated, version, from) in [
        ("trixie", None, "1:1.2-3", "trixie-updates"),
        ("trixie", Some("1.2"), "1:1.2-3", "trixie-updates"),
        ("trixie", Some("1:1.2-1"), "1:1.2-1", "trixie"),
        ("trixie", Some("1.0"), "1:1.0-1", "trixie"),
        ("trixie-backports", None, "1:2.0-1", "trixie-backports"),
    ] {
        let locked = lock_one(&world(), &source("a", suite, stated)).unwrap();
        assert_eq!((locked.version.as_str(), locked.suite.as_str()), (version, from), "{suite} {stated:?}");
        let places: Vec<&str> = locked.files.values().map(|file| file.at.as_str()).collect();
        assert_eq!(places, ["debian", ""], "the .dsc is no archive: {:?}", locked.files);
    }
}

#[test]
fn what_cannot_be_chosen_is_told_with_what_there_is() {
    let mut old = quilt("old", "1-1");
    old.format = "1.0".to_owned();
    old.files = vec![("old_1.orig.tar.gz".to_owned(), vec![]), ("old_1-1.diff.gz".to_owned(), vec![])];
    let mut odd = quilt("odd", "1-1");
    odd.format = "3.0 (git)".to_owned();
    let world = World::new(&[suite("trixie", vec![quilt("a", "1-1"), old, odd])]);
    for (name, suite, version, expected) in [
        ("a", "trixie", Some("2"), "has no version `2` in `trixie`: there is `1-1`; state one of them"),
        ("z", "trixie", None, "no source package `z` is in `trixie` of `debian`"),
        ("a", "sid", None, "from the suite `sid`, which the archive `debian` lacks"),
        ("old", "trixie", None, "has the format `1.0` with `old_1-1.diff.gz`: expected `3.0 (quilt)`"),
        ("odd", "trixie", None, "has the format `3.0 (git)`: expected `3.0 (quilt)` or `3.0 (native)`"),
    ] {
        let told = lock_one(&world, &source(name, suite, version)).unwrap_err();
        assert!(told.starts_with("test.kdl:7: ") && told.contains(expected), "{told}");
    }
}

#[test]
fn a_source_that_is_locked_stays_until_it_is_told_to_move() {
    let first = World::new(&[suite("trixie", vec![quilt("a", "1-1")])]);
    let wanted = [source("a", "trixie", None)];
    let (lock, _) = first.lock(wanting(&first, &wanted), &Lock::default(), Goal::Complete).unwrap();
    assert!(lock.missing(&wanting(&first, &wanted)).is_empty());
    let other = [source("a", "trixie", Some("1"))];
    let missing: Vec<String> = lock.missing(&wanting(&first, &other)).iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["test.kdl:7: the source package `a` of `trixie` is not locked"]);
    let later = World::new(&[suite("trixie", vec![quilt("a", "1-2")])]);
    let (same, _, fetched) = later.lock_counting(wanting(&later, &wanted), &lock, Goal::Complete).unwrap();
    assert_eq!((same, fetched), (lock.clone(), vec![]));
    let update = Goal::Update(["a".to_owned()].into());
    let (moved, _, fetched) = later.lock_counting(wanting(&later, &wanted), &lock, update).unwrap();
    assert_eq!(moved.sources[&wanted[0].id].version, "1-2");
    assert_eq!(fetched, ["dists/trixie/InRelease", "dists/trixie/main/source/Sources.xz"], "no index of packages");
    assert_eq!(Lock::parse(&moved.to_text()), Ok(moved));
}

#[test]
fn relock_moves_just_the_sources_that_are_gone_and_says_so() {
    let first = World::new(&[suite("trixie", vec![quilt("a", "1-1"), quilt("b", "1-1")])]);
    let wanted = [source("a", "trixie", None), source("b", "trixie", None)];
    let (lock, _) = first.lock(wanting(&first, &wanted), &Lock::default(), Goal::Complete).unwrap();
    let later = World::new(&[suite("trixie", vec![quilt("a", "1-2"), quilt("b", "1-2")])]);
    let gone = Gone { sources: [wanted[1].id.clone()].into(), ..Gone::default() };
    let (after, report) = later.lock(wanting(&later, &wanted), &lock, Goal::Relock(gone)).unwrap();
    let versions: Vec<&str> = after.sources.values().map(|source| source.version.as_str()).collect();
    assert_eq!(versions, ["1-1", "1-2"]);
    let [LockChange { name, architecture, from, to }] = &report.changes[..] else { panic!("{:?}", report.changes) };
    let versions = [from.as_deref(), to.as_deref()];
    assert_eq!((name.as_str(), architecture.as_str(), versions), ("b", "source", [Some("1-1"), Some("1-2")]));
}

#[test]
fn an_index_of_sources_that_the_release_does_not_vouch_for_is_refused() {
    let mut world = world();
    for (_, bytes) in world.files.iter_mut().filter(|((_, path), _)| path.contains("/source/")) {
        bytes.reverse();
    }
    let told = lock_one(&world, &source("a", "trixie", None)).unwrap_err();
    assert!(told.contains("main/source/Sources.xz of `debian trixie"), "{told}");
}
