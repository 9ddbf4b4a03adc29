//! When a run is over: its time is up, or somebody stops it. Taking its outputs is part of the run.

use std::{
    io::{self, Read},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::store::StoreError;

/// Watches one run from its begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch<'a> {
    cancelled: &'a AtomicBool,
    started: Instant,
    limit: Duration,
}

/// Why a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Somebody stopped it.
    Cancelled,
    /// It took too long.
    TimedOut,
}

impl<'a> Watch<'a> {
    /// Begins to watch.
    pub(super) fn start(cancelled: &'a AtomicBool, limit: Duration) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a run is ended when its time is up; the time enters no key")]
        let started = Instant::now();
        Watch { cancelled, started, limit }
    }

    /// How much time is left.
    pub(super) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }

    /// Why the run is over; `None` while it is not.
    pub(super) fn over(&self) -> Option<Over> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Some(Over::Cancelled);
        }
        self.left().is_zero().then_some(Over::TimedOut)
    }

    /// Fails with [`StoreError::Stopped`] once the run is over.
    pub(super) fn go_on(&self) -> Result<(), StoreError> {
        self.over().map_or(Ok(()), |_| Err(StoreError::Stopped))
    }
}

/// A reader that fails with [`StoreError::Stopped`] inside once the run is over.
pub(super) struct Watched<'a, R> {
    pub(super) inner: R,
    pub(super) watch: &'a Watch<'a>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.watch.go_on().map_err(io::Error::other)?;
        self.inner.read(into)
    }
}
