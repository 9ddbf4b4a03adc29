//! The manifest of an image.

use brc_contract::Architecture;

use crate::{
    content::Sha256,
    plan::{
        FileOf,
        walk::{Kind, Walk, names},
    },
};

/// The manifest of an image. Output: `manifest` (a file `manifest.json`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Manifest<T> {
    /// The variant's name.
    pub variant: String,
    /// The image's version.
    pub version: String,
    /// The image's architecture.
    pub architecture: Architecture,
    /// Everything in the image, sorted by name.
    pub components: Vec<Part>,
    /// The root tree.
    pub root: T,
    /// The output `owners` of `Assemble::Root`.
    pub owners: T,
    /// The root image.
    pub root_image: FileOf<T>,
    /// The output of `Verity`.
    pub verity: T,
    /// The ESP.
    pub esp: FileOf<T>,
}

/// One component as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// Its name, as in `owners`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression, or `NOASSERTION`.
    pub license: String,
    /// The SHA-256 of what it was made from, where there is one.
    pub sha256: Option<Sha256>,
    /// What it was made from.
    pub source: PartSource,
}

/// What a component of an image was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartSource {
    /// What recipes and lock say.
    Locked,
    /// A developer's own folder; such an image is not published.
    Checkout,
}

impl Part {
    fn walk<T, U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Part {
        let part = Part {
            name: walk.named("component", "component", &self.name),
            version: walk.text("component version", &self.version),
            license: walk.text("license", &self.license),
            sha256: self.sha256.map(|sha256| walk.sha256("component sha256", sha256)),
            source: self.source,
        };
        if self.source == PartSource::Checkout {
            walk.word("component source", "checkout");
        }
        walk.about_all();
        part
    }
}

impl<T> Kind<T> for Manifest<T> {
    type With<U> = Manifest<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("manifest", 2)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Manifest<U>, E> {
        Ok(Manifest {
            variant: walk.text("variant", &self.variant),
            version: walk.text("version", &self.version),
            architecture: walk.architecture(self.architecture),
            components: self.components.iter().map(|part| part.walk(walk)).collect(),
            root: walk.tree("root", &self.root)?,
            owners: walk.tree("owners", &self.owners)?,
            root_image: walk.file("root image", &self.root_image)?,
            verity: walk.tree("verity", &self.verity)?,
            esp: walk.file("esp", &self.esp)?,
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["manifest"])
    }
}
