//! Repositories that are begun, added to, signed anew, damaged.

use super::*;
use crate::publish::key::new_keys;

const NOW: u64 = 1_796_000_000;

/// A repository that offers an image, and its keys.
struct Sample {
    folder: tempfile::TempDir,
}

impl Sample {
    fn new() -> Sample {
        let sample = Sample { folder: tempfile::tempdir().unwrap() };
        new_keys(&sample.path("keys")).unwrap();
        let mut repository =
            Repository::init(&sample.path("repository"), &sample.keys(), Terms::default(), NOW).unwrap();
        sample.add(&mut repository, "1.9.0", b"root of 1.9.0");
        sample
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn keys(&self) -> Keys {
        Keys::read(&self.path("keys"), &Role::ALL).unwrap()
    }

    fn add(&self, repository: &mut Repository, version: &str, root: &[u8]) {
        let image = NewImage {
            name: ImageName::new("a", version),
            architecture: "x86_64",
            root_hash: [7; 32],
            empty_slots: [[Guid::NIL; 2]; 2],
            root: Part { size: root.len() as u64, file: &mut &*root },
            hash: Part { size: 4, file: &mut &b"tree"[..] },
            kernel_image: Part { size: 6, file: &mut &b"kernel"[..] },
            waves: Vec::new(),
            least_safe: None,
        };
        repository.add(image, &self.keys(), Terms::default(), NOW).unwrap();
    }

    fn check(&self, now: u64) -> Result<Checked, String> {
        Repository::check(&self.path("repository"), now).map_err(|error| error.to_string())
    }

    fn files(&self) -> Vec<PathBuf> {
        let folders = [METADATA, TARGETS].map(|name| self.path("repository").join(name));
        let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        files.map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn what_is_added_is_offered_and_the_same_keys_go_on_signing() {
    let sample = Sample::new();
    let mut repository = Repository::open(&sample.path("repository"), NOW).unwrap();
    sample.add(&mut repository, "1.10.0", b"root of 1.10.0");
    sample.add(&mut repository, "1.10.0", b"another root of 1.10.0");
    let found = sample.check(NOW).unwrap();
    assert_eq!(found.images, ["a_1.10.0 x86_64", "a_1.9.0 x86_64"]);
    let versions: Vec<(&str, u64)> = found.roles.iter().map(|(role, (version, _))| (*role, *version)).collect();
    assert_eq!(versions, [("root", 1), ("snapshot", 4), ("targets", 4), ("timestamp", 4)]);
    repository.limit(Some("1.9.0".to_owned()), &sample.keys(), Terms::default(), NOW).unwrap();
    assert_eq!(repository.offers().unwrap().max_version.as_deref(), Some("1.9.0"));
    let twice = Repository::init(&sample.path("repository"), &sample.keys(), Terms::default(), NOW);
    assert!(matches!(twice, Err(RepositoryError::There { .. })));
}

#[test]
fn what_expires_is_signed_anew_without_the_keys_of_root_and_targets() {
    let sample = Sample::new();
    let later = NOW + 20 * DAY_SECONDS;
    assert_eq!(sample.check(later).unwrap_err(), "`snapshot` has expired: 2026-12-14T00:53:20Z");
    for role in ["root", "targets"] {
        fs::remove_file(sample.path(&format!("keys/{role}.pem"))).unwrap();
    }
    let mut repository = Repository::open(&sample.path("repository"), later).unwrap();
    repository.refresh(&sample.keys(), Terms::default(), later).unwrap();
    assert!(sample.check(later).is_ok());
    let found = repository.limit(None, &sample.keys(), Terms::default(), later);
    assert!(found.unwrap_err().to_string().starts_with("there is no key of `targets` in "));
    drop(repository);
    assert!(matches!(
        Repository::open(&sample.path("repository"), NOW + 92 * DAY_SECONDS),
        Err(RepositoryError::Metadata(VerifyMetadataError::Expired { role: "targets", .. }))
    ));
}

#[test]
fn a_changed_byte_of_any_file_that_counts_is_found() {
    let sample = Sample::new();
    let repository = Repository::look(&sample.path("repository"), NOW).unwrap();
    let targets = repository.targets.signed.targets.iter();
    let targets = targets.map(|(name, described)| repository.target_path(name, &described.hashes.sha256));
    let metadata = ["1.root.json", "2.targets.json", "2.snapshot.json", TIMESTAMP];
    let metadata = metadata.map(|name| sample.path("repository").join(METADATA).join(name));
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
        let path = sample.path("repository").join(METADATA).join(name);
        let good = fs::read(&path).unwrap();
        fs::copy(other.path("repository").join(METADATA).join(name), &path).unwrap();
        assert!(sample.check(NOW).is_err(), "{name}");
        fs::write(&path, good).unwrap();
    }
    assert!(sample.check(NOW).is_ok());
}

#[test]
fn other_keys_sign_nothing_and_leave_everything_as_it_was() {
    let (sample, other) = (Sample::new(), Sample::new());
    let state = || sample.files().into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>();
    let before = state();
    let mut repository = Repository::open(&sample.path("repository"), NOW).unwrap();
    for refused in [
        repository.refresh(&other.keys(), Terms::default(), NOW),
        repository.limit(None, &other.keys(), Terms::default(), NOW),
    ] {
        assert!(matches!(refused, Err(RepositoryError::OtherKey { .. })), "{refused:?}");
    }
    assert!(state() == before);
    repository.refresh(&sample.keys(), Terms::default(), NOW).unwrap();
}

#[test]
fn a_version_that_is_added_again_keeps_its_waves_unless_others_are_given() {
    let sample = Sample::new();
    let mut repository = Repository::open(&sample.path("repository"), NOW).unwrap();
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
        repository.add(image, &sample.keys(), Terms::default(), NOW).unwrap();
        let offers = repository.offers().unwrap();
        (offers.updates[0].waves.clone(), offers.updates[0].least_safe.clone())
    };
    assert_eq!(add(wave(5), Some("1.8")), (wave(5), Some("1.8".to_owned())));
    assert_eq!(add(Vec::new(), None), (wave(5), Some("1.8".to_owned())));
    assert_eq!(add(wave(9), None), (wave(9), None));
}
