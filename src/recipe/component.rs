//! Components: what is built from source, and what only brings files or needs others.

use super::{
    Command, Diagnostic, Guarded, Item, LocalPath, Name, Owner, Span, Spanned, Switch, Template, code,
    condition::read_block,
    decode::{Cursor, Reader},
    item::{owner, replaces},
    parse::Node,
    word,
};
use crate::content::{RelPath, Sha256};

/// A component: `component "runc" { … }`.
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
    /// `version "1.2.5"`
    Version(Spanned<String>),
    /// `license "Apache-2.0"`: an SPDX expression.
    License(Spanned<String>),
    /// `upstream { url "…" sha256="…" }`
    Upstream(Upstream),
    /// `patch "a.patch" …`: laid over the unpacked upstream with `-p1`, in order.
    Patch(Vec<LocalPath>),
    /// `satisfies debian="runc" version="1.2.5"`
    Satisfies(Satisfies),
    /// `build-with "go" …`: in the sandbox only.
    BuildWith(Vec<Spanned<Name>>),
    /// `link-with "libseccomp" …`: in the sandbox, for the target architecture.
    LinkWith(Vec<Spanned<Name>>),
    /// `needs "libseccomp" …`: in the image.
    Needs(Vec<Spanned<Name>>),
    /// `step` or `script`
    Command(Command),
    /// `install FILE to=`: a file that the build left.
    Install(InstallItem),
    /// What variants may bring too.
    Common(Item),
}

/// Where the source comes from. In an override any part may be missing and then stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where to look, in order.
    pub urls: Vec<Spanned<Template>>,
    /// What the file must hash to; the lock finds out when it is not said.
    pub sha256: Option<Spanned<Sha256>>,
    /// How it is laid out: `unpack=#false` keeps the one file.
    pub unpack: Option<Spanned<Unpack>>,
    /// The node.
    pub span: Span,
}

/// How an upstream file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// As the content of the archive that it is.
    Archive,
    /// As the one file that it is.
    Keep,
}

/// A package of an archive that this component stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Satisfies {
    /// The package.
    pub package: Spanned<String>,
    /// The version that dependencies are compared with; the component's own when it is not said.
    pub version: Option<Spanned<String>>,
}

/// A file that the build left: `install "runc" to="/usr/bin/runc" mode=0o755`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallItem {
    /// The file, below the folder in which the steps ran.
    pub from: Spanned<Template>,
    /// Where it comes to stand: absolute.
    pub to: Spanned<Template>,
    /// Its mode, 12 bits; 0644 when it is not said, 0755 when the build made it executable.
    pub mode: Option<Spanned<u16>>,
    /// Its owner; root when it is not said.
    pub owner: Option<Spanned<Owner>>,
    /// The paths that it may take from another owner.
    pub replaces: Vec<Spanned<RelPath>>,
}

impl Component {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node);
        let name = cursor.text(reader, "a name").and_then(|name| reader.own_name(name));
        let items = ComponentItem::read_all(reader, cursor.block());
        cursor.finish(reader);
        Some(Component { name: name?, items, span: node.span })
    }
}

impl ComponentItem {
    /// Reads the block of a component, or of an override of one.
    pub(super) fn read_all(reader: &mut Reader<'_>, nodes: &[Node<'_>]) -> Vec<Guarded<Self>> {
        read_block(reader, nodes, &[], &mut |reader, node, _| Self::read(reader, node).into_iter().collect())
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        match node.name.as_ref() {
            "step" | "script" => return Command::read(reader, node).map(ComponentItem::Command),
            name if word::COMMON.contains(&name) => return Item::read(reader, node).map(ComponentItem::Common),
            name if !word::COMPONENT.contains(&name) => {
                reader.unknown_node(
                    node,
                    "`component`",
                    &[&word::COMPONENT[..], &word::COMMON, &word::GUARDS].concat(),
                );
                return None;
            }
            _ => {}
        }
        let mut cursor = Cursor::new(reader, node);
        let some = |names: Vec<Spanned<Name>>| Some(names).filter(|names| !names.is_empty());
        let item = match node.name.as_ref() {
            "version" => {
                let text = cursor.text(reader, "a version");
                text.and_then(|text| reader.version(text)).map(ComponentItem::Version)
            }
            "license" => {
                let text = cursor.text(reader, "an SPDX licence expression");
                text.and_then(|text| reader.license(text)).map(ComponentItem::License)
            }
            "upstream" => Some(ComponentItem::Upstream(Upstream::read(reader, &mut cursor))),
            "patch" => Some(ComponentItem::Patch(reader.locals(&mut cursor))),
            "satisfies" => Satisfies::read(reader, &mut cursor).map(ComponentItem::Satisfies),
            "build-with" => some(reader.parts(&mut cursor)).map(ComponentItem::BuildWith),
            "link-with" => some(reader.parts(&mut cursor)).map(ComponentItem::LinkWith),
            "needs" => some(reader.parts(&mut cursor)).map(ComponentItem::Needs),
            _ => InstallItem::read(reader, &mut cursor).map(ComponentItem::Install),
        };
        cursor.finish(reader);
        item
    }
}

impl Upstream {
    pub(super) fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Self {
        let node = cursor.node;
        let sha256 = cursor.text_property(reader, "sha256").and_then(|text| reader.sha256(text));
        let mut upstream = Upstream { urls: Vec::new(), sha256, unpack: None, span: node.span };
        for inner in cursor.block() {
            if inner.name != "url" {
                reader.unknown_node(inner, "`upstream`", &["url"]);
                continue;
            }
            let mut inner = Cursor::new(reader, inner);
            let texts = inner.texts(reader, "a URL");
            upstream.urls.extend(texts.into_iter().filter_map(|text| reader.url(text)));
            if let Some(text) = inner.text_property(reader, "sha256") {
                upstream.sha256 = reader.sha256(text).or(upstream.sha256.take());
            }
            let unpack = inner.switch_property(reader, "unpack");
            let keep = |switch| if switch == Switch::On { Unpack::Archive } else { Unpack::Keep };
            upstream.unpack = unpack.map(|switch| switch.map(keep)).or(upstream.unpack);
            inner.finish(reader);
        }
        if upstream.sha256.is_none() && node.children.as_ref().is_none_or(Vec::is_empty) && node.entries.is_empty() {
            reader.error(code::MISSING_NODE, node.name_span, "`upstream` wants a block", "write `{ url \"…\" }`");
        }
        upstream
    }
}

impl Reader<'_> {
    fn url(&mut self, text: Spanned<String>) -> Option<Spanned<Template>> {
        let fits = text.chars().all(|c| c.is_ascii_graphic());
        let schemes = ["https://", "http://", "file:///"];
        if !fits || !schemes.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme)) {
            let message = format!("`{}` is not a URL that brc fetches", text.value);
            self.error(
                code::BAD_URL,
                text.span,
                message,
                "`https://…`, `http://…` or `file:///…`, without white space",
            );
            return None;
        }
        self.template(text)
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
                reader.problems.push(Diagnostic::error(code::BAD_PATH, template.span, message));
                return None;
            }
            Some(template)
        });
        let to = cursor.required_property(reader, "to").and_then(|text| reader.image_path(text));
        let (mode, owner, replaces) = (reader.mode(cursor), owner(reader, cursor), replaces(reader, cursor));
        Some(InstallItem { from: from?, to: to?, mode, owner, replaces })
    }
}
