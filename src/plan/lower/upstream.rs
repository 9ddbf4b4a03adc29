//! Sources of components as trees.

use super::{LowerError, Lowering, output};
use crate::{
    graph::{DebianSource, UrlUpstream},
    plan::{self, Extract, Fetch, Located, Source, SourceArchive, UrlFile},
};

impl Lowering<'_> {
    /// A file by URL.
    pub(super) fn url(&mut self, component: &str, file: &UrlUpstream, extract: Extract) -> Source {
        let fetch = UrlFile { sha256: file.sha256, name: file_name(file), urls: file.urls.clone(), extract };
        let step = self.step(component, "fetch", Fetch::Url(fetch));
        output(step, "data")
    }

    /// A Debian source package, its patches not yet applied.
    pub(super) fn debian_source(&mut self, component: &str, source: &DebianSource) -> Source {
        let files = source.files.iter().map(|file| SourceArchive {
            sha256: file.sha256,
            size: file.size,
            at: file.at.clone(),
            located: Located { mirror: source.mirror.clone(), path: file.path.clone() },
        });
        let fetch = plan::DebianSource { name: source.name.clone(), files: files.collect() };
        let step = self.step(component, "fetch", Fetch::DebianSource(fetch));
        output(step, "data")
    }

    /// A folder beside the recipes.
    pub(super) fn source_folder(&mut self, path: &str) -> Source {
        let tree = self.locals.sources.get(path).cloned();
        if tree.is_none() {
            self.errors.push(LowerError::NoLocalFile { path: path.to_owned() });
        }
        self.tree(tree.unwrap_or_default())
    }
}

/// The name that an upstream's file has when it is kept as it is.
pub(super) fn file_name(upstream: &UrlUpstream) -> String {
    let name = upstream.urls.first().and_then(|url| url.as_str().rsplit('/').next());
    name.filter(|name| !name.is_empty()).unwrap_or("source").to_owned()
}
