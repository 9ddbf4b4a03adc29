//! Repositories that are begun, added to, signed anew, damaged.

use brc_contract::update::WavePoint;

use super::*;
use crate::{
    content::DAY_SECONDS,
    publish::{
        change::{Halt, Images},
        folder::TIMESTAMP,
        metadata::VerifyMetadataError,
    },
};

fn of(version: &str) -> Vec<Images> {
    vec![Images { variant: None, version: version.to_owned() }]
}

#[test]
fn what_is_added_is_offered_and_the_same_keys_go_on_signing() {
    let sample = Sample::new();
    let keys = sample.keys();
    let mut repository = sample.open();
    add(&mut repository, "1.10.0", b"root of 1.10.0", &at(&keys, NOW)).unwrap();
    add(&mut repository, "1.10.0", b"another root of 1.10.0", &at(&keys, NOW)).unwrap();
    let found = sample.check(NOW).unwrap();
    assert_eq!(images(&found), ["a_1.10.0 x86_64", "a_1.9.0 x86_64"]);
    let versions: Vec<(&str, u64)> = found.roles.iter().map(|role| (role.role.name(), role.version)).collect();
    assert_eq!(versions, [("root", 1), ("targets", 4), ("snapshot", 4), ("timestamp", 4)]);
    repository.limit(Some("1.9.0".to_owned()), &at(&keys, NOW)).unwrap();
    assert_eq!(repository.offers().unwrap().max_version.as_deref(), Some("1.9.0"));
    let twice = Repository::init(&sample.repository(), &Policy::default(), &at(&keys, NOW));
    assert!(matches!(twice, Err(RepositoryError::There { .. })));
    assert_eq!(sample.names("drafts"), Vec::<String>::new());
}

#[test]
fn what_expires_is_signed_anew_without_the_keys_of_root_and_targets() {
    let sample = Sample::new();
    let later = NOW + 20 * DAY_SECONDS;
    let told = sample.check(later).unwrap_err();
    assert_eq!(told, "`snapshot` has expired: 2026-12-14T00:53:20Z; `brc repo refresh` signs it anew");
    let all = sample.keys();
    for role in ["root", "targets"] {
        for ending in ["pem", "pub"] {
            fs::remove_file(sample.path(&format!("keys/{role}.{ending}"))).unwrap();
        }
    }
    let keys = sample.keys();
    let mut repository = sample.open();
    repository.refresh(&at(&keys, later)).unwrap();
    assert!(sample.check(later).is_ok());
    let found = repository.limit(None, &at(&keys, later));
    assert!(found.unwrap_err().to_string().starts_with("there is no key of `targets` in "));
    // Targets whose time is over no fresh timestamp helps; they are signed anew themselves.
    let end = NOW + 92 * DAY_SECONDS;
    assert!(matches!(
        repository.refresh(&at(&keys, end)),
        Err(RepositoryError::Metadata(VerifyMetadataError::Expired { role: "targets", .. }))
    ));
    repository.renew_targets(&at(&all, end)).unwrap();
    assert_eq!(images(&sample.check(end).unwrap()), ["a_1.9.0 x86_64"]);
}

#[test]
fn a_changed_byte_of_any_file_that_counts_is_found() {
    let sample = Sample::new();
    let repository = Repository::look(&sample.repository()).unwrap();
    let targets = repository.targets.signed.targets.iter();
    let targets = targets.map(|(name, described)| repository.folder.target_path(name, described));
    let metadata = ["1.root.json", "2.targets.json", "2.snapshot.json", TIMESTAMP];
    let metadata = metadata.map(|name| sample.repository().join("metadata").join(name));
    let files: Vec<PathBuf> = metadata.into_iter().chain(targets).collect();
    assert_eq!(files.len(), 8, "four roles, what is offered, and the parts of an image: {files:?}");
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    for path in files {
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 4;
            fs::write(&path, &bad).unwrap();
            // Signatures are over what is said: the spaces between are nobody's.
            let is_same = value(&bad).is_some() && value(&bad) == value(&good);
            assert!(is_same || sample.check(NOW).is_err(), "{} byte {at}", path.display());
        }
        fs::write(&path, &good).unwrap();
    }
    assert!(sample.check(NOW).is_ok());
}

#[test]
fn what_other_keys_have_signed_is_not_believed() {
    let (sample, other) = (Sample::new(), Sample::new());
    for name in [TIMESTAMP, "2.snapshot.json", "2.targets.json"] {
        let path = sample.repository().join("metadata").join(name);
        let good = fs::read(&path).unwrap();
        fs::copy(other.repository().join("metadata").join(name), &path).unwrap();
        assert!(sample.check(NOW).is_err(), "{name}");
        fs::write(&path, good).unwrap();
    }
    assert!(sample.check(NOW).is_ok());
}

#[test]
fn other_keys_sign_nothing_and_leave_everything_as_it_was() {
    let (sample, other) = (Sample::new(), Sample::new());
    let (keys, before) = (other.keys(), sample.files());
    let mut repository = sample.open();
    for refused in [
        repository.refresh(&at(&keys, NOW)),
        repository.limit(None, &at(&keys, NOW)),
        repository.limit(None, &waiting(&keys)),
        add(&mut repository, "1.10.0", b"x", &waiting(&keys)),
    ] {
        assert!(matches!(refused, Err(RepositoryError::OtherKey { .. })), "{refused:?}");
    }
    assert!(sample.files() == before);
    repository.refresh(&at(&sample.keys(), NOW)).unwrap();
}

#[test]
fn a_version_that_is_added_again_keeps_its_waves_unless_others_are_given() {
    let sample = Sample::new();
    let keys = sample.keys();
    let mut repository = sample.open();
    let wave = |at| vec![WavePoint { at, seeds: 2048 }];
    let mut add = |waves: Vec<WavePoint>, least_safe: Option<&str>| {
        let image = NewImage {
            name: ImageName::new("a", "1.9.0"),
            architecture: "x86_64",
            root_hash: [7; 32],
            empty_slots: [[Guid::NIL; 2]; 2],
            root: Part { size: 1, file: &mut &b"r"[..] },
            hash: Part { size: 1, file: &mut &b"h"[..] },
            kernel_image: Part { size: 1, file: &mut &b"k"[..] },
            waves,
            least_safe: least_safe.map(str::to_owned),
        };
        repository.add(image, &at(&keys, NOW)).unwrap();
        let offers = repository.offers().unwrap();
        (offers.updates[0].waves.clone(), offers.updates[0].least_safe.clone())
    };
    assert_eq!(add(wave(5), Some("1.8")), (wave(5), Some("1.8".to_owned())));
    assert_eq!(add(Vec::new(), None), (wave(5), Some("1.8".to_owned())));
    assert_eq!(add(wave(9), None), (wave(9), None));
}

#[test]
fn what_is_removed_goes_with_its_files_and_what_machines_need_stays() {
    let sample = Sample::new();
    let keys = sample.keys();
    let signers = at(&keys, NOW);
    let mut repository = sample.open();
    add(&mut repository, "1.10.0", b"root of 1.10.0", &signers).unwrap();
    add(&mut repository, "1.11.0", b"root of 1.11.0", &signers).unwrap();
    let mut needed = |version: &str| match repository.remove(&of(version), &signers) {
        Err(RepositoryError::Needed { image, why }) => (image, why),
        other => panic!("{version}: {other:?}"),
    };
    let (image, why) = needed("1.11.0");
    assert_eq!(image, "a_1.11.0 x86_64");
    assert!(why.starts_with("it is what machines take now"), "{why}");
    // Nothing is removed unless all of it is.
    let both: Vec<Images> = [of("1.9.0"), of("1.11.0")].concat();
    assert!(matches!(repository.remove(&both, &signers), Err(RepositoryError::Needed { .. })));
    let strange = [Images { variant: Some("b".to_owned()), version: "1.9.0".to_owned() }];
    let told = repository.remove(&strange, &signers).unwrap_err().to_string();
    assert_eq!(told, "`b_1.9.0` is not offered: what is offered is `a_1.10.0`, `a_1.11.0`, `a_1.9.0`");
    assert_eq!(images(&sample.check(NOW).unwrap()).len(), 3);

    // A bad release: machines stay below it, then it may go; the one that they are held to may not.
    repository.limit(Some("1.10.0".to_owned()), &signers).unwrap();
    let why = repository.remove(&of("1.10.0"), &signers).unwrap_err().to_string();
    assert!(why.contains("beyond which no machine goes"), "{why}");
    repository.remove(&of("1.11.0"), &signers).unwrap();
    repository.remove(&of("1.9.0"), &signers).unwrap();
    let found = sample.check(NOW).unwrap();
    assert_eq!((images(&found), found.max_version.as_deref()), (vec!["a_1.10.0 x86_64"], Some("1.10.0")));
    let mut endings: Vec<String> =
        sample.names("targets").iter().map(|name| name.split_once('.').unwrap().1.to_owned()).collect();
    endings.sort();
    assert_eq!(endings, ["a_1.10.0_x86_64.efi", "a_1.10.0_x86_64.root", "a_1.10.0_x86_64.verity", "manifest.json"]);
    // What machines may just be reading stays: the version before.
    let metadata = sample.names("metadata");
    assert_eq!(
        metadata,
        ["1.root.json", "6.snapshot.json", "6.targets.json", "7.snapshot.json", "7.targets.json", TIMESTAMP]
    );
}

#[test]
fn a_halted_version_is_offered_to_nobody_until_it_goes_on() {
    let sample = Sample::new();
    let keys = sample.keys();
    let signers = at(&keys, NOW);
    let mut repository = sample.open();
    add(&mut repository, "1.10.0", b"root of 1.10.0", &signers).unwrap();
    repository.halt(&of("1.10.0"), Halt::Halted, &signers).unwrap();
    let halted = |sample: &Sample| {
        let found = sample.check(NOW).unwrap();
        found.images.into_iter().filter(|image| image.is_halted).map(|image| image.image).collect::<Vec<_>>()
    };
    assert_eq!(halted(&sample), ["a_1.10.0 x86_64"]);
    // It stays halted when its image is made again, and what machines take now is the one before.
    add(&mut repository, "1.10.0", b"a better root of 1.10.0", &signers).unwrap();
    assert_eq!(halted(&sample), ["a_1.10.0 x86_64"]);
    assert!(matches!(repository.remove(&of("1.9.0"), &signers), Err(RepositoryError::Needed { .. })));
    repository.halt(&of("1.10.0"), Halt::Resumed, &signers).unwrap();
    assert_eq!(halted(&sample), Vec::<String>::new());
    repository.halt(&of("1.10.0"), Halt::Halted, &signers).unwrap();
    repository.remove(&of("1.10.0"), &signers).unwrap();
    assert_eq!(images(&sample.check(NOW).unwrap()), ["a_1.9.0 x86_64"]);
}
