//! Which places serve the archives that recipes name, as everybody who may say so says it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{Config, ConfigError};
use crate::{
    content::Url,
    fetch::{AptSource, Mirrors},
};

/// The variables that name mirrors begin so: `BRC_MIRROR_DEBIAN_SECURITY` is that of `debian-security`.
const VARIABLE: &str = "BRC_MIRROR_";

/// A file `mirrors.toml`: `debian = "URL"` in each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorsFile {
    /// Where it is, for messages.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
    /// The names that it may have mirrors for: those of the project beside which it lies. None where it is for every
    /// project of a user.
    pub archives: Option<BTreeSet<String>>,
}

impl Config {
    /// The mirrors, strongest first: command line, environment, these files in their order, what apt is configured
    /// with.
    ///
    /// # Errors
    /// Something that names no place, or in the file of a project a mirror that none of its archives has.
    pub fn mirrors(&self, files: &[MirrorsFile], apt: &[AptSource]) -> Result<Mirrors, ConfigError> {
        let mut mirrors = Mirrors::new();
        for option in &self.mirrors {
            let (name, url) =
                option.split_once('=').ok_or_else(|| ConfigError::MirrorOption { option: Url::new(option) })?;
            mirrors.offer(name, &[url])?;
        }
        for (variable, url) in self.environment.iter() {
            if let Some(name) = variable.strip_prefix(VARIABLE) {
                mirrors.offer(&name.to_lowercase().replace('_', "-"), &[url])?;
            }
        }
        for file in files {
            for (name, url) in file.entries()? {
                mirrors.offer(&name, &[&url])?;
            }
        }
        let names: BTreeSet<&str> = apt.iter().map(|source| source.mirror.as_str()).collect();
        for name in names {
            let sources = apt.iter().filter(|source| source.mirror == name);
            let urls: Vec<&str> = sources.map(|source| source.uri.as_str()).collect();
            // What apt is configured with is an offer: what cannot be read is passed over.
            let _ = mirrors.offer(name, &urls);
        }
        Ok(mirrors)
    }
}

impl MirrorsFile {
    /// The name and the URL of each line.
    fn entries(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let path = || self.path.clone();
        let table: toml::Table = self.text.parse().map_err(|error: toml::de::Error| {
            // The error itself quotes the line, with whatever password is in it.
            let before = error.span().and_then(|span| self.text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            ConfigError::NoToml { path: path(), line, message: error.message().to_owned() }
        })?;
        let entry = |(name, url): (String, toml::Value)| {
            if let Some(known) = self.archives.as_ref().filter(|known| !known.contains(&name)) {
                let known = known.iter().cloned().collect();
                return Err(ConfigError::NoSuchMirror { path: path(), name, known });
            }
            match url {
                toml::Value::String(url) => Ok((name, url)),
                _ => Err(ConfigError::NoUrl { path: path(), name }),
            }
        };
        table.into_iter().map(entry).collect()
    }
}

/// Where `mirrors.toml` is in a folder of configuration, and beside a project's `brc.kdl`.
pub fn mirrors_file(folder: &Path) -> PathBuf {
    folder.join("mirrors.toml")
}
