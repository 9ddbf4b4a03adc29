//! Where a component's source comes from: `upstream { … }`.

use super::{
    Code, LocalPath, Name, Presence, Span, Spanned, Switch, Template,
    decode::{Cursor, Reader, Seen},
    names::Space,
    parse::Node,
    word::{ComponentWord, GuardWord, UpstreamWord, Word as _},
};
use crate::content::{RelPath, Sha256, Url};

/// Ends of names of files that are surely no archives which are unpacked.
const OTHER_ARCHIVES: [&str; 12] =
    [".7z", ".rar", ".lz", ".lz4", ".lzo", ".Z", ".cpio", ".deb", ".rpm", ".iso", ".exe", ".AppImage"];
/// The hexadecimal digits of a commit.
const COMMIT_DIGITS: usize = 40;

/// Where the source comes from: `upstream { … }`, with one source and perhaps a set of a language. In an override any
/// part may be missing and then stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The source.
    pub source: Option<UpstreamSource>,
    /// `sha256="…"`: what the file of a `url` must hash to, 64 hexadecimal digits; required.
    pub sha256: Option<Spanned<Sha256>>,
    /// `unpack=#false`: the file of a `url` stays the one file that it is; when it is not said, it is unpacked: a tar
    /// archive, plain or compressed with bzip2, gzip, lzma, xz or zstd, or a zip archive.
    pub unpack: Option<Spanned<Unpack>>,
    /// `commit="…"`: the commit of a `git` repository, 40 hexadecimal digits; required.
    pub commit: Option<Spanned<String>>,
    /// What its build needs of a language's registry.
    pub languages: Option<LanguageSet>,
    /// The node.
    pub span: Span,
}

/// One kind of source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamSource {
    /// `url "https://…/runc-{version}.tar.xz" … sha256="…"`: a file or archive; several are where to look, in order.
    Urls(Vec<Spanned<Template>>),
    /// `git "https://…" commit="…"`: the tree of a commit, with its submodules.
    Git(Spanned<Template>),
    /// `debian-source "libseccomp" suite="trixie"`: a source package by the signed index of sources, its patches
    /// applied. `version "2.6.0"` or `"2.6.0-2"` of the component picks one; else it is the highest.
    Debian(DebianUpstream),
    /// `folder "../host"`: files beside the recipes, without what their `.gitignore` files name.
    Folder(LocalPath),
    /// `go-module "example.org/m" version="v1.2.3"`: a Go module by its path, with the modules of its `go.sum` at
    /// `/vendor/go`.
    GoModule {
        /// Its path.
        path: Spanned<String>,
        /// `version="v1.2.3"`: its version; `v{version}` when it is not said.
        version: Spanned<Template>,
    },
}

/// A Debian source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianUpstream {
    /// Its name.
    pub package: Spanned<String>,
    /// `archive="debian"`: the archive it comes from; `debian` when it is not said.
    pub archive: Spanned<Name>,
    /// `suite="trixie"`: the suite it comes from, with its updates and security; required.
    pub suite: Spanned<String>,
}

/// What a build needs of a language's registry, by a file of the source that names every piece with its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LanguageSet {
    /// `crates "Cargo.lock"`: beside a source: the crates of that file of it, at `/vendor/crates`.
    Crates(Spanned<RelPath>),
    /// `go-module "."`: beside a source: the modules of the `go.mod` and `go.sum` in that folder of it, at `/vendor/go`.
    GoModules(Spanned<RelPath>),
}

/// How an upstream file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// As the content of the archive that it is.
    Archive,
    /// As the one file that it is.
    Keep,
}

impl Upstream {
    pub(super) fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Self {
        let node = cursor.node;
        let mut upstream = Upstream {
            source: None,
            sha256: cursor.text_property(reader, "sha256").and_then(|text| reader.sha256(text)),
            unpack: None,
            commit: cursor.text_property(reader, "commit").and_then(|text| reader.commit(text)),
            languages: None,
            span: node.span,
        };
        let block = cursor.block();
        let has_source = block.iter().filter_map(|inner| UpstreamWord::of(&inner.name)).any(is_source);
        let (mut first_source, mut first_set): (Option<(UpstreamWord, Span)>, _) = (None, None);
        let mut seen = Seen::new();
        for inner in block {
            let Some(word) = reader.word(inner, &mut seen) else { continue };
            let is_set = match word {
                UpstreamWord::Crates => true,
                UpstreamWord::GoModule => has_source || names_folder(inner),
                UpstreamWord::Url | UpstreamWord::Git | UpstreamWord::DebianSource | UpstreamWord::Folder => false,
            };
            let first = if is_set { &mut first_set } else { &mut first_source };
            match *first {
                // Several URLs are one source.
                Some((UpstreamWord::Url, _)) if word == UpstreamWord::Url => {}
                Some((earlier, span)) => {
                    let (one, other) = (word.text(), earlier.text());
                    let message = format!("`{one}` beside `{other}`: an upstream has one source");
                    let message = if is_set { message.replace("source", "language set") } else { message };
                    let problem = super::Diagnostic::error(Code::SeveralSources, inner.name_span, message);
                    reader.problems.push(problem.help("leave one out").also(span, "first here"));
                    continue;
                }
                None => *first = Some((word, inner.name_span)),
            }
            if is_set {
                let mut inner = Cursor::with(reader, inner, &[]);
                upstream.languages = LanguageSet::read(reader, &mut inner, word).or(upstream.languages.take());
                inner.finish(reader);
            } else {
                let mut inner = Cursor::new(reader, inner, word);
                upstream.read_source(reader, &mut inner, word);
                inner.finish(reader);
            }
        }
        if block.is_empty() && node.entries.is_empty() {
            reader.error(Code::MissingNode, node.name_span, "`upstream` wants a block", "write `{ url \"…\" }`");
        }
        upstream
    }

    fn read_source(&mut self, reader: &mut Reader<'_>, cursor: &mut Cursor<'_>, word: UpstreamWord) {
        let source = match word {
            UpstreamWord::Url => self.read_url(reader, cursor),
            UpstreamWord::Git => {
                let url = cursor.text(reader, "a URL").and_then(|text| reader.git_url(text));
                let commit = cursor.required_property(reader, "commit").and_then(|text| reader.commit(text));
                self.commit = commit.or(self.commit.take());
                url.map(UpstreamSource::Git)
            }
            UpstreamWord::DebianSource => DebianUpstream::read(reader, cursor).map(UpstreamSource::Debian),
            UpstreamWord::Folder => {
                let text = cursor.text(reader, "a folder");
                text.and_then(|text| reader.local(text, Presence::Folder)).map(UpstreamSource::Folder)
            }
            UpstreamWord::GoModule => read_go_module(reader, cursor),
            // No source, but what stands beside one.
            UpstreamWord::Crates => None,
        };
        self.source = source.or(self.source.take());
    }

    fn read_url(&mut self, reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<UpstreamSource> {
        let mut urls = match self.source.take() {
            Some(UpstreamSource::Urls(urls)) => urls,
            _ => Vec::new(),
        };
        let texts = cursor.texts(reader, "a URL");
        urls.extend(texts.into_iter().filter_map(|text| reader.url(text)));
        if let Some(text) = cursor.text_property(reader, "sha256") {
            self.sha256 = reader.sha256(text).or(self.sha256.take());
        }
        let unpack = cursor.switch_property(reader, "unpack");
        let keep = |switch| if switch == Switch::On { Unpack::Archive } else { Unpack::Keep };
        let unpack = unpack.map(|switch| switch.map(keep));
        if unpack.as_ref().is_none_or(|unpack| unpack.value == Unpack::Archive) {
            urls.iter().for_each(|url| check_archive(reader, url));
        }
        self.unpack = unpack.or(self.unpack.take());
        Some(UpstreamSource::Urls(urls))
    }

    /// The parts of `old` that this one does not say stay.
    pub fn over(self, old: Upstream) -> Upstream {
        Upstream {
            source: self.source.or(old.source),
            sha256: self.sha256.or(old.sha256),
            unpack: self.unpack.or(old.unpack),
            commit: self.commit.or(old.commit),
            languages: self.languages.or(old.languages),
            span: self.span,
        }
    }
}

impl LanguageSet {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>, word: UpstreamWord) -> Option<Self> {
        let is_crates = word == UpstreamWord::Crates;
        let text = cursor.text(reader, if is_crates { "the path of a `Cargo.lock`" } else { "a folder" })?;
        let path = if text.value == "." { Ok(RelPath::ROOT) } else { RelPath::new(text.trim_start_matches("./")) };
        let Ok(path) = path else {
            let message = format!("`{}` is no path below the source", text.value);
            reader.error(Code::BadPath, text.span, message, "`.` is the source's own folder");
            return None;
        };
        if is_crates && path.name() != "Cargo.lock" {
            let message = format!("`{}` is no `Cargo.lock`, which is the only name that cargo reads", text.value);
            reader.error(Code::BadPath, text.span, message, "write `crates \"Cargo.lock\"`");
            return None;
        }
        let path = Spanned::new(path, text.span);
        Some(if is_crates { LanguageSet::Crates(path) } else { LanguageSet::GoModules(path) })
    }
}

impl DebianUpstream {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let package = cursor.text(reader, "the name of a source package").and_then(|text| reader.package(text));
        let archive = cursor.text_property(reader, "archive");
        let archive = archive.unwrap_or_else(|| Spanned::new("debian".to_owned(), cursor.place()));
        let archive = reader.reference(&archive, Space::Archive);
        let suite = cursor.required_property(reader, "suite");
        let suite = suite.and_then(|text| reader.suite_name(text, "a suite"));
        Some(DebianUpstream { package: package?, archive: archive?, suite: suite? })
    }
}

/// Whether a word is a source, whatever stands beside it. `go-module` is one too, where none of these does.
fn is_source(word: UpstreamWord) -> bool {
    match word {
        UpstreamWord::Url | UpstreamWord::Git | UpstreamWord::DebianSource | UpstreamWord::Folder => true,
        UpstreamWord::GoModule | UpstreamWord::Crates => false,
    }
}

/// Tells of a file that is no archive which brc unpacks, where its name says so.
fn check_archive(reader: &mut Reader<'_>, url: &Spanned<Template>) {
    let text = url.value.to_string();
    let name = text.split(['?', '#']).next().unwrap_or_default();
    if let Some(ending) = OTHER_ARCHIVES.iter().find(|ending| name.ends_with(*ending)) {
        let message = format!("a `{ending}` file is not unpacked");
        let help = "name a tar archive (plain, `.gz`, `.bz2`, `.lzma`, `.xz`, `.zst`) or a `.zip`; `unpack=#false` keeps \
                    it as the one file that it is";
        reader.error(Code::BadUrl, url.span, message, help);
    }
}

/// Whether a `go-module` that stands alone can only mean a folder: `.`, `./cmd`.
fn names_folder(node: &Node<'_>) -> bool {
    let first = node.entries.iter().find(|entry| entry.name.is_none());
    first.is_some_and(
        |entry| matches!(&entry.value, super::parse::Value::Text(text) if text == "." || text.starts_with("./")),
    )
}

fn read_go_module(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<UpstreamSource> {
    let path = cursor.text(reader, "the path of a module")?;
    let version = cursor.text_property(reader, "version");
    let version = version.unwrap_or_else(|| Spanned::new("v{version}".to_owned(), cursor.place()));
    let version = reader.template(version)?;
    // golang.org/ref/mod: elements of these letters, and the first one is a host.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
    let is_element = |element: &str| {
        !element.is_empty() && element.chars().all(fits) && !element.starts_with('.') && !element.ends_with('.')
    };
    let has_host = path.split('/').next().is_some_and(|host| host.contains('.'));
    if !has_host || !path.split('/').all(is_element) {
        let message = format!("`{}` is no path of a Go module: it starts with a host", path.value);
        let help = "write `go-module \"example.org/m\"`; beside a source it names a folder of that";
        reader.error(Code::BadName, path.span, message, help);
        return None;
    }
    Some(UpstreamSource::GoModule { path, version })
}

/// The `upstream` nodes of a block, conditions included.
fn upstreams<'n>(nodes: &'n [Node<'n>], found: &mut Vec<&'n Node<'n>>) {
    for node in nodes {
        let children = node.children.as_deref().unwrap_or(&[]);
        if ComponentWord::of(&node.name) == Some(ComponentWord::Upstream) {
            found.push(node);
        } else if GuardWord::of(&node.name).is_some() {
            upstreams(children, found);
        }
    }
}

impl Reader<'_> {
    /// Only an override may say less of an upstream than the whole.
    pub(super) fn check_source(&mut self, component: &Node<'_>) {
        let mut found = Vec::new();
        upstreams(component.children.as_deref().unwrap_or(&[]), &mut found);
        let names_source = |inner: &Node<'_>| {
            let word = UpstreamWord::of(&inner.name);
            word.is_some_and(is_source) || word == Some(UpstreamWord::GoModule) && !names_folder(inner)
        };
        let has_source = |node: &&Node<'_>| node.children.iter().flatten().any(names_source);
        // An empty one was told already.
        let is_empty = |node: &&Node<'_>| node.children.as_ref().is_none_or(Vec::is_empty) && node.entries.is_empty();
        if let Some(first) = found.first().filter(|_| !found.iter().any(|node| has_source(node) || is_empty(node))) {
            let help = "write `url`, `git`, `debian-source`, `folder`, or `go-module` with the path of a module";
            self.error(Code::MissingNode, first.name_span, "this upstream has no source", help);
        }
    }

    fn url(&mut self, text: Spanned<String>) -> Option<Spanned<Template>> {
        let help = "`https://…`, `http://…` or `file:///…`, without white space";
        self.url_of(text, &["https://", "http://", "file:///"], "is not a URL that brc fetches", help)
    }

    fn git_url(&mut self, text: Spanned<String>) -> Option<Spanned<Template>> {
        let help = "`https://…` or `http://…`, without white space; a repository beside the recipes is a `folder`";
        self.url_of(text, &["https://", "http://"], "is not a git repository that brc fetches", help)
    }

    fn url_of(
        &mut self,
        text: Spanned<String>,
        schemes: &[&str],
        is_not: &str,
        help: &str,
    ) -> Option<Spanned<Template>> {
        let fits = text.chars().all(|c| c.is_ascii_graphic());
        if !fits || !schemes.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme)) {
            self.error(Code::BadUrl, text.span, format!("`{}` {is_not}", Url::new(text.value.as_str())), help);
            return None;
        }
        self.template(text)
    }

    fn commit(&mut self, text: Spanned<String>) -> Option<Spanned<String>> {
        let is_digit = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
        if text.len() != COMMIT_DIGITS || !text.chars().all(is_digit) {
            let message = format!("`{}` is no commit: expected {COMMIT_DIGITS} hexadecimal digits", text.value);
            self.error(Code::BadDigest, text.span, message, "branches and tags move; `git rev-parse` says the commit");
            return None;
        }
        Some(text)
    }
}
