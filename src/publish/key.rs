//! Keys that sign metadata: Ed25519 or ECDSA P-256, in files of PKCS #8 as PEM, which openssl reads and writes too; or
//! held by a program, of which a description says how it is called; or somebody else's, of whom there is the public half.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use pem_rfc7468::LineEnding;
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};

use super::{
    command::{CommandError, SigningCommand},
    metadata::{Role, Signature},
    public_key::{PublicKey, hex},
};

const LABEL: &str = "PRIVATE KEY";
/// The endings of files with a private key, with a public one, and that say which program signs.
const PRIVATE: &str = "pem";
const PUBLIC: &str = "pub";
const DESCRIPTION: &str = "toml";
/// What stands before the 32 bytes of a key (RFC 8410, section 7): version 1 of PKCS #8, which every program reads.
const PREFIX: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// A file with a key is this small, or is none.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// How long a program may take that signs, in seconds: what it takes if nothing is said, and at the most.
const SECONDS: i64 = 60;
const MAX_SECONDS: i64 = 3600;

/// The keys that are known in a place, by role.
#[derive(Default)]
pub struct Keys {
    folder: PathBuf,
    keys: Vec<(Role, SigningKey)>,
}

/// A key, as far as it is at hand.
pub struct SigningKey {
    file: PathBuf,
    public: PublicKey,
    holder: Holder,
}

/// Who has the private half.
enum Holder {
    Ed25519(Ed25519KeyPair),
    P256(Box<EcdsaKeyPair>),
    Program(SigningCommand),
    SomebodyElse,
}

impl Keys {
    /// Reads the keys of some roles: `timestamp.pem`, and `timestamp-NAME.pem` of a role that wants several, with `.pub`
    /// for a public half and `.toml` for what a program holds. Those of other roles are left alone: the key of the root
    /// is better kept elsewhere.
    ///
    /// # Errors
    /// A folder or file that cannot be read, or a file that is no such key.
    pub fn read(folder: &Path, roles: &[Role]) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Read { path: folder.to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        names.sort();
        let mut found: BTreeMap<(Role, String), SigningKey> = BTreeMap::new();
        for name in names {
            let Some(role) = role_of(&name, roles) else { continue };
            let key = SigningKey::read(&folder.join(&name))?;
            let known = found.get(&(role, key.identity()));
            // Of a key that is there twice the half counts that signs.
            if known.is_none_or(|known| !known.can_sign()) {
                found.insert((role, key.identity()), key);
            }
        }
        let mut keys: Vec<_> = found.into_iter().map(|((role, _), key)| (role, key)).collect();
        keys.sort_by(|(_, one), (_, other)| one.file.cmp(&other.file));
        Ok(Keys { folder: folder.to_owned(), keys })
    }

    /// All of them, with their roles.
    pub fn all(&self) -> impl Iterator<Item = (Role, &SigningKey)> {
        self.keys.iter().map(|(role, key)| (*role, key))
    }

    /// The keys of a role.
    pub(super) fn of(&self, role: Role) -> impl Iterator<Item = &SigningKey> {
        self.all().filter(move |(of, _)| *of == role).map(|(_, key)| key)
    }

    /// Where they are from.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl SigningKey {
    /// Reads a file, by its ending.
    ///
    /// # Errors
    /// A file that cannot be read, or is no key.
    pub fn read(file: &Path) -> Result<Self, KeyError> {
        let text = read(file)?;
        let wrong = || KeyError::NoKey { path: file.to_owned() };
        let (public, holder) = match file.extension().and_then(|ending| ending.to_str()) {
            Some(DESCRIPTION) => described(file, &text)?,
            Some(PUBLIC) => (PublicKey::from_pem(&text).ok_or_else(wrong)?, Holder::SomebodyElse),
            _ => private(&text).ok_or_else(wrong)?,
        };
        Ok(SigningKey { file: file.to_owned(), public, holder })
    }

    /// Its identity.
    pub fn identity(&self) -> String {
        self.public.identity()
    }

    /// The public half, as it stands in a file.
    pub fn public_pem(&self) -> Option<String> {
        self.public.to_pem()
    }

    /// The file that says of it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The program that holds it, if one does.
    pub fn command(&self) -> Option<&[String]> {
        match &self.holder {
            Holder::Program(command) => Some(&command.words),
            _ => None,
        }
    }

    /// Whether its private half is at hand.
    pub fn can_sign(&self) -> bool {
        !matches!(self.holder, Holder::SomebodyElse)
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its signature of a message, which was verified.
    ///
    /// # Errors
    /// A private half that is not at hand, a program that does not sign, or signs otherwise.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let path = || self.file.clone();
        let signature = match &self.holder {
            Holder::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Holder::P256(pair) => {
                let signed = pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Random)?;
                signed.as_ref().to_vec()
            }
            Holder::Program(command) => {
                command.sign(message).map_err(|source| KeyError::Command { path: path(), source })?
            }
            Holder::SomebodyElse => return Err(KeyError::Elsewhere { path: path() }),
        };
        if !self.public.verifies(message, &signature) {
            return Err(KeyError::Signature {
                path: path(),
                by: self.command().map_or_else(|| "the key".to_owned(), |words| format!("`{}`", words.join(" "))),
                found: signature.len(),
                expected: self.public.signature_form(),
            });
        }
        Ok(signature)
    }

    /// Its signature as metadata have it.
    pub(super) fn signature(&self, message: &[u8]) -> Result<Signature, KeyError> {
        Ok(Signature { keyid: self.identity(), sig: hex(&self.sign(message)?) })
    }
}

/// Makes keys in a folder, which only its owner can read, each with its public half beside it; the files, in order. With
/// a name they are further keys of their roles.
///
/// # Errors
/// A folder that cannot be made, or a key that is there already.
pub fn new_keys(folder: &Path, roles: &[Role], name: Option<&str>) -> Result<Vec<PathBuf>, KeyError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| KeyError::Write { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let path = |role: Role, ending: &str| {
        folder.join(format!("{}{}.{ending}", role.name(), name.map_or(String::new(), |name| format!("-{name}"))))
    };
    let all = || roles.iter().flat_map(|role| [PRIVATE, PUBLIC].map(|ending| path(*role, ending)));
    if let Some(path) = all().find(|path| path.exists()) {
        return Err(KeyError::There { path });
    }
    for role in roles {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Random)?;
        let key = [&PREFIX[..], &seed].concat();
        let text = pem_rfc7468::encode_string(LABEL, LineEnding::LF, &key).map_err(|_| KeyError::Random)?;
        let public = private(text.as_bytes()).and_then(|(public, _)| public.to_pem()).ok_or(KeyError::Random)?;
        for (ending, text, mode) in [(PRIVATE, text, 0o600), (PUBLIC, public, 0o644)] {
            let path = path(*role, ending);
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).map_err(failed(&path))?;
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(&path))?;
        }
    }
    Ok(all().collect())
}

/// Whose key a file has, by its name.
fn role_of(name: &str, roles: &[Role]) -> Option<Role> {
    let (stem, ending) = name.rsplit_once('.')?;
    let is_of =
        |role: &Role| stem.strip_prefix(role.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    [PRIVATE, PUBLIC, DESCRIPTION].contains(&ending).then(|| roles.iter().copied().find(is_of))?
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    // To open a named pipe waits for its writer.
    let found = fs::metadata(path).map_err(failed)?;
    if !found.is_file() || found.len() > MAX_KEY_BYTES {
        return Err(KeyError::NoKey { path: path.to_owned() });
    }
    fs::read(path).map_err(failed)
}

fn private(text: &[u8]) -> Option<(PublicKey, Holder)> {
    let (label, bytes) = pem_rfc7468::decode_vec(text).ok()?;
    if label != LABEL {
        return None;
    }
    // Also without its public half, as openssl writes it.
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&bytes) {
        return Some((PublicKey::ed25519(pair.public_key().as_ref()), Holder::Ed25519(pair)));
    }
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &bytes, &SystemRandom::new()).ok()?;
    Some((PublicKey::p256(pair.public_key().as_ref())?, Holder::P256(Box::new(pair))))
}

/// Reads which program holds a key: `public-key`, `command`, and maybe `seconds`.
fn described(file: &Path, text: &[u8]) -> Result<(PublicKey, Holder), KeyError> {
    let wrong = |problem: String| KeyError::Description { path: file.to_owned(), problem };
    let table: toml::Table = std::str::from_utf8(text)
        .map_err(|error| wrong(error.to_string()))?
        .parse()
        .map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
    if let Some(strange) = table.keys().find(|key| !["public-key", "command", "seconds"].contains(&key.as_str())) {
        return Err(wrong(format!("it has `{strange}`")));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let public = table.get("public-key").and_then(toml::Value::as_str);
    let public = folder.join(public.ok_or_else(|| wrong("it has no `public-key`".to_owned()))?);
    let key = PublicKey::from_pem(&read(&public)?).ok_or(KeyError::NoPublicKey { path: public })?;
    let words = table.get("command").and_then(toml::Value::as_array).filter(|words| !words.is_empty());
    let words: Option<Vec<String>> =
        words.and_then(|words| words.iter().map(|word| Some(word.as_str()?.to_owned())).collect());
    let words = words.ok_or_else(|| wrong("its `command` is no list of texts".to_owned()))?;
    let seconds = match table.get("seconds") {
        None => SECONDS,
        Some(value) => value
            .as_integer()
            .filter(|seconds| (1..=MAX_SECONDS).contains(seconds))
            .ok_or_else(|| wrong(format!("its `seconds` is `{value}`")))?,
    };
    let limit = Duration::from_secs(seconds.unsigned_abs());
    Ok((key, Holder::Program(SigningCommand { words, folder: folder.to_owned(), limit })))
}

/// Keys cannot be read or made, or do not sign.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A folder or file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A key is there: whoever lost it could sign nothing any more.
    #[error("`{}` is there already: a key is never overwritten", path.display())]
    There { path: PathBuf },
    /// A file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A file is no key.
    #[error("`{}` is no key: expected Ed25519 or ECDSA P-256, a private key in PKCS #8 as `brc keys new` and `openssl genpkey -algorithm ed25519` write it, or a public one in a file that ends in `.pub`", path.display())]
    NoKey { path: PathBuf },
    /// A file is no public key.
    #[error("`{}` is no public key: expected Ed25519 or ECDSA P-256 as PEM, as `openssl pkey -pubout` writes it", path.display())]
    NoPublicKey { path: PathBuf },
    /// A description says something else.
    #[error("`{}` does not say which program signs: {problem}; expected `public-key = \"FILE\"`, `command = [\"PROGRAM\", \"ARGUMENT\"]`, and maybe `seconds` from 1 to {MAX_SECONDS}", path.display())]
    Description { path: PathBuf, problem: String },
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers to make a key from")]
    Random,
    /// Only the public half is here.
    #[error("`{}` is the public half of a key, which cannot sign: whoever has the other half runs `brc repo sign`", path.display())]
    Elsewhere { path: PathBuf },
    /// A program has not signed.
    #[error("`{}` has no signature made", path.display())]
    Command { path: PathBuf, source: CommandError },
    /// What was signed is something else, or with another key.
    #[error("{by} of `{}` gave {found} bytes that are no signature with its public key of what it was handed: expected {expected}, as bytes and not as text; nothing was written", path.display())]
    Signature { path: PathBuf, by: String, found: usize, expected: &'static str },
}
