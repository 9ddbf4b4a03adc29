//! What may be published: nothing that was built from a developer's own folder.

use super::Manifest;

/// Refuses an image of which a component was built from a local checkout. Whatever publishes an image asks here first.
///
/// # Errors
/// The image with the name and version of each such component.
pub fn refuse_development(manifest: &Manifest) -> Result<(), DevelopmentError> {
    let components = manifest.components.iter().filter(|component| component.development);
    let components: Vec<String> =
        components.map(|component| format!("`{}` {}", component.name, component.version)).collect();
    if components.is_empty() {
        return Ok(());
    }
    Err(DevelopmentError { image: format!("{} {}", manifest.image, manifest.version), components })
}

/// An image is for its developer alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{image}` cannot be released: built from local checkouts are {}; publish their source, update the recipe, and compose without `--source` and `brc.local.kdl`",
    components.join(", ")
)]
pub struct DevelopmentError {
    /// The image.
    image: String,
    /// What it has of a developer's.
    components: Vec<String>,
}
