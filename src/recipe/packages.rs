//! Archives of distribution packages, and groups of packages that are unpacked, never "installed".

use std::collections::BTreeMap;

use super::{
    Code, Diagnostic, Guarded, LocalPath, Name, Presence, Span, Spanned, Switch,
    condition::read_block,
    decode::{Cursor, Reader, Seen},
    names::Space,
    parse::Node,
    suggestion::nearest,
    word::{ArchiveWord, GuardWord, PackagesWord, TopWord, Word},
};
use crate::content::Glob;

/// An archive of packages: `archive "debian" { suite "trixie"; keyring "…" }`. Which server has it is
/// [not said here](../guides/mirrors.md).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its name.
    pub name: Spanned<Name>,
    /// `suite "trixie" "trixie-updates" …`: its suites, at least one.
    pub suites: Vec<Suite>,
    /// `area "main" "non-free-firmware" …`: the archive areas that packages come from, which apt calls components;
    /// `main` when it is not said.
    pub areas: Vec<Spanned<String>>,
    /// `keyring "keyrings/debian.asc" …`: files beside the recipe with the keys that sign it, at least one.
    pub keyrings: Vec<LocalPath>,
    /// The whole node.
    pub span: Span,
}

/// One suite of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// Its name: `trixie-security`.
    pub name: Spanned<String>,
    /// `mirror="debian-security"`: the mirror that has it; the archive's name when it is not said.
    pub mirror: Option<Spanned<String>>,
    /// `only-when-named=#true`: packages come from it only where a recipe says its name in `suite=`; `#false` when it
    /// is not said.
    pub reach: Reach,
    /// `accept-expired=#true`: its index may be older than its `Valid-Until`; `#false` when it is not said.
    pub expiry: Expiry,
}

/// When packages come from a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Whenever it has the highest version.
    Always,
    /// Only where a recipe names the suite: `only-when-named=#true`.
    OnlyWhenNamed,
}

/// What happens when a suite's index has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It is refused.
    Refused,
    /// It is taken: `accept-expired=#true`.
    Accepted,
}

/// A group of packages, unpacked and never "installed": `packages "base" archive="debian" suite="trixie" { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packages {
    /// Its name.
    pub name: Spanned<Name>,
    /// `archive="debian"`: the archive they come from; required.
    pub archive: Spanned<Name>,
    /// `suite="trixie"`: the suite they come from, with its updates and security; required.
    pub suite: Spanned<String>,
    /// What its block says, in order.
    pub items: Vec<Guarded<PackagesItem>>,
    /// The whole node.
    pub span: Span,
}

/// One node of a group's block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackagesItem {
    /// `package "iproute2"`: a package with what it depends on; for most names `iproute2` alone says the same.
    Package(Package),
    /// `without "debconf" … reason="…"`: packages that are not followed, whatever depends on them.
    Without(Reasoned),
    /// `drop "/usr/share/doc/**" … from="foo"`: paths that are left out of the image, of every package in it or of one.
    Drop(PackagesDrop),
    /// `maintainer-scripts "libc6" … reason="…"`: packages whose scripts are accounted for; brc runs none, and names
    /// those that nobody accounted for.
    MaintainerScripts(Reasoned),
}

/// Paths of packages that are left out: `drop "/usr/share/doc/**" …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagesDrop {
    /// The paths as they are in the image, whatever links a package brings them through; `*` and `?` stand for letters of
    /// a name, `**` for folders. One that fits nothing is told when the image is composed.
    pub globs: Vec<Spanned<Glob>>,
    /// `from="foo"`: the one package of which they are left out, where two bring the same path; all when it is not said.
    pub from: Option<Spanned<String>>,
}

/// One package that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name in the archive.
    pub name: Spanned<String>,
    /// `version="1.2.5-1"`: exactly this version; the highest one when it is not said.
    pub version: Option<Spanned<String>>,
    /// `suite="trixie-backports"`: another suite than the group's.
    pub suite: Option<Spanned<String>>,
    /// `without="runc"`: a package that it depends on and that is not followed from here.
    pub without: Option<Spanned<String>>,
}

/// Packages and why something is so for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasoned {
    /// The packages.
    pub packages: Vec<Spanned<String>>,
    /// `reason="…"`: why, for people; required.
    pub reason: Spanned<String>,
}

impl Archive {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node, TopWord::Archive);
        let name = cursor.text(reader, "a name").and_then(|name| reader.own_name(name));
        let (mut suites, mut keyrings): (Vec<Suite>, Vec<LocalPath>) = (Vec::new(), Vec::new());
        let mut areas = Vec::new();
        let mut seen = Seen::new();
        for inner in cursor.block() {
            let Some(word) = reader.word(inner, &mut seen) else { continue };
            let mut inner = Cursor::new(reader, inner, word);
            match word {
                ArchiveWord::Suite => suites.extend(Suite::read_all(reader, &mut inner)),
                ArchiveWord::Area => {
                    let texts = inner.texts(reader, "the name of an area");
                    areas.extend(texts.into_iter().filter_map(|text| reader.suite_name(text, "an area")));
                }
                ArchiveWord::Keyring => {
                    let texts = inner.texts(reader, "a file of keys");
                    keyrings.extend(texts.into_iter().filter_map(|text| reader.local(text, Presence::File)));
                }
            }
            inner.finish(reader);
        }
        for wanted in [ArchiveWord::Suite.text(), ArchiveWord::Keyring.text()] {
            if !node.children.iter().flatten().any(|inner| inner.name == wanted) {
                let message = format!("an `archive` wants a `{wanted}`");
                reader.error(Code::MissingNode, node.name_span, message, format!("write `{wanted} \"…\"`"));
            }
        }
        once(reader, "suite", suites.iter().map(|suite| &suite.name));
        once(reader, "area", areas.iter());
        cursor.finish(reader);
        Some(Archive { name: name?, suites, areas, keyrings, span: node.span })
    }
}

/// Tells of each name that stands more than once.
fn once<'a>(reader: &mut Reader<'_>, what: &str, names: impl Iterator<Item = &'a Spanned<String>>) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for name in names {
        if let Some(earlier) = seen.insert(name, name.span) {
            let message = format!("{what} `{}` stands here twice", name.value);
            let problem = Diagnostic::error(Code::RepeatedNode, name.span, message);
            reader.problems.push(problem.also(earlier, "first here"));
        }
    }
}

impl Suite {
    /// One for each name in the line.
    fn read_all(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Vec<Suite> {
        let names = cursor.texts(reader, "the name of a suite");
        let mirror = cursor.text_property(reader, "mirror").and_then(|text| reader.suite_name(text, "a mirror"));
        let is_on = |switch: Option<Spanned<Switch>>| switch.is_some_and(|switch| *switch == Switch::On);
        let named = is_on(cursor.switch_property(reader, "only-when-named"));
        let expired = is_on(cursor.switch_property(reader, "accept-expired"));
        let reach = if named { Reach::OnlyWhenNamed } else { Reach::Always };
        let expiry = if expired { Expiry::Accepted } else { Expiry::Refused };
        let names = names.into_iter().filter_map(|name| reader.suite_name(name, "a suite"));
        names.map(|name| Suite { name, mirror: mirror.clone(), reach, expiry }).collect()
    }
}

impl Packages {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node, TopWord::Packages);
        let name = cursor.text(reader, "a name").and_then(|name| reader.own_name(name));
        let archive = cursor.required_property(reader, "archive");
        let archive = archive.and_then(|name| reader.reference(&name, Space::Archive));
        let suite = cursor.required_property(reader, "suite");
        let suite = suite.and_then(|name| reader.suite_name(name, "a suite"));
        let items = PackagesItem::read_all(reader, cursor.block());
        cursor.finish(reader);
        Some(Packages { name: name?, archive: archive?, suite: suite?, items, span: node.span })
    }
}

impl PackagesItem {
    /// Reads the block of a package group, or of an override of one.
    pub(super) fn read_all(reader: &mut Reader<'_>, nodes: &[Node<'_>]) -> Vec<Guarded<Self>> {
        read_block(reader, nodes, &[], &mut |reader, node, word, _| {
            Self::read(reader, node, word).into_iter().collect()
        })
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>, word: Option<PackagesWord>) -> Option<Self> {
        if word.is_none() && !Package::looks_like_one(node) {
            let known = [PackagesWord::TEXTS, GuardWord::TEXTS];
            match nearest(&node.name, known.iter().copied().flatten().copied()) {
                Some(meant) => reader.error(
                    Code::UnknownNode,
                    node.name_span,
                    format!("{} has no `{}`", PackagesWord::PLACE, node.name),
                    format!("did you mean `{meant}`?"),
                ),
                None => reader.unknown_node(node, PackagesWord::PLACE, &known),
            }
            return None;
        }
        // Any other word is the name of a package.
        let mut cursor = Cursor::new(reader, node, word.unwrap_or(PackagesWord::Package));
        let item = match word {
            Some(PackagesWord::Without) => Reasoned::read(reader, &mut cursor).map(PackagesItem::Without),
            Some(PackagesWord::MaintainerScripts) => {
                Reasoned::read(reader, &mut cursor).map(PackagesItem::MaintainerScripts)
            }
            Some(PackagesWord::Drop) => {
                let globs = reader.globs(&mut cursor).unwrap_or_default();
                let from = cursor.text_property(reader, "from").and_then(|text| reader.package(text));
                (!globs.is_empty()).then_some(PackagesItem::Drop(PackagesDrop { globs, from }))
            }
            Some(PackagesWord::Package) => {
                let name = cursor.text(reader, "the name of a package");
                name.and_then(|name| Package::read(reader, &mut cursor, name)).map(PackagesItem::Package)
            }
            None => {
                let name = Spanned::new(node.name.clone().into_owned(), node.name_span);
                Package::read(reader, &mut cursor, name).map(PackagesItem::Package)
            }
        };
        cursor.finish(reader);
        item
    }
}

impl Package {
    /// Whether a node is a package and not a word with a slip in it: packages have no arguments and no block, and
    /// a block of nothing but the words of a component is a mistake.
    fn looks_like_one(node: &Node<'_>) -> bool {
        let known = PackagesWord::Package.properties();
        node.children.is_none()
            && node.entries.iter().all(|entry| entry.name.is_some())
            && (node.entries.is_empty()
                || node.entries.iter().flat_map(|entry| &entry.name).any(|(name, _)| known.contains(&name.as_ref())))
    }

    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>, name: Spanned<String>) -> Option<Self> {
        let version = cursor.text_property(reader, "version").and_then(|text| reader.version(text));
        let suite = cursor.text_property(reader, "suite").and_then(|text| reader.suite_name(text, "a suite"));
        let without = cursor.text_property(reader, "without").and_then(|text| reader.package(text));
        Some(Package { name: reader.package(name)?, version, suite, without })
    }
}

impl Reasoned {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let texts = cursor.texts(reader, "the name of a package");
        let packages: Vec<_> = texts.into_iter().filter_map(|text| reader.package(text)).collect();
        let reason = cursor.required_property(reader, "reason").and_then(|text| reader.reason(text))?;
        Some(Reasoned { packages, reason }).filter(|reasoned| !reasoned.packages.is_empty())
    }
}

impl Reader<'_> {
    /// What a `reason=` says.
    pub(super) fn reason(&mut self, text: Spanned<String>) -> Option<Spanned<String>> {
        if text.trim().is_empty() {
            self.problems.push(Diagnostic::error(Code::BadValue, text.span, "a reason is a sentence"));
            return None;
        }
        Some(text)
    }
}
