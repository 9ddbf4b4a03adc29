//! Boot entries: what is done to the files on the ESP that start a slot.

use std::{error::Error, fmt};

use core::cmp::Ordering;

use crate::{EntryName, SlotName, Slots, Standing, compare_versions};

/// One thing that is done to the folder of kernel images on the ESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EspStep {
    /// A file is removed.
    Remove(String),
    /// The kernel image of an update is written to a file that is no entry yet.
    Stage(String),
    /// A file gets another name.
    Rename {
        /// Its name so far.
        from: String,
        /// Its new name.
        to: String,
    },
    /// All that was done so far reaches the disk.
    Sync,
}

/// How a version is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// What is done to the ESP.
    pub steps: Vec<EspStep>,
    /// The slot that is given up; the other one is started from now on.
    pub given_up: SlotName,
}

/// What runs cannot be given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackRefused {
    /// The other slot holds nothing that starts.
    NothingThere {
        /// The slot that holds nothing.
        slot: SlotName,
    },
    /// The other slot holds an image that was given up.
    OtherBad {
        /// Its entry.
        entry: EntryName,
    },
}

/// Takes away what an update that was cut off has left, and files that start what other files start already: of one
/// version that which counts stays. Which that is says systemd-boot's order; an uncounted one comes first, so what was
/// found healthy stays so.
pub fn reconcile(slots: &Slots) -> Vec<EspStep> {
    let twice = [SlotName::A, SlotName::B].into_iter().flat_map(|name| slots.slot(name).entries.iter().skip(1));
    let twice = twice.map(EntryName::to_string);
    with_sync(twice.chain(slots.staged().iter().cloned()).map(EspStep::Remove).collect())
}

/// What was seen of what runs, when the time that it had to prove itself is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// This start was found healthy.
    Healthy,
    /// It was not.
    NotHealthy {
        /// So many starts in a row, this one with them.
        starts: u8,
        /// After so many a version is given up that was found healthy before; 0: never.
        limit: u8,
    },
}

/// What becomes of what runs when the time that it had to prove itself is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It has proven itself.
    Good,
    /// It has not: the machine starts again, by which the loader takes one of its tries, or falls back.
    Restart {
        /// How many tries it has left.
        left: u8,
    },
    /// It has proven itself once and is broken since: it is given up, and the machine starts again with the other slot's.
    GiveUp,
    /// It has not, and no other slot holds anything that starts.
    NothingElse,
    /// It has proven itself once and is broken since, and whoever says so wants it to go on.
    GoOn,
}

/// Judges what runs when the time that it had is over. Until the last try is taken it may yet prove itself.
pub fn judge(slots: &Slots, seen: Seen) -> Judgement {
    let standing = slots.slot(slots.running()).entry().map(EntryName::standing);
    let other = slots.slot(slots.running().other()).entry().map(EntryName::standing);
    match (standing, other, seen) {
        (Some(Standing::Good), _, Seen::Healthy) => Judgement::Good,
        (_, None | Some(Standing::Bad), _) => Judgement::NothingElse,
        (Some(Standing::Good), _, Seen::NotHealthy { limit: 0, .. }) => Judgement::GoOn,
        (Some(Standing::Good), _, Seen::NotHealthy { starts, limit }) if starts >= limit => Judgement::GiveUp,
        (Some(Standing::Good), _, Seen::NotHealthy { starts, limit }) => Judgement::Restart { left: limit - starts },
        (Some(Standing::OnTrial(tries)), _, _) => Judgement::Restart { left: tries.left },
        (None | Some(Standing::Bad), _, _) => Judgement::Restart { left: 0 },
    }
}

/// Gives up an update that the loader did not offer at this start, where `offered` are the entries that it did: its kernel
/// image cannot be read. Nothing where there is none; whoever performs this knows that the update was written before the
/// start.
pub fn give_up_unreadable(slots: &Slots, offered: &[EntryName]) -> Vec<EspStep> {
    let other = slots.running().other();
    match slots.slot(other).entry() {
        Some(entry)
            if matches!(entry.standing(), Standing::OnTrial(_))
                && !offered.iter().any(|offered| offered.is_same_entry(entry)) =>
        {
            rename(slots, other, EntryName::bad)
        }
        _ => Vec::new(),
    }
}

/// What runs has proven itself: its entry is not counted any more. Nothing when it has proven itself before.
pub fn bless(slots: &Slots) -> Vec<EspStep> {
    rename(slots, slots.running(), EntryName::good)
}

/// Goes back to the version before: what runs is given up, or, where an update was written and never started, that, so
/// that what runs stays. What was given up is never taken again by itself. Whoever performs this has checked that the slot
/// which is started then is whole.
///
/// # Errors
/// When the other slot holds nothing, or what was given up.
pub fn roll_back(slots: &Slots) -> Result<Rollback, RollbackRefused> {
    let other = slots.running().other();
    let entry = slots.slot(other).entry().ok_or(RollbackRefused::NothingThere { slot: other })?;
    if entry.standing() == Standing::Bad {
        return Err(RollbackRefused::OtherBad { entry: entry.clone() });
    }
    let is_untried = matches!(entry.standing(), Standing::OnTrial(tries) if tries.done == 0);
    let version = |slot: SlotName| slots.slot(slot).image().map(|image| image.version).unwrap_or_default();
    let is_newer = compare_versions(&version(other), &version(slots.running())) == Ordering::Greater;
    let given_up = if is_untried && is_newer { other } else { slots.running() };
    Ok(Rollback { steps: rename(slots, given_up, EntryName::bad), given_up })
}

/// Gives the entry of a slot another counter, and takes away what else starts it.
fn rename(slots: &Slots, slot: SlotName, counted: impl Fn(&EntryName) -> EntryName) -> Vec<EspStep> {
    let mut steps = reconcile(slots);
    if let Some(entry) = slots.slot(slot).entry() {
        let (from, to) = (entry.to_string(), counted(entry).to_string());
        if from != to {
            steps.extend(with_sync(vec![EspStep::Rename { from, to }]));
        }
    }
    steps
}

pub(super) fn with_sync(mut steps: Vec<EspStep>) -> Vec<EspStep> {
    if !steps.is_empty() {
        steps.push(EspStep::Sync);
    }
    steps
}

impl fmt::Display for RollbackRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RollbackRefused::NothingThere { slot } => {
                write!(f, "slot {} holds no image that starts: there is nothing to go back to", slot.name())
            }
            RollbackRefused::OtherBad { entry } => {
                write!(f, "the other slot's `{entry}` was given up: what runs is all that starts")
            }
        }
    }
}

impl Error for RollbackRefused {}
