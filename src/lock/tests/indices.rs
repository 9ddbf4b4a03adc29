//! What archives of the world look like.

use super::*;

fn suite() -> SuiteSpec {
    let source = SourceSpec::quilt("s", "1-1", &[], &[]);
    SuiteSpec { sources: vec![source], ..SuiteSpec::new("trixie", vec![PackageSpec::new("a", "1")]) }
}

fn with_source(world: &World) -> Wanted {
    let id = SourceId { name: "s".to_owned(), archive: "debian".to_owned(), suite: "trixie".to_owned(), version: None };
    let source = WantedSource { id, origin: String::new() };
    Wanted { sources: vec![source], ..world.wanting(vec![closure(&["a"])]) }
}

/// Locks `a` and the source `s`; the paths that were fetched.
fn fetched(world: &World) -> Vec<String> {
    let (lock, _, fetched) = world.lock_counting(with_source(world), &Lock::default(), Goal::Complete).unwrap();
    assert_eq!((names(&lock), lock.sources.len()), (vec!["a 1".to_owned()], 1));
    fetched
}

#[test]
fn of_the_indices_that_are_listed_the_smallest_is_read() {
    for (compressed, taken) in [
        (&["", ".gz"][..], ".gz"),
        (&["", ".gz", ".xz", ".bz2"], ".xz"),
        (&[".gz", ".zst"], ".zst"),
        (&[".bz2", ".gz"], ".bz2"),
        (&[".lzma", ".gz"], ".lzma"),
        (&[""], ""),
    ] {
        let world = World::new(&[SuiteSpec { compressed: compressed.to_vec(), ..suite() }]);
        let expected = [
            "dists/trixie/InRelease".to_owned(),
            format!("dists/trixie/main/binary-amd64/Packages{taken}"),
            format!("dists/trixie/main/source/Sources{taken}"),
        ];
        assert_eq!(fetched(&world), expected, "{compressed:?}");
    }
}

#[test]
fn areas_are_read_as_the_recipe_names_them() {
    let mut world = World::new(&[SuiteSpec { areas: vec!["main", "non-free-firmware"], ..suite() }]);
    assert_eq!(fetched(&world).len(), 5);
    world.archive.suites[0].areas = vec!["main".to_owned()];
    assert!(told(world.tool(&["a"])).contains("no archive has `a`"));
    world.archive.suites[0].areas = vec!["stable".to_owned()];
    let text = told(world.tool(&["a"]));
    for part in [
        "expected a digest of `stable/binary-amd64/Packages`",
        "found it in `main/binary-amd64`, `main/binary-arm64`, `non-free-firmware/binary-amd64`",
        "state the archive's `area`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn two_archives_of_one_suite_on_one_mirror_have_each_their_areas() {
    let world = World::new(&[SuiteSpec { areas: vec!["main", "non-free-firmware"], ..suite() }]);
    let with = |name: &str, area: &str| {
        let suites = world.archive.suites.iter().cloned().map(|suite| Suite { areas: vec![area.to_owned()], ..suite });
        Archive { name: name.to_owned(), suites: suites.collect(), ..world.archive.clone() }
    };
    for (archives, taken) in [
        ([with("debian", "main"), with("firmware", "non-free-firmware")], "firmware"),
        ([with("debian", "non-free-firmware"), with("firmware", "main")], "debian"),
    ] {
        let mut wants = closure(&["a"]);
        wants.packages[0].archive = taken.to_owned();
        let wanted = Wanted { archives: archives.to_vec(), ..world.wanting(vec![wants]) };
        let (lock, _, fetched) = world.lock_counting(wanted, &Lock::default(), Goal::Complete).unwrap();
        let from: Vec<&str> = lock.packages.keys().map(|id| id.archive.as_str()).collect();
        assert_eq!(from, [taken]);
        assert_eq!(fetched.iter().filter(|path| path.ends_with("InRelease")).count(), 1, "{fetched:?}");
    }
}

#[test]
fn paths_may_begin_with_the_archive_itself() {
    for before_paths in ["./", "/", ".//"] {
        let world = World::new(&[SuiteSpec { before_paths, ..suite() }]);
        let (lock, _, _) = world.lock_counting(with_source(&world), &Lock::default(), Goal::Complete).unwrap();
        let package = lock.packages.values().next().unwrap();
        assert_eq!(package.path, "pool/main/a/a_1_amd64.deb", "{before_paths}");
        let files = lock.sources.values().next().unwrap().files.keys();
        assert!(files.clone().all(|path| path.starts_with("pool/main/s/")), "{files:?}");
    }
}

#[test]
fn an_entry_that_cannot_be_read_hinders_only_whoever_wants_it() {
    let paragraph = |name: &str, filename: &str| {
        let sha256 = "0".repeat(64);
        format!("Package: {name}\nVersion: 2\nArchitecture: amd64\nFilename: {filename}\nSize: 1\nSHA256: {sha256}\n\n")
    };
    let besides = paragraph("Foo_Bar", "pool/f.deb") + &paragraph("odd", "../o.deb") + &paragraph("a", "../a.deb");
    let needing = PackageSpec::new("needing", "1").depends("odd");
    let packages = vec![PackageSpec::new("a", "1"), PackageSpec::new("b", "1"), needing];
    let world = World::new(&[SuiteSpec { besides, ..SuiteSpec::new("trixie", packages) }]);
    let (lock, report) = world.tool(&["b"]).unwrap();
    assert_eq!((names(&lock), report.warnings), (vec!["b 1".to_owned()], vec![]));
    let odd = "`trixie` lists a package `odd` that has a `Filename` that is no path in the archive";
    for name in ["odd", "needing"] {
        let text = told(world.tool(&[name]));
        assert!(text.contains(odd) && text.contains("report it to the archive"), "{text}");
    }
    // Of a package that is there twice the readable one is taken, and the other is named.
    let (lock, report) = world.tool(&["a"]).unwrap();
    assert_eq!(names(&lock), ["a 1"]);
    let warning = report.warnings[0].to_string();
    assert!(warning.contains("a package `a` that has a `Filename`") && warning.contains("passed over"), "{warning}");
}
