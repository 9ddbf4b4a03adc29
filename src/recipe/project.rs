//! A project: which recipes there are, from which sets, and what is overridden.

use std::collections::BTreeMap;

use super::{
    Archive, Checkout, Code, Component, Feature, FileGlob, Kernel, Name, Override, Packages, SourcePath, Span, Spanned,
    Target, Variant,
    decode::{Cursor, Reader, Seen},
    import::{Import, set_name},
    parse::Node,
    word::{ProjectWord, Word as _},
};
use crate::content::Glob;

/// The file that makes a folder a project.
pub const PROJECT_FILE: &str = "brc.kdl";
/// The file of a developer's own beside it.
pub const LOCAL_FILE: &str = "brc.local.kdl";

/// What a project and the sets that it imports say together, checked word by word. Every name in it names a thing that
/// is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipes {
    /// The sets; the project's own is the first.
    pub sets: Vec<Set>,
    /// `archive "debian" { … }`: where packages come from.
    pub archives: BTreeMap<Name, Archive>,
    /// `component "runc" { … }`: what is built from source, or only brings files. Components, package groups and kernels
    /// share one set of names.
    pub components: BTreeMap<Name, Component>,
    /// `packages "base" archive="debian" suite="trixie" { … }`: packages of a distribution.
    pub packages: BTreeMap<Name, Packages>,
    /// `kernel "linux-6.12" { … }`: a kernel.
    pub kernels: BTreeMap<Name, Kernel>,
    /// `variant "node" { … }`: what is composed into an image.
    pub variants: BTreeMap<Name, Variant>,
    /// `feature "debug" "a console on the serial port" on=#false`: a name that conditions may ask about, declared once,
    /// here or in a variant, with a sentence; off when `on=` is not said. Every set sees every feature.
    pub features: BTreeMap<String, Feature>,
    /// `target "stage" { aws { … } }`: where images are published, and for whom.
    pub targets: BTreeMap<Name, Target>,
    /// `override "runc" { … }`: changes what is stated elsewhere, for every variant. Those of `brc.local.kdl` come last.
    pub overrides: Vec<Override>,
    /// The folders that a developer's components are built from.
    pub checkouts: BTreeMap<Name, Checkout>,
}

/// A recipe set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name; empty for a project without `brc.kdl`.
    pub name: String,
    /// Its folder.
    pub root: SourcePath,
    /// The node that names or imports it, where there is one.
    pub span: Option<Span>,
}

/// What only `brc.kdl` says, beside recipes.
///
/// `needs-brc "0.1"`: the least brc that reads these recipes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProjectFile {
    /// `project "acme-images"`: the project's name, `[a-z0-9-]{1,64}`; the name of its set of recipes.
    pub(super) name: Option<Spanned<String>>,
    /// `read "recipes/**/*.kdl" …`: the files that belong to it: `*` and `?` inside a name, `**` over folders; none of them
    /// stands for a name that begins with a dot.
    pub(super) read: Vec<Spanned<FileGlob>>,
    /// `recipes "brc" { git "https://git.example.org/brc.git" tag="v0.4.0" }`: another set of recipes, in a folder, a git
    /// repository or a registry; its name is what its own `project` says. One from elsewhere is locked by its commit or
    /// manifest and by the digest of its tree.
    pub(super) imports: Vec<Import>,
}

impl ProjectFile {
    /// Reads the nodes that only `brc.kdl` has and leaves the others alone.
    pub(super) fn read(reader: &mut Reader<'_>, nodes: &[Node<'_>]) -> Self {
        let mut project = ProjectFile::default();
        let mut seen = Seen::new();
        for node in nodes {
            let Some(word) = ProjectWord::of(&node.name) else { continue };
            if word.is_single() {
                reader.only_one(&mut seen, node);
            }
            match word {
                ProjectWord::Project => {
                    let mut cursor = Cursor::new(reader, node, word);
                    let name = cursor.text(reader, "a name").and_then(|name| set_name(reader, name));
                    project.name = project.name.take().or(name);
                    cursor.finish(reader);
                }
                ProjectWord::Read => {
                    let mut cursor = Cursor::new(reader, node, word);
                    let texts = cursor.texts(reader, "a pattern of files");
                    project.read.extend(texts.into_iter().filter_map(|text| file_glob(reader, text)));
                    cursor.finish(reader);
                }
                ProjectWord::Recipes => project.imports.extend(Import::read(reader, node)),
                ProjectWord::NeedsBrc => {
                    let mut cursor = Cursor::new(reader, node, word);
                    if let Some(version) = cursor.text(reader, "a version") {
                        check_version(reader, &version);
                    }
                    cursor.finish(reader);
                }
            }
        }
        project
    }
}

fn file_glob(reader: &mut Reader<'_>, text: Spanned<String>) -> Option<Spanned<FileGlob>> {
    let message = if let Err(error) = Glob::new(&format!("/{}", text.value)) {
        error.to_string()
    } else if !text.ends_with(".kdl") {
        format!("`{}` finds files that are not called `….kdl`", text.value)
    } else {
        let glob = FileGlob { folder: reader.folder.clone(), pattern: text.value };
        return Some(Spanned::new(glob, text.span));
    };
    reader.error(Code::BadGlob, text.span, message, "such as `recipes/**/*.kdl`");
    None
}

/// A set states the least brc that reads it.
fn check_version(reader: &mut Reader<'_>, version: &Spanned<String>) {
    let numbers = |text: &str| text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>();
    let Some(wanted) = numbers(version).filter(|wanted| wanted.len() <= 3) else {
        let message = format!("`{}` is not a version of brc", version.value);
        reader.error(Code::BadVersion, version.span, message, "such as `0.1.0`");
        return;
    };
    let own = env!("CARGO_PKG_VERSION");
    if numbers(own).is_some_and(|own| own < wanted) {
        let message = format!("these recipes want brc {}, and this is {own}", version.value);
        reader.error(Code::NewerBrc, version.span, message, "install a newer brc");
    }
}
