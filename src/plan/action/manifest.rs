//! The manifest of an image.

use brc_contract::Architecture;

use crate::plan::{
    FileOf, Part, PartSource,
    walk::{Kind, Walk, names},
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
    /// What of the inventory is in the image, sorted by name.
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

impl Part {
    fn walk<T, U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Part {
        let part = Part {
            name: walk.named("component", "component", &self.name),
            role: self.role,
            version: walk.text("component version", &self.version),
            purl: walk.text("purl", &self.purl),
            supplier: walk.text("supplier", &self.supplier),
            license: walk.text("license", &self.license),
            source: self.source.as_ref().map(|source| walk.text("component source", source)),
            sha256: self.sha256.map(|sha256| walk.sha256("component sha256", sha256)),
            made_from: self.made_from,
        };
        walk.word("role", self.role.name());
        if self.made_from == PartSource::Checkout {
            walk.word("made from", "checkout");
        }
        walk.about_all();
        part
    }
}

impl<T> Kind<T> for Manifest<T> {
    type With<U> = Manifest<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("manifest", 3)
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
