//! What happens to the slots of a disk: updates, blessing, giving up; each as a list of steps.
//!
//! *Takes* the [`Slots`] of a disk and its partition table. *Gives* steps, each of which power may cut off. *Promises*:
//! no I/O; whatever is cut off, what ran healthily before can still be started, and the same update can be begun
//! again. *Does not know* where images come from, or how a step is done.
//!
//! The one switch of an update is the name of a file on the ESP: until it is there the loader does not know of the new
//! image, and before that both partitions are whole.

mod apply;
mod entry;
#[cfg(test)]
mod model_tests;
mod offer;
mod wave;

pub use apply::{Again, NewImage, Part, Step, UpdateRefused, steps};
pub use entry::{
    EspStep, Judgement, Rollback, RollbackRefused, Seen, bless, give_up_unreadable, judge, reconcile, roll_back,
};
pub use offer::{
    Choice, Host, MAX_OFFERS_BYTES, OFFERS, OFFERS_VERSION, Offer, OfferError, OfferTargets, Offers, Wishes,
};
pub use wave::{SEEDS, Schedule, ScheduleError, WavePoint, seed};
