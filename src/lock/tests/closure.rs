//! Which packages a closure has.

use super::*;

fn pack(name: &str, depends: &str) -> PackageSpec {
    let package = PackageSpec::new(name, "1");
    if depends.is_empty() { package } else { package.depends(depends) }
}

fn world(packages: Vec<PackageSpec>) -> World {
    World::new(&[SuiteSpec::new("trixie", packages)])
}

/// The names of a closure of `wanted`, joined.
fn solved(world: &World, wanted: &[&str]) -> String {
    names(&world.tool(wanted).unwrap().0).join(", ")
}

#[test]
fn dependencies_are_followed_and_nothing_is_implied() {
    let world = world(vec![
        pack("a", "b (>= 1), d"),
        pack("b", "c").with("Recommends", "x"),
        pack("c", "a"),
        PackageSpec::new("d", "1").with("Pre-Depends", "e").architecture("all"),
        pack("e", ""),
        pack("x", "").with("Essential", "yes").with("Priority", "required"),
    ]);
    assert_eq!(solved(&world, &["a"]), "a 1, b 1, c 1, d 1, e 1");
}

#[test]
fn the_first_alternative_that_can_be_met_is_taken_unless_another_is_in() {
    let packages = || {
        vec![
            pack("a", "x | y"),
            pack("b", "nowhere | y | x"),
            pack("c", "x (>= 2) | z"),
            pack("x", ""),
            pack("y", ""),
            pack("z", ""),
            pack("late", "y"),
        ]
    };
    let world = world(packages());
    for (wanted, expected) in [
        (&["a"][..], "a 1, x 1"),
        (&["b"], "b 1, y 1"),
        (&["c"], "c 1, z 1"),
        (&["a", "y"], "a 1, y 1"),
        // What leaves no choice comes before what does, whatever it is called.
        (&["a", "late"], "a 1, late 1, y 1"),
        // The choice that was made for `a` then serves `b` too.
        (&["a", "b"], "a 1, b 1, x 1"),
    ] {
        assert_eq!(solved(&world, wanted), expected);
    }
}

#[test]
fn a_dependency_of_another_architecture_is_not_met_by_passing_it_over() {
    let world = world(vec![
        pack("wine", "wine64, wine32:i386 (>= 1)"),
        pack("either", "wine32:i386 | wine64"),
        pack("own", "wine64:any, b:native, c:amd64"),
        pack("wine64", "").provides("wine32:i386").with("Conflicts", "b:i386"),
        // Of the name alone there is one here.
        pack("wine32", ""),
        pack("b", ""),
        pack("c", ""),
    ]);
    let refused = told(world.tool(&["wine"]));
    let expected = "`wine` needs `wine32:i386 (>= 1)`, but a package for i386 cannot be among those for amd64";
    assert!(refused.contains(expected) && refused.contains("without \"wine32\""), "{refused}");
    assert_eq!(solved(&world, &["either"]), "either 1, wine64 1");
    assert_eq!(solved(&world, &["own"]), "b 1, c 1, own 1, wine64 1");
    let (lock, _) = world.tool(&["own"]).unwrap();
    let closure = lock.closures.values().next().unwrap();
    assert_eq!(lock.conflicts(closure, Architecture::X86_64), []);
    let asked = Closure {
        without: vec![Pruned { name: "wine32".to_owned(), reason: "no program of it is run".to_owned() }],
        ..super::closure(&["wine"])
    };
    let (lock, report) = world.lock(world.wanting(vec![asked]), &Lock::default(), Goal::Complete).unwrap();
    assert_eq!((names(&lock).join(", "), report.warnings), ("wine 1, wine64 1".to_owned(), vec![]));
}

#[test]
fn a_virtual_package_is_provided_by_the_first_of_the_highest_priority() {
    let world = world(vec![
        pack("a", "awk"),
        pack("v", "api (>= 2)"),
        pack("gawk", "").provides("awk").with("Priority", "optional"),
        pack("mawk", "").provides("awk").with("Priority", "required"),
        pack("nawk", "").provides("awk").with("Priority", "required"),
        pack("plain", "").provides("api"),
        pack("old", "").provides("api (= 1)"),
        pack("right", "").provides("api (= 2.5), other"),
    ]);
    assert_eq!(solved(&world, &["a"]), "a 1, mawk 1");
    assert_eq!(solved(&world, &["a", "gawk"]), "a 1, gawk 1");
    assert_eq!(solved(&world, &["v"]), "right 1, v 1");
    assert_eq!(solved(&world, &["v", "old"]), "old 1, right 1, v 1");
}

#[test]
fn the_highest_version_among_a_suite_its_updates_and_security_is_taken() {
    let version = |version: &str| vec![PackageSpec::new("a", version)];
    let world = World::new(&[
        SuiteSpec::new("trixie", version("1.0")),
        SuiteSpec::new("trixie-updates", version("1.0+deb13u1")),
        SuiteSpec { mirror: "debian-security".to_owned(), ..SuiteSpec::new("trixie-security", version("1.0+deb13u2")) },
        SuiteSpec::new("trixie-backports", version("9")),
    ]);
    let (lock, _) = world.tool(&["a"]).unwrap();
    assert_eq!(names(&lock), ["a 1.0+deb13u2"]);
    assert_eq!(lock.packages.values().next().unwrap().mirror, "debian-security");
    assert!(!lock.suites.contains_key(&("debian".to_owned(), "trixie-backports".to_owned())));
}

#[test]
fn another_suite_is_used_where_it_is_named_and_for_what_only_it_has() {
    let world = World::new(&[
        SuiteSpec::new("trixie", vec![pack("tool", ""), pack("lib", ""), pack("half", "")]),
        SuiteSpec::new(
            "trixie-backports",
            vec![
                PackageSpec::new("tool", "2").depends("lib, half (>= 2), new"),
                PackageSpec::new("lib", "2"),
                PackageSpec::new("half", "2"),
                PackageSpec::new("new", "2"),
            ],
        ),
    ]);
    assert_eq!(solved(&world, &["tool"]), "tool 1");
    let mut asked = closure(&["tool"]);
    asked.packages[0].suite = Some("trixie-backports".to_owned());
    let (lock, _) = world.lock(world.wanting(vec![asked]), &Lock::default(), Goal::Complete).unwrap();
    assert_eq!(names(&lock), ["half 2", "lib 1", "new 2", "tool 2"]);
}

#[test]
fn a_version_that_a_later_dependency_refuses_is_chosen_again() {
    let world = World::new(&[
        SuiteSpec::new("trixie", vec![pack("a", "lib"), pack("z", "lib (= 1)"), pack("lib", "")]),
        SuiteSpec::new("trixie-updates", vec![PackageSpec::new("lib", "2")]),
    ]);
    assert_eq!(solved(&world, &["a"]), "a 1, lib 2");
    assert_eq!(solved(&world, &["a", "z"]), "a 1, lib 1, z 1");
}

#[test]
fn versions_that_no_choice_makes_right_are_told_with_both_sides() {
    let world = World::new(&[
        SuiteSpec::new("trixie", vec![pack("y", "lib (>= 2)"), pack("z", "lib (= 1)"), pack("lib", "")]),
        SuiteSpec::new("trixie-updates", vec![PackageSpec::new("lib", "2")]),
    ]);
    let text = told(world.tool(&["y", "z"]));
    assert!(text.contains("no version of `lib` is right for all: `z` needs `lib (= 1)`"), "{text}");
    assert!(text.contains("`y` needs `lib (>= 2)`"), "{text}");
}

/// Two versions of a package that others are of one version with, and a third that only backports have.
fn versions() -> World {
    let app = |number: &str| PackageSpec::new("app", number).depends(&format!("lib (= {number}), other"));
    let lib = |number: &str| PackageSpec::new("lib", number);
    World::new(&[
        SuiteSpec::new("trixie", vec![app("1"), lib("1"), pack("other", ""), pack("new", "lib (>= 2)")]),
        SuiteSpec::new("trixie-updates", vec![app("2"), lib("2"), PackageSpec::new("other", "2")]),
        SuiteSpec::new("trixie-backports", vec![app("3"), lib("3")]),
    ])
}

/// A tool set of these packages, each with the version and suite that a recipe states for it.
fn stating(stated: &[(&str, Option<&str>, Option<&str>)]) -> Closure {
    let wants = (1..).zip(stated).map(|(line, (name, version, suite))| Want {
        version: version.map(str::to_owned),
        suite: suite.map(str::to_owned),
        ..want(name, line)
    });
    Closure { packages: wants.collect(), ..closure(&[]) }
}

#[test]
fn a_stated_version_is_taken_and_what_it_depends_on_follows() {
    let world = versions();
    for (stated, expected) in [
        (&[("app", None, None)][..], "app 2, lib 2, other 2"),
        (&[("app", Some("1"), None)], "app 1, lib 1, other 2"),
        (&[("app", Some("1"), None), ("lib", Some("1"), None)], "app 1, lib 1, other 2"),
        (&[("app", Some("3"), Some("trixie-backports"))], "app 3, lib 3, other 2"),
        // Stated by one of two recipes that want it.
        (&[("app", None, Some("trixie")), ("app", Some("1"), None)], "app 1, lib 1, other 2"),
        // The same version, written otherwise.
        (&[("app", Some("0:1"), None)], "app 1, lib 1, other 2"),
    ] {
        let locked = world.lock(world.wanting(vec![stating(stated)]), &Lock::default(), Goal::Complete);
        assert_eq!(names(&locked.unwrap().0).join(", "), expected, "{stated:?}");
    }
}

#[test]
fn a_stated_version_that_does_not_fit_is_told_with_those_there_are() {
    let world = versions();
    for (stated, expected) in [
        (
            &[("app", Some("9"), None)][..],
            "test.kdl:1: `app` is wanted in version 9, but of `app` there is only 1 in `trixie`, 2 in `trixie-updates`",
        ),
        (
            &[("app", Some("3"), Some("trixie"))],
            "test.kdl:1: `app` is wanted in version 3, but of `app` there is only 1 in `trixie`, 2 in `trixie-updates`",
        ),
        (
            // Nothing is searched: that `app` 1 would do is for people to see.
            &[("app", None, None), ("lib", Some("1"), None)],
            "test.kdl:1: `app` needs `lib (= 2)`, but no version of `lib` is right for all: \
             test.kdl:2 wants `lib (= 1)`",
        ),
        (
            &[("app", Some("1"), None), ("new", None, None)],
            "test.kdl:1: `app` needs `lib (= 1)`, but no version of `lib` is right for all: `new` needs `lib (>= 2)`",
        ),
        (
            &[("lib", Some("1"), None), ("new", None, None)],
            "test.kdl:2: `new` needs `lib (>= 2)`, but no version of `lib` is right for all: \
             test.kdl:1 wants `lib (= 1)`",
        ),
        (
            &[("other", Some("1"), None), ("other", Some("2"), None)],
            "test.kdl:1: `other` is wanted in version 1, but no version of `other` is right for all: \
             test.kdl:1 wants `other (= 1)`, test.kdl:2 wants `other (= 2)`\n\
             test.kdl:2: `other` is wanted in version 2, but no version of `other` is right for all: \
             test.kdl:1 wants `other (= 1)`, test.kdl:2 wants `other (= 2)`",
        ),
    ] {
        let text = told(world.lock(world.wanting(vec![stating(stated)]), &Lock::default(), Goal::Complete));
        assert_eq!(text, expected);
    }
}

#[test]
fn pruning_ends_dependencies_by_name() {
    let world = world(vec![
        pack("a", "debconf (>= 0.5) | debconf-2.0, b"),
        pack("b", "deep"),
        pack("c", "deep"),
        pack("debconf", "").provides("debconf-2.0"),
        pack("cdebconf", "").provides("debconf-2.0"),
        pack("deep", ""),
    ]);
    let pruned = |name: &str| Pruned { name: name.to_owned(), reason: "not needed".to_owned() };
    let lock = |closure: Closure| world.lock(world.wanting(vec![closure]), &Lock::default(), Goal::Complete).unwrap();
    let mut asked = closure(&["a"]);
    asked.without = vec![pruned("debconf"), pruned("unrelated")];
    let (locked, report) = lock(asked.clone());
    assert_eq!(names(&locked), ["a 1", "b 1", "deep 1"]);
    assert_eq!(report.warnings.len(), 1);
    assert!(report.warnings[0].message.contains("`without \"unrelated\"` changes nothing"));
    // For one package only, and only its own dependencies.
    let mut asked = closure(&["a", "b", "c"]);
    asked.packages[1].without = vec!["deep".to_owned()];
    asked.without = vec![pruned("debconf")];
    assert_eq!(names(&lock(asked.clone()).0), ["a 1", "b 1", "c 1", "deep 1"]);
    asked.packages.pop();
    assert_eq!(names(&lock(asked).0), ["a 1", "b 1"]);
}

#[test]
fn a_component_stands_in_for_a_package() {
    let world = world(vec![pack("containerd", "runc (>= 1.1)"), pack("runc", "libseccomp2"), pack("libseccomp2", "")]);
    let mut asked = closure(&["containerd"]);
    asked.satisfied = vec![("runc".to_owned(), "1.2.5".to_owned())];
    let wanted = world.wanting(vec![asked.clone()]);
    assert_eq!(names(&world.lock(wanted, &Lock::default(), Goal::Complete).unwrap().0), ["containerd 1"]);
    asked.satisfied[0].1 = "1.0".to_owned();
    let text = told(world.lock(world.wanting(vec![asked]), &Lock::default(), Goal::Complete));
    assert!(text.contains("needs `runc (>= 1.1)`, but the component that satisfies `runc` has version 1.0"), "{text}");
}

#[test]
fn everything_that_cannot_be_met_is_told_at_once_with_its_chain() {
    let world =
        world(vec![pack("a", "b"), pack("b", "gone | gone-too (>= 2)"), pack("gone-too", ""), pack("c", "new (>= 2)")]);
    let mut asked = closure(&["a", "c", "nothing"]);
    asked.packages.push(Want { archive: "other".to_owned(), ..want("d", 4) });
    asked.packages.push(Want { suite: Some("sid".to_owned()), ..want("e", 5) });
    asked.packages.push(want("f", 6));
    asked.without = vec![Pruned { name: "f".to_owned(), reason: "no".to_owned() }];
    let text = told(world.lock(world.wanting(vec![asked]), &Lock::default(), Goal::Complete));
    let expected = "\
test.kdl:1: `a` needs `b`, which needs `gone` or `gone-too (>= 2)`, but no archive has `gone` for amd64, and nothing that may be chosen provides it, and of `gone-too` there is only 1 in `trixie`
test.kdl:2: `c` needs `new (>= 2)`, but no archive has `new` for amd64, and nothing that may be chosen provides it
test.kdl:3: `nothing` is wanted, but no archive has `nothing` for amd64, and nothing that may be chosen provides it
test.kdl:4: `d` is wanted from the archive `other`, which is not declared
test.kdl:5: `e` is wanted from the suite `sid`, which the archive `debian` lacks
test.kdl:6: `f` is both wanted and left out by `without`";
    assert_eq!(text, expected);
}

#[test]
fn only_packages_for_the_architecture_and_for_all_are_taken() {
    let world = world(vec![
        pack("a", "b:any, c:native [amd64], d [arm64]").architecture("amd64"),
        pack("a", "d").architecture("arm64"),
        PackageSpec::new("b", "9").architecture("arm64"),
        pack("b", "").architecture("all"),
        pack("c", ""),
        pack("d", "").architecture("arm64"),
    ]);
    assert_eq!(solved(&world, &["a"]), "a 1, b 1, c 1");
    let asked = Closure { architecture: Architecture::Aarch64, ..closure(&["a"]) };
    let both = world.wanting(vec![closure(&["a"]), asked]);
    let (lock, _) = world.lock(both, &Lock::default(), Goal::Complete).unwrap();
    let closure = lock.closure("tool test", Architecture::Aarch64).unwrap();
    let held: Vec<&str> = closure.members.keys().map(|id| id.built_for.debian()).collect();
    assert_eq!(held, ["arm64", "arm64"]);
}

#[test]
fn a_source_is_the_named_package_alone() {
    let world = world(vec![pack("linux-source-6.12", "binutils, xz-utils")]);
    let asked = Closure { purpose: Purpose::Source, ..closure(&["linux-source-6.12"]) };
    let (lock, _) = world.lock(world.wanting(vec![asked]), &Lock::default(), Goal::Complete).unwrap();
    assert_eq!(names(&lock), ["linux-source-6.12 1"]);
}

#[test]
fn conflicts_inside_a_closure_are_told() {
    let world = world(vec![
        pack("a", "b, mta").with("Conflicts", "b (<< 2), c, nobody"),
        pack("b", ""),
        pack("c", ""),
        pack("exim", "").provides("mta").with("Breaks", "mta, a (<< 1)"),
        pack("postfix", "").provides("mta").with("Conflicts", "mta"),
    ]);
    let (lock, _) = world.tool(&["a", "c", "exim", "postfix"]).unwrap();
    let closure = lock.closure("tool test", Architecture::X86_64).unwrap();
    let told: Vec<String> = lock
        .conflicts(closure, Architecture::X86_64)
        .into_iter()
        .map(|one| format!("{} {} {}", one.package, one.with, one.relation))
        .collect();
    assert_eq!(told, ["a b b (<< 2)", "a c c", "exim postfix mta", "postfix exim mta"]);
}

#[test]
fn the_order_of_recipes_and_indices_changes_nothing() {
    let packages = vec![
        pack("a", "x | y, awk"),
        pack("b", "y | x"),
        pack("c", "awk"),
        pack("x", ""),
        pack("y", ""),
        pack("m", "").provides("awk"),
        pack("n", "").provides("awk"),
    ];
    let mut backwards = packages.clone();
    backwards.reverse();
    let forth = solved(&world(packages), &["a", "b", "c"]);
    assert_eq!(solved(&world(backwards), &["c", "b", "a"]), forth);
    assert_eq!(forth, "a 1, b 1, c 1, m 1, x 1");
}

#[test]
fn the_way_to_each_member_is_kept() {
    let world = world(vec![pack("a", "b"), pack("b", "c"), pack("c", "a"), pack("d", "c")]);
    let (lock, _) = world.tool(&["a", "d"]).unwrap();
    let closure = lock.closure("tool test", Architecture::X86_64).unwrap();
    assert_eq!(closure.chain("c"), ["d", "c"]);
    assert_eq!(closure.chain("b"), ["a", "b"]);
    assert_eq!(closure.chain("a"), ["a"]);
    assert!(closure.chain("nobody").is_empty());
}
