//! An update of the slot that does not run.

use std::{cmp::Ordering, error::Error, fmt};

use super::entry::{EspStep, with_sync};
use crate::{
    EntryName, Guid, ImageName, SlotName, Slots, Standing, compare_versions,
    gpt::{self, Copies, Label},
    partition::{EMPTY_LABEL, hash_guid, root_guid},
    slot::STAGED,
};

/// An image that is to be put into a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// Its name.
    pub name: ImageName,
    /// The root hash of its root.
    pub root_hash: [u8; 32],
    /// How many bytes its hash tree and its root have.
    pub bytes: [u64; 2],
    /// The identities that the hash and root partition of each slot have while they hold nothing.
    pub empty: [[Guid; 2]; 2],
}

/// A partition of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The hash tree.
    Hash,
    /// The root.
    Root,
}

/// One thing that an update does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To the ESP.
    Esp(EspStep),
    /// To the partition table; a flush is one of everything on the disk.
    Table(gpt::Step),
    /// The content of a partition is written.
    Fill(Part),
    /// Both partitions are read back from the disk and held against the root hash.
    Check,
    /// The loader forgets which entry somebody chose: what is chosen beats what is newest.
    ForgetChoice,
}

/// An update cannot be put onto this disk now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateRefused {
    /// It is of another variant.
    OtherVariant {
        /// The variant that runs.
        running: String,
        /// The variant that was offered.
        offered: String,
    },
    /// What runs has not proven itself: overwriting the other slot would leave nothing to fall back to.
    RunningUnproven,
    /// systemd-boot starts the highest version, so an update must have a higher one than what runs.
    NotNewer {
        /// The version that runs.
        running: String,
        /// The version that was offered.
        offered: String,
    },
    /// It is what runs, under another version.
    SameRoot,
    /// This version was given up on this machine.
    FailedHere {
        /// The version.
        version: String,
    },
    /// A partition is too small for it.
    TooLarge {
        /// Which partition.
        part: Part,
        /// What it needs, in bytes.
        needed: u64,
        /// What there is, in bytes.
        room: u64,
    },
    /// Its name is too long for a label.
    Name(gpt::LabelError),
    /// The partition table cannot be read.
    Table(gpt::Unreadable),
}

/// Whether a version that was given up on this machine is taken once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Somebody asked for it.
    Asked,
    /// It is left alone.
    Never,
}

/// What puts an image into the slot that does not run, and that slot. Every step leaves a disk from which what runs
/// can be started, and on which the same can be begun again.
///
/// # Errors
/// Why it may not be put there.
pub fn steps(
    slots: &Slots,
    copies: &Copies,
    sector: u64,
    new: &NewImage,
    again: Again,
) -> Result<(SlotName, Vec<Step>), UpdateRefused> {
    let slot = slots.running().other();
    check(slots, new, slot, sector, again)?;
    let label = Label::new(&new.name.to_string()).map_err(UpdateRefused::Name)?;
    let empty = Label::new(EMPTY_LABEL).map_err(UpdateRefused::Name)?;
    let entry = EntryName::new(&new.name);
    // 1: nothing starts the slot any more, under whatever name; nor does what an earlier try has left.
    let staged = format!("{}{STAGED}", entry.stem);
    let old = slots.slot(slot).entries.iter().map(EntryName::to_string).chain(slots.staged().iter().cloned());
    let removed = with_sync(old.map(EspStep::Remove).collect());
    let mut steps: Vec<Step> = removed.into_iter().map(Step::Esp).collect();
    // 2: the table does not say that an image is there.
    let mut table = copies.table().map_err(UpdateRefused::Table)?.clone();
    let name = |table: &mut gpt::Table, [hash, root]: [Guid; 2], label: &Label| {
        table.name(slot.hash_number(), hash, label);
        table.name(slot.root_number(), root, label);
    };
    name(&mut table, new.empty[slot as usize], &empty);
    let emptied = copies.change(&table).map_err(UpdateRefused::Table)?;
    steps.extend(emptied.into_iter().map(Step::Table));
    // 3: both partitions are whole.
    steps.extend([Step::Fill(Part::Hash), Step::Fill(Part::Root), Step::Table(gpt::Step::Flush), Step::Check]);
    // 4: the table says so.
    let copies = copies.with(&table);
    name(&mut table, [hash_guid(&new.root_hash), root_guid(&new.root_hash)], &label);
    steps.extend(copies.change(&table).map_err(UpdateRefused::Table)?.into_iter().map(Step::Table));
    // 5: the loader knows of it.
    steps.push(Step::ForgetChoice);
    let switch = EspStep::Rename { from: staged.clone(), to: entry.to_string() };
    steps.extend([EspStep::Stage(staged), EspStep::Sync, switch, EspStep::Sync].map(Step::Esp));
    Ok((slot, steps))
}

fn check(slots: &Slots, new: &NewImage, slot: SlotName, sector: u64, again: Again) -> Result<(), UpdateRefused> {
    let running = slots.slot(slots.running());
    let image = running.image().ok_or(UpdateRefused::RunningUnproven)?;
    if new.name.variant != slots.variant() {
        let (running, offered) = (slots.variant().to_owned(), new.name.variant.clone());
        return Err(UpdateRefused::OtherVariant { running, offered });
    }
    if running.entry().map(EntryName::standing) != Some(Standing::Good) {
        return Err(UpdateRefused::RunningUnproven);
    }
    if new.root_hash == running.root_hash {
        return Err(UpdateRefused::SameRoot);
    }
    if compare_versions(&image.version, &new.name.version) != Ordering::Less {
        return Err(UpdateRefused::NotNewer { running: image.version, offered: new.name.version.clone() });
    }
    let other = slots.slot(slot);
    let is_bad = other.entry().map(EntryName::standing) == Some(Standing::Bad);
    if is_bad && again == Again::Never && other.image().as_ref() == Some(&new.name) {
        return Err(UpdateRefused::FailedHere { version: new.name.version.clone() });
    }
    for (part, needed, sectors) in [Part::Hash, Part::Root]
        .into_iter()
        .zip(new.bytes)
        .zip(other.sectors)
        .map(|((part, needed), sectors)| (part, needed, sectors))
    {
        let room = sectors.saturating_mul(sector);
        if needed > room {
            return Err(UpdateRefused::TooLarge { part, needed, room });
        }
    }
    Ok(())
}

impl Part {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Hash => "hash tree",
            Part::Root => "root",
        }
    }

    /// The number of this partition of a slot.
    pub const fn number(self, slot: SlotName) -> u32 {
        match self {
            Part::Hash => slot.hash_number(),
            Part::Root => slot.root_number(),
        }
    }
}

impl fmt::Display for UpdateRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateRefused::OtherVariant { running, offered } => {
                write!(f, "it is an image of `{offered}`, and this machine runs `{running}`")
            }
            UpdateRefused::RunningUnproven => f.write_str(
                "the running image has not been found healthy: an update would overwrite the only one to fall back to",
            ),
            UpdateRefused::NotNewer { running, offered } => {
                write!(
                    f,
                    "version `{offered}` is not newer than `{running}`, which runs: the loader would not start it"
                )
            }
            UpdateRefused::SameRoot => f.write_str("it has the root that runs, under another version"),
            UpdateRefused::FailedHere { version } => {
                write!(f, "version `{version}` was started here and given up")
            }
            UpdateRefused::TooLarge { part, needed, room } => {
                write!(f, "its {} has {needed} bytes, and the slot has room for {room}", part.name())
            }
            UpdateRefused::Name(error) => write!(f, "{error}"),
            UpdateRefused::Table(error) => write!(f, "{error}"),
        }
    }
}

impl Error for UpdateRefused {}
