//! Who watches a fetch.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::FetchError;
use crate::plan::Progress;

/// The longest sleep between two looks at the cancel flag.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Who watches a fetch: told how far it is, and able to stop it.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Set when the fetch is to stop.
    pub cancelled: &'a AtomicBool,
    /// Told while the fetch goes on.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

impl Watch<'_> {
    /// Fails when the fetch is to stop.
    pub(super) fn check(&self) -> Result<(), FetchError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(FetchError::Cancelled) } else { Ok(()) }
    }

    /// Waits, unless the fetch is to stop.
    #[expect(clippy::disallowed_methods, reason = "a server asks to be left alone for a while")]
    pub(super) fn pause(&self, time: Duration) -> Result<(), FetchError> {
        let mut rest = time;
        while !rest.is_zero() {
            self.check()?;
            let nap = rest.min(HEARTBEAT);
            thread::sleep(nap);
            rest -= nap;
        }
        self.check()
    }
}
