//! A developer's own checkouts: `component "runc" { source "../runc" }` in `brc.local.kdl`.

use super::{
    LocalPath, Name, Spanned, Template, code,
    decode::{Cursor, Reader},
    names::{Kind, Space},
    parse::Node,
};

/// A folder that takes the place of a component's source, in `brc.local.kdl` alone: `component "runc" { source "…" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The component.
    pub component: Spanned<Name>,
    /// `source "../runc"`: the folder, relative to that file; it may lie anywhere.
    pub folder: LocalPath,
}

impl Checkout {
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(reader, node);
        let component = cursor.text(reader, "the name of a component");
        let component = component.and_then(|name| reader.reference(&name, Space::Component));
        let mut folder: Option<Spanned<Template>> = None;
        for inner in cursor.block() {
            if inner.name != "source" {
                reader.unknown_node(inner, "`component` in `brc.local.kdl`", &["source"]);
                continue;
            }
            let mut inner = Cursor::new(reader, inner);
            let path = inner.text(reader, "a folder");
            inner.finish(reader);
            if let Some(path) = path {
                reader.no_braces(&path, "`source` of `brc.local.kdl`");
                if folder.is_some() {
                    reader.error(code::REPEATED_NODE, path.span, "`source` stands here twice", "name one folder");
                }
                folder = folder.or(reader.template(path));
            }
        }
        if node.children.as_ref().is_none_or(Vec::is_empty) {
            let message = "`component` does not say where its source is";
            reader.error(code::MISSING_NODE, node.name_span, message, "write `{ source \"…\" }`");
        }
        cursor.finish(reader);
        let (component, path) = (component?, folder?);
        if reader.names.kind(Space::Component, &component) != Some(Kind::Component) {
            let message =
                format!("`{}` is not built from a source that a folder could take the place of", component.name);
            reader.error(code::WRONG_KIND, component.span, message, "name a `component`");
            return None;
        }
        let folder = LocalPath { folder: reader.folder.clone(), span: path.span, path: path.value };
        reader.anywhere.push(folder.clone());
        Some(Checkout { component, folder })
    }
}
