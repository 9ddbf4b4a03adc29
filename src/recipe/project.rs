//! A project: which recipes there are, from which sets, and what is overridden.

use std::collections::BTreeMap;

use super::{
    Archive, Checkout, Component, ComponentItem, Feature, FileGlob, Guarded, Kernel, KernelItem, Name, Packages,
    PackagesItem, SourcePath, Span, Spanned, Variant, code,
    decode::{Cursor, Reader},
    names::{Kind, Space},
    parse::Node,
};
use crate::content::Glob;

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

/// A change of something that is stated elsewhere: `override "runc" { version "1.2.6"; upstream sha256="…" }`. Its block is
/// that of what it changes; lists append, single values replace, and what is not said stays. One that changes nothing
/// is a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// What is changed.
    pub target: Spanned<Name>,
    /// How.
    pub change: Change,
    /// Who wants it.
    pub origin: Origin,
    /// The whole node.
    pub span: Span,
}

/// What an override says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Of a component.
    Component(Vec<Guarded<ComponentItem>>),
    /// Of a package group; a package that is already in it is replaced.
    Packages(Vec<Guarded<PackagesItem>>),
    /// Of a kernel.
    Kernel(Vec<Guarded<KernelItem>>),
}

/// Where an override comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A recipe.
    Recipe,
    /// `brc.local.kdl`: a developer's own, not committed.
    Local,
}

/// What only `brc.kdl` says, beside recipes.
///
/// `needs-brc "0.1"`: the least brc that reads these recipes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProjectFile {
    /// `project "acme-images"`: the project's name, `[a-z0-9-]{1,64}`; the name of its set of recipes.
    pub(super) name: Option<Spanned<String>>,
    /// `read "recipes/**/*.kdl" …`: the files that belong to it: `*` and `?` inside a name, `**` over folders.
    pub(super) read: Vec<Spanned<FileGlob>>,
    /// `recipes "brc" { path "../brc" }`: another set of recipes, in a folder; its name is what its own `project` says.
    pub(super) imports: Vec<Import>,
}

/// A set of recipes that is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) name: Spanned<String>,
    /// `path "../brc"`: its folder, relative to this one.
    pub(super) root: SourcePath,
}

impl ProjectFile {
    /// Reads the nodes that [`super::word::PROJECT`] names and leaves the others alone.
    pub(super) fn read(reader: &mut Reader<'_>, nodes: &[Node<'_>]) -> Self {
        let mut project = ProjectFile::default();
        for node in nodes {
            match node.name.as_ref() {
                "project" => {
                    let mut cursor = Cursor::new(reader, node);
                    let name = cursor.text(reader, "a name").and_then(|name| set_name(reader, name));
                    if let (Some(earlier), Some(name)) = (&project.name, &name) {
                        let help = format!("it is already called `{}`", earlier.value);
                        reader.error(code::REPEATED_NODE, name.span, "`project` stands here twice", help);
                    }
                    project.name = project.name.take().or(name);
                    cursor.finish(reader);
                }
                "read" => {
                    let mut cursor = Cursor::new(reader, node);
                    let texts = cursor.texts(reader, "a pattern of files");
                    project.read.extend(texts.into_iter().filter_map(|text| file_glob(reader, text)));
                    cursor.finish(reader);
                }
                "recipes" => project.imports.extend(Import::read(reader, node)),
                "needs-brc" => {
                    let mut cursor = Cursor::new(reader, node);
                    if let Some(version) = cursor.text(reader, "a version") {
                        check_version(reader, &version);
                    }
                    cursor.finish(reader);
                }
                _ => {}
            }
        }
        project
    }
}

fn set_name(reader: &mut Reader<'_>, name: Spanned<String>) -> Option<Spanned<String>> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let message = format!("`{}` cannot be the name of a project", name.value);
        reader.error(code::BAD_NAME, name.span, message, "names of projects are `[a-z0-9-]{1,64}`");
        return None;
    }
    Some(name)
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
    reader.error(code::BAD_GLOB, text.span, message, "such as `recipes/**/*.kdl`");
    None
}

/// A set states the least brc that reads it.
fn check_version(reader: &mut Reader<'_>, version: &Spanned<String>) {
    let numbers = |text: &str| text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>();
    let Some(wanted) = numbers(version).filter(|wanted| wanted.len() <= 3) else {
        let message = format!("`{}` is not a version of brc", version.value);
        reader.error(code::BAD_VERSION, version.span, message, "such as `0.1.0`");
        return;
    };
    let own = env!("CARGO_PKG_VERSION");
    if numbers(own).is_some_and(|own| own < wanted) {
        let message = format!("these recipes want brc {}, and this is {own}", version.value);
        reader.error(code::NEWER_BRC, version.span, message, "install a newer brc");
    }
}

impl Import {
    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node);
        let name = cursor.text(reader, "a name").and_then(|name| set_name(reader, name));
        let mut root = None;
        let mut seen = BTreeMap::new();
        for inner in cursor.block() {
            if inner.name == "git" {
                let what =
                    "`git` (recipe sets from a git repository) is known, but this version of brc does not do it yet";
                reader.error(code::NOT_YET, inner.name_span, what, "clone it and write `path \"…\"`");
                continue;
            }
            if inner.name != "path" {
                reader.unknown_node(inner, "`recipes`", &["path"]);
                continue;
            }
            reader.only_one(&mut seen, inner);
            let mut inner = Cursor::new(reader, inner);
            root = inner.text(reader, "a folder").map(|path| reader.folder.join(&path)).or(root);
            inner.finish(reader);
        }
        if node.children.as_ref().is_none_or(Vec::is_empty) {
            let message = "`recipes` does not say where the recipes are";
            reader.error(code::MISSING_NODE, node.name_span, message, "write `{ path \"…\" }`");
        }
        cursor.finish(reader);
        Some(Import { name: name?, root: root? })
    }
}

impl Override {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node);
        let target = cursor.text(reader, "the name of a component");
        let target = target.and_then(|name| reader.reference(&name, Space::Component));
        let nodes = cursor.block();
        cursor.finish(reader);
        let target = target?;
        let change = match reader.names.kind(Space::Component, &target)? {
            Kind::Packages => Change::Packages(PackagesItem::read_all(reader, nodes)),
            Kind::Kernel => Change::Kernel(KernelItem::read_all(reader, nodes)),
            _ => Change::Component(ComponentItem::read_all(reader, nodes)),
        };
        Some(Override { target, change, origin: reader.origin, span: node.span })
    }
}
