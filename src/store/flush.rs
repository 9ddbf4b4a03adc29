//! Flushing the store's file system, shared by threads that want it at the same time.

use std::sync::{Condvar, Mutex};

use super::{Store, StoreError, locked};

/// Which flush is done and whether one is going on.
#[derive(Debug, Default)]
pub(super) struct Flush {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Flushes begun so far.
    begun: u64,
    /// The last one that ended well.
    done: u64,
    running: bool,
}

impl Store {
    /// Writes to disk everything that was stored before the call.
    ///
    /// One `syncfs` may serve many threads: who comes while one runs waits for it and shares the next, because
    /// the running one may have passed over what this thread has just written.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let flush = &self.inner.flush;
        let mut state = locked(&flush.state);
        let wanted = state.begun + 1;
        while state.done < wanted {
            if state.running {
                state = flush.ended.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            }
            state.running = true;
            state.begun += 1;
            let number = state.begun;
            drop(state);
            let result = rustix::fs::syncfs(&self.inner.lock);
            state = locked(&flush.state);
            state.running = false;
            if result.is_ok() {
                state.done = number;
            }
            flush.ended.notify_all();
            result.map_err(|error| StoreError::io("flush the file system of", self.dir(), error.into()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn threads_that_flush_together_share_flushes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let calls = 8 * 5;
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..5).for_each(|_| store.flush().unwrap()));
            }
        });
        let state = locked(&store.inner.flush.state);
        assert_eq!(state.begun, state.done);
        assert!(state.begun >= 5 && state.begun <= calls, "{} flushes", state.begun);
        assert!(!state.running);
    }
}
