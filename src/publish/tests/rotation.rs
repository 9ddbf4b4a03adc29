//! Roots that follow on each other.

use super::*;
use crate::{
    content::DAY_SECONDS,
    publish::{
        check::Waiting,
        key::SigningKey,
        metadata::{Root, Signed, VerifyMetadataError, encode},
        root::RootChange,
    },
};

/// A new key of a role below `keys`, by a name.
fn made(sample: &Sample, role: Role, name: &str) -> SigningKey {
    let files = new_keys(&sample.path("keys"), &[role], Some(name)).unwrap();
    SigningKey::read(&files[0]).unwrap()
}

/// A change that replaces the key of a role.
fn replaced(sample: &Sample, role: Role, old: &str, name: &str) -> RootChange {
    let old = SigningKey::read(&sample.path(&format!("keys/{old}.pub"))).unwrap().identity();
    RootChange {
        added: vec![(role, made(sample, role, name))],
        dropped: vec![(role, old[..10].to_owned())],
        policy: Policy::default(),
    }
}

#[test]
fn every_key_is_replaced_again_and_again_and_each_root_is_vouched_for_by_the_one_before() {
    let sample = Sample::new();
    let names = |number: usize| ["root", "targets", "snapshot", "timestamp"].map(|role| format!("{role}-{number}"));
    let mut old = ["root", "targets", "snapshot", "timestamp"].map(str::to_owned);
    for number in 1..=12 {
        let mut change = RootChange::default();
        for (role, old) in Role::ALL.into_iter().zip(&old) {
            let one = replaced(&sample, role, old, &number.to_string());
            change.added.extend(one.added);
            change.dropped.extend(one.dropped);
        }
        let mut repository = sample.open();
        repository.change_root(&change, &at(&sample.keys(), NOW)).unwrap();
        // What has gone signs nothing any more.
        for name in &old {
            for ending in ["pem", "pub"] {
                fs::remove_file(sample.path(&format!("keys/{name}.{ending}"))).unwrap();
            }
        }
        repository.refresh(&at(&sample.keys(), NOW)).unwrap();
        old = names(number);
    }
    let found = sample.check(NOW).unwrap();
    assert_eq!((found.roles[0].version, images(&found)), (13, vec!["a_1.9.0 x86_64"]));
    assert_eq!(found.roles.iter().map(|role| role.keys.len()).collect::<Vec<_>>(), [1, 1, 1, 1]);
    add(&mut sample.open(), "1.10.0", b"root", &at(&sample.keys(), NOW)).unwrap();

    // A root that the one before has not signed breaks the chain, wherever it stands.
    let path = |version: u64| sample.repository().join(format!("metadata/{version}.root.json"));
    let good = fs::read(path(7)).unwrap();
    let mut root: Signed<Root> = serde_json::from_slice(&good).unwrap();
    assert_eq!(root.signatures.len(), 2, "of the old key and of the new one");
    let new = root.signed.identities(Role::Root);
    root.signatures.retain(|signature| new.contains(&signature.keyid));
    fs::write(path(7), encode(&root).unwrap()).unwrap();
    assert_eq!(sample.check(NOW).unwrap_err(), "`root` is signed by 0 of the 1 keys that it needs");
    fs::copy(path(6), path(7)).unwrap();
    assert!(sample.check(NOW).is_err(), "a root under another's name");
    fs::write(path(7), good).unwrap();
    sample.check(NOW).unwrap();
}

#[test]
fn a_root_wants_the_signatures_of_the_one_before_and_its_own() {
    let sample = Sample::new();
    let change = replaced(&sample, Role::Root, "root", "new");
    let before = sample.files();
    let [old, new] = [("root.pem", "root-new.pem"), ("root-new.pem", "root.pem")].map(|(kept, hidden)| {
        let folder = sample.path(&format!("only-{kept}"));
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(sample.path("keys")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap() != hidden {
                fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
            }
        }
        read_keys(&folder)
    });
    for keys in [&old, &new] {
        let told = sample.open().change_root(&change, &at(keys, NOW)).unwrap_err();
        assert!(matches!(told, RepositoryError::TooFew { role: "root", found: 0, wanted: 1, .. }), "{told}");
        assert!(sample.files() == before);
    }
    let mut repository = sample.open();
    repository.change_root(&change, &waiting(&new)).unwrap();
    let found = sample.check(NOW).unwrap();
    let tallies: Vec<(u64, bool)> =
        found.waiting[0].tallies.iter().map(|(root, tally)| (*root, tally.is_enough())).collect();
    assert_eq!((found.roles[0].version, tallies), (1, vec![(1, false), (2, true)]));
    assert_eq!(found.waiting[0].changes.len(), 2, "{:?}", found.waiting[0].changes);
    // What is offered goes on by the root that counts.
    add(&mut repository, "1.10.0", b"root", &at(&new, NOW)).unwrap();
    assert_eq!(images(&sample.check(NOW).unwrap()).len(), 2);
    repository.sign(&[], &waiting(&old)).unwrap();
    let found = sample.check(NOW).unwrap();
    assert_eq!((found.roles[0].version, found.waiting.len()), (2, 0));
}

#[test]
fn other_keys_of_the_targets_sign_them_before_their_root_counts() {
    let sample = Sample::new();
    let change = replaced(&sample, Role::Targets, "targets", "new");
    fs::create_dir(sample.path("away")).unwrap();
    fs::rename(sample.path("keys/targets-new.pem"), sample.path("away/targets-new.pem")).unwrap();
    let told = sample.open().change_root(&change, &at(&sample.keys(), NOW)).unwrap_err();
    assert!(matches!(told, RepositoryError::TooFew { role: "targets", found: 0, wanted: 1, .. }), "{told}");
    let mut repository = sample.open();
    repository.change_root(&change, &waiting(&sample.keys())).unwrap();
    let found = sample.check(NOW).unwrap();
    assert_eq!(found.roles[0].version, 1);
    assert_eq!(found.waiting.iter().map(Waiting::is_signed).collect::<Vec<_>>(), [true, false]);
    // A change meanwhile is signed by the key that counts, and the new one is asked for it too.
    add(&mut repository, "1.10.0", b"root", &at(&sample.keys(), NOW)).unwrap();
    assert_eq!(sample.check(NOW).unwrap().waiting[1].version, 4);
    repository.sign(&[], &waiting(&read_keys(&sample.path("away")))).unwrap();
    repository.sign(&[], &waiting(&sample.keys())).unwrap();
    let found = sample.check(NOW).unwrap();
    assert_eq!((found.roles[0].version, found.roles[1].version, found.waiting.len()), (2, 4, 0));
    assert_eq!(images(&found).len(), 2);
}

#[test]
fn what_no_role_can_meet_is_refused() {
    let sample = Sample::new();
    let (keys, before) = (sample.keys(), sample.files());
    let refused = |change: RootChange| sample.open().change_root(&change, &at(&keys, NOW)).unwrap_err().to_string();
    let policy = Policy { thresholds: [(Role::Snapshot, 2)].into(), ..Policy::default() };
    assert_eq!(
        refused(RootChange { policy, ..RootChange::default() }),
        "`snapshot` would want 2 signatures and have 1 key: expected at least 1, and no more than it has keys"
    );
    let only = SigningKey::read(&sample.path("keys/root.pub")).unwrap().identity();
    let dropped = vec![(Role::Root, only.clone())];
    assert!(refused(RootChange { dropped, ..RootChange::default() }).starts_with("`root` would want 1 signatures"));
    let dropped = vec![(Role::Targets, only[..12].to_owned())];
    let told = refused(RootChange { dropped, ..RootChange::default() });
    assert!(
        told.starts_with(&format!("`targets` has no key `{}` that could go: its keys are `", &only[..12])),
        "{told}"
    );
    assert!(sample.files() == before);
}

#[test]
fn a_root_whose_time_is_over_is_signed_anew_and_says_how_long_signatures_count() {
    let sample = Sample::new();
    let keys = sample.keys();
    let later = NOW + 400 * DAY_SECONDS;
    let told = sample.open().limit(None, &at(&keys, later)).unwrap_err();
    assert!(matches!(told, RepositoryError::Metadata(VerifyMetadataError::Expired { role: "root", .. })), "{told}");
    let policy =
        Policy { days: [(Role::Root, 700), (Role::Timestamp, 2), (Role::Targets, 500)].into(), ..Policy::default() };
    // The targets' time is over too: whoever signs a root signs what it vouches for.
    let mut repository = sample.open();
    repository.change_root(&RootChange { policy, ..RootChange::default() }, &at(&keys, later)).unwrap();
    let found = sample.check(later).unwrap();
    let date = |days: u64| crate::content::date_text(later + days * DAY_SECONDS);
    assert_eq!(
        found.roles.iter().map(|role| role.expires.clone()).collect::<Vec<_>>(),
        [date(700), date(500), date(14), date(2)]
    );
    // They go on counting so without being said again.
    repository.refresh(&at(&keys, later + DAY_SECONDS)).unwrap();
    assert_eq!(sample.check(later).unwrap().roles[3].expires, date(3));
}

#[test]
fn a_rotation_that_is_cut_off_anywhere_goes_on() {
    let sample = Sample::new();
    let mut change = replaced(&sample, Role::Timestamp, "timestamp", "new");
    change.added.extend(replaced(&sample, Role::Targets, "targets", "new").added);
    let keys = sample.keys();
    let before = sample.files();
    sample.open().change_root(&change, &waiting(&Keys::default())).unwrap();
    let drafts: Vec<_> = sample.files().into_iter().filter(|file| !before.contains(file)).collect();
    sample.open().sign(&[], &waiting(&keys)).unwrap();
    let after: Vec<_> = sample.files().into_iter().filter(|file| !before.contains(file)).collect();
    let names: Vec<&str> = after.iter().map(|(name, _)| name.as_str()).collect();
    let order = ["metadata/3.snapshot.json", "metadata/2.root.json", "metadata/timestamp.json"];
    assert!(order.iter().all(|name| names.contains(name)), "{names:?}");
    let good = sample.files();
    // Drafts are there until all of it is written; so many of the files were written in their order.
    for written in 0..=order.len() {
        for (name, _) in &good {
            fs::remove_file(sample.repository().join(name)).unwrap();
        }
        let some = after.iter().filter(|(name, _)| order[..written].contains(&name.as_str()));
        for (name, bytes) in before.iter().chain(&drafts).chain(some) {
            fs::create_dir_all(sample.repository().join("drafts")).unwrap();
            fs::write(sample.repository().join(name), bytes).unwrap();
        }
        let mut repository = sample.open();
        if written == 2 {
            assert!(sample.check(NOW).is_err(), "machines see a root and another's timestamp");
            let halfway = repository.refresh(&at(&keys, NOW));
            assert!(matches!(halfway, Err(RepositoryError::Halfway { .. })), "{halfway:?}");
        }
        if written < order.len() {
            repository.sign(&[], &waiting(&keys)).unwrap();
        } else {
            repository.refresh(&at(&keys, NOW)).unwrap();
        }
        let found = sample.check(NOW).unwrap();
        assert_eq!((found.roles[0].version, found.waiting.len()), (2, 0), "{written}");
        drop(repository);
    }
}
