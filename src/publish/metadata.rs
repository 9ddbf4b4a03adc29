//! The four roles of a repository: what they sign, and how it is checked.
//!
//! Source: The Update Framework specification 1.0.33, section 4.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    canonical::canonical,
    public_key::{PublicKey, unhex},
};
use crate::content::parse_date;

/// The version of the specification that metadata states.
pub const SPECIFICATION: &str = "1.0.0";
/// The most bytes of a file with metadata.
pub const MAX_METADATA_BYTES: u64 = 10 << 20;

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Says whose keys count.
    Root,
    /// Says what may be taken.
    Targets,
    /// Says which metadata belong together.
    Snapshot,
    /// Says which of those is the newest.
    Timestamp,
}

/// A file of metadata.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signed<T> {
    /// By whom.
    pub signatures: Vec<Signature>,
    /// What.
    pub signed: T,
}

/// A signature over the canonical form of what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The key, by its identity.
    pub keyid: String,
    /// The signature, hexadecimal.
    pub sig: String,
}

/// What all roles say of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The name of the role.
    #[serde(rename = "_type")]
    pub kind: String,
    /// [`SPECIFICATION`].
    pub spec_version: String,
    /// Its version, from 1.
    pub version: u64,
    /// When it ends (RFC 3339, UTC).
    pub expires: String,
}

/// What the root signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// What all roles say.
    #[serde(flatten)]
    pub head: Head,
    /// Whether the names of files begin with their version or digest.
    pub consistent_snapshot: bool,
    /// The keys, by their identity.
    pub keys: BTreeMap<String, PublicKey>,
    /// The keys of each role.
    pub roles: BTreeMap<String, RoleKeys>,
}

/// Whose signatures a role wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKeys {
    /// The identities of its keys.
    pub keyids: Vec<String>,
    /// How many of them must have signed.
    pub threshold: u64,
    /// How many days a signature of the role counts; a word of ours, which other clients pass over.
    #[serde(rename = "x-brc-days", default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u64>,
}

/// Who has signed metadata, of those that a root names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The identities of keys whose signature counts.
    pub found: BTreeSet<String>,
    /// Those of keys that have not signed.
    pub missing: BTreeSet<String>,
    /// How many are enough.
    pub threshold: u64,
}

/// What the targets role signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// What all roles say.
    #[serde(flatten)]
    pub head: Head,
    /// The targets, by name.
    pub targets: BTreeMap<String, Described>,
}

/// What the snapshot and the timestamp sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// What all roles say.
    #[serde(flatten)]
    pub head: Head,
    /// The files of metadata, by name.
    pub meta: BTreeMap<String, MetadataFile>,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Its size in bytes.
    pub length: u64,
    /// Its digests.
    pub hashes: Hashes,
}

/// Digests of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// Hexadecimal.
    pub sha256: String,
}

/// A file of metadata as another one lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataFile {
    /// Its version.
    pub version: u64,
    /// Its size in bytes.
    pub length: u64,
    /// Its digests.
    pub hashes: Hashes,
}

/// What a role signs.
pub trait Signable: Serialize + DeserializeOwned + Clone + PartialEq {
    /// What all roles say.
    fn head(&self) -> &Head;
}

impl Signable for Root {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Signable for Targets {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Signable for Listing {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Role {
    /// All four, the root first.
    pub const ALL: [Role; 4] = [Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp];

    /// The name that it has in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Root => "root",
            Role::Targets => "targets",
            Role::Snapshot => "snapshot",
            Role::Timestamp => "timestamp",
        }
    }

    /// The role with a name.
    pub fn named(name: &str) -> Option<Self> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// What gives it a new version that says the same.
    const fn renewed_by(self) -> &'static str {
        match self {
            Role::Root => "brc repo root",
            Role::Targets => "brc repo refresh --targets",
            Role::Snapshot | Role::Timestamp => "brc repo refresh",
        }
    }

    /// What its next version says of itself.
    pub(super) fn head(self, version: u64, expires: String) -> Head {
        Head { kind: self.name().to_owned(), spec_version: SPECIFICATION.to_owned(), version, expires }
    }
}

impl Root {
    /// How many days a signature of a role counts: of the root a year if nothing is said, of the targets a quarter, and
    /// what a machine must see that is newer two weeks and one.
    pub(super) fn days(&self, role: Role) -> u64 {
        let usual = match role {
            Role::Root => 365,
            Role::Targets => 91,
            Role::Snapshot => 14,
            Role::Timestamp => 7,
        };
        self.roles.get(role.name()).and_then(|keys| keys.days).unwrap_or(usual)
    }

    /// The identities of a role's keys.
    pub(super) fn identities(&self, role: Role) -> BTreeSet<String> {
        self.roles.get(role.name()).map_or_else(BTreeSet::new, |keys| keys.keyids.iter().cloned().collect())
    }
}

impl Signature {
    /// Whether it is a key's signature of a message.
    pub(super) fn counts(&self, key: &PublicKey, message: &[u8]) -> bool {
        unhex(&self.sig).is_some_and(|signature| key.verifies(message, &signature))
    }
}

impl Tally {
    /// Whether enough have signed.
    pub fn is_enough(&self) -> bool {
        self.found.len() as u64 >= self.threshold.max(1)
    }
}

/// Counts whose signatures there are. A role that the root does not name wants one that nobody can give.
pub fn tally<T: Signable>(signed: &Signed<T>, role: Role, root: &Root) -> Tally {
    let message = message(&signed.signed).unwrap_or_default();
    let has_signed = |id: &String| {
        let key = root.keys.get(id);
        let mut by = signed.signatures.iter().filter(|signature| signature.keyid == *id);
        key.is_some_and(|key| by.any(|signature| signature.counts(key, &message)))
    };
    let (found, missing) = root.identities(role).into_iter().partition(has_signed);
    Tally { found, missing, threshold: root.roles.get(role.name()).map_or(1, |keys| keys.threshold) }
}

/// Checks that enough of a role's keys have signed, and that its time is not over.
///
/// # Errors
/// What is wrong with it.
pub fn verify<T: Signable>(signed: &Signed<T>, role: Role, root: &Root, now: u64) -> Result<(), VerifyMetadataError> {
    let name = role.name();
    let head = signed.signed.head();
    if head.kind != name || head.spec_version != SPECIFICATION {
        return Err(VerifyMetadataError::Kind { role: name, found: head.kind.clone() });
    }
    root.roles.get(name).ok_or(VerifyMetadataError::NoRole { role: name })?;
    message(&signed.signed).ok_or(VerifyMetadataError::Form { role: name })?;
    let tally = tally(signed, role, root);
    if !tally.is_enough() {
        let found = tally.found.len() as u64;
        return Err(VerifyMetadataError::Signatures { role: name, found, wanted: tally.threshold });
    }
    let ends = parse_date(&head.expires).ok_or(VerifyMetadataError::Form { role: name })?;
    if ends <= now {
        let renew = role.renewed_by();
        return Err(VerifyMetadataError::Expired { role: name, expires: head.expires.clone(), renew });
    }
    Ok(())
}

/// A file of metadata as text: the form is nobody's, signatures are over the canonical one.
///
/// # Errors
/// serde's signature has one; these types take every value.
pub fn encode<T: Signable>(signed: &Signed<T>) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec_pretty(signed)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What a signature of a value is over.
pub fn message(value: &impl Serialize) -> Option<Vec<u8>> {
    canonical(&serde_json::to_value(value).ok()?)
}

/// Metadata that is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyMetadataError {
    /// It is another role's.
    #[error("`{role}` says that it is `{found}`, or is of another version of the specification")]
    Kind { role: &'static str, found: String },
    /// The root does not know the role.
    #[error("the root names no keys for `{role}`")]
    NoRole { role: &'static str },
    /// It has no canonical form, or a date that is none.
    #[error("`{role}` has a value that metadata cannot have")]
    Form { role: &'static str },
    /// Too few have signed.
    #[error("`{role}` is signed by {found} of the {wanted} keys that it needs")]
    Signatures { role: &'static str, found: u64, wanted: u64 },
    /// Its time is over.
    #[error("`{role}` has expired: {expires}; `{renew}` signs it anew")]
    Expired { role: &'static str, expires: String, renew: &'static str },
}
