//! What a repository of updates offers: the target `manifest.json`.

use std::{cmp::Ordering, error::Error, fmt};

use super::wave::{Schedule, ScheduleError, WavePoint, seed};
use crate::{Architecture, Guid, ImageName, compare_versions};

/// The name of the target that says what is offered.
pub const OFFERS: &str = "manifest.json";
/// The version of the format.
pub const OFFERS_VERSION: u32 = 1;
/// The most bytes that it may have.
pub const MAX_OFFERS_BYTES: u64 = 4 << 20;

/// All that a repository offers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Offers {
    /// [`OFFERS_VERSION`].
    pub manifest_version: u32,
    /// No machine takes a version higher than this, whatever is offered: what stops a bad release.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub max_version: Option<String>,
    /// Each image.
    pub updates: Vec<Offer>,
}

/// An image that machines may take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Offer {
    /// Its variant.
    pub variant: String,
    /// The name of its architecture.
    pub architecture: String,
    /// Its version.
    pub version: String,
    /// The root hash, 64 hexadecimal digits.
    pub root_hash: String,
    /// The targets that hold its parts.
    pub targets: OfferTargets,
    /// The identities that the hash and root partition of slots A and B have while they hold nothing.
    pub empty_slots: [[String; 2]; 2],
    /// Machines with an older version than this do not wait for their wave.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub least_safe: Option<String>,
    /// Whether no machine takes it, while others of the repository may be taken.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub halted: bool,
    /// How it spreads; nothing means at once.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub waves: Vec<WavePoint>,
}

/// The names of the targets with the parts of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct OfferTargets {
    /// The root file system.
    pub root: String,
    /// The hash tree over it.
    pub hash: String,
    /// The unified kernel image.
    pub kernel_image: String,
}

/// A machine that may take an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The image that it runs.
    pub image: ImageName,
    /// Its architecture.
    pub architecture: Architecture,
    /// Its identity, 32 digits.
    pub machine_id: String,
    /// What its settings say of updates.
    pub wishes: Wishes,
}

/// What the settings of a machine say of updates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// The one version that is taken.
    pub version: Option<String>,
    /// Its place in every wave, in place of that which follows from its identity.
    pub seed: Option<u32>,
    /// Whether it takes an update before its wave opens.
    pub ignores_waves: bool,
}

/// What a machine may take, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'o> {
    /// The update.
    pub offer: &'o Offer,
    /// When its wave opens for this machine, in seconds since 1970.
    pub opens: u64,
}

/// An offer that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferError {
    /// The offers are of another version of the format.
    Version {
        /// Which one.
        found: u32,
    },
    /// A value has another shape.
    Value {
        /// Of which image.
        image: String,
        /// Which value.
        key: &'static str,
    },
    /// Its waves are no schedule.
    Waves {
        /// Of which image.
        image: String,
        /// What is wrong.
        source: ScheduleError,
    },
}

impl Offers {
    /// The newest update for a machine; `None` when there is nothing newer than what it runs.
    ///
    /// # Errors
    /// Offers of another version of the format; waves of the chosen one that are no schedule.
    pub fn choose(&self, host: &Host) -> Result<Option<Choice<'_>>, OfferError> {
        if self.manifest_version != OFFERS_VERSION {
            return Err(OfferError::Version { found: self.manifest_version });
        }
        let is_newer = |offer: &&Offer| compare_versions(&host.image.version, &offer.version) == Ordering::Less;
        let is_allowed = |offer: &&Offer| {
            self.max_version.as_ref().is_none_or(|most| compare_versions(&offer.version, most) != Ordering::Greater)
        };
        let is_wished = |offer: &&Offer| host.wishes.version.as_ref().is_none_or(|version| *version == offer.version);
        let mine = self
            .updates
            .iter()
            .filter(|offer| offer.variant == host.image.variant && offer.architecture == host.architecture.name());
        let newest = mine
            .filter(is_newer)
            .filter(is_allowed)
            .filter(|offer| !offer.halted)
            .filter(is_wished)
            .max_by(|a, b| compare_versions(&a.version, &b.version));
        let Some(offer) = newest else { return Ok(None) };
        let schedule = Schedule::new(offer.waves.clone())
            .map_err(|source| OfferError::Waves { image: offer.name().to_string(), source })?;
        let is_unsafe = offer
            .least_safe
            .as_ref()
            .is_some_and(|least| compare_versions(&host.image.version, least) == Ordering::Less);
        let own = host.wishes.seed.unwrap_or_else(|| seed(&host.machine_id));
        let opens = if is_unsafe || host.wishes.ignores_waves { 0 } else { schedule.opens(own) };
        Ok(Some(Choice { offer, opens }))
    }
}

impl Offer {
    /// The name of the image.
    pub fn name(&self) -> ImageName {
        ImageName::new(&self.variant, &self.version)
    }

    /// The root hash as bytes.
    ///
    /// # Errors
    /// What is not 64 hexadecimal digits.
    pub fn root_hash(&self) -> Result<[u8; 32], OfferError> {
        let wrong = || OfferError::Value { image: self.name().to_string(), key: "root_hash" };
        let digits = self.root_hash.as_bytes();
        if digits.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or_else(wrong);
            *byte = (digit(0)? << 4 | digit(1)?) as u8;
        }
        Ok(bytes)
    }

    /// The identities of the partitions of slots that hold nothing, as hash and root of A and of B.
    ///
    /// # Errors
    /// What is no GUID.
    pub fn empty_slots(&self) -> Result<[[Guid; 2]; 2], OfferError> {
        let mut guids = [[Guid::NIL; 2]; 2];
        for (guid, text) in guids.as_flattened_mut().iter_mut().zip(self.empty_slots.as_flattened()) {
            let wrong = |_| OfferError::Value { image: self.name().to_string(), key: "empty_slots" };
            *guid = Guid::parse(text).map_err(wrong)?;
        }
        Ok(guids)
    }
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OfferError::Version { found } => {
                write!(f, "`{OFFERS}` has version {found}, this program reads {OFFERS_VERSION}")
            }
            OfferError::Value { image, key } => write!(f, "`{key}` of `{image}` in `{OFFERS}` makes no sense"),
            OfferError::Waves { image, source } => write!(f, "the waves of `{image}` in `{OFFERS}`: {source}"),
        }
    }
}

impl Error for OfferError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(variant: &str, architecture: &str, version: &str) -> Offer {
        let target = |ending: &str| format!("{variant}_{version}_{architecture}.{ending}");
        Offer {
            variant: variant.to_owned(),
            architecture: architecture.to_owned(),
            version: version.to_owned(),
            root_hash: "0f".repeat(32),
            targets: OfferTargets { root: target("root"), hash: target("verity"), kernel_image: target("efi") },
            empty_slots: [1, 2].map(|slot| [1, 2].map(|part| Guid::from_number(slot * 10 + part).to_string())),
            least_safe: None,
            halted: false,
            waves: Vec::new(),
        }
    }

    fn host() -> Host {
        let machine_id = "0123456789abcdef0123456789abcdef".to_owned();
        Host {
            image: ImageName::new("a", "1.9.0"),
            architecture: Architecture::X86_64,
            machine_id,
            wishes: Wishes::default(),
        }
    }

    fn offers() -> Offers {
        let updates = vec![
            offer("a", "x86_64", "1.10.0"),
            offer("a", "x86_64", "1.8.0"),
            offer("a", "x86_64", "1.11.0"),
            offer("a", "aarch64", "2.0.0"),
            offer("b", "x86_64", "2.0.0"),
        ];
        Offers { manifest_version: OFFERS_VERSION, max_version: None, updates }
    }

    #[test]
    fn the_newest_of_the_machines_own_is_chosen_within_what_is_allowed() {
        let mut offers = offers();
        let version =
            |offers: &Offers, host: &Host| offers.choose(host).unwrap().map(|choice| choice.offer.version.clone());
        assert_eq!(version(&offers, &host()).as_deref(), Some("1.11.0"));
        offers.max_version = Some("1.10.5".to_owned());
        assert_eq!(version(&offers, &host()).as_deref(), Some("1.10.0"));
        let newer = Host { image: ImageName::new("a", "1.10.0"), ..host() };
        assert_eq!(version(&offers, &newer), None);
        offers.max_version = None;
        offers.updates[2].halted = true;
        assert_eq!(version(&offers, &host()).as_deref(), Some("1.10.0"));
        offers.manifest_version = 2;
        assert_eq!(offers.choose(&host()), Err(OfferError::Version { found: 2 }));
    }

    #[test]
    fn a_machine_waits_for_its_wave_unless_what_it_runs_is_not_safe() {
        let mut offers = offers();
        offers.updates[2].waves = vec![WavePoint { at: 1000, seeds: 0 }, WavePoint { at: 3048, seeds: 2048 }];
        let opens = |offers: &Offers| offers.choose(&host()).unwrap().unwrap().opens;
        assert_eq!(opens(&offers), 1000 + u64::from(seed(&host().machine_id)));
        offers.updates[2].least_safe = Some("1.9.1".to_owned());
        assert_eq!(opens(&offers), 0);
        offers.updates[2].waves.pop();
        assert!(matches!(offers.choose(&host()), Err(OfferError::Waves { .. })));
    }

    #[test]
    fn a_machine_takes_the_version_that_its_settings_name_and_waits_as_they_say() {
        let mut offers = offers();
        offers.updates[0].waves = vec![WavePoint { at: 1000, seeds: 0 }, WavePoint { at: 3048, seeds: 2048 }];
        let with = |wishes: Wishes| Host { wishes, ..host() };
        let locked = Wishes { version: Some("1.10.0".to_owned()), ..Wishes::default() };
        let found = |wishes: &Wishes| {
            let host = with(wishes.clone());
            offers.choose(&host).unwrap().map(|choice| (choice.offer.version.clone(), choice.opens))
        };
        assert_eq!(found(&locked), Some(("1.10.0".to_owned(), 1000 + u64::from(seed(&host().machine_id)))));
        assert_eq!(found(&Wishes { seed: Some(7), ..locked.clone() }), Some(("1.10.0".to_owned(), 1007)));
        assert_eq!(found(&Wishes { ignores_waves: true, ..locked.clone() }), Some(("1.10.0".to_owned(), 0)));
        for version in ["1.8.0", "1.9.0", "3.0.0"] {
            assert_eq!(found(&Wishes { version: Some(version.to_owned()), ..Wishes::default() }), None, "{version}");
        }
    }

    #[test]
    fn values_are_read_or_named() {
        let good = offer("a", "x86_64", "1");
        assert_eq!(good.root_hash(), Ok([15; 32]));
        assert_eq!(good.empty_slots().unwrap()[1][0], Guid::from_number(21));
        for text in ["", "0f", "zz"] {
            let bad = Offer { root_hash: text.repeat(32), ..good.clone() };
            assert_eq!(bad.root_hash().is_ok(), text == "0f", "{text}");
        }
        let mut bad = good.clone();
        bad.empty_slots[0][1] = "x".to_owned();
        assert!(matches!(bad.empty_slots(), Err(OfferError::Value { key: "empty_slots", .. })));
    }
}
