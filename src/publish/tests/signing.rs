//! Changes that are signed in more than one place.

use super::*;
use crate::publish::{
    check::Waiting,
    metadata::{Tally, encode},
    root::RootChange,
};

/// Moves a role's files to another folder, as if they were on another machine.
fn take_away(sample: &Sample, files: &[&str], to: &str) -> Keys {
    fs::create_dir_all(sample.path(to)).unwrap();
    for file in files {
        fs::rename(sample.path("keys").join(file), sample.path(to).join(file)).unwrap();
    }
    read_keys(&sample.path(to))
}

/// A repository whose targets want two of three keys, one of them online; the keys of the other two places.
fn two_of_three() -> (Sample, Keys, Keys) {
    let sample = Sample::with_keys();
    for name in ["anna", "bert"] {
        new_keys(&sample.path("keys"), &[Role::Targets], Some(name)).unwrap();
    }
    let policy = Policy { thresholds: [(Role::Targets, 2)].into(), ..Policy::default() };
    Repository::init(&sample.repository(), &policy, &at(&sample.keys(), NOW)).unwrap();
    let anna = take_away(&sample, &["targets-anna.pem"], "anna");
    let bert = take_away(&sample, &["targets-bert.pem"], "bert");
    (sample, anna, bert)
}

fn one_waits(sample: &Sample) -> Waiting {
    let mut waiting = sample.check(NOW).unwrap().waiting;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    waiting.remove(0)
}

fn counts(waiting: &Waiting) -> Vec<(u64, usize, u64, usize)> {
    let count = |(root, tally): &(u64, Tally)| (*root, tally.found.len(), tally.threshold, tally.missing.len());
    waiting.tallies.iter().map(count).collect()
}

/// A copy of a repository as it goes to whoever signs: without images.
fn carried(sample: &Sample, to: &str) -> PathBuf {
    let copy = sample.path(to);
    for (name, bytes) in sample.files() {
        if !name.starts_with("targets/") || name.ends_with("manifest.json") {
            let path = copy.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    copy
}

#[test]
fn what_two_of_three_sign_is_published_when_the_second_has_signed() {
    let (sample, anna, bert) = two_of_three();
    let keys = sample.keys();
    let before = sample.files();
    let mut repository = sample.open();
    // Without being asked to wait nothing is written.
    let told = add(&mut repository, "1.9.0", b"root", &at(&keys, NOW)).unwrap_err().to_string();
    assert!(told.starts_with("`targets` wants 2 signatures, and `"), "{told}");
    assert!(told.contains("has 1 of its keys; nothing was written: with `--draft`"), "{told}");
    assert!(sample.files() == before);

    add(&mut repository, "1.9.0", b"root", &waiting(&keys)).unwrap();
    drop(repository);
    let draft = one_waits(&sample);
    assert_eq!((draft.role, draft.version, counts(&draft)), (Role::Targets, 2, vec![(1, 1, 2, 2)]));
    assert_eq!(draft.changes, [format!("offers a_1.9.0 x86_64, root hash {}", "07".repeat(32))]);
    assert!(images(&sample.check(NOW).unwrap()).is_empty(), "no machine sees it");

    // Who has signed already, and who may not, adds nothing.
    let mut repository = sample.open();
    let again = repository.sign(&[], &waiting(&keys));
    assert!(matches!(again, Err(RepositoryError::NothingSigned { .. })), "{again:?}");
    drop(repository);
    let copy = carried(&sample, "carried");
    let mut at_annas = Repository::open(&copy).unwrap();
    at_annas.sign(&[], &waiting(&anna)).unwrap();
    assert!(matches!(at_annas.sign(&[], &waiting(&anna)), Err(RepositoryError::NothingSigned { .. })));
    drop(at_annas);

    // Anna's signature comes back, and that is enough; bert is not needed.
    let mut repository = sample.open();
    repository.sign(&[copy.join("drafts/targets.json")], &waiting(&keys)).unwrap();
    let found = sample.check(NOW).unwrap();
    assert_eq!((images(&found), found.waiting.len()), (vec!["a_1.9.0 x86_64"], 0));
    let nothing = repository.sign(&[], &waiting(&bert));
    assert!(matches!(nothing, Err(RepositoryError::NothingWaits { .. })), "{nothing:?}");
}

#[test]
fn what_is_signed_offline_is_published_by_whoever_has_the_keys_of_snapshot_and_timestamp() {
    let (sample, anna, bert) = two_of_three();
    take_away(&sample, &["targets.pem", "root.pem"], "safe");
    let online = sample.keys();
    let mut repository = sample.open();
    add(&mut repository, "1.9.0", b"root", &waiting(&online)).unwrap();
    assert_eq!(counts(&one_waits(&sample)), [(1, 0, 2, 3)]);
    repository.sign(&[], &waiting(&anna)).unwrap();
    repository.sign(&[], &waiting(&bert)).unwrap();
    let draft = one_waits(&sample);
    assert!(draft.is_signed(), "{draft:?}");
    assert!(images(&sample.check(NOW).unwrap()).is_empty(), "neither has published it");
    // Meanwhile the repository stays fresh, and what waits waits.
    repository.refresh(&at(&online, NOW)).unwrap();
    assert!(one_waits(&sample).is_signed());
    repository.sign(&[], &waiting(&online)).unwrap();
    assert_eq!(images(&sample.check(NOW).unwrap()), ["a_1.9.0 x86_64"]);
}

#[test]
fn a_later_change_goes_on_from_what_waits_and_wants_every_signature_again() {
    let (sample, anna, _) = two_of_three();
    take_away(&sample, &["targets.pem"], "safe");
    let online = sample.keys();
    let mut repository = sample.open();
    add(&mut repository, "1.9.0", b"root", &waiting(&online)).unwrap();
    repository.sign(&[], &waiting(&anna)).unwrap();
    let old = carried(&sample, "carried");
    repository.limit(Some("1.9.0".to_owned()), &waiting(&online)).unwrap();
    let draft = one_waits(&sample);
    assert_eq!((draft.version, counts(&draft)), (2, vec![(1, 0, 2, 3)]));
    assert_eq!(draft.changes.len(), 2, "{:?}", draft.changes);
    // What was signed before says something else.
    let told = repository.sign(&[old.join("drafts/targets.json")], &waiting(&anna)).unwrap_err();
    assert!(matches!(told, RepositoryError::OtherDraft { .. }), "{told}");
}

#[test]
fn a_draft_that_nobody_vouches_for_is_not_signed_along_with_another_change() {
    let (sample, bad) = (Sample::new(), Sample::new());
    let keys = sample.keys();
    // Whoever can write to the folder leaves targets there that offer something else, and a root with another key.
    add(&mut bad.open(), "6.6.6", b"bad", &waiting(&bad.keys())).unwrap();
    fs::create_dir(sample.repository().join("drafts")).unwrap();
    fs::copy(bad.repository().join("metadata/3.targets.json"), sample.repository().join("drafts/targets.json"))
        .unwrap();
    for entry in fs::read_dir(bad.repository().join("targets")).unwrap() {
        let file = entry.unwrap();
        fs::copy(file.path(), sample.repository().join("targets").join(file.file_name())).unwrap();
    }
    let signers = at(&keys, NOW);
    let changes: [&dyn Fn(&mut Repository) -> Result<(), RepositoryError>; 4] = [
        &|repository| add(repository, "1.10.0", b"root", &signers),
        &|repository| repository.limit(None, &signers),
        &|repository| repository.renew_targets(&signers),
        &|repository| repository.change_root(&RootChange::default(), &signers),
    ];
    for change in changes {
        let refused = change(&mut sample.open());
        assert!(matches!(refused, Err(RepositoryError::Waits { .. })), "{refused:?}");
    }
    sample.open().refresh(&signers).unwrap();
    let found = sample.check(NOW).unwrap();
    assert_eq!((images(&found), counts(&found.waiting[0])), (vec!["a_1.9.0 x86_64"], vec![(1, 0, 1, 1)]));
    fs::remove_file(sample.repository().join("drafts/targets.json")).unwrap();

    let mut root = sample.open().root.signed.clone();
    root.head.version = 2;
    root.head.expires = "2036-01-01T00:00:00Z".to_owned();
    let draft = crate::publish::repository::unsigned(root);
    fs::write(sample.repository().join("drafts/root.json"), encode(&draft).unwrap()).unwrap();
    let refused = sample.open().change_root(&RootChange::default(), &signers);
    assert!(matches!(refused, Err(RepositoryError::Waits { .. })), "{refused:?}");
    add(&mut sample.open(), "1.10.0", b"root", &signers).unwrap();
    let found = sample.check(NOW).unwrap();
    assert_eq!((images(&found).len(), found.roles[0].version), (2, 1));
    assert!(found.waiting[0].tallies.iter().all(|(_, tally)| tally.found.is_empty()), "{:?}", found.waiting);
}

#[test]
fn signatures_that_count_for_nobody_are_dropped() {
    let (sample, anna, bert) = two_of_three();
    take_away(&sample, &["targets.pem"], "safe");
    let online = sample.keys();
    let mut repository = sample.open();
    add(&mut repository, "1.9.0", b"root", &waiting(&online)).unwrap();
    repository.sign(&[], &waiting(&anna)).unwrap();
    drop(repository);
    // The signature of the one in the name of the other, and the same one three times.
    let path = sample.repository().join("drafts/targets.json");
    let mut draft: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let signature = draft["signatures"][0].clone();
    let mut forged = signature.clone();
    forged["keyid"] = bert.of(Role::Targets).next().unwrap().identity().into();
    draft["signatures"] = serde_json::json!([signature, forged, signature, signature]);
    fs::write(&path, draft.to_string()).unwrap();
    assert_eq!(counts(&one_waits(&sample)), [(1, 1, 2, 2)]);
    let mut repository = sample.open();
    let again = repository.sign(&[], &waiting(&online));
    assert!(again.is_ok(), "what is dropped is a change: {again:?}");
    repository.sign(&[], &waiting(&bert)).unwrap();
    repository.sign(&[], &waiting(&online)).unwrap();
    assert_eq!(images(&sample.check(NOW).unwrap()), ["a_1.9.0 x86_64"]);
    let targets = fs::read(sample.repository().join("metadata/2.targets.json")).unwrap();
    let targets: serde_json::Value = serde_json::from_slice(&targets).unwrap();
    assert_eq!(targets["signatures"].as_array().unwrap().len(), 2, "clients refuse a key that has signed twice");
}

#[test]
fn a_repository_is_begun_where_no_machine_has_all_keys_of_the_root() {
    let sample = Sample::with_keys();
    new_keys(&sample.path("keys"), &[Role::Root], Some("anna")).unwrap();
    let anna = take_away(&sample, &["root-anna.pem"], "anna");
    let keys = sample.keys();
    let policy = Policy { thresholds: [(Role::Root, 2)].into(), ..Policy::default() };
    let told = Repository::init(&sample.repository(), &policy, &at(&keys, NOW)).map(drop).unwrap_err();
    assert!(matches!(told, RepositoryError::TooFew { role: "root", found: 1, wanted: 2, .. }), "{told}");
    assert!(!sample.repository().exists(), "nothing was written");

    let mut repository = Repository::init(&sample.repository(), &policy, &waiting(&keys)).unwrap();
    assert_eq!(sample.names("metadata"), Vec::<String>::new());
    let state = sample.check(NOW).unwrap();
    let roles: Vec<Role> = state.waiting.iter().map(|draft| draft.role).collect();
    assert_eq!((state.roles.len(), roles), (0, vec![Role::Root, Role::Targets]));
    let unpublished = repository.refresh(&at(&keys, NOW));
    assert!(matches!(unpublished, Err(RepositoryError::Unpublished { .. })), "{unpublished:?}");
    // What is added meanwhile is offered from the first moment on.
    add(&mut repository, "1.9.0", b"root", &waiting(&keys)).unwrap();
    drop(repository);
    let mut repository = sample.open();
    repository.sign(&[], &waiting(&anna)).unwrap();
    repository.sign(&[], &waiting(&keys)).unwrap();
    let found = sample.check(NOW).unwrap();
    assert_eq!((images(&found), found.waiting.len()), (vec!["a_1.9.0 x86_64"], 0));
    assert_eq!(found.roles[0].threshold, 2);
}
