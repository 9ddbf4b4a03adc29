//! The import of a recipe set, and where the set is.

use super::{
    Code, Diagnostic, SourcePath, Span, Spanned,
    decode::{Cursor, Reader, Seen},
    parse::Node,
    word::{ImportWord, ProjectWord, Word as _},
};
use crate::content::{Sha256, Url};

/// The hexadecimal digits of a commit.
const COMMIT_DIGITS: usize = 40;
/// What a registry on this machine is called.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// The longest name of a tag, branch or repository.
const MAX_NAME_BYTES: usize = 200;

/// A set of recipes that is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) name: Spanned<String>,
    pub(super) place: ImportPlace,
}

/// Where an imported set is; one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ImportPlace {
    /// `path "../brc"`: in a folder, relative to this one.
    Folder(SourcePath),
    /// `git "https://git.example.org/brc.git" tag="v0.4.0"`: in a git repository, at its top.
    Git(SetSource),
    /// `oci "registry.example.org/brc/set" tag="v0.4.0"`: in a registry of containers, as an artifact with one layer: a tar
    /// archive with the set at its top, plain or compressed with gzip or zstd.
    Oci(SetSource),
}

/// Where a recipe set comes from that is not on this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetSource {
    /// A git repository, by `https:` or `http:`.
    Git {
        /// Its URL.
        url: Url,
        /// What of it.
        revision: Revision,
    },
    /// An artifact in a registry of containers.
    Oci {
        /// Host and name, as people write them: `registry.example.org/brc/set`.
        repository: String,
        /// What of it.
        reference: Reference,
    },
}

/// What of a git repository is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// `tag="v0.4.0"`: the commit of a tag.
    Tag(String),
    /// `branch="main"`: the newest commit of a branch.
    Branch(String),
    /// `commit="…"`: a commit, 40 hexadecimal digits.
    Commit(String),
}

/// What of a repository of a registry is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// `tag="v0.4.0"`: the artifact of a tag.
    Tag(String),
    /// `digest="sha256:…"`: an artifact by the digest of its manifest.
    Digest(Sha256),
}

/// An imported set that has to be fetched before its recipes can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedSet {
    /// The name that it is imported by.
    pub name: String,
    /// Where it comes from.
    pub source: SetSource,
}

impl Import {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node, ProjectWord::Recipes);
        let name = cursor.text(reader, "a name").and_then(|name| set_name(reader, name));
        let mut first: Option<(&str, Span)> = None;
        let mut place = None;
        let mut seen = Seen::new();
        for inner in cursor.block() {
            let Some(word) = reader.word::<ImportWord>(inner, &mut seen) else { continue };
            if let Some((earlier, span)) = first {
                let message = format!("`{}` beside `{earlier}`: a recipe set has one place", inner.name);
                let problem = Diagnostic::error(Code::SeveralSources, inner.name_span, message);
                reader.problems.push(problem.help("leave one out").also(span, "first here"));
                continue;
            }
            first = Some((word.text(), inner.name_span));
            let mut inner = Cursor::new(reader, inner, word);
            place = match word {
                ImportWord::Path => {
                    let folder = inner.text(reader, "a folder");
                    folder.map(|path| ImportPlace::Folder(reader.folder.join(&path)))
                }
                ImportWord::Git => read_git(reader, &mut inner).map(ImportPlace::Git),
                ImportWord::Oci => read_oci(reader, &mut inner).map(ImportPlace::Oci),
            };
            inner.finish(reader);
        }
        if node.children.as_ref().is_none_or(Vec::is_empty) {
            let message = "`recipes` does not say where the recipes are";
            let help = "write `{ path \"…\" }` or `{ git \"https://…\" tag=\"…\" }`";
            reader.error(Code::MissingNode, node.name_span, message, help);
        }
        cursor.finish(reader);
        Some(Import { name: name?, place: place? })
    }
}

/// Holds the name of a set to what names of sets are.
pub(super) fn set_name(reader: &mut Reader<'_>, name: Spanned<String>) -> Option<Spanned<String>> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let message = format!("`{}` cannot be the name of a project", name.value);
        reader.error(Code::BadName, name.span, message, "names of projects are `[a-z0-9-]{1,64}`");
        return None;
    }
    Some(name)
}

fn read_git(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<SetSource> {
    let url = cursor.text(reader, "a URL").and_then(|text| repository_url(reader, text));
    let tag = cursor.text_property(reader, "tag").and_then(|text| reference(reader, text)).map(Revision::Tag);
    let branch = cursor.text_property(reader, "branch").and_then(|text| reference(reader, text)).map(Revision::Branch);
    let commit = cursor.text_property(reader, "commit").and_then(|text| commit(reader, text)).map(Revision::Commit);
    let mut stated = [tag, branch, commit].into_iter().flatten();
    let revision = one_of(reader, cursor, "`tag=`, `branch=` and `commit=`", &mut stated);
    Some(SetSource::Git { url: url?, revision: revision? })
}

fn read_oci(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<SetSource> {
    let repository = cursor.text(reader, "a repository").and_then(|text| artifact_repository(reader, text));
    let tag = cursor.text_property(reader, "tag").and_then(|text| artifact_tag(reader, text)).map(Reference::Tag);
    let digest = cursor.text_property(reader, "digest").and_then(|text| artifact_digest(reader, text));
    let mut stated = [tag, digest.map(Reference::Digest)].into_iter().flatten();
    let reference = one_of(reader, cursor, "`tag=` and `digest=`", &mut stated);
    Some(SetSource::Oci { repository: repository?, reference: reference? })
}

/// The one property that says what is meant; `all` are those that could.
fn one_of<T>(
    reader: &mut Reader<'_>,
    cursor: &Cursor<'_>,
    all: &str,
    stated: &mut dyn Iterator<Item = T>,
) -> Option<T> {
    let word = &cursor.node.name;
    match (stated.next(), stated.next()) {
        (one, None) => {
            if cursor.node.entries.iter().all(|entry| entry.name.is_none()) {
                let message = format!("`{word}` wants one of {all}");
                reader.error(Code::MissingProperty, cursor.place(), message, "write `tag=\"v…\"`");
            }
            one
        }
        _ => {
            let message = format!("`{word}` has one of {all}");
            reader.error(Code::SeveralSources, cursor.place(), message, "leave the others out");
            None
        }
    }
}

/// Host and name: `registry.example.org/brc/set`.
fn artifact_repository(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<String> {
    let is_host = |host: &str| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'))
    };
    let is_part = |part: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(fits)
    };
    let fits = text.split_once('/').is_some_and(|(host, name)| is_host(host) && name.split('/').all(is_part));
    if !fits || text.len() > MAX_NAME_BYTES {
        let message = format!("`{}` is not a repository of a registry", Url::new(text.value.as_str()));
        let help = "host and name, as `registry.example.org/brc/set`; what of it stands in `tag=` or `digest=`";
        reader.error(Code::BadUrl, text.span, message, help);
        return None;
    }
    Some(text.value)
}

fn artifact_tag(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || text.len() > 128 || text.starts_with(['.', '-']) || !text.chars().all(fits) {
        let message = format!("`{}` cannot be a tag of a registry", text.value.escape_debug());
        reader.error(Code::BadName, text.span, message, "such as `v0.4.0`");
        return None;
    }
    Some(text.value)
}

fn artifact_digest(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<Sha256> {
    let digest = text.strip_prefix("sha256:").and_then(|digits| Sha256::parse(digits).ok());
    if digest.is_none() {
        let message = format!("`{}` is no digest: expected `sha256:` and 64 hexadecimal digits", text.value);
        reader.error(Code::BadDigest, text.span, message, "it is that of the manifest");
    }
    digest
}

/// A repository that brc reads by itself, which speaks HTTP alone. What is secret has no place in recipes.
fn repository_url(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<Url> {
    let url = Url::new(text.value.as_str());
    let is_web = ["https://", "http://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    if !is_web || !text.chars().all(|c| c.is_ascii_graphic()) || text.contains(['?', '#']) {
        let message = format!("`{url}` is not a git repository that brc fetches");
        let help = "`https://…` or `http://…`, without white space; a clone on this machine is a `path`";
        reader.error(Code::BadUrl, text.span, message, help);
        return None;
    }
    if url.split_user().0.is_some() {
        let message = format!("`{url}` has a user name or password in front of its host");
        let help = "recipes are for everybody: leave it out, and name the URL with it by `--mirror NAME=URL` or \
                    `BRC_MIRROR_NAME`";
        reader.error(Code::BadUrl, text.span, message, help);
        return None;
    }
    Some(url)
}

/// The name of a tag or branch, as git-check-ref-format(1) has it.
fn reference(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<String> {
    let is_odd = |c: char| !c.is_ascii_graphic() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let fits = text.len() <= MAX_NAME_BYTES && text.split('/').all(is_part) && !text.contains(is_odd);
    if !fits || text.contains("..") || text.contains("@{") || text.ends_with('.') {
        let message = format!("`{}` cannot be the name of a tag or branch", text.value.escape_debug());
        reader.error(Code::BadName, text.span, message, "such as `v0.4.0`, without `refs/…` in front");
        return None;
    }
    Some(text.value)
}

fn commit(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<String> {
    let is_digit = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
    if text.len() != COMMIT_DIGITS || !text.chars().all(is_digit) {
        let message = format!("`{}` is no commit: expected {COMMIT_DIGITS} hexadecimal digits", text.value);
        reader.error(Code::BadDigest, text.span, message, "`git rev-parse` says them; a name is a `tag=` or `branch=`");
        return None;
    }
    Some(text.value)
}

impl SetSource {
    /// Where it is, without what of it is meant. A registry is asked by TLS, but for one on this machine.
    pub fn url(&self) -> Url {
        match self {
            SetSource::Git { url, .. } => url.clone(),
            SetSource::Oci { repository, .. } => {
                let host = repository.split('/').next().unwrap_or_default();
                let is_here = |name: &str| host == name || host.starts_with(&format!("{name}:"));
                let scheme = if LOOPBACK.into_iter().any(is_here) { "http" } else { "https" };
                Url::new(format!("{scheme}://{repository}"))
            }
        }
    }

    /// What of it is meant, in a word: `v0.4.0`.
    pub fn version(&self) -> String {
        match self {
            SetSource::Git {
                revision: Revision::Tag(name) | Revision::Branch(name) | Revision::Commit(name), ..
            }
            | SetSource::Oci { reference: Reference::Tag(name), .. } => name.clone(),
            SetSource::Oci { reference: Reference::Digest(digest), .. } => format!("sha256:{digest}"),
        }
    }
}
