//! A repository in a folder: begun, added to, signed anew, checked.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

use super::{
    key::Keys,
    metadata::{
        Described, Hashes, Key, Listing, MAX_METADATA_BYTES, MetadataFile, Role, RoleKeys, Root, Signable, Signed,
        Targets, VerifyMetadataError, encode, sign, verify,
    },
};
use crate::content::{DAY_SECONDS, Sha256, Sha256Hasher, date_text};
use brc_contract::{
    Guid, ImageName,
    update::{OFFERS, OFFERS_VERSION, Offer, OfferTargets, Offers, Schedule, ScheduleError, WavePoint},
};

const METADATA: &str = "metadata";
const TARGETS: &str = "targets";
/// The one file whose name has no version: who reads it knows all the others.
const TIMESTAMP: &str = "timestamp.json";
/// How much of a target is copied together.
const PIECE: usize = 1 << 20;

/// How long each role's signature counts, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The root's.
    pub root: u64,
    /// The targets'.
    pub targets: u64,
    /// The snapshot's.
    pub snapshot: u64,
    /// The timestamp's.
    pub timestamp: u64,
}

/// A part of an image, as it is read.
pub struct Part<'f> {
    /// The file.
    pub file: &'f mut dyn Read,
    /// Its size in bytes.
    pub size: u64,
}

/// An image that is added.
pub struct NewImage<'f> {
    /// Its name.
    pub name: ImageName,
    /// The name of its architecture.
    pub architecture: &'static str,
    /// Its root hash.
    pub root_hash: [u8; 32],
    /// The identities of the hash and root partitions of slots that hold nothing.
    pub empty_slots: [[Guid; 2]; 2],
    /// Its root.
    pub root: Part<'f>,
    /// Its hash tree.
    pub hash: Part<'f>,
    /// Its kernel image.
    pub kernel_image: Part<'f>,
    /// How it spreads.
    pub waves: Vec<WavePoint>,
    /// Machines with an older version do not wait for their wave.
    pub least_safe: Option<String>,
}

/// A repository in a folder, whose metadata was checked when it was opened.
pub struct Repository {
    folder: PathBuf,
    root: Signed<Root>,
    targets: Signed<Targets>,
    snapshot: Signed<Listing>,
    timestamp: Signed<Listing>,
}

/// What a check of a repository found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// When each role ends, by its name, with its version.
    pub roles: BTreeMap<&'static str, (u64, String)>,
    /// What it offers: images by name and architecture.
    pub images: Vec<String>,
    /// How many bytes its targets have.
    pub bytes: u64,
}

impl Default for Terms {
    /// A root for a year, targets for a quarter, and what a machine must see that is newer for two weeks and one.
    fn default() -> Self {
        Terms { root: 365, targets: 91, snapshot: 14, timestamp: 7 }
    }
}

impl Repository {
    /// Begins a repository in a folder that has none, with a key for each role; it offers nothing.
    ///
    /// # Errors
    /// A folder that has one, a role without a key, a disk that refuses.
    pub fn init(folder: &Path, keys: &Keys, terms: Terms, now: u64) -> Result<Self, RepositoryError> {
        let there = folder.join(METADATA);
        if there.exists() {
            return Err(RepositoryError::There { folder: folder.to_owned() });
        }
        let expires = |role: Role| date_text(now + terms.days(role) * DAY_SECONDS);
        let mut root = Root {
            head: Role::Root.head(1, expires(Role::Root)),
            consistent_snapshot: true,
            keys: BTreeMap::new(),
            roles: BTreeMap::new(),
        };
        for role in Role::ALL {
            let all: Vec<_> = keys.of(role).map(Key::of).collect();
            let keyids: Vec<String> = all.iter().map(|key| key.identity()).collect();
            if keyids.is_empty() {
                return Err(no_key(role, keys));
            }
            root.keys.extend(keyids.iter().cloned().zip(all));
            root.roles.insert(role.name().to_owned(), RoleKeys { keyids, threshold: 1 });
        }
        let nothing = |role: Role| Listing { head: role.head(0, String::new()), meta: BTreeMap::new() };
        let mut repository = Repository {
            folder: folder.to_owned(),
            root: signed(Role::Root, root, keys)?,
            targets: unsigned(Targets { head: Role::Targets.head(0, String::new()), targets: BTreeMap::new() }),
            snapshot: unsigned(nothing(Role::Snapshot)),
            timestamp: unsigned(nothing(Role::Timestamp)),
        };
        fs::create_dir_all(&there).map_err(|source| RepositoryError::Write { path: there.clone(), source })?;
        let root = repository.root.clone();
        repository.write_metadata("1.root.json", &root)?;
        let offers = Offers { manifest_version: OFFERS_VERSION, max_version: None, updates: Vec::new() };
        repository.publish(&offers, keys, terms, now)?;
        Ok(repository)
    }

    /// Opens a repository whose every signature counts now; the end of snapshot and timestamp is passed over, which
    /// [`Repository::refresh`] mends.
    ///
    /// # Errors
    /// A folder without a repository, or metadata that is not to be believed.
    pub fn open(folder: &Path, now: u64) -> Result<Self, RepositoryError> {
        let root: Signed<Root> = read(&folder.join(METADATA).join(format!("{}.root.json", newest_root(folder)?)))?;
        let timestamp: Signed<Listing> = read(&folder.join(METADATA).join(TIMESTAMP))?;
        let snapshot: Signed<Listing> = listed(folder, &timestamp.signed, "snapshot.json")?;
        let targets: Signed<Targets> = listed(folder, &snapshot.signed, "targets.json")?;
        verify(&root, Role::Root, &root.signed, now)?;
        verify(&targets, Role::Targets, &root.signed, now)?;
        for (role, listing) in [(Role::Snapshot, &snapshot), (Role::Timestamp, &timestamp)] {
            match verify(listing, role, &root.signed, now) {
                Err(VerifyMetadataError::Expired { .. }) => {}
                checked => checked?,
            }
        }
        Ok(Repository { folder: folder.to_owned(), root, targets, snapshot, timestamp })
    }

    /// Adds an image; one of the same name and architecture is replaced. It is there for machines when this returns.
    ///
    /// # Errors
    /// Waves that are no schedule, a key that is missing, a disk that refuses.
    pub fn add(&mut self, image: NewImage<'_>, keys: &Keys, terms: Terms, now: u64) -> Result<(), RepositoryError> {
        Schedule::new(image.waves.clone())?;
        let mut offers = self.offers()?;
        let target = |ending: &str| format!("{}_{}.{ending}", image.name, image.architecture);
        let targets = OfferTargets { root: target("root"), hash: target("verity"), kernel_image: target("efi") };
        for (name, part) in
            [(&targets.root, image.root), (&targets.hash, image.hash), (&targets.kernel_image, image.kernel_image)]
        {
            let described = self.write_target(name, part)?;
            self.targets.signed.targets.insert(name.clone(), described);
        }
        let offer = Offer {
            variant: image.name.variant.clone(),
            architecture: image.architecture.to_owned(),
            version: image.name.version.clone(),
            root_hash: Sha256::from_bytes(image.root_hash).to_string(),
            targets,
            empty_slots: image.empty_slots.map(|slot| slot.map(|guid| guid.to_string())),
            least_safe: image.least_safe,
            waves: image.waves,
        };
        let is_other = |one: &Offer| (one.name(), &one.architecture) != (offer.name(), &offer.architecture);
        offers.updates.retain(is_other);
        offers.updates.push(offer);
        offers.updates.sort_by_key(|offer| (offer.variant.clone(), offer.architecture.clone(), offer.version.clone()));
        self.publish(&offers, keys, terms, now)
    }

    /// Sets the version that no machine goes beyond, or takes that limit away.
    ///
    /// # Errors
    /// A key that is missing, a disk that refuses.
    pub fn limit(&mut self, most: Option<String>, keys: &Keys, terms: Terms, now: u64) -> Result<(), RepositoryError> {
        let offers = Offers { max_version: most, ..self.offers()? };
        self.publish(&offers, keys, terms, now)
    }

    /// Signs snapshot and timestamp anew, so that they count for longer; neither the root's nor the targets' key is
    /// needed.
    ///
    /// # Errors
    /// A key that is missing, a disk that refuses.
    pub fn refresh(&mut self, keys: &Keys, terms: Terms, now: u64) -> Result<(), RepositoryError> {
        let targets = describe(&self.targets)?;
        let version = self.targets.signed.head.version;
        self.switch(MetadataFile { version, ..targets }, keys, terms, now)
    }

    /// Checks everything that a machine would, and every target.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(folder: &Path, now: u64) -> Result<Checked, RepositoryError> {
        let repository = Repository::open(folder, now)?;
        let Repository { root, targets, snapshot, timestamp, .. } = &repository;
        verify(snapshot, Role::Snapshot, &root.signed, now)?;
        verify(timestamp, Role::Timestamp, &root.signed, now)?;
        let mut bytes = 0;
        for (name, described) in &targets.signed.targets {
            let path = repository.target_path(name, &described.hashes.sha256);
            let failed = |source| RepositoryError::Read { path: path.clone(), source };
            let mut file = File::open(&path).map_err(failed)?;
            let found = copy(&mut file, &mut io::sink(), u64::MAX).map_err(failed)?;
            if found != *described {
                return Err(RepositoryError::Target { path });
            }
            bytes += found.length;
        }
        let offers = repository.offers()?;
        let heads = [&root.signed.head, &targets.signed.head, &snapshot.signed.head, &timestamp.signed.head];
        let roles = Role::ALL.into_iter().zip(heads);
        Ok(Checked {
            roles: roles.map(|(role, head)| (role.name(), (head.version, head.expires.clone()))).collect(),
            images: offers.updates.iter().map(|offer| format!("{} {}", offer.name(), offer.architecture)).collect(),
            bytes,
        })
    }

    /// What it offers.
    fn offers(&self) -> Result<Offers, RepositoryError> {
        let missing = || RepositoryError::NoOffers { folder: self.folder.clone() };
        let described = self.targets.signed.targets.get(OFFERS).ok_or_else(missing)?;
        let path = self.target_path(OFFERS, &described.hashes.sha256);
        let bytes = fs::read(&path).map_err(|source| RepositoryError::Read { path: path.clone(), source })?;
        if Sha256::of(&bytes).to_string() != described.hashes.sha256 {
            return Err(RepositoryError::Target { path });
        }
        serde_json::from_slice(&bytes).map_err(|source| RepositoryError::Json { path, source })
    }

    /// Signs new targets, then what points to them.
    fn publish(&mut self, offers: &Offers, keys: &Keys, terms: Terms, now: u64) -> Result<(), RepositoryError> {
        let mut bytes = serde_json::to_vec_pretty(offers).map_err(RepositoryError::Encode)?;
        bytes.push(b'\n');
        let part = Part { file: &mut bytes.as_slice(), size: bytes.len() as u64 };
        let described = self.write_target(OFFERS, part)?;
        self.targets.signed.targets.insert(OFFERS.to_owned(), described);
        let version = self.targets.signed.head.version + 1;
        let expires = date_text(now + terms.days(Role::Targets) * DAY_SECONDS);
        let head = Role::Targets.head(version, expires);
        let targets = Targets { head, targets: self.targets.signed.targets.clone() };
        self.targets = signed(Role::Targets, targets, keys)?;
        let listed = self.write_metadata(&format!("{version}.targets.json"), &self.targets)?;
        self.switch(MetadataFile { version, ..listed }, keys, terms, now)
    }

    /// Signs a snapshot with these targets and a timestamp of it; the last rename is what machines see.
    fn switch(&mut self, targets: MetadataFile, keys: &Keys, terms: Terms, now: u64) -> Result<(), RepositoryError> {
        let listing = |role: Role, old: &Signed<Listing>, name: &str, file: MetadataFile| {
            let expires = date_text(now + terms.days(role) * DAY_SECONDS);
            let head = role.head(old.signed.head.version + 1, expires);
            signed(role, Listing { head, meta: BTreeMap::from([(name.to_owned(), file)]) }, keys)
        };
        // Both keys are looked for before anything is written.
        let snapshot = listing(Role::Snapshot, &self.snapshot, "targets.json", targets)?;
        let version = snapshot.signed.head.version;
        let described = MetadataFile { version, ..describe(&snapshot)? };
        let timestamp = listing(Role::Timestamp, &self.timestamp, "snapshot.json", described)?;
        self.write_metadata(&format!("{version}.snapshot.json"), &snapshot)?;
        self.write_metadata(TIMESTAMP, &timestamp)?;
        (self.snapshot, self.timestamp) = (snapshot, timestamp);
        Ok(())
    }

    fn target_path(&self, name: &str, sha256: &str) -> PathBuf {
        self.folder.join(TARGETS).join(format!("{sha256}.{name}"))
    }

    /// Writes a target under its digest, unless it is there.
    fn write_target(&self, name: &str, part: Part<'_>) -> Result<Described, RepositoryError> {
        let folder = self.folder.join(TARGETS);
        let refused = |source| RepositoryError::Write { path: folder.join(name), source };
        fs::create_dir_all(&folder).map_err(refused)?;
        let mut file = temporary(&folder).map_err(refused)?;
        let described = copy(part.file, file.as_file_mut(), part.size).map_err(refused)?;
        if described.length != part.size {
            return Err(refused(io::ErrorKind::UnexpectedEof.into()));
        }
        file.as_file().sync_all().map_err(refused)?;
        file.persist(self.target_path(name, &described.hashes.sha256)).map_err(|error| refused(error.error))?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(refused)?;
        Ok(described)
    }

    fn write_metadata<T: Signable>(&self, name: &str, metadata: &Signed<T>) -> Result<MetadataFile, RepositoryError> {
        let folder = self.folder.join(METADATA);
        let refused = |source| RepositoryError::Write { path: folder.join(name), source };
        let bytes = encode(metadata).map_err(RepositoryError::Encode)?;
        let mut file = temporary(&folder).map_err(refused)?;
        file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(refused)?;
        file.persist(folder.join(name)).map_err(|error| refused(error.error))?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(refused)?;
        Ok(described(&bytes))
    }
}

impl Terms {
    fn days(self, role: Role) -> u64 {
        match role {
            Role::Root => self.root,
            Role::Targets => self.targets,
            Role::Snapshot => self.snapshot,
            Role::Timestamp => self.timestamp,
        }
    }
}

fn no_key(role: Role, keys: &Keys) -> RepositoryError {
    RepositoryError::NoKey { role: role.name(), folder: keys.folder().to_owned() }
}

fn signed<T: Signable>(role: Role, value: T, keys: &Keys) -> Result<Signed<T>, RepositoryError> {
    let found = sign(value, keys.of(role)).filter(|signed| !signed.signatures.is_empty());
    found.ok_or_else(|| no_key(role, keys))
}

fn unsigned<T>(signed: T) -> Signed<T> {
    Signed { signatures: Vec::new(), signed }
}

fn describe<T: Signable>(signed: &Signed<T>) -> Result<MetadataFile, RepositoryError> {
    Ok(described(&encode(signed).map_err(RepositoryError::Encode)?))
}

fn described(bytes: &[u8]) -> MetadataFile {
    MetadataFile { version: 0, length: bytes.len() as u64, hashes: Hashes { sha256: Sha256::of(bytes).to_string() } }
}

fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    tempfile::Builder::new().prefix(".brc-").permissions(mode).tempfile_in(folder)
}

/// Copies at most so many bytes, and says what they are.
fn copy(from: &mut dyn Read, to: &mut dyn io::Write, most: u64) -> io::Result<Described> {
    let (mut hasher, mut length) = (Sha256Hasher::default(), 0);
    let mut piece = vec![0; PIECE];
    while length < most {
        let wanted = (most - length).min(PIECE as u64) as usize;
        let size = from.read(&mut piece[..wanted])?;
        if size == 0 {
            break;
        }
        hasher.update(&piece[..size]);
        to.write_all(&piece[..size])?;
        length += size as u64;
    }
    Ok(Described { length, hashes: Hashes { sha256: hasher.finish().to_string() } })
}

fn newest_root(folder: &Path) -> Result<u64, RepositoryError> {
    let metadata = folder.join(METADATA);
    let failed = |source| match io::Error::kind(&source) {
        io::ErrorKind::NotFound => RepositoryError::None { folder: folder.to_owned() },
        _ => RepositoryError::Read { path: metadata.clone(), source },
    };
    let mut newest = None;
    for entry in fs::read_dir(&metadata).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let version = name.to_str().and_then(|name| name.strip_suffix(".root.json")?.parse::<u64>().ok());
        newest = newest.max(version);
    }
    newest.ok_or_else(|| RepositoryError::None { folder: folder.to_owned() })
}

fn listed<T: Signable>(folder: &Path, listing: &Listing, name: &str) -> Result<Signed<T>, RepositoryError> {
    let missing = || RepositoryError::NotListed { name: name.to_owned() };
    let file = listing.meta.get(name).ok_or_else(missing)?;
    let path = folder.join(METADATA).join(format!("{}.{name}", file.version));
    let bytes = read_bytes(&path)?;
    if (MetadataFile { version: file.version, ..described(&bytes) }) != *file {
        return Err(RepositoryError::Target { path });
    }
    parse(&path, &bytes)
}

fn read<T: Signable>(path: &Path) -> Result<Signed<T>, RepositoryError> {
    parse(path, &read_bytes(path)?)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, RepositoryError> {
    let failed = |source| RepositoryError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_METADATA_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_METADATA_BYTES {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

fn parse<T: Signable>(path: &Path, bytes: &[u8]) -> Result<Signed<T>, RepositoryError> {
    serde_json::from_slice(bytes).map_err(|source| RepositoryError::Json { path: path.to_owned(), source })
}

/// A repository does not do what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// There is none.
    #[error("`{}` holds no repository", folder.display())]
    None { folder: PathBuf },
    /// There is one.
    #[error("`{}` holds a repository already", folder.display())]
    There { folder: PathBuf },
    /// A role cannot sign.
    #[error("there is no key of `{role}` in `{}`: expected `{role}.pem`", folder.display())]
    NoKey { role: &'static str, folder: PathBuf },
    /// Metadata is not to be believed.
    #[error(transparent)]
    Metadata(#[from] VerifyMetadataError),
    /// Waves are no schedule.
    #[error(transparent)]
    Waves(#[from] ScheduleError),
    /// A file is not listed where it has to be.
    #[error("`{name}` is not listed by the metadata that has to")]
    NotListed { name: String },
    /// It says nothing of what it offers.
    #[error("the repository in `{}` has no target `{OFFERS}`", folder.display())]
    NoOffers { folder: PathBuf },
    /// A file is not what the metadata says.
    #[error("`{}` is not what the metadata says", path.display())]
    Target { path: PathBuf },
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A file is not what its name says.
    #[error("`{}` is no metadata", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    /// Metadata cannot be written as text.
    #[error("metadata cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
}

#[cfg(test)]
mod tests {
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
            Keys::read(&self.path("keys")).unwrap()
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
        assert!(matches!(
            Repository::open(&sample.path("repository"), NOW + 92 * DAY_SECONDS),
            Err(RepositoryError::Metadata(VerifyMetadataError::Expired { role: "targets", .. }))
        ));
    }

    #[test]
    fn every_changed_byte_of_a_file_that_counts_is_found() {
        let sample = Sample::new();
        let counts = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            // Older versions are there for who reads just now.
            !["1.targets.json", "1.snapshot.json"].contains(&name) && !name.ends_with(OFFERS)
                || sample.check(NOW).is_ok() && name.starts_with("2.")
        };
        for path in sample.files().into_iter().filter(counts) {
            let good = fs::read(&path).unwrap();
            for at in (0..good.len()).step_by(37) {
                let mut bad = good.clone();
                bad[at] ^= 4;
                fs::write(&path, &bad).unwrap();
                // Signatures are over what is said: spaces between are nobody's.
                let same = serde_json::from_slice::<serde_json::Value>(&bad).ok()
                    == serde_json::from_slice::<serde_json::Value>(&good).ok();
                assert!(same || sample.check(NOW).is_err(), "{} byte {at}", path.display());
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
}
