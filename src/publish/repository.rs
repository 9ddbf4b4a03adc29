//! A repository in a folder: begun, added to, signed anew, checked.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

use ring::signature::Ed25519KeyPair;

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
    /// Whoever changes a repository has it alone.
    _lock: Option<File>,
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
    /// The version that no machine goes beyond.
    pub max_version: Option<String>,
    /// When the last wave of an image ends, in seconds since 1970, by its name.
    pub waves: BTreeMap<String, u64>,
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
            let all: Vec<Key> = known(role, keys, None)?.into_iter().map(Key::of).collect();
            let keyids: Vec<String> = all.iter().map(Key::identity).collect();
            root.keys.extend(keyids.iter().cloned().zip(all));
            root.roles.insert(role.name().to_owned(), RoleKeys { keyids, threshold: 1 });
        }
        let nothing = |role: Role| Listing { head: role.head(0, String::new()), meta: BTreeMap::new() };
        let mut repository = Repository {
            folder: folder.to_owned(),
            _lock: None,
            root: signed(Role::Root, root, keys, None)?,
            targets: unsigned(Targets { head: Role::Targets.head(0, String::new()), targets: BTreeMap::new() }),
            snapshot: unsigned(nothing(Role::Snapshot)),
            timestamp: unsigned(nothing(Role::Timestamp)),
        };
        fs::create_dir_all(folder).map_err(|source| RepositoryError::Write { path: there.clone(), source })?;
        // Of two who begin one at once the second fails.
        fs::create_dir(&there).map_err(|source| RepositoryError::Write { path: there.clone(), source })?;
        repository._lock = Some(lock(folder)?);
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
        newest_root(folder)?;
        Ok(Repository { _lock: Some(lock(folder)?), ..Repository::look(folder, now)? })
    }

    /// As [`Repository::open`], without keeping others from it.
    fn look(folder: &Path, now: u64) -> Result<Self, RepositoryError> {
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
        Ok(Repository { folder: folder.to_owned(), _lock: None, root, targets, snapshot, timestamp })
    }

    /// Adds an image; one of the same name and architecture is replaced, and keeps its waves and its least safe version
    /// where nothing else is said. It is there for machines when this returns.
    ///
    /// # Errors
    /// Waves that are no schedule, a key that is missing, a disk that refuses.
    pub fn add(&mut self, image: NewImage<'_>, keys: &Keys, terms: Terms, now: u64) -> Result<(), RepositoryError> {
        Schedule::new(image.waves.clone())?;
        self.fit(keys, &[Role::Targets, Role::Snapshot, Role::Timestamp])?;
        let mut offers = self.offers()?;
        let is_same = |one: &&Offer| one.name() == image.name && one.architecture == image.architecture;
        let (waves, least_safe) = match offers.updates.iter().find(is_same) {
            Some(old) if image.waves.is_empty() => (old.waves.clone(), image.least_safe.or(old.least_safe.clone())),
            _ => (image.waves, image.least_safe),
        };
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
            least_safe,
            waves,
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
        self.fit(keys, &[Role::Targets, Role::Snapshot, Role::Timestamp])?;
        let offers = Offers { max_version: most, ..self.offers()? };
        self.publish(&offers, keys, terms, now)
    }

    /// Signs snapshot and timestamp anew, so that they count for longer; neither the root's nor the targets' key is
    /// needed.
    ///
    /// # Errors
    /// A key that is missing, a disk that refuses.
    pub fn refresh(&mut self, keys: &Keys, terms: Terms, now: u64) -> Result<(), RepositoryError> {
        self.fit(keys, &[Role::Snapshot, Role::Timestamp])?;
        let targets = describe(&self.targets)?;
        let version = self.targets.signed.head.version;
        self.switch(MetadataFile { version, ..targets }, keys, terms, now)
    }

    /// Checks everything that a machine would, and every target.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(folder: &Path, now: u64) -> Result<Checked, RepositoryError> {
        let repository = Repository::look(folder, now)?;
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
            max_version: offers.max_version.clone(),
            waves: offers
                .updates
                .iter()
                .filter_map(|offer| Some((offer.name().to_string(), offer.waves.last()?.at)))
                .collect(),
            images: offers.updates.iter().map(|offer| format!("{} {}", offer.name(), offer.architecture)).collect(),
            bytes,
        })
    }

    /// Whether enough of the root's own keys of these roles are at hand: what other keys sign nobody believes, and it would
    /// stand in the way of what is right.
    fn fit(&self, keys: &Keys, roles: &[Role]) -> Result<(), RepositoryError> {
        roles.iter().try_for_each(|role| known(*role, keys, Some(&self.root.signed)).map(drop))
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
        self.targets = signed(Role::Targets, targets, keys, Some(&self.root.signed))?;
        let listed = self.write_metadata(&format!("{version}.targets.json"), &self.targets)?;
        self.switch(MetadataFile { version, ..listed }, keys, terms, now)
    }

    /// Signs a snapshot with these targets and a timestamp of it; the last rename is what machines see.
    fn switch(&mut self, targets: MetadataFile, keys: &Keys, terms: Terms, now: u64) -> Result<(), RepositoryError> {
        let listing = |role: Role, old: &Signed<Listing>, name: &str, file: MetadataFile| {
            let expires = date_text(now + terms.days(role) * DAY_SECONDS);
            let head = role.head(old.signed.head.version + 1, expires);
            let listing = Listing { head, meta: BTreeMap::from([(name.to_owned(), file)]) };
            signed(role, listing, keys, Some(&self.root.signed))
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

fn signed<T: Signable>(role: Role, value: T, keys: &Keys, root: Option<&Root>) -> Result<Signed<T>, RepositoryError> {
    let keys = known(role, keys, root)?;
    sign(value, keys.into_iter()).ok_or(RepositoryError::Form { role: role.name() })
}

/// The keys of a role that the root knows, as many as it wants; all of them while there is no root.
fn known<'k>(role: Role, keys: &'k Keys, root: Option<&Root>) -> Result<Vec<&'k Ed25519KeyPair>, RepositoryError> {
    let all: Vec<_> = keys.of(role).collect();
    if all.is_empty() {
        return Err(no_key(role, keys));
    }
    let Some(wanted) = root.and_then(|root| root.roles.get(role.name())) else { return Ok(all) };
    let known: Vec<_> = all.into_iter().filter(|key| wanted.keyids.contains(&Key::of(key).identity())).collect();
    if (known.len() as u64) < wanted.threshold {
        return Err(RepositoryError::OtherKey { role: role.name(), folder: keys.folder().to_owned() });
    }
    Ok(known)
}

/// Waits until nobody else changes the repository.
fn lock(folder: &Path) -> Result<File, RepositoryError> {
    let path = folder.join(METADATA);
    let locked = File::open(&path).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| RepositoryError::Read { path, source })
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
    /// The keys at hand are not those of the repository.
    #[error("the key of `{role}` in `{}` is not the one that the repository's root names; nothing was written", folder.display())]
    OtherKey { role: &'static str, folder: PathBuf },
    /// What is to be signed has a value that metadata cannot have.
    #[error("`{role}` has a value that metadata cannot have")]
    Form { role: &'static str },
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
#[path = "repository_tests.rs"]
mod tests;
