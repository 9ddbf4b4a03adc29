//! Keys that sign metadata: Ed25519, in files of PKCS #8 as PEM, which openssl reads and writes too.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use pem_rfc7468::LineEnding;
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::Ed25519KeyPair,
};

use super::metadata::Role;

const LABEL: &str = "PRIVATE KEY";
const ENDING: &str = "pem";
/// What stands before the 32 bytes of a key (RFC 8410, section 7): version 1 of PKCS #8, which every program reads.
const PREFIX: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// A file with a key is this small, or is none.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// The private keys that are at hand, by role.
pub struct Keys {
    folder: PathBuf,
    keys: Vec<(Role, Ed25519KeyPair)>,
}

impl Keys {
    /// Reads the keys of some roles: `timestamp.pem`, and `timestamp-NAME.pem` of a role that wants several. Those of
    /// other roles are left alone: the key of the root is better kept elsewhere.
    ///
    /// # Errors
    /// A folder or file that cannot be read, or a file that is no such key.
    pub fn read(folder: &Path, roles: &[Role]) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Read { path: folder.to_owned(), source };
        let mut keys = Vec::new();
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        names.sort();
        for name in names {
            let Some(stem) = name.strip_suffix(ENDING).and_then(|name| name.strip_suffix('.')) else { continue };
            let role = roles.iter().copied().find(|role| {
                stem.strip_prefix(role.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            });
            let Some(role) = role else { continue };
            keys.push((role, read(&folder.join(&name))?));
        }
        Ok(Keys { folder: folder.to_owned(), keys })
    }

    /// The keys of a role.
    pub(super) fn of(&self, role: Role) -> impl Iterator<Item = &Ed25519KeyPair> {
        self.keys.iter().filter(move |(of, _)| *of == role).map(|(_, key)| key)
    }

    /// Where they are from.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Makes a key for each role in a folder, which only its owner can read; the files, in order.
///
/// # Errors
/// A folder that cannot be made, or a key that is there already.
pub fn new_keys(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| KeyError::Write { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let path = |role: Role| folder.join(format!("{}.{ENDING}", role.name()));
    if let Some(path) = Role::ALL.into_iter().map(path).find(|path| path.exists()) {
        return Err(KeyError::There { path });
    }
    let mut files = Vec::new();
    for role in Role::ALL {
        let path = path(role);
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Random)?;
        let key = [&PREFIX[..], &seed].concat();
        let text = pem_rfc7468::encode_string(LABEL, LineEnding::LF, &key).map_err(|_| KeyError::Random)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed(&path))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(&path))?;
        files.push(path);
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Ed25519KeyPair, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    let wrong = || KeyError::NoKey { path: path.to_owned() };
    // To open a named pipe waits for its writer.
    let found = fs::metadata(path).map_err(failed)?;
    if !found.is_file() || found.len() > MAX_KEY_BYTES {
        return Err(wrong());
    }
    let text = fs::read(path).map_err(failed)?;
    let (label, bytes) = pem_rfc7468::decode_vec(&text).map_err(|_| wrong())?;
    if label != LABEL {
        return Err(wrong());
    }
    // Also without its public half, as openssl writes it.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&bytes).map_err(|_| wrong())
}

/// Keys cannot be read or made.
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
    #[error("`{}` is no key: expected Ed25519 in PKCS #8, as `brc keys new` and `openssl genpkey -algorithm ed25519` write it", path.display())]
    NoKey { path: PathBuf },
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers to make a key from")]
    Random,
}
