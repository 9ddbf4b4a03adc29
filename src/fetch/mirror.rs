//! Mirrors: which servers or folders serve the archives that recipes name.

use std::collections::BTreeMap;

use super::{Location, LocationError};

/// The places that serve each archive, by mirror name (`debian`, `debian-security`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors(BTreeMap<String, Vec<Location>>);

impl Mirrors {
    /// No mirror at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the places that serve `name`, in the order in which they are asked, unless it has some already: the
    /// caller tells the strongest source first (command line, environment, configuration, apt).
    ///
    /// # Errors
    /// A place that cannot be read; nothing is changed then.
    pub fn offer<S: AsRef<str>>(&mut self, name: &str, bases: &[S]) -> Result<(), MirrorError> {
        let read =
            |base: &S| Location::parse(base.as_ref()).map_err(|source| MirrorError { name: name.to_owned(), source });
        let bases = bases.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if !bases.is_empty() {
            self.0.entry(name.to_owned()).or_insert(bases);
        }
        Ok(())
    }

    /// The places that serve `name`, in order; empty when nobody named one.
    pub fn bases(&self, name: &str) -> &[Location] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every name with its places, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Location])> {
        self.0.iter().map(|(name, bases)| (name.as_str(), bases.as_slice()))
    }
}

/// A mirror's place cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mirror for `{name}` cannot be used")]
pub struct MirrorError {
    name: String,
    source: LocationError,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_offer_counts() {
        let mut mirrors = Mirrors::new();
        mirrors.offer("debian", &["http://a.example/debian"]).unwrap();
        mirrors.offer("debian", &["http://b.example/debian"]).unwrap();
        mirrors.offer::<&str>("debian-security", &[]).unwrap();
        assert_eq!(mirrors.bases("debian"), [Location::parse("http://a.example/debian").unwrap()]);
        assert!(mirrors.bases("debian-security").is_empty());
        assert!(mirrors.offer("debian", &["ftp://a.example"]).is_err());
    }
}
