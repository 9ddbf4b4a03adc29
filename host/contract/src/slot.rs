//! The two slots of a disk and what happens to them, as a state machine without a disk.

use std::{cmp::Ordering, error::Error, fmt};

use crate::{BootEntry, EntryName, ImageName, boot_order, compare_versions};

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlotName {
    /// The slot that a new disk holds its image in.
    A,
    /// The other one.
    B,
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The version of the image in it.
    pub version: String,
    /// The boot entry that starts it.
    pub entry: EntryName,
}

/// Both slots of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    variant: String,
    slots: [Option<Slot>; 2],
    running: Option<SlotName>,
}

/// An update cannot be put onto this disk now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateRefused {
    /// The running image has not proven itself: overwriting the other slot would leave nothing to fall back to.
    RunningUnproven,
    /// systemd-boot starts the highest version, so an update must have a higher one than what runs.
    NotNewer {
        /// The version that runs.
        running: String,
        /// The version that was offered.
        offered: String,
    },
}

impl SlotName {
    /// The number of its hash partition in the table, from 1; the ESP is the first.
    pub const fn hash_number(self) -> u32 {
        2 * self.index() as u32 + 2
    }

    /// The number of its root partition in the table.
    pub const fn root_number(self) -> u32 {
        self.hash_number() + 1
    }

    /// The slot that consists of the hash and the root partition with these numbers.
    pub fn of_partitions(hash: u32, root: u32) -> Option<Self> {
        [SlotName::A, SlotName::B].into_iter().find(|slot| (slot.hash_number(), slot.root_number()) == (hash, root))
    }

    /// The name that people read.
    pub const fn name(self) -> &'static str {
        match self {
            SlotName::A => "A",
            SlotName::B => "B",
        }
    }

    /// The slot that is not this one.
    pub const fn other(self) -> Self {
        match self {
            SlotName::A => SlotName::B,
            SlotName::B => SlotName::A,
        }
    }

    const fn index(self) -> usize {
        match self {
            SlotName::A => 0,
            SlotName::B => 1,
        }
    }
}

impl Slots {
    /// A new disk: `version` in slot A, untried; slot B empty.
    pub fn new(variant: &str, version: &str) -> Self {
        let slot = Slot { version: version.to_owned(), entry: EntryName::new(&ImageName::new(variant, version)) };
        Slots { variant: variant.to_owned(), slots: [Some(slot), None], running: None }
    }

    /// What a slot holds.
    pub fn slot(&self, name: SlotName) -> Option<&Slot> {
        self.slots[name.index()].as_ref()
    }

    /// The slot that runs.
    pub fn running(&self) -> Option<SlotName> {
        self.running
    }

    /// Which slot systemd-boot starts next; `None` only when no slot holds anything.
    pub fn next(&self) -> Option<SlotName> {
        [SlotName::A, SlotName::B]
            .into_iter()
            .filter(|name| self.slot(*name).is_some())
            .min_by(|a, b| self.order(*a, *b))
    }

    /// The machine starts: systemd-boot counts, then the chosen slot runs.
    pub fn start(&mut self) {
        self.running = self.next();
        if let Some(slot) = self.running_slot() {
            slot.entry = slot.entry.started();
        }
    }

    /// What runs has proven itself.
    pub fn bless(&mut self) {
        if let Some(slot) = self.running_slot() {
            slot.entry = slot.entry.good();
        }
    }

    /// Gives up what runs; the other slot is started next if it holds anything that is not bad.
    pub fn give_up(&mut self) {
        if let Some(slot) = self.running_slot() {
            slot.entry = slot.entry.bad();
        }
    }

    /// Puts `version` into the slot that does not run.
    ///
    /// # Errors
    /// When what runs is unproven, or not older than `version`.
    pub fn update(&mut self, version: &str) -> Result<SlotName, UpdateRefused> {
        let running = self.running.ok_or(UpdateRefused::RunningUnproven)?;
        let current = self.slot(running).filter(|slot| slot.entry.is_good()).ok_or(UpdateRefused::RunningUnproven)?;
        if compare_versions(&current.version, version) != Ordering::Less {
            return Err(UpdateRefused::NotNewer { running: current.version.clone(), offered: version.to_owned() });
        }
        let target = running.other();
        let entry = EntryName::new(&ImageName::new(&self.variant, version));
        self.slots[target.index()] = Some(Slot { version: version.to_owned(), entry });
        Ok(target)
    }

    fn running_slot(&mut self) -> Option<&mut Slot> {
        self.slots[self.running?.index()].as_mut()
    }

    fn order(&self, a: SlotName, b: SlotName) -> Ordering {
        match (self.entry(a), self.entry(b)) {
            (Some(a), Some(b)) => boot_order(&a, &b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }

    fn entry(&self, name: SlotName) -> Option<BootEntry> {
        let slot = self.slot(name)?;
        Some(BootEntry { name: slot.entry.clone(), sort_key: self.variant.clone(), version: slot.version.clone() })
    }
}

impl fmt::Display for UpdateRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateRefused::RunningUnproven => f.write_str(
                "the running image has not been found healthy: an update would overwrite the only one to fall back to",
            ),
            UpdateRefused::NotNewer { running, offered } => {
                write!(
                    f,
                    "version `{offered}` is not newer than `{running}`, which runs: the loader would not start it"
                )
            }
        }
    }
}

impl Error for UpdateRefused {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What can happen to a machine.
    #[derive(Debug, Clone, Copy)]
    enum Happening {
        FailedBoot,
        GoodBoot,
        GiveUp,
        Update,
    }

    const ALL: [Happening; 4] = [Happening::FailedBoot, Happening::GoodBoot, Happening::GiveUp, Happening::Update];

    fn happen(slots: &mut Slots, happening: Happening, next_version: &mut u32) {
        match happening {
            Happening::FailedBoot => slots.start(),
            Happening::GoodBoot => {
                slots.start();
                slots.bless();
            }
            Happening::GiveUp => slots.give_up(),
            Happening::Update => {
                *next_version += 1;
                let _refused = slots.update(&format!("1.{next_version}.0"));
            }
        }
    }

    /// Every sequence of eight happenings, 65,536 of them: the model is small enough to try them all.
    #[test]
    fn no_sequence_of_failed_boots_leaves_zero_bootable_slots() {
        for sequence in 0..4_u32.pow(8) {
            let mut slots = Slots::new("a", "1.0.0");
            let mut next_version = 0;
            let mut proven: Option<String> = None;
            for step in 0..8 {
                let happening = ALL[(sequence >> (2 * step) & 3) as usize];
                let was_running = slots.running().and_then(|name| slots.slot(name)).cloned();
                happen(&mut slots, happening, &mut next_version);
                assert!(slots.next().is_some());
                if let (Happening::Update, Some(was)) = (happening, was_running) {
                    let still = slots.running().and_then(|name| slots.slot(name)).cloned();
                    assert_eq!(still, Some(was), "an update never touches what runs");
                }
                if matches!(happening, Happening::GoodBoot) {
                    proven = slots.running().and_then(|name| slots.slot(name)).map(|slot| slot.version.clone());
                }
                if matches!(happening, Happening::GiveUp) {
                    proven = proven.filter(|version| {
                        slots.slots.iter().flatten().any(|slot| slot.entry.is_good() && slot.version == *version)
                    });
                }
                if let Some(version) = &proven {
                    let there = slots.slots.iter().flatten().any(|slot| slot.version == *version);
                    assert!(there, "the last image that was found healthy is never overwritten: {sequence:016b}");
                }
            }
        }
    }

    #[test]
    fn a_slot_is_known_by_the_numbers_of_its_partitions() {
        for ((hash, root), slot) in [
            ((2, 3), Some(SlotName::A)),
            ((4, 5), Some(SlotName::B)),
            ((3, 2), None),
            ((2, 5), None),
            ((0, 1), None),
            ((6, 7), None),
            ((u32::MAX, u32::MAX), None),
        ] {
            assert_eq!(SlotName::of_partitions(hash, root), slot, "{hash} {root}");
        }
    }

    #[test]
    fn an_update_that_never_boots_falls_back_after_three_tries() {
        let mut slots = Slots::new("a", "1.9.0");
        slots.start();
        assert_eq!(slots.update("1.10.0"), Err(UpdateRefused::RunningUnproven));
        slots.bless();
        assert_eq!(slots.update("1.10.0"), Ok(SlotName::B));
        for _ in 0..3 {
            slots.start();
            assert_eq!(slots.running(), Some(SlotName::B));
        }
        slots.start();
        assert_eq!(slots.running(), Some(SlotName::A));
        assert!(matches!(slots.update("1.8.0"), Err(UpdateRefused::NotNewer { .. })));
    }
}
