//! Components: what is built from source, and what only brings files or needs others.

use super::{
    BuildSystem, BuildSystemStep, Code, Command, Diagnostic, Guarded, Item, LocalPath, Name, Owner, Span, Spanned,
    Template, Upstream,
    condition::read_block,
    decode::{Cursor, Reader},
    item::replaces,
    parse::Node,
    user::owner,
    word::{ComponentWord, TopWord},
};
use crate::content::{Glob, RelPath};

/// What is built from source, or only brings files or needs others: `component "runc" { … }`. What it builds is
/// laid into the image as it lies in `$out`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: Spanned<Name>,
    /// What its block says, in order. Scalars (version, licence, upstream): the last one that holds counts.
    pub items: Vec<Guarded<ComponentItem>>,
    /// The whole node.
    pub span: Span,
}

/// One node of a component's block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentItem {
    /// `version "1.2.5"`: its version, for `{version}`, `$version` and the manifest.
    Version(Spanned<String>),
    /// `license "Apache-2.0 OR MIT"`: an SPDX expression, for the manifest.
    License(Spanned<String>),
    /// `upstream { url "…" sha256="…" }`: its source, in the folder in which the steps run. Without one that folder is
    /// empty.
    Upstream(Upstream),
    /// `patch "a.patch" …`: files beside the recipe, laid over the source with `patch -p1`, in order. A tool set must
    /// bring `patch`; `c` does.
    Patch(Vec<LocalPath>),
    /// `satisfies debian="runc" version="1.2.5"`: stands for a package that others depend on, which is then left out.
    Satisfies(Satisfies),
    /// `build-with "c" …`: tool sets, laid at the root of the sandbox; nothing of them is in the image.
    BuildWith(Vec<Spanned<Name>>),
    /// `link-with "libseccomp" …`: what it is compiled against: components and package groups for the target, with all
    /// that they need, at `/sysroot`. Said by a tool set it holds for all that is built with that.
    LinkWith(Vec<Spanned<Name>>),
    /// `same-version "rustc" "libstd-rust-dev"`: packages that must be locked in one version, in a tool set and in what
    /// is linked with it.
    SameVersion(Vec<Spanned<String>>),
    /// `needs "libseccomp" …`: components and package groups that are in the image too.
    Needs(Vec<Spanned<Name>>),
    /// What builds it, in the order in which it stands.
    Command(Command),
    /// `drop "/usr/include/**" …`: what of its build does not come into the image; what links with it still sees it.
    /// `*` and `?` stand for letters of a name, `**` for folders.
    Drop(Vec<Spanned<Glob>>),
    /// `install "runc" to="/usr/bin/runc"`: after the steps, a file that they left is copied into the image.
    Install(InstallItem),
    /// What components, kernels and variants alike have.
    Common(Item),
}

/// A package of an archive that this component stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Satisfies {
    /// `debian="runc"`: the package.
    pub package: Spanned<String>,
    /// `version="1.2.5"`: what dependencies on a version are compared with; the component's own when it is not said.
    pub version: Option<Spanned<String>>,
}

/// A file that the build left: `install "runc" to="/usr/bin/runc" mode=0o755`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallItem {
    /// The file, below the folder in which the steps ran.
    pub from: Spanned<Template>,
    /// `to="/usr/bin/runc"`: where it comes to stand, absolute.
    pub to: Spanned<Template>,
    /// `mode=0o755`: its mode, octal, 12 bits; when it is not said 0755 for what the build made executable, else 0644.
    pub mode: Option<Spanned<u16>>,
    /// `owner="user:group"`: names, never numbers; root when it is not said, the user's own group when that is not.
    pub owner: Option<Spanned<Owner>>,
    /// `replaces="/usr/bin/runc"`: paths that it may take from another owner, also as a node `{ replaces "/a" "/b" }`.
    /// Without it two owners of a path are an error.
    pub replaces: Vec<Spanned<RelPath>>,
}

impl Component {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node, TopWord::Component);
        let name = cursor.text(reader, "a name").and_then(|name| reader.own_name(name));
        let items = ComponentItem::read_all(reader, cursor.block());
        cursor.finish(reader);
        reader.check_source(node);
        Some(Component { name: name?, items, span: node.span })
    }
}

impl ComponentItem {
    /// Reads the block of a component, or of an override of one.
    pub(super) fn read_all(reader: &mut Reader<'_>, nodes: &[Node<'_>]) -> Vec<Guarded<Self>> {
        read_block(reader, nodes, &[], &mut |reader, node, word, _| {
            Self::read(reader, node, word).into_iter().collect()
        })
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>, word: Option<ComponentWord>) -> Option<Self> {
        let Some(word) = word else {
            return Item::read::<ComponentWord>(reader, node).map(ComponentItem::Common);
        };
        let mut cursor = Cursor::new(reader, node, word);
        let some = |names: Vec<Spanned<Name>>| Some(names).filter(|names| !names.is_empty());
        let system = |reader: &mut Reader<'_>, cursor: &mut Cursor<'_>, system| {
            let step = BuildSystemStep::read(reader, cursor, system);
            step.map(|step| ComponentItem::Command(Command::System(step)))
        };
        let item = match word {
            ComponentWord::Step => Command::step(reader, &mut cursor).map(ComponentItem::Command),
            ComponentWord::Script => Command::script(reader, &mut cursor).map(ComponentItem::Command),
            ComponentWord::Autotools => system(reader, &mut cursor, BuildSystem::Autotools),
            ComponentWord::Cargo => system(reader, &mut cursor, BuildSystem::Cargo),
            ComponentWord::Cmake => system(reader, &mut cursor, BuildSystem::Cmake),
            ComponentWord::Go => system(reader, &mut cursor, BuildSystem::Go),
            ComponentWord::Kbuild => system(reader, &mut cursor, BuildSystem::Kbuild),
            ComponentWord::Meson => system(reader, &mut cursor, BuildSystem::Meson),
            ComponentWord::Version => {
                let text = cursor.text(reader, "a version");
                text.and_then(|text| reader.version(text)).map(ComponentItem::Version)
            }
            ComponentWord::License => {
                let text = cursor.text(reader, "an SPDX licence expression");
                text.and_then(|text| reader.license(text)).map(ComponentItem::License)
            }
            ComponentWord::Upstream => Some(ComponentItem::Upstream(Upstream::read(reader, &mut cursor))),
            ComponentWord::Patch => Some(ComponentItem::Patch(reader.locals(&mut cursor))),
            ComponentWord::Satisfies => Satisfies::read(reader, &mut cursor).map(ComponentItem::Satisfies),
            ComponentWord::BuildWith => some(reader.parts(&mut cursor)).map(ComponentItem::BuildWith),
            ComponentWord::LinkWith => some(reader.parts(&mut cursor)).map(ComponentItem::LinkWith),
            ComponentWord::Drop => reader.globs(&mut cursor).map(ComponentItem::Drop),
            ComponentWord::SameVersion => {
                let texts = cursor.texts(reader, "a package");
                let packages: Vec<_> = texts.into_iter().filter_map(|text| reader.package(text)).collect();
                if packages.len() == 1 {
                    let message = "one package always has the version that it has";
                    let problem = Diagnostic::error(Code::MissingArgument, node.span, message);
                    reader
                        .problems
                        .push(problem.help("name the others too: `same-version \"rustc\" \"libstd-rust-dev\"`"));
                }
                Some(packages).filter(|packages| !packages.is_empty()).map(ComponentItem::SameVersion)
            }
            ComponentWord::Needs => some(reader.parts(&mut cursor)).map(ComponentItem::Needs),
            ComponentWord::Install => InstallItem::read(reader, &mut cursor).map(ComponentItem::Install),
        };
        cursor.finish(reader);
        item
    }
}

impl Satisfies {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let package = cursor.required_property(reader, "debian").and_then(|text| reader.package(text));
        let version = cursor.text_property(reader, "version").and_then(|text| reader.version(text));
        Some(Satisfies { package: package?, version })
    }
}

impl InstallItem {
    fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let from = cursor.text(reader, "a file that the build left").and_then(|text| {
            let template = reader.template(text)?;
            let filled = template.fill(|_| Some("x")).unwrap_or_default();
            if filled.is_empty() || RelPath::new(&filled).is_err() {
                let message = format!("`{}` is no path below the folder of the build", *template);
                reader.problems.push(Diagnostic::error(Code::BadPath, template.span, message));
                return None;
            }
            Some(template)
        });
        let to = cursor.required_property(reader, "to").and_then(|text| reader.image_path(text));
        let (mode, owner, replaces) = (reader.mode(cursor), owner(reader, cursor), replaces(reader, cursor));
        Some(InstallItem { from: from?, to: to?, mode, owner, replaces })
    }
}
