//! Trees that a locked program fetches: the only runs with network.

use std::collections::BTreeMap;

use super::{
    Lowering,
    command::{command, folders, shell},
    output,
};
use crate::{
    content::{Entry, RelPath, Tree, rel_path},
    graph::{Component, Fetched, FetchedWhat, Image, SourceTree, Upstream},
    plan::{Extract, Goal, Input, Network, Run, Source},
    recipe::Unpack,
};

const CRATES: &str = include_str!("fetch-crates.sh");
const GO_MODULES: &str = include_str!("fetch-go-modules.sh");
const GO_MODULE: &str = include_str!("fetch-go-module.sh");
const GIT: &str = include_str!("fetch-git.sh");
/// The longest time that fetching may take.
const FETCH_SECONDS: u64 = 3600;
/// The output of each such run.
const OUTPUT: &str = "tree";

/// How one kind of tree is fetched.
struct FetchScript {
    stage: &'static str,
    text: &'static str,
    /// Where it is taken from.
    output: RelPath,
    directory: RelPath,
    variables: Vec<(&'static str, String)>,
}

impl FetchScript {
    fn new(what: &FetchedWhat) -> Self {
        let source = |stage, text, variables| FetchScript {
            stage,
            text,
            output: rel_path!("source"),
            directory: rel_path!("build"),
            variables,
        };
        match what {
            FetchedWhat::Git { url, commit } => {
                source("git", GIT, vec![("url", url.as_str().to_owned()), ("commit", commit.clone())])
            }
            FetchedWhat::GoModule { path, version } => {
                source("go-module", GO_MODULE, vec![("module", path.clone()), ("version", version.clone())])
            }
            FetchedWhat::Crates { lock } => FetchScript {
                stage: "crates",
                text: CRATES,
                output: rel_path!("vendor/crates"),
                directory: rel_path!("build").join(&lock.parent().unwrap_or_default()),
                variables: vec![("manifest", lock.as_str().to_owned())],
            },
            FetchedWhat::GoModules { folder } => FetchScript {
                stage: "go-modules",
                text: GO_MODULES,
                output: rel_path!("vendor/go"),
                directory: rel_path!("build").join(folder),
                variables: vec![("manifest", folder.join(&rel_path!("go.mod")).as_str().to_owned())],
            },
        }
    }
}

impl Lowering<'_> {
    /// What a component is built from: its source at `/build`, its crates at `/vendor/crates`, its Go modules at
    /// `/vendor/go`.
    pub(super) fn upstream_inputs(
        &mut self,
        image: &Image,
        component: &Component,
        upstream: &Upstream,
        toolsets: &BTreeMap<&str, Source>,
    ) -> Vec<Input<Source>> {
        let source = match &upstream.source {
            SourceTree::Url(file) => {
                let extract = match file.unpack {
                    Unpack::Archive => Extract::Archive,
                    Unpack::Keep => Extract::Keep,
                };
                self.url(&component.name, file, extract)
            }
            SourceTree::Debian(source) => self.debian_source(&component.name, source),
            SourceTree::Folder(path) => self.source_folder(path),
            SourceTree::Fetched(fetched) => self.fetched(image, component, fetched, None, toolsets),
        };
        let mut inputs = vec![Input {
            owner: "source".to_owned(),
            tree: source.clone(),
            at: rel_path!(super::target::BUILD_FOLDER),
        }];
        if let Some(set) = &upstream.languages {
            let manifests = match &upstream.source {
                // An edit of anything else of a folder needs no new lock, so nothing else takes part.
                SourceTree::Folder(folder) => match self.locals.sources.get(folder) {
                    Some(tree) => self.manifests(tree, &set.what),
                    None => source,
                },
                _ => source,
            };
            let at = FetchScript::new(&set.what).output;
            let tree = self.fetched(image, component, set, Some(manifests), toolsets);
            inputs.push(Input { owner: set.tool.clone(), tree, at });
        }
        inputs
    }

    fn fetched(
        &mut self,
        image: &Image,
        component: &Component,
        fetched: &Fetched,
        source: Option<Source>,
        toolsets: &BTreeMap<&str, Source>,
    ) -> Source {
        let script = FetchScript::new(&fetched.what);
        let mut inputs = self.tool_inputs(&component.name, std::slice::from_ref(&fetched.tool), toolsets);
        inputs.extend(source.map(|tree| Input { owner: "source".to_owned(), tree, at: rel_path!("build") }));
        let fixed = [
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/tmp/home"),
            ("TMPDIR", "/tmp"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
        ];
        let fixed = fixed.map(|(name, value)| (name, value.to_owned()));
        let environment = fixed.into_iter().chain(script.variables);
        let words = shell(&format!("mkdir -p \"$HOME\"\n{}", script.text));
        let run = Run {
            environment: environment.map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>().into(),
            directory: script.directory,
            outputs: folders([(OUTPUT, script.output)]),
            network: Network::Fetching { expected: fetched.tree },
            ..command(image, inputs, words, FETCH_SECONDS)
        };
        let step = self.step(&component.name, script.stage, run);
        let tree = output(step, OUTPUT);
        if fetched.tree.is_none() {
            self.lowered.plan.goals.push((Goal::Fetched(fetched.question), tree.clone()));
        }
        tree
    }

    /// What of a folder decides what is fetched for it, and empty files where cargo looks whether there are any.
    pub(super) fn manifests(&mut self, source: &Tree, what: &FetchedWhat) -> Source {
        let nothing = self.text_entry("");
        let mut tree = Tree::new();
        for (at, entry) in source.entries() {
            let kept = match (what, at.name()) {
                (FetchedWhat::Crates { .. }, "Cargo.toml" | "Cargo.lock") => Some(entry.clone()),
                (FetchedWhat::Crates { .. }, name) if name.ends_with(".rs") => Some(nothing.clone()),
                (FetchedWhat::GoModules { .. }, "go.mod" | "go.sum") => Some(entry.clone()),
                _ => None,
            };
            if let Some(entry @ Entry::File { .. }) = kept {
                self.place(&mut tree, at, entry, None);
            }
        }
        self.tree(tree)
    }
}
