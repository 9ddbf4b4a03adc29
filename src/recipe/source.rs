//! The texts that are read, by path, and what is known about paths.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use brc_contract::Architecture;

use super::{Brace, Diagnostic, FileId, PLATFORMS, Severity, Span, Template};
use crate::content::{Glob, OneLine, RelPath};

/// A path of the machine that composes, as recipes see it: relative to the project's folder, or absolute.
///
/// Normalized: no `.`, no double `/`, `..` only at the front of a relative one. It is text; nothing is looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SourcePath(String);

impl SourcePath {
    /// Normalizes a path. `.` is the project's folder itself; so is the empty text.
    pub fn new(path: &str) -> Self {
        let absolute = path.starts_with('/');
        let mut names: Vec<&str> = Vec::new();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." if names.last().is_some_and(|last| *last != "..") => {
                    names.pop();
                }
                ".." if absolute => {}
                name => names.push(name),
            }
        }
        SourcePath(format!("{}{}", if absolute { "/" } else { "" }, names.join("/")))
    }

    /// The path as text; empty for the project's folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What `path` means when it is stated in this folder.
    pub fn join(&self, path: &str) -> SourcePath {
        if path.starts_with('/') || self.0.is_empty() {
            Self::new(path)
        } else {
            Self::new(&format!("{}/{path}", self.0))
        }
    }

    /// The folder that holds this path.
    pub fn folder(&self) -> SourcePath {
        self.join("..")
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// This path below `folder`, or `None` when it does not lie there.
    pub fn below(&self, folder: &SourcePath) -> Option<&str> {
        if folder.0.is_empty() {
            let outside = self.0.starts_with('/') || self.0 == ".." || self.0.starts_with("../");
            return (!outside).then_some(self.0.as_str());
        }
        if self == folder {
            return Some("");
        }
        let rest = self.0.strip_prefix(folder.0.as_str())?;
        let rest = if folder.0 == "/" { rest } else { rest.strip_prefix('/')? };
        (rest != ".." && !rest.starts_with("../")).then_some(rest)
    }
}

impl fmt::Display for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", OneLine(if self.0.is_empty() { "." } else { &self.0 }))
    }
}

/// A file or folder beside the recipes; its bytes are no business of this room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPath {
    /// The folder of the file that states it.
    pub folder: SourcePath,
    /// The path as it is written, relative to that folder.
    pub path: Template,
    /// Where it stands.
    pub span: Span,
}

impl LocalPath {
    /// The path with its braces filled; `None` when `value` has none for a brace in it.
    pub fn fill<'a>(&self, value: impl Fn(Brace) -> Option<&'a str>) -> Option<SourcePath> {
        self.path.fill(value).map(|path| self.folder.join(&path))
    }

    /// Every path that this can become for some architecture and platform; none when a version is in it.
    pub(super) fn possible(&self) -> BTreeSet<SourcePath> {
        let platforms = if self.path.uses(Brace::Platform) { PLATFORMS.to_vec() } else { vec![""] };
        let mut paths = BTreeSet::new();
        for architecture in Architecture::ALL {
            paths.extend(platforms.iter().filter_map(|platform| {
                self.fill(|brace| match brace {
                    Brace::Arch => Some(architecture.name()),
                    Brace::DebianArch => Some(architecture.debian()),
                    Brace::Platform => Some(*platform),
                    Brace::Version => None,
                })
            }));
        }
        paths
    }
}

/// What a path is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// Nothing, or neither file nor folder.
    Missing,
    /// A link on the way leads out of the folder of the recipe set.
    Outside,
}

/// A pattern over files: `recipes/**/*.kdl` below a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileGlob {
    /// The folder that the pattern starts from.
    pub folder: SourcePath,
    /// The pattern: `*` and `?` inside one name, `**` over any number of names, hidden names only when written out.
    pub pattern: String,
}

impl FileGlob {
    /// Whether `path`, relative to the folder, fits. Names that begin with a dot fit only where the pattern has one.
    pub fn matches(&self, path: &str) -> bool {
        self.asks(path, Glob::matches)
    }

    /// Whether a file below the folder `path`, relative to the pattern's, may fit.
    pub fn may_match_below(&self, path: &str) -> bool {
        self.asks(path, Glob::may_match_below)
    }

    fn asks(&self, path: &str, ask: impl Fn(&Glob, &RelPath) -> bool) -> bool {
        let hidden = |path: &str| path.split('/').filter(|name| name.starts_with('.')).count();
        let (Ok(glob), Ok(path)) = (Glob::new(&format!("/{}", self.pattern)), RelPath::new(path)) else { return false };
        hidden(path.as_str()) <= hidden(&self.pattern) && ask(&glob, &path)
    }
}

/// What must be looked up before reading can go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextFiles {
    /// Files whose text is wanted; answer with [`SourceSet::add_file`] or [`SourceSet::add_missing`].
    pub files: BTreeSet<SourcePath>,
    /// Patterns whose files are wanted; answer with [`SourceSet::add_matches`].
    pub globs: BTreeSet<FileGlob>,
    /// Paths of which only is asked what they are; answer with [`SourceSet::add_presence`].
    pub presence: BTreeSet<SourcePath>,
    /// The same of folders that a developer names on this machine, which may be anywhere.
    pub anywhere: BTreeSet<SourcePath>,
    /// The folders of the recipe sets. Every other path lies in one of them as text, and has to on the disk: one that a link
    /// leads out of its folder is [`Presence::Outside`], a file [`SourceSet::add_outside`].
    pub roots: BTreeSet<SourcePath>,
}

/// The texts that were read so far and what is known about other paths.
#[derive(Debug, Clone, Default)]
pub struct SourceSet {
    project: Option<SourcePath>,
    /// The folders of imported sets that lie elsewhere, by their names.
    sets: BTreeMap<String, SourcePath>,
    composed: Option<SourcePath>,
    files: Vec<Source>,
    by_path: BTreeMap<SourcePath, Option<FileId>>,
    outside: BTreeSet<SourcePath>,
    matches: BTreeMap<FileGlob, Vec<SourcePath>>,
    presence: BTreeMap<SourcePath, Presence>,
}

#[derive(Debug, Clone)]
struct Source {
    path: SourcePath,
    text: String,
    /// Where each line begins, since the place of every node is asked for.
    lines: Vec<usize>,
    defect: Option<Defect>,
}

/// Why a file is not read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// It is larger than [`MAX_FILE`].
    TooLarge,
    /// It is not UTF-8 from this byte on.
    NotUtf8 { at: usize },
}

/// The most bytes a file may have.
const MAX_FILE: usize = 1 << 20;

impl SourceSet {
    /// Nothing read yet. `project` is the project's `brc.kdl`, `composed` the file that was asked for; at least
    /// one is given.
    pub fn new(project: Option<SourcePath>, composed: Option<SourcePath>) -> Self {
        SourceSet { project, composed, ..Self::default() }
    }

    /// With the folders that imported sets from elsewhere were laid out in, by the names of the imports.
    #[must_use]
    pub fn with_sets(self, sets: BTreeMap<String, SourcePath>) -> Self {
        SourceSet { sets, ..self }
    }

    /// Adds the bytes of a file. One that is too large or not UTF-8 is a diagnostic of [`super::read`].
    pub fn add_file(&mut self, path: SourcePath, bytes: Vec<u8>) {
        if self.by_path.get(&path).is_some_and(Option::is_some) {
            return;
        }
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.by_path.insert(path.clone(), Some(id));
        let (text, defect) = match String::from_utf8(bytes) {
            Ok(text) if text.len() > MAX_FILE => (String::new(), Some(Defect::TooLarge)),
            Ok(text) => (text, None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let valid = error.as_bytes().get(..at).unwrap_or(&[]);
                (String::from_utf8_lossy(valid).into_owned(), Some(Defect::NotUtf8 { at }))
            }
        };
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.files.push(Source { path, text, lines, defect });
    }

    /// Says that a wanted file is not there.
    pub fn add_missing(&mut self, path: SourcePath) {
        self.by_path.entry(path).or_insert(None);
    }

    /// Says that a link leads a wanted file out of the folder of its recipe set, so that it is not read.
    pub fn add_outside(&mut self, path: SourcePath) {
        self.outside.insert(path.clone());
        self.add_missing(path);
    }

    /// Says which files fit a pattern.
    pub fn add_matches(&mut self, glob: FileGlob, mut paths: Vec<SourcePath>) {
        paths.sort();
        self.matches.insert(glob, paths);
    }

    /// Says what a path is.
    pub fn add_presence(&mut self, path: SourcePath, presence: Presence) {
        self.presence.insert(path, presence);
    }

    /// Every file that was read, with its path.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourcePath)> {
        self.files.iter().enumerate().map(|(at, file)| (FileId(u32::try_from(at).unwrap_or(u32::MAX)), &file.path))
    }

    /// How many files were read.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether no file was read.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The path of a file.
    pub fn path(&self, file: FileId) -> &SourcePath {
        static NOWHERE: SourcePath = SourcePath(String::new());
        self.files.get(file.0 as usize).map_or(&NOWHERE, |source| &source.path)
    }

    /// The text of a file.
    pub fn text(&self, file: FileId) -> &str {
        self.files.get(file.0 as usize).map_or("", |source| &source.text)
    }

    /// The number of the line, from 1, that holds the byte `at`, and where that line begins.
    pub(super) fn line(&self, file: FileId, at: usize) -> (usize, usize) {
        let lines = self.files.get(file.0 as usize).map(|source| source.lines.as_slice()).unwrap_or_default();
        let number = lines.partition_point(|start| *start <= at);
        (number.max(1), number.checked_sub(1).and_then(|index| lines.get(index)).copied().unwrap_or(0))
    }

    pub(super) fn defect(&self, file: FileId) -> Option<Defect> {
        self.files.get(file.0 as usize).and_then(|source| source.defect)
    }

    pub(super) fn project(&self) -> Option<&SourcePath> {
        self.project.as_ref()
    }

    pub(super) fn set(&self, name: &str) -> Option<&SourcePath> {
        self.sets.get(name)
    }

    pub(super) fn composed(&self) -> Option<&SourcePath> {
        self.composed.as_ref()
    }

    /// The file at a path: `None` when nobody looked yet, `Some(None)` when it is not there.
    pub(super) fn file(&self, path: &SourcePath) -> Option<Option<FileId>> {
        self.by_path.get(path).copied()
    }

    pub(super) fn is_outside(&self, path: &SourcePath) -> bool {
        self.outside.contains(path)
    }

    pub(super) fn matches(&self, glob: &FileGlob) -> Option<&[SourcePath]> {
        self.matches.get(glob).map(Vec::as_slice)
    }

    pub(super) fn presence(&self, path: &SourcePath) -> Option<Presence> {
        self.presence.get(path).copied()
    }
}

/// The finding as one line: `error: FILE:LINE:COL: message; help [code]`.
pub fn one_line(sources: &SourceSet, diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = diagnostic.span().map_or_else(String::new, |span| {
        let (line, column) = line_and_column(sources, span);
        format!("{}:{line}:{column}: ", sources.path(span.file))
    });
    let help = diagnostic.help.as_deref().map_or_else(String::new, |help| format!("; {help}"));
    format!("{severity}: {place}{}{help} [{}]", diagnostic.message, diagnostic.code)
}

/// The line and column at which a span starts, both from 1; a column is a character, not a byte.
pub fn line_and_column(sources: &SourceSet, span: Span) -> (usize, usize) {
    let text = sources.text(span.file);
    let mut start = text.len().min(span.start as usize);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let (line, begin) = sources.line(span.file, start);
    (line, text.get(begin..start).unwrap_or("").chars().count() + 1)
}

impl NextFiles {
    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.globs.is_empty() && self.presence.is_empty() && self.anywhere.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized_as_text() {
        for (folder, path, joined) in [
            ("", "a/./b//c", "a/b/c"),
            ("recipes", "../keyrings/a", "keyrings/a"),
            ("", "../..", "../.."),
            ("../..", "../a", "../../../a"),
            ("../..", "brc.kdl", "../../brc.kdl"),
            ("/srv/a", "../b", "/srv/b"),
            ("/srv", "../../..", "/"),
            ("a", "/etc", "/etc"),
            ("a", "..", ""),
        ] {
            assert_eq!(SourcePath::new(folder).join(path).as_str(), joined, "{folder} {path}");
        }
    }

    #[test]
    fn a_path_lies_below_a_folder_or_it_does_not() {
        for (path, folder, below) in [
            ("a/b", "a", Some("b")),
            ("a", "a", Some("")),
            ("ab", "a", None),
            ("../a", "", None),
            ("a", "", Some("a")),
            ("/a", "", None),
            ("../a/b", "../a", Some("b")),
            ("../../a", "..", None),
            ("/a/b", "/", Some("a/b")),
            ("/a/b", "/a", Some("b")),
        ] {
            assert_eq!(SourcePath::new(path).below(&SourcePath::new(folder)), below, "{path} {folder}");
        }
    }

    #[test]
    fn patterns_find_files() {
        for (pattern, path, fits) in [
            ("recipes/**/*.kdl", "recipes/a.kdl", true),
            ("recipes/**/*.kdl", "recipes/b/c/a.kdl", true),
            ("recipes/**/*.kdl", "recipes/.a.kdl", false),
            ("*.kdl", "a.kdl", true),
            ("*.kdl", "b/a.kdl", false),
        ] {
            let glob = FileGlob { folder: SourcePath::default(), pattern: pattern.to_owned() };
            assert_eq!(glob.matches(path), fits, "{pattern} {path}");
        }
        let glob = FileGlob { folder: SourcePath::default(), pattern: "recipes/*/*.kdl".to_owned() };
        for (folder, may) in [("recipes", true), ("recipes/a", true), ("recipes/a/b", false), ("recipes/.a", false)] {
            assert_eq!(glob.may_match_below(folder), may, "{folder}");
        }
    }
}
