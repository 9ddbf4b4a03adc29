//! What of the metadata service may go wrong, as it does now and then in the field.

use std::time::Duration;

/// So long each answer is wrong or late, from the first request on.
const TROUBLE: Duration = Duration::from_secs(20);
/// So late.
const LATE: Duration = Duration::from_secs(5);
/// So long there is no user data yet, from the first request on.
const NOTHING_YET: Duration = Duration::from_secs(60);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no user data (404), ever.
    Missing,
    /// Each answer of the first 20 seconds is an error of the service (500).
    Broken,
    /// Each answer of the first 20 seconds comes after 5 seconds.
    Slow,
    /// There is no user data (404) for the first 60 seconds.
    Empty,
}

impl Fault {
    /// Whether a request is refused that comes so long after the first one.
    pub(super) fn is_broken(self, elapsed: Duration) -> bool {
        self == Self::Broken && elapsed < TROUBLE
    }

    /// How long its answer takes.
    pub(super) fn delay(self, elapsed: Duration) -> Duration {
        if self == Self::Slow && elapsed < TROUBLE { LATE } else { Duration::ZERO }
    }

    /// Whether there is no user data.
    pub(super) fn has_nothing(self, elapsed: Duration) -> bool {
        self == Self::Missing || self == Self::Empty && elapsed < NOTHING_YET
    }
}
