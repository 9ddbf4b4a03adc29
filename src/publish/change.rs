//! What a repository offers, changed: images added, limited, halted, removed.

use std::{cmp::Ordering, collections::BTreeSet};

use super::{
    folder::Part,
    metadata::Role,
    repository::{Repository, RepositoryError, Signers},
};
use crate::content::Sha256;
use brc_contract::{
    Guid, ImageName, compare_versions,
    update::{OFFERS, Offer, OfferTargets, Offers, Schedule, WavePoint},
};

/// An image that is added.
pub struct NewImage<'f> {
    /// Its name.
    pub name: ImageName,
    /// The name of its architecture.
    pub architecture: &'static str,
    /// Its root hash.
    pub root_hash: [u8; 32],
    /// The identities of the hash and root partitions of slots that hold nothing.
    pub empty_slots: [[Guid; 2]; 2],
    /// Its root.
    pub root: Part<'f>,
    /// Its hash tree.
    pub hash: Part<'f>,
    /// Its kernel image.
    pub kernel_image: Part<'f>,
    /// How it spreads.
    pub waves: Vec<WavePoint>,
    /// Machines with an older version do not wait for their wave.
    pub least_safe: Option<String>,
}

/// Which images are meant: a version of one variant, or of all that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The variant, where one is named.
    pub variant: Option<String>,
    /// The version.
    pub version: String,
}

/// Whether machines may take an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// No machine takes it.
    Halted,
    /// As it was before.
    Resumed,
}

impl Repository {
    /// Adds an image; one of the same name and architecture is replaced, and keeps its waves, its least safe version and
    /// that it is halted where nothing else is said. It is there for machines when this returns, unless it waits.
    ///
    /// # Errors
    /// Waves that are no schedule, a key that is missing, a disk that refuses.
    pub fn add(&mut self, image: NewImage<'_>, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        Schedule::new(image.waves.clone())?;
        self.fit(signers)?;
        let mut offers = self.offers()?;
        let is_same = |one: &Offer| one.name() == image.name && one.architecture == image.architecture;
        let old = offers.updates.iter().find(|one| is_same(one));
        let halted = old.is_some_and(|old| old.halted);
        let (waves, least_safe) = match old {
            Some(old) if image.waves.is_empty() => (old.waves.clone(), image.least_safe.or(old.least_safe.clone())),
            _ => (image.waves, image.least_safe),
        };
        let target = |ending: &str| format!("{}_{}.{ending}", image.name, image.architecture);
        let names = OfferTargets { root: target("root"), hash: target("verity"), kernel_image: target("efi") };
        let mut targets = self.newest_targets().targets.clone();
        for (name, part) in
            [(&names.root, image.root), (&names.hash, image.hash), (&names.kernel_image, image.kernel_image)]
        {
            targets.insert(name.clone(), self.folder.write_target(name, part)?);
        }
        offers.updates.retain(|one| !(one.name() == image.name && one.architecture == image.architecture));
        offers.updates.push(Offer {
            variant: image.name.variant.clone(),
            architecture: image.architecture.to_owned(),
            version: image.name.version.clone(),
            root_hash: Sha256::from_bytes(image.root_hash).to_string(),
            targets: names,
            empty_slots: image.empty_slots.map(|slot| slot.map(|guid| guid.to_string())),
            least_safe,
            halted,
            waves,
        });
        offers.updates.sort_by_key(|offer| (offer.variant.clone(), offer.architecture.clone(), offer.version.clone()));
        self.draft_targets(targets, signers.now);
        self.offer(&offers, signers)
    }

    /// Sets the version that no machine goes beyond, or takes that limit away.
    ///
    /// # Errors
    /// A key that is missing, a disk that refuses.
    pub fn limit(&mut self, most: Option<String>, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        self.fit(signers)?;
        let offers = Offers { max_version: most, ..self.offers()? };
        self.offer(&offers, signers)
    }

    /// Has no machine take some images, or lets them go on; machines that run them stay as they are.
    ///
    /// # Errors
    /// An image that is not offered, a key that is missing, a disk that refuses.
    pub fn halt(&mut self, images: &[Images], halt: Halt, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        self.fit(signers)?;
        let mut offers = self.offers()?;
        let meant = meant(&offers, images)?;
        for offer in offers.updates.iter_mut().filter(|offer| meant.contains(&key(offer))) {
            offer.halted = halt == Halt::Halted;
        }
        self.offer(&offers, signers)
    }

    /// Removes images, and the files that nobody refers to any more once this is published. What machines need stays: of
    /// each variant and architecture the version that they would take now, and the one that the limit names.
    ///
    /// # Errors
    /// An image that is not offered or that machines need, a key that is missing, a disk that refuses.
    pub fn remove(&mut self, images: &[Images], signers: &Signers<'_>) -> Result<(), RepositoryError> {
        self.fit(signers)?;
        let mut offers = self.offers()?;
        let meant = meant(&offers, images)?;
        let mut targets = self.newest_targets().targets.clone();
        for offer in offers.updates.iter().filter(|offer| meant.contains(&key(offer))) {
            if let Some(why) = needed(&offers, offer) {
                return Err(RepositoryError::Needed { image: shown(offer), why });
            }
            for name in [&offer.targets.root, &offer.targets.hash, &offer.targets.kernel_image] {
                targets.remove(name);
            }
        }
        offers.updates.retain(|offer| !meant.contains(&key(offer)));
        self.draft_targets(targets, signers.now);
        self.offer(&offers, signers)?;
        // What machines still see of it goes when the draft is published.
        self.sweep()
    }

    /// What it offers, with what waits for signatures.
    pub(super) fn offers(&self) -> Result<Offers, RepositoryError> {
        self.offers_of(self.newest_targets())
    }

    /// Drafts targets that say what is offered, and has them signed.
    pub(super) fn offer(&mut self, offers: &Offers, signers: &Signers<'_>) -> Result<(), RepositoryError> {
        let mut bytes = serde_json::to_vec_pretty(offers).map_err(super::folder::FolderError::Encode)?;
        bytes.push(b'\n');
        let part = Part { file: &mut bytes.as_slice(), size: bytes.len() as u64 };
        let mut targets = self.newest_targets().targets.clone();
        targets.insert(OFFERS.to_owned(), self.folder.write_target(OFFERS, part)?);
        self.draft_targets(targets, signers.now);
        self.settle(Role::Targets, signers)
    }
}

/// An image as people see it.
pub fn shown(offer: &Offer) -> String {
    format!("{} {}", offer.name(), offer.architecture)
}

/// What tells images apart.
fn key(offer: &Offer) -> (String, String, String) {
    (offer.variant.clone(), offer.architecture.clone(), offer.version.clone())
}

/// The images that are meant; each of the names means at least one.
fn meant(offers: &Offers, images: &[Images]) -> Result<BTreeSet<(String, String, String)>, RepositoryError> {
    let mut all = BTreeSet::new();
    for image in images {
        let is_meant = |offer: &&Offer| {
            offer.version == image.version && image.variant.as_ref().is_none_or(|variant| *variant == offer.variant)
        };
        let found: Vec<_> = offers.updates.iter().filter(is_meant).map(key).collect();
        if found.is_empty() {
            let name = |variant: &String| ImageName::new(variant, &image.version).to_string();
            return Err(RepositoryError::NotOffered {
                image: image.variant.as_ref().map_or_else(|| image.version.clone(), name),
                offered: offers.updates.iter().map(|offer| format!("`{}`", offer.name())).collect(),
            });
        }
        all.extend(found);
    }
    Ok(all)
}

/// Why machines need an image; `None` for one that no machine takes any more unless its settings name it.
fn needed(offers: &Offers, image: &Offer) -> Option<String> {
    let most = offers.max_version.as_ref();
    if most.is_some_and(|most| compare_versions(most, &image.version) == Ordering::Equal) {
        return Some("it is the version beyond which no machine goes; `brc repo limit` names another".to_owned());
    }
    let may_be_taken = |offer: &&Offer| {
        !offer.halted && most.is_none_or(|most| compare_versions(&offer.version, most) != Ordering::Greater)
    };
    let is_alike = |offer: &&Offer| (&offer.variant, &offer.architecture) == (&image.variant, &image.architecture);
    let taken = offers.updates.iter().filter(is_alike).filter(may_be_taken);
    let newest = taken.max_by(|one, other| compare_versions(&one.version, &other.version))?;
    (newest.version == image.version).then(|| {
        "it is what machines take now; `brc repo add` a newer one, or `brc repo halt` it or `brc repo limit` them to an \
         older one first"
            .to_owned()
    })
}
