//! What stays, what moves, and the numbers that are given once.

use std::collections::BTreeSet;

use super::*;

const BASE_PASSWD: &str = "usr/share/base-passwd/passwd.master";
const BASE_GROUP: &str = "usr/share/base-passwd/group.master";

fn version(name: &str, version: &str) -> PackageSpec {
    PackageSpec::new(name, version)
}

fn world(packages: Vec<PackageSpec>) -> World {
    World::new(&[SuiteSpec::new("trixie", packages)])
}

fn image(packages: &[&str]) -> Closure {
    Closure { name: "variant test".to_owned(), purpose: Purpose::Image, ..closure(packages) }
}

fn update(names: &[&str]) -> Goal {
    Goal::Update(names.iter().map(|name| (*name).to_owned()).collect())
}

fn told_changes(report: &Report) -> Vec<String> {
    let version = |version: &Option<String>| version.clone().unwrap_or("-".to_owned());
    let line = |change: &LockChange| format!("{} {} {}", change.name, version(&change.from), version(&change.to));
    report.changes.iter().map(line).collect()
}

#[test]
fn a_complete_lock_needs_nothing_and_changes_nothing() {
    let world = world(vec![version("a", "1").depends("b"), version("b", "1")]);
    let wanted = world.wanting(vec![closure(&["a"])]);
    let (lock, _) = world.tool(&["a"]).unwrap();
    assert!(lock.missing(&wanted).is_empty());
    let (again, report, fetched) = world.lock_counting(wanted, &lock, Goal::Complete).unwrap();
    assert_eq!((again, report.changes, fetched), (lock, vec![], vec![]));
}

#[test]
fn what_is_missing_is_added_and_what_is_locked_stays() {
    let (lock, _) = world(vec![version("a", "1").depends("b"), version("b", "1")]).tool(&["a"]).unwrap();
    // The archive moved on: `a` is another version, the locked `b` is gone altogether.
    let later = SuiteSpec {
        date: NOW - 60,
        ..SuiteSpec::new("trixie", vec![version("a", "2"), version("c", "1").depends("b")])
    };
    let later = World::new(&[later]);
    let wanted = later.wanting(vec![closure(&["a", "c"])]);
    let missing: Vec<String> = lock.missing(&wanted).iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["test.kdl:2: `c` of tool test (x86_64) is not locked"]);
    let (after, report) = later.lock(wanted, &lock, Goal::Complete).unwrap();
    assert_eq!(names(&after), ["a 1", "b 1", "c 1"]);
    assert_eq!(told_changes(&report), ["c - 1"]);
    assert_eq!(after.epoch, lock.epoch, "what is added must not change the bytes of everything else");
    assert_ne!(after.suites, lock.suites);
}

#[test]
fn a_locked_version_moves_when_something_new_cannot_live_with_it() {
    let (lock, _) = world(vec![version("a", "1").depends("lib"), version("lib", "1")]).tool(&["a"]).unwrap();
    let later =
        world(vec![version("a", "2").depends("lib"), version("lib", "2"), version("new", "1").depends("lib (>= 2)")]);
    let (after, report) = later.lock(later.wanting(vec![closure(&["a", "new"])]), &lock, Goal::Complete).unwrap();
    assert_eq!(names(&after), ["a 1", "lib 2", "new 1"]);
    assert_eq!(told_changes(&report), ["lib 1 2", "new - 1"]);
}

#[test]
fn update_moves_what_is_named_and_what_belongs_to_it() {
    let all = |number: &str| {
        world(vec![
            version("a", number).depends(&format!("lib (= {number})")),
            version("lib", number),
            version("other", number),
        ])
    };
    let (lock, _) = all("1").tool(&["a", "other"]).unwrap();
    let later = all("2");
    let wanted = later.wanting(vec![closure(&["a", "other"])]);
    for (goal, expected) in [
        (update(&["a"]), &["a 1 2", "lib 1 2"][..]),
        (update(&["other"]), &["other 1 2"]),
        (update(&[]), &["a 1 2", "lib 1 2", "other 1 2"]),
        (Goal::Complete, &[]),
    ] {
        let (_, report) = later.lock(wanted.clone(), &lock, goal.clone()).unwrap();
        assert_eq!(told_changes(&report), expected, "{goal:?}");
    }
    let text = told(later.lock(wanted, &lock, update(&["nobody"])));
    assert_eq!(text, "`nobody` is not locked, so it cannot be updated");
}

#[test]
fn the_epoch_moves_when_everything_does() {
    let (lock, _) = world(vec![version("a", "1")]).tool(&["a"]).unwrap();
    assert_eq!(lock.epoch, NOW - 3600);
    let later = World::new(&[SuiteSpec { date: NOW - 60, ..SuiteSpec::new("trixie", vec![version("a", "2")]) }]);
    let wanted = later.wanting(vec![closure(&["a"])]);
    assert_eq!(later.lock(wanted.clone(), &lock, update(&["a"])).unwrap().0.epoch, NOW - 3600);
    assert_eq!(later.lock(wanted, &lock, update(&[])).unwrap().0.epoch, NOW - 60);
}

#[test]
fn relock_moves_just_the_files_that_are_gone() {
    let (lock, _) = world(vec![version("a", "1"), version("b", "1")]).tool(&["a", "b"]).unwrap();
    let later = world(vec![version("a", "2"), version("b", "2")]);
    let gone: BTreeSet<PackageId> = lock.packages.keys().filter(|id| id.name == "b").cloned().collect();
    let wanted = later.wanting(vec![closure(&["a", "b"])]);
    let (after, report) = later.lock(wanted, &lock, Goal::Relock(Gone { packages: gone, ..Gone::default() })).unwrap();
    assert_eq!(told_changes(&report), ["b 1 2"]);
    assert_eq!(names(&after), ["a 1", "b 2"]);
}

#[test]
fn a_changed_question_makes_a_lock_stale() {
    let world = world(vec![version("a", "1").depends("b"), version("b", "1")]);
    let (lock, _) = world.tool(&["a"]).unwrap();
    let pruned = Pruned { name: "b".to_owned(), reason: "no".to_owned() };
    let good = closure(&["a"]);
    let stated = vec![Want { version: Some("1".to_owned()), ..want("a", 1) }];
    for (asked, expected) in [
        (Closure { packages: stated, ..good.clone() }, "locked for another list"),
        (Closure { without: vec![pruned], ..good.clone() }, "locked for another list"),
        (Closure { satisfied: vec![("b".to_owned(), "1".to_owned())], ..good.clone() }, "locked for another list"),
        (Closure { purpose: Purpose::Image, ..good.clone() }, "locked for another list"),
        (Closure { architecture: Architecture::Aarch64, ..good.clone() }, "nothing is locked for tool test (aarch64)"),
        (Closure { name: "tool other".to_owned(), ..good.clone() }, "nothing is locked for tool other"),
        (closure(&["b"]), "`b` of tool test (x86_64) is not locked"),
    ] {
        let problems = lock.missing(&world.wanting(vec![asked]));
        assert!(problems.iter().any(|problem| problem.to_string().contains(expected)), "{expected}: {problems:?}");
    }
    let url = WantedUrl {
        url: crate::content::Url::new("https://example.org/x"),
        sha256: crate::content::Sha256::of(b"x"),
        origin: "u.kdl:1".to_owned(),
    };
    let user = WantedUser { kind: IdentityKind::User, name: "u".to_owned(), id: None, origin: "u.kdl:2".to_owned() };
    let wanted = Wanted { urls: vec![url], users: vec![user], ..world.wanting(vec![good]) };
    assert_eq!(lock.missing(&wanted).len(), 2);
    let (after, _, fetched) = world.lock_counting(wanted.clone(), &lock, Goal::Complete).unwrap();
    assert!(after.missing(&wanted).is_empty());
    assert!(fetched.is_empty());
}

#[test]
fn a_version_that_is_stated_later_moves_it_and_what_belongs_to_it() {
    let all = |number: &str| {
        vec![
            version("a", number).depends(&format!("lib (= {number})")),
            version("lib", number),
            version("other", number),
        ]
    };
    let world = World::new(&[SuiteSpec::new("trixie", all("1")), SuiteSpec::new("trixie-updates", all("2"))]);
    let (lock, _) = world.tool(&["a", "other"]).unwrap();
    let stated = vec![Want { version: Some("1".to_owned()), ..want("a", 1) }, want("other", 2)];
    let stated = world.wanting(vec![Closure { packages: stated, ..closure(&[]) }]);
    let (after, report) = world.lock(stated.clone(), &lock, Goal::Complete).unwrap();
    assert_eq!(told_changes(&report), ["a 2 1", "lib 2 1"]);
    assert!(after.missing(&stated).is_empty());
    // It stays where it is held, whatever is to be updated.
    assert_eq!(told_changes(&world.lock(stated, &after, update(&[])).unwrap().1), [""; 0]);
}

#[test]
fn packages_of_images_are_looked_into_once() {
    let with = |mut packages: Vec<PackageSpec>| {
        packages.push(version("a", "1").script("postinst").script("prerm").file(
            "usr/share/doc/a/copyright",
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n",
        ));
        packages.push(version("quiet", "1"));
        world(packages)
    };
    let before = with(vec![]);
    let (lock, _) =
        before.lock(before.wanting(vec![image(&["a", "quiet"])]), &Lock::default(), Goal::Complete).unwrap();
    let contents: Vec<&Contents> = lock.packages.values().filter_map(|package| package.contents.as_ref()).collect();
    assert_eq!(contents[0].license, "MIT");
    assert_eq!(contents[1].license, "NOASSERTION");
    let asked = lock.closure("variant test", Architecture::X86_64).unwrap();
    let scripts = |names: &[&str]| lock.unaccounted(asked, &names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(scripts(&[]), [("a".to_owned(), vec!["postinst".to_owned(), "prerm".to_owned()])]);
    assert!(scripts(&["a"]).is_empty());
    let after = with(vec![version("b", "1")]);
    let wanted = after.wanting(vec![image(&["a", "b", "quiet"])]);
    let (_, _, fetched) = after.lock_counting(wanted, &lock, Goal::Complete).unwrap();
    let debs: Vec<&String> = fetched.iter().filter(|path| path.ends_with(".deb")).collect();
    assert_eq!(debs, ["pool/main/b/b_1_amd64.deb"]);
}

#[test]
fn numbers_are_given_once_and_never_to_another() {
    let users = |name: &str, text: &str| version(name, "1").file(&format!("usr/lib/sysusers.d/{name}.conf"), text);
    let packages = || {
        vec![
            version("base-passwd", "1")
                .file(BASE_PASSWD, "root:*:0:0:root:/root:/bin/bash\nmail:*:8:8:mail:/var/mail:/usr/sbin/nologin\n")
                .file(BASE_GROUP, "root:*:0:\nmail:*:8:\naudio:*:29:\n"),
            users("net", "# a comment\nu! systemd-network - \"Network\" /\ng audio -\nm systemd-network netdev\n"),
            users("bus", "u messagebus - - /run\nu fixed 700:audio - -\nu loner -:mail\nr - 500-900\n"),
            users("new", "u aaa -\n"),
        ]
    };
    let world = world(packages());
    let lock =
        |names: &[&str], old: &Lock| world.lock(world.wanting(vec![image(names)]), old, Goal::Complete).unwrap().0;
    let told = |lock: &Lock| -> Vec<String> {
        let standing = |standing| if standing == Standing::Retired { " retired" } else { "" };
        let users = lock.users.iter().map(|(name, u)| format!("u {name} {}:{}{}", u.uid, u.gid, standing(u.standing)));
        let groups = lock.groups.iter().map(|(name, g)| format!("g {name} {}{}", g.gid, standing(g.standing)));
        users.chain(groups).collect()
    };
    let first = lock(&["base-passwd", "net", "bus"], &Lock::default());
    assert_eq!(
        told(&first),
        [
            "u fixed 700:29",
            "u loner 899:8",
            "u mail 8:8",
            "u messagebus 898:898",
            "u root 0:0",
            "u systemd-network 897:897",
            "g audio 29",
            "g mail 8",
            "g messagebus 898",
            "g netdev 900",
            "g root 0",
            "g systemd-network 897",
        ]
    );
    // `bus` goes, `new` comes: what was given stays taken.
    let second = lock(&["base-passwd", "net", "new"], &first);
    let second_told = told(&second);
    assert!(second_told.contains(&"u messagebus 898:898 retired".to_owned()), "{second_told:?}");
    assert!(second_told.contains(&"u aaa 896:896".to_owned()), "{second_told:?}");
    assert!(second_told.contains(&"u systemd-network 897:897".to_owned()), "{second_told:?}");
    // It comes back to its own number.
    let third = lock(&["base-passwd", "net", "bus", "new"], &second);
    assert!(told(&third).contains(&"u messagebus 898:898".to_owned()), "{:?}", told(&third));
}

#[test]
fn a_number_that_two_claim_is_a_problem() {
    let users = |name: &str, text: &str| version(name, "1").file(&format!("usr/lib/sysusers.d/{name}.conf"), text);
    let world = world(vec![users("a", "u a 600\n"), users("b", "u b 600\n"), users("c", "u a 601\n")]);
    let lock = |names: &[&str], users: Vec<WantedUser>, old: &Lock| {
        world.lock(Wanted { users, ..world.wanting(vec![image(names)]) }, old, Goal::Complete)
    };
    let none = Lock::default();
    assert!(
        told(lock(&["a", "b"], vec![], &none))
            .contains("the user `b` should have the number 600, which belongs to `a`")
    );
    let old = lock(&["a"], vec![], &none).unwrap().0;
    assert!(told(lock(&["c"], vec![], &old)).contains("the user `a` has the number 600 and should now have 601"));
    let user =
        WantedUser { kind: IdentityKind::User, name: "mine".to_owned(), id: Some(600), origin: "m.kdl:7".to_owned() };
    assert!(told(lock(&["a"], vec![user], &none)).starts_with("m.kdl:7: the user `mine`"));
}

#[test]
fn a_group_that_a_recipe_declares_has_a_number_that_stays() {
    let world = world(vec![version("a", "1").file("usr/lib/sysusers.d/a.conf", "g kvm 60\nu a -\n")]);
    let group = |name: &str| WantedUser {
        kind: IdentityKind::Group,
        name: name.to_owned(),
        id: None,
        origin: "g.kdl:1".to_owned(),
    };
    let wanted = |users| Wanted { users, ..world.wanting(vec![image(&["a"])]) };
    let (lock, _) = world.lock(wanted(vec![]), &Lock::default(), Goal::Complete).unwrap();
    let all = wanted(vec![group("mine"), group("kvm"), group("a")]);
    let missing: Vec<String> = lock.missing(&all).iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["g.kdl:1: the number of the group `mine` is not locked"]);
    let (lock, _) = world.lock(all.clone(), &lock, Goal::Complete).unwrap();
    assert!(lock.missing(&all).is_empty());
    let gid = lock.gid("mine").unwrap();
    assert_eq!((lock.gid("kvm"), lock.gid("a"), gid < 900), (Some(60), Some(lock.users["a"].uid), true));
    // Another group before it in the order of names takes none of its numbers.
    let (later, _) = world.lock(wanted(vec![group("before"), group("mine")]), &lock, Goal::Complete).unwrap();
    assert_eq!(later.gid("mine"), Some(gid));
    let (none, _) = world.lock(wanted(vec![]), &later, Goal::Complete).unwrap();
    assert_eq!((none.gid("mine"), none.groups["mine"].gid), (None, gid));
}

#[test]
fn packages_of_one_version_are_locked_together_or_not_at_all() {
    let at = |compiler: &str, library: &str| {
        let library = SuiteSpec::new("trixie-backports", vec![version("library", library)]);
        World::new(&[SuiteSpec::new("trixie", vec![version("compiler", compiler)]), library])
    };
    let name = |name: &str| ClosureId { name: name.to_owned(), architecture: Architecture::X86_64 };
    let wanted = |world: &World| {
        let library = Want { suite: Some("trixie-backports".to_owned()), ..want("library", 2) };
        let sysroot = Closure { name: "sysroot x".to_owned(), packages: vec![library], ..closure(&[]) };
        let same = SameVersion {
            packages: vec!["compiler".to_owned(), "library".to_owned()],
            closures: [name("tool test"), name("sysroot x")],
            origin: "tools.kdl:7".to_owned(),
        };
        Wanted { same_versions: vec![same], ..world.wanting(vec![closure(&["compiler"]), sysroot]) }
    };
    let (first, later, mixed) = (at("1", "1"), at("2", "2"), at("1", "2"));
    let (lock, _) = first.lock(wanted(&first), &Lock::default(), Goal::Complete).unwrap();
    assert!(lock.missing(&wanted(&first)).is_empty());
    let says = "tools.kdl:7: expected one version of `compiler` and `library`, found `compiler` 1 in tool test (x86_64), \
                `library` 2 in sysroot x (x86_64); move them together by `brc update compiler library`, or state \
                `version=` of each";
    assert_eq!(told(mixed.lock(wanted(&mixed), &Lock::default(), Goal::Complete)), says);
    // One of them moves alone; both move together.
    let (mut torn, _) = later.lock(wanted(&later), &lock, update(&["compiler", "library"])).unwrap();
    assert!(told(later.lock(wanted(&later), &lock, update(&["library"]))).contains("expected one version"));
    // A lock that two people wrote and git merged.
    let compiler = lock.closures[&name("tool test")].clone();
    torn.packages.extend(lock.packages.clone());
    torn.closures.insert(name("tool test"), compiler);
    assert_eq!(torn.missing(&wanted(&later)).iter().map(ToString::to_string).collect::<Vec<_>>(), [says]);
}
