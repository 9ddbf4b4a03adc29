//! What a machine says of AWS without being asked: variables and the shared files.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    key::{Credentials, Found},
    profile::{Sections, sections},
};

/// The most that is read of a shared file or a token.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// What is said of ways that are not gone here.
const EXPORT: &str = "`aws configure export-credentials --format env` gives variables for them";

/// What the machine says of AWS, found out by whoever calls.
#[derive(Clone, Default)]
pub struct Ambient {
    /// The variables of the environment that begin with `AWS_`.
    pub variables: BTreeMap<String, String>,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// The profile that was named by option.
    pub profile: Option<String>,
    /// The role that is taken with whatever credentials are found.
    pub role: Option<String>,
}

impl Ambient {
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The name of the profile.
    pub(super) fn profile_name(&self) -> &str {
        let named = self.profile.as_deref().or_else(|| self.variable("AWS_PROFILE"));
        named.or_else(|| self.variable("AWS_DEFAULT_PROFILE")).unwrap_or("default")
    }

    fn path(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let home = || self.home.as_ref().map(|home| home.join(below_home));
        self.variable(variable).map(PathBuf::from).or_else(home)
    }

    /// What both shared files say of each profile; the credentials file counts before the other.
    pub(super) fn profiles(&self) -> Result<Sections, CredentialsError> {
        let mut all = Sections::new();
        let files = [
            (self.path("AWS_CONFIG_FILE", ".aws/config"), "profile "),
            (self.path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"), ""),
        ];
        for (path, prefix) in files {
            let Some(path) = path else { continue };
            let Some(text) = read_file(&path)? else { continue };
            for (name, section) in sections(&text, prefix) {
                all.entry(name).or_default().extend(section);
            }
        }
        Ok(all)
    }

    /// The region that the environment or the profile names.
    ///
    /// # Errors
    /// A shared file that cannot be read.
    pub(super) fn region(&self) -> Result<Option<String>, CredentialsError> {
        let variable = self.variable("AWS_REGION").or_else(|| self.variable("AWS_DEFAULT_REGION"));
        if let (Some(region), None) = (variable, &self.profile) {
            return Ok(Some(region.to_owned()));
        }
        let of_profile = self.profiles()?.get(self.profile_name()).and_then(|section| section.get("region").cloned());
        Ok(of_profile.or(variable.map(str::to_owned)))
    }

    /// Keys in the environment.
    pub(super) fn keys(&self) -> Result<Option<Found>, CredentialsError> {
        let (key, secret) = (self.variable("AWS_ACCESS_KEY_ID"), self.variable("AWS_SECRET_ACCESS_KEY"));
        let (key, secret) = match (key, secret) {
            (Some(key), Some(secret)) => (key, secret),
            (None, None) => return Ok(None),
            _ => return Err(CredentialsError::Half { place: "the environment".to_owned() }),
        };
        let token = self.variable("AWS_SESSION_TOKEN").map(str::to_owned);
        let credentials = Credentials { key: key.to_owned(), secret: secret.to_owned(), token, until: None };
        Ok(Some(Found { credentials, from: "the environment (`AWS_ACCESS_KEY_ID`)".to_owned() }))
    }
}

/// A small file as text; none when it is not there.
pub(super) fn read_file(path: &Path) -> Result<Option<String>, CredentialsError> {
    let failed = |source| CredentialsError::Read { path: path.to_owned(), source };
    // To open a named pipe waits for its writer.
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(failed(io::Error::other("it is no file"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text)).map_err(failed)?;
    Ok(Some(text))
}

/// Nobody can ask.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There are none.
    #[error(
        "there are no credentials for AWS: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or \
         `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN` as CI does, or name a profile of `~/.aws/config` with \
         `--profile NAME`; neither a container nor an instance gave any"
    )]
    None,
    /// A key without its secret.
    #[error("{place} has an access key without its secret, or the secret without its key")]
    Half { place: String },
    /// A profile is not there.
    #[error("there is no profile `{name}` with credentials in `~/.aws/config` and `~/.aws/credentials`")]
    NoProfile { name: String },
    /// A profile names a role and nobody who takes it.
    #[error("the profile `{name}` has a role and neither a `source_profile` nor a `web_identity_token_file`")]
    Profile { name: String },
    /// A profile gets its credentials by a way that is not gone here.
    #[error("the profile `{name}` has `{word}`, which brc does not follow: {EXPORT}")]
    OtherWay { name: String, word: &'static str },
    /// A file that is named is not there.
    #[error("`{}` is not there: expected the token that credentials are had for", path.display())]
    NoFile { path: PathBuf },
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
}
