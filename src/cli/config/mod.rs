//! What the command line and the environment say, as values. Nothing here looks at the machine: texts of files are
//! handed in, and a path is only a path.

mod environment;
mod mirrors;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{arguments::Global, output::Style};
use crate::{
    content::Url,
    fetch::{MirrorError, Network, Proxies},
};

pub use environment::Environment;
pub use mirrors::{MirrorsFile, mirrors_file};

/// What brc is told before it is told about a project.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whom the output is for.
    pub style: Style,
    /// Whether the network is used.
    pub network: Network,
    /// How many processors are used.
    pub jobs: usize,
    /// The files of private keys that sign.
    pub signing_keys: Vec<PathBuf>,
    /// `--store`, where it says something.
    store: Option<PathBuf>,
    /// Each `--mirror`.
    mirrors: Vec<String>,
    /// Each `--source`.
    sources: Vec<String>,
    environment: Environment,
}

impl Config {
    /// Reads the options that every command has, on a machine with so many processors.
    pub fn load(global: Global, environment: Environment, processors: usize) -> Self {
        Config {
            style: if global.json { Style::Json } else { Style::People },
            network: if global.offline { Network::Offline } else { Network::Online },
            jobs: global.jobs.filter(|jobs| *jobs > 0).unwrap_or(processors),
            signing_keys: global.signing_key.into_iter().filter(|file| !file.as_os_str().is_empty()).collect(),
            store: global.store.filter(|folder| !folder.as_os_str().is_empty()),
            mirrors: global.mirror,
            sources: global.source,
            environment,
        }
    }

    /// Where the store is: `--store`, else `brc` in the user's cache.
    ///
    /// # Errors
    /// No home to have a cache in.
    pub fn store_path(&self) -> Result<PathBuf, ConfigError> {
        let cache = || self.environment.folder("XDG_CACHE_HOME", ".cache", "brc");
        self.store.clone().or_else(cache).ok_or(ConfigError::NoStore)
    }

    /// Where machines that keep what they write have their disks: `brc/machines` in the user's state.
    ///
    /// # Errors
    /// No home to have a state in.
    pub fn machines_path(&self) -> Result<PathBuf, ConfigError> {
        self.environment.folder("XDG_STATE_HOME", ".local/state", "brc/machines").ok_or(ConfigError::NoState)
    }

    /// The user's own folder of configuration.
    pub fn user_folder(&self) -> Option<PathBuf> {
        self.environment.folder("XDG_CONFIG_HOME", ".config", "brc")
    }

    /// The vendored folder that the environment names.
    ///
    /// # Errors
    /// A path that is not absolute.
    pub fn vendored(&self) -> Result<Option<PathBuf>, ConfigError> {
        let Some(folder) = self.environment.text("BRC_VENDOR").map(PathBuf::from) else { return Ok(None) };
        if folder.is_absolute() { Ok(Some(folder)) } else { Err(ConfigError::NotVendored { folder }) }
    }

    /// The folders that take the place of sources: the component's name and the folder of each `--source`.
    ///
    /// # Errors
    /// One that names no folder.
    pub fn sources(&self) -> Result<Vec<(&str, &Path)>, ConfigError> {
        let pair = |option: &'_ String| ConfigError::SourceOption { option: option.clone() };
        let split = |option: &'_ String| option.split_once('=').map(|_| ()).ok_or_else(|| pair(option));
        self.sources.iter().try_for_each(split)?;
        let pairs = self.sources.iter().filter_map(|option| option.split_once('='));
        Ok(pairs.map(|(name, folder)| (name, Path::new(folder))).collect())
    }

    /// The proxies, under the names that programs know.
    pub fn proxies(&self) -> Proxies {
        let any = |names: &[&str]| names.iter().find_map(|name| self.environment.text(name)).map(str::to_owned);
        let all = any(&["all_proxy", "ALL_PROXY"]);
        Proxies {
            http: any(&["http_proxy"]).or_else(|| all.clone()),
            https: any(&["https_proxy", "HTTPS_PROXY"]).or(all),
            bypass: any(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
        }
    }

    /// The variables that programs which fetch are given.
    pub fn fetching_variables(&self) -> BTreeMap<String, String> {
        let wanted = self.environment.iter().filter(|(name, _)| is_for_fetching(name));
        wanted.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    /// The variables that the tools of AWS read.
    pub fn aws_variables(&self) -> BTreeMap<String, String> {
        let wanted = self.environment.iter().filter(|(name, _)| name.starts_with("AWS_"));
        wanted.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    /// The user's home.
    pub fn home(&self) -> Option<PathBuf> {
        self.environment.path("HOME")
    }

    /// The file with the certificates that programs which fetch trust.
    pub fn certificates(&self) -> Option<PathBuf> {
        self.environment.path("SSL_CERT_FILE")
    }

    /// The kind of terminal that a shell is started for.
    pub fn terminal(&self) -> &str {
        self.environment.text("TERM").unwrap_or("dumb")
    }

    /// The options that a command has to repeat to be about the same store and sources.
    pub fn repeated_options(&self) -> Vec<OsString> {
        let store = self.store.iter().map(|store| ("--store", store.clone().into_os_string()));
        let keys = self.signing_keys.iter().map(|file| ("--signing-key", file.clone().into_os_string()));
        let sources = self.sources.iter().map(|source| ("--source", source.into()));
        // A password is shown to nobody.
        let mirrors = self.mirrors.iter().filter(|mirror| !mirror.contains('@'));
        let mirrors = mirrors.map(|mirror| ("--mirror", mirror.into()));
        let options = store.chain(keys).chain(sources).chain(mirrors);
        options.flat_map(|(option, value)| [option.into(), value]).collect()
    }
}

/// The variables that programs which fetch are given: proxies, registries, and who is trusted without a database.
/// Never one that holds a secret by its nature: what is fetched is not trusted with any.
const NETWORK_VARIABLES: [&str; 19] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "GOPROXY",
    "GONOPROXY",
    "GONOSUMDB",
    "GOPRIVATE",
    "GOINSECURE",
    "GOSUMDB",
    "CARGO_HTTP_LOW_SPEED_LIMIT",
    "CARGO_HTTP_MULTIPLEXING",
    "CARGO_HTTP_PROXY",
    "CARGO_HTTP_TIMEOUT",
    "CARGO_NET_RETRY",
];

/// Whether programs that fetch are given the variable `name`: of cargo's registries where their index is, and no token.
fn is_for_fetching(name: &str) -> bool {
    let is_index = name.starts_with("CARGO_REGISTRIES_") && name.ends_with("_INDEX");
    is_index || NETWORK_VARIABLES.contains(&name)
}

/// What brc is told makes no sense (exit code 2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no place for the store.
    #[error("there is no home folder to keep the store in: name one with `--store DIR`")]
    NoStore,
    /// There is no place for the disks of machines.
    #[error("there is no home folder to keep a machine in: name a file with `--persist COPY`")]
    NoState,
    /// A folder is not one that `brc vendor` filled.
    #[error(
        "`BRC_VENDOR` is `{}`: expected the absolute path of a folder that `brc vendor` filled",
        folder.display()
    )]
    NotVendored { folder: PathBuf },
    /// An option names no URL.
    #[error("`--mirror {option}` names no URL: expected `--mirror debian=URL`")]
    MirrorOption { option: Url },
    /// An option names no folder.
    #[error("`--source {option}` names no folder: expected `--source NAME=DIR`")]
    SourceOption { option: String },
    /// An option names a folder that is not there.
    #[error("`--source {name}={}`: there is no folder `{}`", folder.display(), folder.display())]
    NoSource { name: String, folder: PathBuf },
    /// A file cannot be read.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// A file is not TOML.
    #[error("`{}` is no TOML: line {line}: {message}", path.display())]
    NoToml { path: PathBuf, line: usize, message: String },
    /// A line of a file names no URL.
    #[error("`{name}` in `{}` is no URL: expected `{name} = \"URL\"`", path.display())]
    NoUrl { path: PathBuf, name: String },
    /// A project has a mirror that nothing is fetched from.
    #[error(
        "`{name}` in `{}` is the mirror of no archive of this project: expected {}",
        path.display(),
        if known.is_empty() { "none, since recipes name no archive".into() } else { format!("one of {}", known.join(", ")) }
    )]
    NoSuchMirror { path: PathBuf, name: String, known: Vec<String> },
    /// A mirror's place cannot be read.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
}
