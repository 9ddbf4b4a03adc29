//! What a project's lock takes over from a recipe set's.

use super::*;

fn world(versions: &[(&str, &str)]) -> World {
    let packages = versions.iter().map(|(name, version)| PackageSpec::new(name, version)).collect();
    World::new(&[SuiteSpec::new("trixie", packages)])
}

fn tool(name: &str, packages: &[&str]) -> Closure {
    Closure { name: format!("tool {name}"), ..closure(packages) }
}

fn locked(world: &World, closures: &[(&str, &[&str])], old: &Lock) -> Lock {
    let closures = closures.iter().map(|(name, packages)| tool(name, packages)).collect();
    world.lock(world.wanting(closures), old, Goal::Complete).unwrap().0
}

fn versions(lock: &Lock, closure: &str) -> Vec<String> {
    let closure = lock.closure(&format!("tool {closure}"), Architecture::X86_64).unwrap();
    lock.packages_of(closure).map(|(id, _)| format!("{} {}", id.name, id.version)).collect()
}

#[test]
fn a_lock_without_pins_takes_over_all_that_is_wanted_and_reads_no_index() {
    let old = world(&[("a", "1"), ("b", "1"), ("idle", "1")]);
    let set = locked(&old, &[("one", &["a"]), ("two", &["a", "b"]), ("other", &["idle"])], &Lock::default());
    let newer = world(&[("a", "2"), ("b", "2")]);
    let wanted = newer.wanting(vec![tool("one", &["a"]), tool("two", &["a", "b"])]);
    let start = Lock::default().completed_by(&set);
    let (lock, _, fetched) = newer.lock_counting(wanted, &start, Goal::Complete).unwrap();
    assert_eq!((names(&lock), fetched), (vec!["a 1".to_owned(), "b 1".to_owned()], vec![]));
    assert_eq!(lock.epoch, set.epoch);
}

#[test]
fn what_the_set_lacks_is_chosen_anew_beside_what_it_has_pinned() {
    let set = locked(&world(&[("a", "1"), ("b", "1")]), &[("one", &["a", "b"])], &Lock::default());
    let newer = world(&[("a", "2"), ("b", "2"), ("c", "2")]);
    let lock = locked(&newer, &[("mine", &["a", "c"])], &Lock::default().completed_by(&set));
    assert_eq!(versions(&lock, "mine"), ["a 1", "c 2"]);
}

#[test]
fn what_a_project_has_pinned_stays_and_what_does_not_fit_it_is_no_part() {
    let set = locked(&world(&[("a", "1"), ("b", "1")]), &[("one", &["a"]), ("two", &["a", "b"])], &Lock::default());
    let newer = world(&[("a", "2"), ("b", "2")]);
    let own = locked(&newer, &[("mine", &["a"])], &Lock::default());
    let both: [(&str, &[&str]); 3] = [("mine", &["a"]), ("one", &["a"]), ("two", &["a", "b"])];
    let lock = locked(&newer, &both, &own.clone().completed_by(&set));
    // The closures of the set hold the other `a`, so they are solved anew; of `b` nothing else was pinned.
    assert_eq!(versions(&lock, "one"), ["a 2"]);
    assert_eq!(versions(&lock, "two"), ["a 2", "b 1"]);

    // Taken again, the set's pins count and its closures are as it has them; the project's own follow.
    let lock = locked(&newer, &both, &own.replaced_by(&set));
    assert_eq!(versions(&lock, "mine"), ["a 1"]);
    assert_eq!(lock.closures[&id("two")], set.closures[&id("two")]);
    assert_eq!(names(&lock), ["a 1", "b 1"]);
}

#[test]
fn what_the_pins_are_enough_for_is_had_without_any_list() {
    let package = |name: &str| PackageSpec::new(name, "1");
    let world = World::new(&[SuiteSpec::new(
        "trixie",
        vec![
            package("a").depends("lib"),
            package("lib"),
            package("b").depends("first | lib"),
            package("c").depends("lib | first"),
            package("d").depends("virtual"),
            package("e").provides("virtual"),
            package("f").provides("virtual"),
            package("first"),
        ],
    )]);
    let set = locked(&world, &[("set", &["a", "c", "f"]), ("b", &["b"]), ("d", &["d", "e"])], &Lock::default());
    let newer = World::new(&[SuiteSpec::new("trixie", vec![PackageSpec::new("a", "2"), PackageSpec::new("lib", "2")])]);
    for (packages, is_read, expected) in [
        (&["a"][..], false, &["a 1", "lib 1"][..]),
        (&["c"], false, &["c 1", "lib 1"]),
        (&["a", "f"], false, &["a 1", "f 1", "lib 1"]),
        // It is there, and provides what the other needs.
        (&["d", "f"], false, &["d 1", "f 1"]),
        // Whatever else an archive has that provides it.
        (&["d"], false, &["d 1", "e 1"]),
    ] {
        let wanted = newer.wanting(vec![tool("mine", packages)]);
        let (lock, _, fetched) = newer.lock_counting(wanted, &set, Goal::Complete).unwrap();
        assert_eq!(
            (versions(&lock, "mine"), !fetched.is_empty()),
            (expected.iter().map(|text| (*text).to_owned()).collect(), is_read),
            "{packages:?}"
        );
    }
    // Without `first` among the pins, only the list says whether there is one.
    let mut lacking = set.clone();
    lacking.packages.retain(|id, _| id.name != "first");
    lacking.closures.clear();
    let (lock, _, fetched) =
        world.lock_counting(world.wanting(vec![tool("mine", &["b"])]), &lacking, Goal::Complete).unwrap();
    assert_eq!((versions(&lock, "mine"), fetched.is_empty()), (vec!["b 1".to_owned(), "first 1".to_owned()], false));
}

fn id(name: &str) -> ClosureId {
    ClosureId { name: format!("tool {name}"), architecture: Architecture::X86_64 }
}

#[test]
fn an_older_set_does_not_make_an_older_list_good() {
    let at = |date| World::new(&[SuiteSpec { date, ..SuiteSpec::new("trixie", vec![PackageSpec::new("a", "1")]) }]);
    let (older, newer) = (at(NOW - 7200), at(NOW - 60));
    let set = locked(&older, &[("one", &["a"])], &Lock::default());
    let own = locked(&newer, &[("mine", &["a"])], &Lock::default());
    for start in [own.clone().completed_by(&set), own.replaced_by(&set)] {
        assert_eq!(start.suites.values().map(|suite| suite.date).collect::<Vec<_>>(), [NOW - 60]);
    }
    // The time of the files is that of what was taken.
    assert_eq!(own.replaced_by(&set).epoch, NOW - 7200);
    assert_eq!(own.clone().completed_by(&set).epoch, own.epoch);
}

#[test]
fn numbers_are_taken_over_where_they_are_free_and_stay_where_they_were_given() {
    let lock = |users: &[(&str, u32, u32)], groups: &[(&str, u32)]| {
        let standing = Standing::Retired;
        Lock {
            users: users
                .iter()
                .map(|(name, uid, gid)| ((*name).to_owned(), User { uid: *uid, gid: *gid, standing }))
                .collect(),
            groups: groups.iter().map(|(name, gid)| ((*name).to_owned(), Group { gid: *gid, standing })).collect(),
            ..Lock::default()
        }
    };
    let own = lock(&[("mine", 900, 900), ("both", 899, 899)], &[("mine", 900), ("both", 899), ("tape", 26)]);
    let set = lock(
        &[("both", 898, 898), ("free", 897, 897), ("taken", 900, 900), ("taper", 896, 26), ("lost", 895, 900)],
        &[("both", 898), ("free", 897), ("taken", 900), ("tape", 26), ("other", 899)],
    );
    for mut start in [own.clone().completed_by(&set), own.replaced_by(&set)] {
        let users: Vec<_> = start.users.iter().map(|(name, user)| (name.as_str(), user.uid)).collect();
        assert_eq!(users, [("both", 899), ("free", 897), ("mine", 900), ("taper", 896)]);
        let groups: Vec<_> = start.groups.iter().map(|(name, group)| (name.as_str(), group.gid)).collect();
        assert_eq!(groups, [("both", 899), ("free", 897), ("mine", 900), ("tape", 26)]);
        // Nothing asks for any; of the set's none was ever given here.
        start.forget_idle_numbers(&own);
        assert_eq!((start.users, start.groups), (own.users.clone(), own.groups.clone()));
    }
}
