//! What every command is given: the configuration, and the doors to the machine that it opens.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use super::{
    CliError,
    arguments::{Global, Subject, Target},
    config::{Config, ConfigError, Environment, MirrorsFile, mirrors_file},
    diagnostics::show_diagnostics,
    hint::Hints,
    output::{Style, status},
    progress::Watcher,
};
use crate::{
    build::{AfterFailure, Event},
    compose::{ComposeOrder, Locked, Project, ProjectPlace, Session, SetGoal, SetKeeper},
    fetch::{AptSource, Client, ClientConfig, Mirrors, Network, Patience, apt_sources},
    sandbox::{NetworkAccess, Sandbox},
    store::Store,
};

/// This program, even when the file that it was started from is replaced meanwhile.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// What every command is given.
pub struct Context {
    /// What the command line and the environment say.
    pub config: Config,
    /// Commands that are suggested.
    pub hints: Hints,
    watcher: Watcher,
    cancelled: Arc<AtomicBool>,
    stops_on_signals: AtomicBool,
}

impl Context {
    /// What is said to all commands, and what this one is about.
    pub fn new(global: Global, subject: Subject) -> Self {
        #[expect(clippy::disallowed_methods, reason = "only cli reads the environment")]
        let environment = Environment::new(env::vars_os());
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let config = Config::load(global, environment, processors);
        #[expect(clippy::disallowed_methods, reason = "only cli knows how it was called")]
        let program = env::args_os().next();
        Context {
            hints: Hints::new(program, subject, config.repeated_options()),
            watcher: Watcher::new(config.style),
            config,
            cancelled: Arc::new(AtomicBool::new(false)),
            stops_on_signals: AtomicBool::new(false),
        }
    }

    /// Whether objects are printed instead of lines for people.
    pub fn is_json(&self) -> bool {
        self.config.style == Style::Json
    }

    /// Opens the store.
    ///
    /// # Errors
    /// No home, or a store that cannot be used.
    pub fn store(&self) -> Result<Store, CliError> {
        Ok(Store::open(&self.config.store_path()?)?)
    }

    /// The project of a recipe file, or else of the folder that one stands in, with the checkouts that the command
    /// line names and the recipe sets from elsewhere as `sets` says. Its warnings are shown.
    ///
    /// # Errors
    /// Mistakes in recipes.
    pub fn project(&self, file: Option<&Path>, sets: &SetGoal) -> Result<Project, CliError> {
        let mut project = match file {
            Some(file) if !file.is_dir() => self.open(ProjectPlace::of(file)?, sets)?,
            folder => self.open(ProjectPlace::above(folder.unwrap_or(Path::new(".")))?, sets)?,
        };
        for (name, folder) in self.config.sources()? {
            if !folder.is_dir() {
                return Err(ConfigError::NoSource { name: name.to_owned(), folder: folder.to_owned() }.into());
            }
            project.check_out(name, folder)?;
        }
        show_diagnostics(self.config.style, &project.sources, &project.warnings);
        Ok(project)
    }

    /// Reads a project, with the recipe sets that it imports from elsewhere.
    ///
    /// # Errors
    /// A set that cannot be had, or mistakes in recipes.
    pub fn open(&self, place: ProjectPlace, goal: &SetGoal) -> Result<Project, CliError> {
        let imports = place.imports()?;
        let sets = if imports.is_empty() {
            BTreeMap::new()
        } else {
            let store = self.store()?;
            // Which names may have mirrors, only recipes say, and they are not here yet.
            let client = self.client(&store, self.mirrors(Some(&place.root), None)?)?;
            self.stop_on_signals()?;
            let keeper = SetKeeper { store, client, cancelled: &self.cancelled, status: &status };
            keeper.folders(&place, &imports, goal)?
        };
        Ok(Project::read(place, sets)?)
    }

    /// The project of a target and what of it is meant, with recipe sets from elsewhere that are locked or may be.
    ///
    /// # Errors
    /// Mistakes in recipes, or a target that is not there.
    pub fn order(&self, target: &Target, locked: Locked) -> Result<(Project, ComposeOrder), CliError> {
        let project = self.project(target.file.as_deref(), &locked.into())?;
        let variant = project.variant(target.choice.variant.as_deref())?;
        let architectures = project.architectures(&variant, &target.choice.arch)?;
        Ok((project, ComposeOrder { variant, architectures, image_version: None, beside: None }))
    }

    /// The project of a target and what is meant of it when a part of it is named, which no variant needs to have.
    ///
    /// # Errors
    /// Mistakes in recipes, a target that is not there, or a name that nothing has.
    pub fn order_of(&self, target: &Target, named: &str, locked: Locked) -> Result<(Project, ComposeOrder), CliError> {
        let project = self.project(target.file.as_deref(), &locked.into())?;
        let order = project.order_of(named, target.choice.variant.as_deref(), &target.choice.arch)?;
        Ok((project, order))
    }

    /// Everything that composing a project needs, with the user's store.
    ///
    /// # Errors
    /// A store that cannot be used, or a mirror or proxy that makes no sense.
    pub fn session(&self, project: &Project, after_failure: AfterFailure) -> Result<Session<'_>, CliError> {
        self.session_with(self.store()?, project, after_failure)
    }

    /// Everything that composing a project needs, with `store`.
    ///
    /// # Errors
    /// A mirror or proxy that makes no sense, or signals that cannot be waited for.
    pub fn session_with(
        &self,
        store: Store,
        project: &Project,
        after_failure: AfterFailure,
    ) -> Result<Session<'_>, CliError> {
        let client = self.client(&store, self.mirrors(Some(&project.root), Some(project.mirror_names()))?)?;
        self.stop_on_signals()?;
        Ok(Session {
            sandbox: self.sandbox(store.clone()),
            signing_keys: self.config.signing_keys.clone(),
            store,
            client,
            jobs: self.config.jobs,
            after_failure,
            now: now(),
            cancelled: &self.cancelled,
            events: Box::new(|event: Event| self.watcher.show(&event)),
            status: Box::new(status),
        })
    }

    fn sandbox(&self, store: Store) -> Sandbox {
        let sandbox = Sandbox::new(store, PathBuf::from(OWN_PROGRAM));
        match self.config.network {
            Network::Offline => sandbox,
            Network::Online => {
                let certificates = self.config.certificates().filter(|file| file.is_file());
                sandbox.with_network(NetworkAccess::new(self.config.fetching_variables(), certificates))
            }
        }
    }

    fn client(&self, store: &Store, mirrors: Mirrors) -> Result<Client, CliError> {
        let vendored = self.config.vendored()?;
        if let Some(folder) = vendored.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(ConfigError::NotVendored { folder: folder.clone() }.into());
        }
        let client = Client::new(ClientConfig {
            network: self.config.network,
            mirrors,
            vendored: vendored.into_iter().collect(),
            downloads: store.dir().join("downloads"),
            proxies: self.config.proxies(),
            patience: Patience::default(),
        });
        client.map_err(|error| CliError::usage(&error))
    }

    /// The mirrors that are used for the project in the folder `root`, whose file may name `archives`.
    ///
    /// # Errors
    /// A file or variable that names no place.
    pub fn mirrors(&self, root: Option<&Path>, archives: Option<BTreeSet<String>>) -> Result<Mirrors, CliError> {
        let own = root.map(|root| (mirrors_file(root), archives));
        let user = self.config.user_folder().map(|folder| (mirrors_file(&folder), None));
        let mut files = Vec::new();
        for (path, archives) in own.into_iter().chain(user) {
            match fs::read_to_string(&path) {
                Ok(text) => files.push(MirrorsFile { path, text, archives }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(ConfigError::Unreadable { path, reason: error.to_string() }.into()),
            }
        }
        Ok(self.config.mirrors(&files, &apt())?)
    }

    /// Makes Ctrl-C and SIGTERM end what is done in order; a second one ends brc at once.
    ///
    /// # Errors
    /// Signals that cannot be waited for.
    pub fn stop_on_signals(&self) -> Result<(), CliError> {
        // Twice registered, one signal would count as two.
        if self.stops_on_signals.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        for signal in [SIGINT, SIGTERM] {
            let second = flag::register_conditional_shutdown(signal, 130, self.cancelled.clone());
            second
                .and_then(|_| flag::register(signal, self.cancelled.clone()))
                .map_err(|error| CliError::Machine(error.into()))?;
        }
        Ok(())
    }

    /// The flag that Ctrl-C sets, once there is a session.
    pub fn cancelled(&self) -> &AtomicBool {
        &self.cancelled
    }
}

/// What apt of this machine is configured with.
fn apt() -> Vec<AptSource> {
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

/// Seconds since 1970.
pub(in crate::cli) fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "only cli reads the clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
