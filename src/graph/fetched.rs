//! Trees that a locked program fetches: repositories, modules, crates. What is asked, and what the lock answers.

use super::{
    flat::{Flat, FlatComponent, Manifests},
    lock_name::source_id,
    origin::origin,
    pinning::Pinning,
};
use crate::{
    content::{Digest, RelPath, Url, rel_path},
    lock::{TreeKind, WantedTree},
    recipe::{Code, Diagnostic, LanguageSet, Name, Recipes, SourceSet, Span, Spanned, UpstreamSource},
};

/// The set whose tool sets fetch where a component's own set has none.
const SHIPPED_SET: &str = "brc";

/// A tree that a locked program fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What is fetched.
    pub what: FetchedWhat,
    /// The tool set with the program.
    pub tool: String,
    /// The digest of what the lock was asked.
    pub question: Digest,
    /// What the lock answers; `None` while it is being made.
    pub tree: Option<Digest>,
}

/// What a locked program fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchedWhat {
    /// The tree of a commit with its submodules.
    Git {
        /// The repository.
        url: Url,
        /// The commit.
        commit: String,
    },
    /// The source of a Go module.
    GoModule {
        /// Its path.
        path: String,
        /// Its version.
        version: String,
    },
    /// The crates that a `Cargo.lock` of the source names.
    Crates {
        /// The `Cargo.lock`.
        lock: RelPath,
    },
    /// The Go modules that the `go.sum` of a folder of the source names.
    GoModules {
        /// The folder.
        folder: RelPath,
    },
}

impl FetchedWhat {
    fn kind(&self) -> TreeKind {
        match self {
            FetchedWhat::Git { .. } => TreeKind::Git,
            FetchedWhat::GoModule { .. } => TreeKind::GoModule,
            FetchedWhat::Crates { .. } => TreeKind::Crates,
            FetchedWhat::GoModules { .. } => TreeKind::GoModules,
        }
    }
}

/// The tool set that fetches a kind of tree.
fn tool(kind: TreeKind) -> &'static str {
    match kind {
        TreeKind::Git => "git",
        TreeKind::Crates => "rust",
        TreeKind::GoModule | TreeKind::GoModules => "go",
    }
}

/// The kinds of trees that a component's upstream has fetched.
fn kinds(component: &FlatComponent) -> Vec<TreeKind> {
    let Some(upstream) = component.upstream.as_ref().filter(|_| component.is_built()) else { return Vec::new() };
    let source = match upstream.source {
        Some(UpstreamSource::Git(_)) => Some(TreeKind::Git),
        Some(UpstreamSource::GoModule { .. }) => Some(TreeKind::GoModule),
        _ => None,
    };
    let languages = match (&upstream.languages, source) {
        (Some(LanguageSet::Crates(_)), _) => Some(TreeKind::Crates),
        // A module that stands alone comes with the modules of its `go.sum`.
        (Some(LanguageSet::GoModules(_)), _) | (None, Some(TreeKind::GoModule)) => Some(TreeKind::GoModules),
        (None, _) => None,
    };
    source.into_iter().chain(languages).collect()
}

/// The tool sets that fetch for these components.
pub(super) fn tools<'a>(
    recipes: &Recipes,
    components: impl Iterator<Item = &'a FlatComponent>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Spanned<Name>> {
    let mut tools = Vec::new();
    for component in components {
        let span = component.upstream.as_ref().map_or(component.span, |upstream| upstream.span);
        for kind in kinds(component) {
            let names = candidates(component, kind);
            let is_there =
                |name: &&Name| recipes.components.contains_key(*name) || recipes.packages.contains_key(*name);
            match names.iter().find(is_there) {
                Some(name) => tools.push(Spanned::new(name.clone(), span)),
                None => {
                    let tool = tool(kind);
                    let message =
                        format!("nothing fetches the source of `{}`: there is no tool set `{tool}`", component.name);
                    let help = format!("state `packages \"{tool}\"` in the own set, or import the set `{SHIPPED_SET}`");
                    diagnostics.push(Diagnostic::error(Code::NoTool, span, message).help(help));
                }
            }
        }
    }
    tools
}

/// A tool set of the component's own set, else of the one that brc ships.
fn candidates(component: &FlatComponent, kind: TreeKind) -> [Name; 2] {
    [component.name.set.as_str(), SHIPPED_SET].map(|set| Name::new(set, tool(kind)))
}

/// A tree that is asked for, and what it is.
struct Asked {
    what: FetchedWhat,
    wanted: WantedTree,
}

/// Asks for the trees of one component.
struct Asking<'a> {
    flat: &'a Flat,
    component: &'a FlatComponent,
    manifests: &'a Manifests,
    origin: String,
}

/// The trees that a component wants locked; those that cannot be asked for are told when it is pinned.
pub(super) fn wanted_trees(
    flat: &Flat,
    component: &FlatComponent,
    manifests: &Manifests,
    sources: &SourceSet,
) -> Vec<WantedTree> {
    let asking = Asking::new(flat, component, manifests, sources);
    let asked = kinds(component).into_iter().filter_map(|kind| asking.ask(kind).ok());
    asked.map(|asked| asked.wanted).collect()
}

impl<'a> Asking<'a> {
    fn new(flat: &'a Flat, component: &'a FlatComponent, manifests: &'a Manifests, sources: &SourceSet) -> Self {
        let span = component.upstream.as_ref().map_or(component.span, |upstream| upstream.span);
        Asking { flat, component, manifests, origin: origin(sources, span) }
    }

    fn ask(&self, kind: TreeKind) -> Result<Asked, Diagnostic> {
        let upstream = self.component.upstream.as_ref();
        let source = upstream.and_then(|upstream| upstream.source.as_ref());
        let place = |path: &Spanned<RelPath>| path.value.clone();
        let what = match (kind, source, upstream.and_then(|upstream| upstream.languages.as_ref())) {
            (TreeKind::Git, Some(UpstreamSource::Git(url)), _) => {
                let commit = upstream.and_then(|upstream| upstream.commit.as_ref());
                let commit = commit.map(|commit| commit.value.clone()).unwrap_or_default();
                FetchedWhat::Git { url: Url::new(self.fill(&url.value)), commit }
            }
            (TreeKind::GoModule, Some(UpstreamSource::GoModule { path, version }), _) => {
                FetchedWhat::GoModule { path: path.value.clone(), version: self.fill(&version.value) }
            }
            (TreeKind::Crates, _, Some(LanguageSet::Crates(lock))) => FetchedWhat::Crates { lock: place(lock) },
            (_, _, Some(LanguageSet::GoModules(folder))) => FetchedWhat::GoModules { folder: place(folder) },
            _ => FetchedWhat::GoModules { folder: RelPath::ROOT },
        };
        let (mut question, mut debian) = (String::new(), None);
        match &what {
            // Where a commit comes from does not change it.
            FetchedWhat::Git { commit, .. } => question = format!("git\n{commit}\n"),
            FetchedWhat::GoModule { path, version } => question = format!("go-module\n{path}\n{version}\n"),
            FetchedWhat::Crates { lock } => {
                question.push_str(&format!("crates 2\n{}\n{}", lock.as_str(), self.identity(&[lock], &mut debian)?));
            }
            FetchedWhat::GoModules { folder } => {
                let files = [rel_path!("go.mod"), rel_path!("go.sum")].map(|name| folder.join(&name));
                let identity = self.identity(&files.each_ref(), &mut debian)?;
                question.push_str(&format!("go-modules\n{}\n{identity}", folder.as_str()));
            }
        }
        let wanted = WantedTree {
            component: self.component.name.to_string(),
            kind: what.kind(),
            question: Digest::of(question.as_bytes()),
            source: debian,
            origin: self.origin.clone(),
        };
        Ok(Asked { what, wanted })
    }

    fn fill(&self, template: &crate::recipe::Template) -> String {
        template.fill(|brace| self.flat.brace(self.component.stated_version(), brace)).unwrap_or_default()
    }

    /// What makes the source the same for a language set: of a folder the named files alone, so that an edit of
    /// anything else asks nothing new. The first of them must be there.
    fn identity(&self, files: &[&RelPath], debian: &mut Option<crate::lock::SourceId>) -> Result<String, Diagnostic> {
        let upstream = self.component.upstream.as_ref();
        Ok(match upstream.and_then(|upstream| upstream.source.as_ref()) {
            Some(UpstreamSource::Urls(_)) => {
                let sha256 = upstream.and_then(|upstream| upstream.sha256.as_ref());
                sha256.map(|sha256| format!("sha256 {}\n", sha256.value)).unwrap_or_default()
            }
            Some(UpstreamSource::Git(_)) => {
                let commit = upstream.and_then(|upstream| upstream.commit.as_ref());
                commit.map(|commit| format!("git {}\n", commit.value)).unwrap_or_default()
            }
            Some(UpstreamSource::GoModule { path, version }) => {
                format!("go-module {} {}\n", path.value, self.fill(&version.value))
            }
            Some(UpstreamSource::Debian(source)) => {
                *debian = Some(source_id(source, self.component.stated_version()));
                String::new()
            }
            Some(UpstreamSource::Folder(folder)) => {
                let path = folder.fill(|brace| self.flat.brace(self.component.stated_version(), brace));
                let found = path.as_ref().and_then(|path| self.manifests.get(path.as_str()));
                let digest = |file: &RelPath| found.and_then(|found| found.get(file));
                if let Some(missing) = files.first().filter(|file| digest(file).is_none()) {
                    return Err(missing_manifest(folder.span, missing));
                }
                let lines = files.iter().filter_map(|file| Some(format!("{} {}\n", file.as_str(), digest(file)?)));
                lines.collect()
            }
            None => String::new(),
        })
    }
}

fn missing_manifest(span: Span, file: &RelPath) -> Diagnostic {
    let message = format!("this folder has no `{}`, or a `.gitignore` names it", file.as_str());
    let help = "it names what is fetched: make it with `cargo generate-lockfile` or `go mod tidy`, and commit it";
    Diagnostic::error(Code::NoManifest, span, message).help(help)
}

impl Pinning<'_> {
    /// A tree that a component has fetched, with what the lock says of it.
    fn fetched(&mut self, component: &FlatComponent, kind: TreeKind) -> Option<Fetched> {
        let asking = Asking::new(self.flat, component, self.manifests, self.sources);
        match asking.ask(kind) {
            Ok(Asked { what, wanted }) => {
                let [own, shipped] = candidates(component, kind);
                let tool = if self.flat.toolsets.contains_key(&own) { own } else { shipped };
                let id = wanted.id(self.lock);
                let tree = self.lock.trees.get(&id).copied();
                Some(Fetched { what, tool: tool.to_string(), question: id.question, tree })
            }
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                None
            }
        }
    }

    /// The fetched source of a component, where its source is fetched by a program.
    pub(super) fn fetched_source(&mut self, component: &FlatComponent) -> Option<Fetched> {
        let kind = kinds(component).into_iter().find(|kind| matches!(kind, TreeKind::Git | TreeKind::GoModule))?;
        self.fetched(component, kind)
    }

    /// The language set of a component.
    pub(super) fn languages(&mut self, component: &FlatComponent) -> Option<Fetched> {
        let kind = kinds(component).into_iter().find(|kind| matches!(kind, TreeKind::Crates | TreeKind::GoModules))?;
        self.fetched(component, kind)
    }
}
