//! What one end may still send in a session.

use std::sync::{Condvar, Mutex, PoisonError};

use super::WINDOW;

/// How much of [`WINDOW`] is left. It is shared by those that send, and by whoever hears what was taken.
#[derive(Debug)]
pub struct Window {
    /// Nothing, when the session is over.
    left: Mutex<Option<usize>>,
    changed: Condvar,
}

impl Default for Window {
    fn default() -> Self {
        Window { left: Mutex::new(Some(WINDOW)), changed: Condvar::new() }
    }
}

impl Window {
    /// Waits until there is room for `cost`, and takes it; not when the session is over meanwhile.
    pub fn spend(&self, cost: usize) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *left {
                None => return false,
                Some(room) if room >= cost => {
                    *left = Some(room - cost);
                    return true;
                }
                Some(_) => left = self.changed.wait(left).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Gives back what was taken in; never more than there was.
    pub fn give(&self, cost: u32) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.map(|left| left.saturating_add(cost as usize).min(WINDOW));
        self.changed.notify_all();
    }

    /// The session is over: nobody waits any more.
    pub fn close(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_never_larger_than_it_was_and_ends_for_all() {
        let window = Window::default();
        assert!(window.spend(WINDOW));
        window.give(10);
        assert!(window.spend(10));
        window.give(u32::MAX);
        assert!(window.spend(WINDOW));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| window.spend(1));
            window.close();
            assert!(!waiting.join().unwrap());
        });
        window.give(1);
        assert!(!window.spend(1));
    }
}
