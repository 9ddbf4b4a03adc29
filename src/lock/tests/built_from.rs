//! What packages were built from, and locks of the first version, which do not say it.

use super::*;

fn source(name: &str, version: &str) -> BuiltFrom {
    BuiltFrom::Source { name: name.to_owned(), version: version.to_owned() }
}

fn built_from(lock: &Lock) -> Vec<(String, BuiltFrom)> {
    lock.packages.iter().map(|(id, package)| (id.name.clone(), package.built_from.clone())).collect()
}

/// A lock as the first version had it.
fn first_version(lock: &Lock) -> Lock {
    let text = lock.to_text();
    let lines = text.lines().filter(|line| !line.starts_with("    source"));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    Lock::parse(&text.replace("\nlock 2\n", "\nlock 1\n")).unwrap()
}

#[test]
fn a_package_says_what_it_was_built_from_by_its_own_name_and_version_or_others() {
    let named = |name: &str, field: &str| PackageSpec::new(name, "1-2+b1").with("Source", field);
    let world = World::new(&[SuiteSpec::new(
        "trixie",
        vec![
            named("a", "other (1-2)"),
            named("b", "other"),
            named("c", "c (2:1-2)"),
            PackageSpec::new("d", "1-2").depends("a, b, c"),
        ],
    )]);
    let (lock, _) = world.tool(&["d"]).unwrap();
    let expected = [
        ("a", source("other", "1-2")),
        ("b", source("other", "1-2+b1")),
        ("c", source("c", "2:1-2")),
        ("d", source("d", "1-2")),
    ];
    assert_eq!(built_from(&lock), expected.map(|(name, source)| (name.to_owned(), source)));
}

#[test]
fn a_source_that_is_none_is_refused_where_its_package_is_wanted() {
    for field in ["Other", "other (", "other ()", "other (1 2)", "other (1) x", "a b"] {
        let odd = PackageSpec::new("a", "1").with("Source", field);
        let world = World::new(&[SuiteSpec::new("trixie", vec![odd, PackageSpec::new("b", "1")])]);
        assert!(world.tool(&["b"]).is_ok(), "{field}");
        let told = told(world.tool(&["a"]));
        assert!(told.contains("has a `Source` that names no source package"), "{field}: {told}");
    }
}

#[test]
fn the_first_version_serves_and_is_filled_by_the_next_locking() {
    let packages = |b: &str| {
        let a = PackageSpec::new("a", "1").depends("b, c").with("Source", "alpha (1-1)");
        vec![a, PackageSpec::new("b", b), PackageSpec::new("c", "1").architecture("all")]
    };
    let world = World::new(&[SuiteSpec::new("trixie", packages("1"))]);
    let wanted = world.wanting(vec![closure(&["a"])]);
    let (second, _) = world.tool(&["a"]).unwrap();
    let first = first_version(&second);
    assert!(first.missing(&wanted).is_empty(), "nothing that is built needs it");
    assert_eq!(first.unasked(&wanted).into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(second.unasked(&wanted).is_empty());

    let (filled, report, fetched) = world.lock_counting(wanted.clone(), &first, Goal::Complete).unwrap();
    assert_eq!((&filled, report.changes), (&second, vec![]));
    assert!(fetched.iter().all(|path| path.starts_with("dists/")), "{fetched:?}");

    // `b` has left the archive: it stays locked, and nobody is asked of it again.
    let later = World::new(&[SuiteSpec::new("trixie", packages("2"))]);
    let (filled, _) = later.lock(wanted.clone(), &first, Goal::Complete).unwrap();
    let expected = [("a", source("alpha", "1-1")), ("b", BuiltFrom::Unlisted), ("c", source("c", "1"))];
    assert_eq!(built_from(&filled), expected.map(|(name, source)| (name.to_owned(), source)));
    assert!(filled.unasked(&wanted).is_empty());
    assert_eq!(later.lock_counting(wanted.clone(), &filled, Goal::Complete).unwrap().2, [""; 0]);
    // Until it moves.
    let update = Goal::Update(["b".to_owned()].into());
    let (moved, _) = later.lock(wanted, &filled, update).unwrap();
    assert_eq!(moved.packages.values().filter(|package| package.built_from == BuiltFrom::Unlisted).count(), 0);
}

#[test]
fn one_lock_learns_from_another_what_a_package_was_built_from() {
    let world = World::new(&[SuiteSpec::new("trixie", vec![PackageSpec::new("a", "1")])]);
    let (second, _) = world.tool(&["a"]).unwrap();
    let first = first_version(&second);
    assert_eq!(first.clone().completed_by(&second), second);
    assert_eq!(second.clone().completed_by(&first), second);
}
