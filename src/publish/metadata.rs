//! The four roles of a repository: what they sign, and how it is checked.
//!
//! Source: The Update Framework specification 1.0.33, section 4.

use std::collections::BTreeMap;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::canonical::canonical;
use crate::content::{Sha256, parse_date};

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
    pub keys: BTreeMap<String, Key>,
    /// The keys of each role.
    pub roles: BTreeMap<String, RoleKeys>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    keytype: String,
    keyval: KeyValue,
    scheme: String,
}

/// The value of a public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// Hexadecimal.
    public: String,
}

/// Whose signatures a role wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKeys {
    /// The identities of its keys.
    pub keyids: Vec<String>,
    /// How many of them must have signed.
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
pub trait Signable: Serialize + DeserializeOwned {
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

    /// What its next version says of itself.
    pub(super) fn head(self, version: u64, expires: String) -> Head {
        Head { kind: self.name().to_owned(), spec_version: SPECIFICATION.to_owned(), version, expires }
    }
}

impl Key {
    /// The public half of a key.
    pub(super) fn of(key: &Ed25519KeyPair) -> Self {
        let ed25519 = "ed25519".to_owned();
        let keyval = KeyValue { public: hex(key.public_key().as_ref()) };
        Key { keytype: ed25519.clone(), keyval, scheme: ed25519 }
    }

    /// Its identity: the SHA-256 of its canonical form.
    pub(super) fn identity(&self) -> String {
        Sha256::of(&message(self).unwrap_or_default()).to_string()
    }

    fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let (Some(public), Some(signature)) = (unhex(&self.keyval.public), unhex(&signature.sig)) else { return false };
        self.keytype == "ed25519" && UnparsedPublicKey::new(&ED25519, public).verify(message, &signature).is_ok()
    }
}

/// Signs with each of the keys; `None` for what has no canonical form, which none of these types lacks.
pub fn sign<'k, T: Signable>(signed: T, keys: impl Iterator<Item = &'k Ed25519KeyPair>) -> Option<Signed<T>> {
    let message = message(&signed)?;
    let signatures =
        keys.map(|key| Signature { keyid: Key::of(key).identity(), sig: hex(key.sign(&message).as_ref()) }).collect();
    Some(Signed { signatures, signed })
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
    let wanted = root.roles.get(name).ok_or(VerifyMetadataError::NoRole { role: name })?;
    let message = message(&signed.signed).ok_or(VerifyMetadataError::Form { role: name })?;
    let has_signed = |id: &&String| {
        let key = root.keys.get(*id);
        let mut by = signed.signatures.iter().filter(|signature| signature.keyid == **id);
        key.is_some_and(|key| by.any(|signature| key.verifies(&message, signature)))
    };
    let mut ids: Vec<&String> = wanted.keyids.iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let found = ids.into_iter().filter(has_signed).count() as u64;
    if found < wanted.threshold.max(1) {
        return Err(VerifyMetadataError::Signatures { role: name, found, wanted: wanted.threshold });
    }
    let ends = parse_date(&head.expires).ok_or(VerifyMetadataError::Form { role: name })?;
    if ends <= now {
        return Err(VerifyMetadataError::Expired { role: name, expires: head.expires.clone() });
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
fn message(value: &impl Serialize) -> Option<Vec<u8>> {
    canonical(&serde_json::to_value(value).ok()?)
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    if digits.len().is_multiple_of(2) { pairs.collect() } else { None }
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
    #[error("`{role}` has expired: {expires}")]
    Expired { role: &'static str, expires: String },
}
