//! How long steps took last time, for people who wait. Nothing is decided by it.

use std::{path::PathBuf, time::Duration};

use super::{Store, StoreError, name::file_name};

const FIRST_LINE: &str = "brc-duration 1";

impl Store {
    /// Remembers how long a step took; counted in milliseconds.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn remember_duration(&self, name: &str, duration: Duration) -> Result<(), StoreError> {
        self.write_record(&self.duration_path(name), FIRST_LINE, &format!("{} ms\n", duration.as_millis()))
    }

    /// How long a step took last time, if that is known.
    pub fn last_duration(&self, name: &str) -> Option<Duration> {
        let lines = self.read_record(&self.duration_path(name), FIRST_LINE).ok()??;
        lines.strip_suffix(" ms\n")?.parse().ok().map(Duration::from_millis)
    }

    fn duration_path(&self, name: &str) -> PathBuf {
        self.dir().join("durations").join(file_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_duration_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.last_duration("runc/compile"), None);
        store.remember_duration("runc/compile", Duration::from_micros(61_500_400)).unwrap();
        assert_eq!(store.last_duration("runc/compile"), Some(Duration::from_millis(61_500)));
        // A change here is a change of the store's format: it needs a new version in `FIRST_LINE`.
        let written = std::fs::read_to_string(dir.path().join("durations/runc%2Fcompile")).unwrap();
        assert!(written.starts_with("brc-duration 1\n61500 ms\nend "), "{written}");
    }
}
