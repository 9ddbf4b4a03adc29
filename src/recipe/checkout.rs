//! A developer's own checkouts: `component "runc" { source "../runc" }` in `brc.local.kdl`.

use super::{
    Code, LocalPath, Name, Spanned, Template,
    decode::{Cursor, Reader, Seen},
    names::{Kind, Space},
    parse::Node,
    word::{CheckoutWord, TopWord},
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
        let mut cursor = Cursor::new(reader, node, TopWord::Component);
        let component = cursor.text(reader, "the name of a component");
        let component = component.and_then(|name| reader.reference(&name, Space::Component));
        let mut folder: Option<Spanned<Template>> = None;
        let mut seen = Seen::new();
        for inner in cursor.block() {
            let Some(word @ CheckoutWord::Source) = reader.word(inner, &mut seen) else { continue };
            let mut inner = Cursor::new(reader, inner, word);
            let path = inner.text(reader, "a folder");
            inner.finish(reader);
            if let Some(path) = path {
                reader.no_braces(&path, "`source` of `brc.local.kdl`");
                folder = folder.or(reader.template(path));
            }
        }
        if node.children.as_ref().is_none_or(Vec::is_empty) {
            let message = "`component` does not say where its source is";
            reader.error(Code::MissingNode, node.name_span, message, "write `{ source \"…\" }`");
        }
        cursor.finish(reader);
        let (component, path) = (component?, folder?);
        if reader.names.kind(Space::Component, &component) != Some(Kind::Component) {
            let message =
                format!("`{}` is not built from a source that a folder could take the place of", component.name);
            reader.error(Code::WrongKind, component.span, message, "name a `component`");
            return None;
        }
        let folder = LocalPath { folder: reader.folder.clone(), span: path.span, path: path.value };
        reader.anywhere.push(folder.clone());
        Some(Checkout { component, folder })
    }
}
