//! The XML of answers: without a document type, with a limited number of nodes.

/// The most nodes that the XML of an answer may have.
pub(super) const MAX_NODES: u32 = 500_000;

/// An element of an answer in XML.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a, 'b>(roxmltree::Node<'a, 'b>);

pub(super) fn parse(text: &str) -> Result<roxmltree::Document<'_>, roxmltree::Error> {
    let options = roxmltree::ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..Default::default() };
    roxmltree::Document::parse_with_options(text, options)
}

impl<'a, 'b> Node<'a, 'b> {
    pub(super) fn root(document: &'a roxmltree::Document<'b>) -> Self {
        Node(document.root_element())
    }

    /// The first child of this name.
    pub fn child(self, name: &str) -> Option<Self> {
        self.0.children().find(|child| child.has_tag_name_anywhere(name)).map(Node)
    }

    /// The text of the first child of this name.
    pub fn text(self, name: &str) -> Option<&'a str> {
        self.child(name)?.0.text()
    }

    /// The `item`s (or `member`s) of the child of this name; none when there is none.
    pub fn items(self, name: &str) -> impl Iterator<Item = Node<'a, 'b>> {
        let list = self.child(name);
        list.into_iter().flat_map(|list| list.0.children().filter(roxmltree::Node::is_element).map(Node))
    }

    /// The first descendant of this name.
    pub fn find(self, name: &str) -> Option<Self> {
        self.0.descendants().find(|node| node.has_tag_name_anywhere(name)).map(Node)
    }
}

/// Names of elements are compared without their name space, which differs by the version of a service.
trait Named {
    fn has_tag_name_anywhere(&self, name: &str) -> bool;
}

impl Named for roxmltree::Node<'_, '_> {
    fn has_tag_name_anywhere(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}
