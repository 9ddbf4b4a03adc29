//! An image that is looked at as a release: a file with its manifest, or what a recipe makes.

use std::{collections::BTreeMap, ffi::OsStr, path::Path};

use super::{
    CliError,
    arguments::{Choice, Target},
    context::Context,
    image_file::must_be_image,
    manifest_file::{beside, no_manifest, read_manifest},
};
use crate::{
    artifact::Manifest,
    build::AfterFailure,
    compose::{Absent, Locked, StoredImage},
    inspect::{Contents, contents},
    recipe::PROJECT_FILE,
    release::Released,
};

/// An image that was read.
pub struct ReleasedImage {
    manifest: Manifest,
    contents: Contents,
    options: Option<BTreeMap<String, String>>,
    /// The most bytes that its root may have; a file does not say it.
    pub budget: Option<u64>,
}

impl ReleasedImage {
    /// An image as `brc compose` leaves it, its manifest beside it.
    ///
    /// # Errors
    /// No image, no manifest beside it, or one of another image.
    pub fn of_file(image: &Path) -> Result<Self, CliError> {
        must_be_image(image)?;
        let Some(manifest) = beside(image).filter(|path| path.is_file()) else {
            let message = format!(
                "`{}` has no manifest beside it: expected both files as `brc compose` leaves them",
                image.display()
            );
            return Err(CliError::Usage(message));
        };
        Self::read(image, &manifest)
    }

    /// The images that a recipe makes, one for each architecture; with [`Absent::Built`] the options of their kernels too.
    ///
    /// # Errors
    /// Whatever composing says.
    pub fn of_recipe(
        context: &Context,
        target: &Target,
        image_version: Option<String>,
        absent: Absent,
    ) -> Result<Vec<Self>, CliError> {
        let (project, mut order) = context.order(target, Locked::AsItIs)?;
        order.image_version = image_version;
        let session = context.session(&project, AfterFailure::Stop)?;
        let stored = session.stored_images(&project, &order, absent)?;
        let read = |stored: &StoredImage| Self::read(&stored.disk, &stored.manifest);
        let mut found = stored.iter().map(read).collect::<Result<Vec<_>, CliError>>()?;
        let images = session.images(&project, &order, Locked::AsItIs)?;
        for ((found, stored), image) in found.iter_mut().zip(&stored).zip(&images) {
            found.budget = stored.budget;
            if absent == Absent::Built {
                let options = session.kernel_config(&project, image)?;
                found.options = Some(options.into_iter().map(|(name, option)| (name, option.value)).collect());
            }
        }
        Ok(found)
    }

    fn read(image: &Path, path: &Path) -> Result<Self, CliError> {
        let shown = image.display();
        let manifest = read_manifest(path)?;
        let found = contents(image).map_err(|error| CliError::Machine(error.into()))?;
        let Some(contents) = found else {
            return Err(CliError::Found(format!("`{shown}` is not as brc writes images; see `brc verify`")));
        };
        let said = manifest.root_hash().map_err(|error| no_manifest(path, &error))?;
        if said != contents.root_hash {
            let found = contents.root_hash;
            let path = path.display();
            let message =
                format!("`{path}` is the manifest of another image: it says root hash {said}, `{shown}` has {found}");
            return Err(CliError::Usage(message));
        }
        Ok(ReleasedImage { manifest, contents, options: None, budget: None })
    }

    /// The image for whoever looks at it.
    pub fn released(&self) -> Released<'_> {
        Released { manifest: &self.manifest, contents: &self.contents, options: self.options.as_ref() }
    }
}

/// Whether a word of the command line names a recipe or the folder of a project, and no image.
///
/// # Errors
/// A folder of anything else: the project above it would be taken in the place of the images that are in it.
pub fn is_recipe(path: &Path) -> Result<bool, CliError> {
    if path.is_dir() && !path.join(PROJECT_FILE).is_file() {
        let shown = path.display();
        let message =
            format!("`{shown}` is a folder without `{PROJECT_FILE}`: expected an image, a recipe, or its folder");
        return Err(CliError::Usage(message));
    }
    Ok(path.extension() == Some(OsStr::new("kdl")) || path.is_dir())
}

/// Refuses what only a recipe can be asked for where images alone are named.
///
/// # Errors
/// One of these options.
pub fn only_of_recipes(image: &Path, choice: &Choice, image_version: Option<&str>) -> Result<(), CliError> {
    let said = [
        ("--variant", choice.variant.is_some()),
        ("--arch", !choice.arch.is_empty()),
        ("--image-version", image_version.is_some()),
    ];
    match said.into_iter().find(|(_, is_said)| *is_said) {
        Some((option, _)) => {
            let shown = image.display();
            Err(CliError::Usage(format!(
                "`{option}` chooses among what a recipe makes, and `{shown}` is an image: leave it out"
            )))
        }
        None => Ok(()),
    }
}
