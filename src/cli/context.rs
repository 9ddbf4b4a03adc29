//! What the machine and the command line say: store, mirrors, proxies, processors, the clock.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, atomic::AtomicBool},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use super::{
    CliError,
    arguments::{Choice, Global, Target},
    hint::command_line,
    output::say,
    progress::{Style, Watcher},
};
use crate::{
    build::{AfterFailure, Event},
    compose::{Order, Project, Session},
    content::Url,
    fetch::{Client, ClientConfig, Mirrors, Network, Patience, Proxies, apt_sources},
    sandbox::{NetworkAccess, Sandbox},
    store::Store,
};

/// This program, even when the file that it was started from is replaced meanwhile.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// The file that names mirrors, beside `brc.kdl` and in the user's configuration folder.
const MIRRORS_FILE: &str = "mirrors.toml";

/// What every verb is given.
pub struct Context {
    /// Whether data is written as JSON.
    pub json: bool,
    offline: bool,
    store: Option<PathBuf>,
    jobs: usize,
    mirrors: Vec<String>,
    /// The folder of the project that a target named.
    project: OnceLock<PathBuf>,
    sources: Vec<String>,
    signing_keys: Vec<PathBuf>,
    cancelled: Arc<AtomicBool>,
    watcher: Watcher,
    /// What the command line says of the project, for commands that are told to people.
    file: OnceLock<Option<PathBuf>>,
    /// What it says of the variant; not set where a whole project is meant, as it is while locking.
    choice: OnceLock<Choice>,
}

impl Context {
    /// Reads the options that every verb has.
    pub fn new(global: Global) -> Self {
        let style = if global.json { Style::Json } else { Style::People };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Context {
            json: global.json,
            offline: global.offline,
            store: global.store.filter(|folder| !folder.as_os_str().is_empty()),
            jobs: global.jobs.filter(|jobs| *jobs > 0).unwrap_or(processors),
            mirrors: global.mirror,
            project: OnceLock::new(),
            sources: global.source,
            signing_keys: global.signing_key.into_iter().filter(|file| !file.as_os_str().is_empty()).collect(),
            cancelled: Arc::new(AtomicBool::new(false)),
            watcher: Watcher::new(style),
            file: OnceLock::new(),
            choice: OnceLock::new(),
        }
    }

    /// A command about the image of this command line, ready to be pasted into a shell: `brc VERB FILE WORDS…` with
    /// every option that makes it the same image. None where a whole project is meant, as it is while locking.
    pub fn command(&self, verb: &str, words: &[&str]) -> Option<String> {
        let choice = self.choice.get()?;
        let mut line = self.project_words(verb, words);
        for (option, value) in [("--variant", choice.variant.clone()), ("--arch", non_empty(choice.arch.join(",")))] {
            line.extend(value.into_iter().flat_map(|value| [option.into(), value.into()]));
        }
        Some(command_line(&line))
    }

    /// A command about the whole project of this command line, ready to be pasted into a shell.
    pub fn project_command(&self, verb: &str, words: &[&str]) -> String {
        command_line(&self.project_words(verb, words))
    }

    /// A command about files alone, ready to be pasted into a shell.
    pub fn plain_command<'f>(&self, verb: &str, files: impl IntoIterator<Item = &'f PathBuf>) -> String {
        let files = files.into_iter().map(|file| file.clone().into_os_string());
        command_line(&[program(), verb.into()].into_iter().chain(files).collect::<Vec<_>>())
    }

    fn project_words(&self, verb: &str, words: &[&str]) -> Vec<OsString> {
        let mut line = vec![program(), verb.into()];
        line.extend(self.file.get().cloned().flatten().map(OsString::from));
        line.extend(words.iter().map(OsString::from));
        let store = self.store.iter().map(|store| ("--store", store.clone().into_os_string()));
        let keys = self.signing_keys.iter().map(|file| ("--signing-key", file.clone().into_os_string()));
        let sources = self.sources.iter().map(|source| ("--source", source.into()));
        // A password is shown to nobody.
        let mirrors = self.mirrors.iter().filter(|mirror| !mirror.contains('@'));
        let mirrors = mirrors.map(|mirror| ("--mirror", mirror.into()));
        line.extend(store.chain(keys).chain(sources).chain(mirrors).flat_map(|(option, value)| [option.into(), value]));
        line
    }

    /// The folders that take the place of sources, as the command line names them.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The files of private keys that sign.
    pub fn signing_keys(&self) -> &[PathBuf] {
        &self.signing_keys
    }

    /// How many processors are used.
    pub fn jobs(&self) -> usize {
        self.jobs
    }

    /// Opens the store: `--store`, else `brc` in the user's cache.
    ///
    /// # Errors
    /// No home, or a store that cannot be used.
    pub fn store(&self) -> Result<Store, CliError> {
        Ok(Store::open(&self.store_path()?)?)
    }

    /// Where the store is.
    ///
    /// # Errors
    /// No home to have a cache in.
    pub fn store_path(&self) -> Result<PathBuf, CliError> {
        let cache = || {
            let cache = env_path("XDG_CACHE_HOME").or_else(|| Some(env_path("HOME")?.join(".cache")));
            cache.map(|cache| cache.join("brc"))
        };
        self.store.clone().or_else(cache).ok_or_else(|| {
            CliError::Usage("there is no home folder to keep the store in: name one with `--store DIR`".to_owned())
        })
    }

    /// Where machines that keep what they write have their disks: `brc/machines` in the user's state.
    ///
    /// # Errors
    /// No home to have a state in.
    pub fn machines_path(&self) -> Result<PathBuf, CliError> {
        let state = env_path("XDG_STATE_HOME").or_else(|| Some(env_path("HOME")?.join(".local/state")));
        state.map(|state| state.join("brc").join("machines")).ok_or_else(|| {
            CliError::Usage(
                "there is no home folder to keep a machine in: name a file with `--persist COPY`".to_owned(),
            )
        })
    }

    /// Everything that composing needs, with `store` open.
    ///
    /// # Errors
    /// A mirror or proxy that makes no sense, or a program that cannot find itself.
    pub fn session(&self, store: Store, after_failure: AfterFailure) -> Result<Session<'_>, CliError> {
        let client = self.client(&store)?;
        self.stop_on_signals()?;
        Ok(Session {
            sandbox: self.sandbox(store.clone()),
            signing_keys: self.signing_keys.clone(),
            store,
            client,
            jobs: self.jobs,
            after_failure,
            now: now(),
            cancelled: &self.cancelled,
            events: Box::new(|event: Event| self.watcher.show(&event)),
            talk: Box::new(say),
        })
    }

    /// The project of a target and what of it is meant.
    ///
    /// # Errors
    /// Mistakes in recipes, or a target that is not there.
    pub fn order(&self, target: &Target) -> Result<(Project, Order), CliError> {
        self.choice.get_or_init(|| target.choice.clone());
        let project = self.project(target.file.as_deref())?;
        let variant = project.variant(target.choice.variant.as_deref())?;
        let architectures = project.architectures(&variant, &target.choice.arch)?;
        Ok((project, Order { variant, architectures, image_version: None, beside: None }))
    }

    /// The project of a target and what is meant of it when a part of it is named, which no variant needs to have.
    ///
    /// # Errors
    /// Mistakes in recipes, a target that is not there, or a name that nothing has.
    pub fn order_of(&self, target: &Target, named: &str) -> Result<(Project, Order), CliError> {
        self.choice.get_or_init(|| target.choice.clone());
        let project = self.project(target.file.as_deref())?;
        let order = project.order_of(named, target.choice.variant.as_deref(), &target.choice.arch)?;
        Ok((project, order))
    }

    /// The project of a recipe file, or else of the folder that one stands in, with the checkouts that the command
    /// line names.
    ///
    /// # Errors
    /// Mistakes in recipes.
    pub fn project(&self, file: Option<&Path>) -> Result<Project, CliError> {
        self.file.get_or_init(|| file.map(Path::to_owned));
        let mut project = match file {
            Some(file) if !file.is_dir() => Project::open(file)?,
            folder => Project::open_above(folder.unwrap_or(Path::new(".")))?,
        };
        for source in &self.sources {
            let (name, folder) = source.split_once('=').ok_or_else(|| {
                CliError::Usage(format!("`--source {source}` names no folder: expected `--source NAME=DIR`"))
            })?;
            if !Path::new(folder).is_dir() {
                let message = format!("`--source {source}`: there is no folder `{folder}`");
                return Err(CliError::Usage(message));
            }
            project.check_out(name, Path::new(folder))?;
        }
        self.enter(&project.root);
        if !project.warnings.is_empty() {
            super::complain::show_all(self, &project.sources, &project.warnings);
        }
        Ok(project)
    }

    /// Has what the project in `root` says of this machine's surroundings count; the first that is entered stays.
    pub fn enter(&self, root: &Path) {
        self.project.get_or_init(|| root.to_owned());
    }

    fn sandbox(&self, store: Store) -> Sandbox {
        let sandbox = Sandbox::new(store, PathBuf::from(OWN_PROGRAM));
        if self.offline { sandbox } else { sandbox.with_network(network_access()) }
    }

    fn client(&self, store: &Store) -> Result<Client, CliError> {
        Client::new(ClientConfig {
            network: if self.offline { Network::Offline } else { Network::Online },
            mirrors: self.mirrors()?,
            vendored: vendored()?,
            downloads: store.dir().join("downloads"),
            proxies: proxies(),
            patience: Patience::default(),
        })
        .map_err(|error| CliError::Usage(super::complain::chain_text(&error)))
    }

    /// The mirrors, strongest first: command line, environment, the project's file and the user's, apt's own sources.
    pub fn mirrors(&self) -> Result<Mirrors, CliError> {
        let mut mirrors = Mirrors::new();
        let mut offer = |name: &str, urls: &[&str]| {
            mirrors.offer(name, urls).map_err(|error| CliError::Usage(super::complain::chain_text(&error)))
        };
        for mirror in &self.mirrors {
            let (name, url) = mirror.split_once('=').ok_or_else(|| {
                let mirror = Url::new(mirror);
                CliError::Usage(format!("`--mirror {mirror}` names no URL: expected `--mirror debian=URL`"))
            })?;
            offer(name, &[url])?;
        }
        #[expect(clippy::disallowed_methods, reason = "only cli reads the environment")]
        let variables = env::vars_os();
        for (variable, url) in variables {
            // An empty variable says nothing.
            let (Some(variable), Some(url)) = (variable.to_str(), url.to_str().filter(|url| !url.is_empty())) else {
                continue;
            };
            if let Some(name) = variable.strip_prefix("BRC_MIRROR_") {
                offer(&name.to_lowercase().replace('_', "-"), &[url])?;
            }
        }
        let home = env_path("XDG_CONFIG_HOME").or_else(|| Some(env_path("HOME")?.join(".config")));
        let folders = [self.project.get().cloned(), home.map(|home| home.join("brc"))];
        for folder in folders.into_iter().flatten() {
            for (name, url) in configured_mirrors(&folder.join(MIRRORS_FILE))? {
                offer(&name, &[&url])?;
            }
        }
        let apt = apt();
        let names: BTreeSet<&str> = apt.iter().map(|source| source.mirror.as_str()).collect();
        for name in names {
            let urls: Vec<&str> =
                apt.iter().filter(|source| source.mirror == name).map(|source| source.uri.as_str()).collect();
            // What apt is configured with is an offer: what cannot be read is passed over.
            let _ = offer(name, &urls);
        }
        Ok(mirrors)
    }

    /// Makes Ctrl-C and SIGTERM end the build in order; a second one ends brc at once.
    fn stop_on_signals(&self) -> Result<(), CliError> {
        for signal in [SIGINT, SIGTERM] {
            let second = flag::register_conditional_shutdown(signal, 130, self.cancelled.clone());
            second
                .and_then(|_| flag::register(signal, self.cancelled.clone()))
                .map_err(|error| CliError::Machine(error.into()))?;
        }
        Ok(())
    }

    /// The flag that Ctrl-C sets.
    pub fn cancelled(&self) -> &Arc<AtomicBool> {
        &self.cancelled
    }
}

/// The mirrors that a file names: `debian = "URL"`; none when it is not there.
fn configured_mirrors(file: &Path) -> Result<Vec<(String, String)>, CliError> {
    let shown = file.display();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CliError::Usage(format!("`{shown}` cannot be read: {error}"))),
    };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The error itself quotes the line, with whatever password is in it.
        let line =
            error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
        CliError::Usage(format!("`{shown}` is no TOML: line {line}: {}", error.message()))
    })?;
    let read = |(name, url): (String, toml::Value)| match url {
        toml::Value::String(url) => Ok((name, url)),
        _ => Err(CliError::Usage(format!("`{name}` in `{shown}` is no URL: expected `{name} = \"URL\"`"))),
    };
    table.into_iter().map(read).collect()
}

fn apt() -> Vec<crate::fetch::AptSource> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Ok(text) = fs::read_to_string(&file) {
            found.extend(apt_sources(&name, &text));
        }
    }
    found
}

fn proxies() -> Proxies {
    let any = |names: &[&str]| names.iter().find_map(|name| env_text(name)).filter(|value| !value.is_empty());
    let all = any(&["all_proxy", "ALL_PROXY"]);
    Proxies {
        http: any(&["http_proxy"]).or_else(|| all.clone()),
        https: any(&["https_proxy", "HTTPS_PROXY"]).or(all),
        bypass: any(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
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

fn network_access() -> NetworkAccess {
    #[expect(clippy::disallowed_methods, reason = "only cli reads the environment")]
    let variables = env::vars_os();
    let variables = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let wanted = variables.filter(|(name, _)| is_for_fetching(name)).collect();
    NetworkAccess::new(wanted, env_path("SSL_CERT_FILE").filter(|path| path.is_file()))
}

/// Seconds since 1970.
pub fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "only cli reads the clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// This program as a shell finds it: as it was called where that is a path, else by its name.
fn program() -> OsString {
    #[expect(clippy::disallowed_methods, reason = "only cli knows how it was called")]
    let called = env::args_os().next().filter(|called| Path::new(called).components().count() > 1);
    called.unwrap_or_else(|| "brc".into())
}

/// A variable of the environment.
pub fn env_text(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "only cli reads the environment")]
    env::var(name).ok()
}

/// The vendored folder that the environment names.
fn vendored() -> Result<Vec<PathBuf>, CliError> {
    let named = env_text("BRC_VENDOR").filter(|text| !text.is_empty());
    let Some(folder) = named.map(PathBuf::from) else { return Ok(Vec::new()) };
    if folder.is_absolute() && folder.is_dir() {
        return Ok(vec![folder]);
    }
    let message = format!(
        "`BRC_VENDOR` is `{}`: expected the absolute path of a folder that `brc vendor` filled",
        folder.display()
    );
    Err(CliError::Usage(message))
}

fn env_path(name: &str) -> Option<PathBuf> {
    env_text(name).filter(|value| Path::new(value).is_absolute()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_fetch_are_told_where_and_never_a_secret() {
        for name in ["https_proxy", "GOPROXY", "CARGO_NET_RETRY", "CARGO_HTTP_PROXY", "CARGO_REGISTRIES_OUR_OWN_INDEX"]
        {
            assert!(is_for_fetching(name), "{name}");
        }
        for name in [
            "CARGO_REGISTRIES_OUR_OWN_TOKEN",
            "CARGO_REGISTRIES_OUR_OWN_CREDENTIAL_PROVIDER",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_NET_OFFLINE",
            "GOAUTH",
            "GOFLAGS",
            "HOME",
        ] {
            assert!(!is_for_fetching(name), "{name}");
        }
    }
}
