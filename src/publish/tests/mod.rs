//! Repositories that are begun, added to, signed in several places, given other keys, damaged.

mod command;
mod repository;
mod rotation;
mod signing;

use std::{
    fs,
    path::{Path, PathBuf},
};

use brc_contract::{Guid, ImageName};

use super::{
    change::NewImage,
    check::Stated,
    folder::Part,
    key::{Keys, new_keys},
    metadata::Role,
    repository::{Repository, RepositoryError, Signers},
    root::Policy,
};

const NOW: u64 = 1_796_000_000;

/// A repository, and its keys.
struct Sample {
    folder: tempfile::TempDir,
}

impl Sample {
    /// One that offers an image.
    fn new() -> Sample {
        let sample = Sample::with_keys();
        let keys = sample.keys();
        let mut repository = Repository::init(&sample.repository(), &Policy::default(), &at(&keys, NOW)).unwrap();
        add(&mut repository, "1.9.0", b"root of 1.9.0", &at(&keys, NOW)).unwrap();
        sample
    }

    /// One with a key for each role, and nothing else.
    fn with_keys() -> Sample {
        let sample = Sample { folder: tempfile::tempdir().unwrap() };
        new_keys(&sample.path("keys"), &Role::ALL, None).unwrap();
        sample
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    fn open(&self) -> Repository {
        Repository::open(&self.repository()).unwrap()
    }

    fn keys(&self) -> Keys {
        read_keys(&self.path("keys"))
    }

    fn check(&self, now: u64) -> Result<Stated, String> {
        Repository::check(&self.repository(), now).map_err(|error| error.to_string())
    }

    /// Every file of the repository with what it holds.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for folder in ["metadata", "targets", "drafts"] {
            let Ok(entries) = fs::read_dir(self.repository().join(folder)) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                files.push((format!("{folder}/{}", path.file_name().unwrap().display()), fs::read(&path).unwrap()));
            }
        }
        files.sort();
        files
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let below = |(name, _): (String, Vec<u8>)| Some(name.strip_prefix(folder)?.strip_prefix('/')?.to_owned());
        self.files().into_iter().filter_map(below).collect()
    }
}

fn read_keys(folder: &Path) -> Keys {
    Keys::read(folder, &Role::ALL).unwrap()
}

/// Everything is signed now, or nothing is written.
fn at(keys: &Keys, now: u64) -> Signers<'_> {
    Signers { keys, now, may_wait: false }
}

/// What these keys cannot sign waits.
fn waiting(keys: &Keys) -> Signers<'_> {
    Signers { keys, now: NOW, may_wait: true }
}

fn add(repository: &mut Repository, version: &str, root: &[u8], signers: &Signers<'_>) -> Result<(), RepositoryError> {
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
    repository.add(image, signers)
}

fn images(found: &Stated) -> Vec<&str> {
    found.images.iter().map(|image| image.image.as_str()).collect()
}
