//! Images of one target given to another: the same bytes, without an upload.

use std::collections::BTreeSet;

use brc_contract::Architecture;

use super::{
    existing::{ExistingImage, existing, image_of_name},
    failure::AmiError,
    order::{Placement, Target},
    publish::{Published, copied, there, wait},
    register::Registration,
    spread::{Original, place},
    step::Step,
};
use crate::{content::Sha256, publish::aws::Aws};

/// An image of a target, which another target is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// What it is.
    pub target: Target,
    /// The digest of its disk.
    pub sha256: Sha256,
    /// The image, in the first region of its target.
    pub image: ExistingImage,
    /// The target that has it.
    from: String,
    region: String,
}

/// The images of a target in the region of `from` that another is given: the newest of each variant and architecture, or
/// those of a version.
///
/// # Errors
/// AWS refuses, or there is none.
pub fn promotions(
    from: &Aws<'_>,
    target: &str,
    is_wanted: impl Fn(&Target) -> bool,
    version: Option<&str>,
) -> Result<Vec<Promotion>, AmiError> {
    let (region, mut seen) = (from.region(), BTreeSet::new());
    let images = existing(from, region)?.images.into_iter().filter(|image| image.is_of(target) && !image.is_given_up());
    let found: Vec<Promotion> = images
        .filter_map(|image| promotion(image, target, region))
        .filter(|one| is_wanted(&one.target) && version.is_none_or(|version| one.target.version == version))
        .filter(|one| seen.insert((one.target.variant.clone(), one.target.architecture)))
        .collect();
    if found.is_empty() {
        let what = version.map_or_else(|| "what is asked for".to_owned(), |version| format!("version {version}"));
        return Err(AmiError::NothingToPromote { what, target: target.to_owned(), region: region.to_owned() });
    }
    Ok(found)
}

/// What the tags of an image say; none for one that somebody else has tagged.
fn promotion(image: ExistingImage, from: &str, region: &str) -> Option<Promotion> {
    let target = Target {
        variant: image.variant().to_owned(),
        version: image.version().to_owned(),
        architecture: Architecture::from_name(image.architecture())?,
    };
    let sha256 = Sha256::parse(image.sha256()).ok()?;
    Some(Promotion { target, sha256, from: from.to_owned(), region: region.to_owned(), image })
}

impl Promotion {
    /// The regions that another target has it in, each with the image of that name that is there already.
    ///
    /// # Errors
    /// AWS refuses, or what is there is of another disk, or not encrypted as the target wants it.
    pub fn plan<'a>(
        &self,
        to: &'a Aws<'_>,
        placement: &'a Placement,
    ) -> Result<Vec<(&'a str, Option<String>)>, AmiError> {
        let sha256 = self.sha256.to_string();
        let planned = |region| Ok((region, there(to, region, &self.image.name, &sha256, placement)?));
        regions(to, placement).map(planned).collect()
    }

    /// Gives the image to another target: what is there for it by name must be of the same disk, and what is not there is
    /// copied, within its region where the first target is in it too.
    ///
    /// # Errors
    /// AWS refuses, or another disk has the name.
    pub fn run(
        &self,
        from: &Aws<'_>,
        to: &Aws<'_>,
        placement: &Placement,
        tell: &(dyn Fn(Step) + Sync),
    ) -> Result<Published, AmiError> {
        let registration = Registration {
            target: &self.target,
            name: &self.image.name,
            sha256: self.sha256,
            snapshot: "",
            gib: 0,
            data_gib: None,
            data_snapshot: None,
            place: placement,
        };
        let mut done = Published::default();
        for region in regions(to, placement) {
            let near = self.in_region(from, region)?;
            let original = match &near {
                Some(near) => Original { image: near, region },
                None => Original { image: &self.image.id, region: &self.region },
            };
            let copied = copied(to, &original, region, &registration, tell);
            done.images.push(copied.map_err(|error| self.unshared(&original, error))?);
        }
        for one in &done.images {
            let image = wait(to, one, tell)?;
            done.named.extend(place(to, &one.region, &image, placement, tell)?);
        }
        Ok(done)
    }

    /// Who does not see an image is told that it is not there.
    fn unshared(&self, original: &Original<'_>, error: AmiError) -> AmiError {
        let (image, region) = (original.image.to_owned(), original.region.to_owned());
        match error {
            AmiError::Aws(source) if source.is_missing() => {
                AmiError::Unshared { image, region, target: self.from.clone(), source }
            }
            error => error,
        }
    }

    /// The same image of the first target in a region.
    fn in_region(&self, from: &Aws<'_>, region: &str) -> Result<Option<String>, AmiError> {
        if region == self.region {
            return Ok(None);
        }
        let found = image_of_name(from, region, &self.image.name)?;
        Ok(found
            .filter(|image| image.sha256() == self.image.sha256() && image.state == "available")
            .map(|image| image.id))
    }
}

fn regions<'a>(to: &'a Aws<'_>, placement: &'a Placement) -> impl Iterator<Item = &'a str> {
    [to.region()].into_iter().chain(placement.copies.iter().map(String::as_str))
}
