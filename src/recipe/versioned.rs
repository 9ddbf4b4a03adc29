//! Where `{version}` stands: whoever has no version cannot say it.

use super::{
    Brace, Code, Content, Diagnostic, InstallItem, Item, LocalPath, Span, Spanned, Template, Upstream, UpstreamSource,
};

/// What may have `{version}` in it.
pub trait Versioned {
    /// The places where it has.
    fn versioned(&self) -> Vec<Span>;
}

/// What is said of a `{version}` at `span` when `name` has none.
pub fn no_version(name: &str, span: Span) -> Diagnostic {
    let message = format!("`{{version}}` is filled with the version of `{name}`, and it has none");
    Diagnostic::error(Code::MissingNode, span, message).help("write `version \"…\"`")
}

impl Versioned for Spanned<Template> {
    fn versioned(&self) -> Vec<Span> {
        if self.uses(Brace::Version) { vec![self.span] } else { Vec::new() }
    }
}

impl Versioned for LocalPath {
    fn versioned(&self) -> Vec<Span> {
        if self.path.uses(Brace::Version) { vec![self.span] } else { Vec::new() }
    }
}

impl<T: Versioned> Versioned for Option<T> {
    fn versioned(&self) -> Vec<Span> {
        self.iter().flat_map(T::versioned).collect()
    }
}

impl<T: Versioned> Versioned for Vec<T> {
    fn versioned(&self) -> Vec<Span> {
        self.iter().flat_map(T::versioned).collect()
    }
}

impl Versioned for Content {
    fn versioned(&self) -> Vec<Span> {
        match self {
            Content::From(path) => path.versioned(),
            Content::Text(_) => Vec::new(),
        }
    }
}

impl Versioned for Item {
    fn versioned(&self) -> Vec<Span> {
        match self {
            Item::File(file) => [file.to.versioned(), file.content.versioned()].concat(),
            Item::Tree(tree) => [tree.to.versioned(), tree.from.versioned()].concat(),
            Item::Link(link) => [link.at.versioned(), link.to.versioned()].concat(),
            Item::Directory(folder) => folder.at.versioned(),
            Item::EmbedImage(image) => image.file.versioned(),
            Item::Template(made) => [made.to.versioned(), made.content.versioned()].concat(),
            Item::Unit(unit) => {
                let drop_ins = unit.drop_ins.iter().flat_map(|drop_in| drop_in.content.versioned());
                unit.content.versioned().into_iter().chain(drop_ins).collect()
            }
            Item::User(_)
            | Item::Group(_)
            | Item::Mask(_)
            | Item::Health(_)
            | Item::Setuid(_)
            | Item::KernelArgument(_)
            | Item::KernelModule(_)
            | Item::Finish(_) => Vec::new(),
        }
    }
}

impl Versioned for InstallItem {
    fn versioned(&self) -> Vec<Span> {
        [self.from.versioned(), self.to.versioned()].concat()
    }
}

impl Versioned for Upstream {
    fn versioned(&self) -> Vec<Span> {
        match &self.source {
            Some(UpstreamSource::Urls(urls)) => urls.versioned(),
            Some(UpstreamSource::Git(url)) => url.versioned(),
            Some(UpstreamSource::GoModule { version, .. }) => version.versioned(),
            Some(UpstreamSource::Folder(folder)) => folder.versioned(),
            Some(UpstreamSource::Debian(_)) | None => Vec::new(),
        }
    }
}
