//! The environment variables of a run, kept once for all runs that have the same.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// Environment variables by name. A copy is only made when it is changed: thousands of components of a plan are built
/// with the same forty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Variables(Arc<BTreeMap<String, String>>);

impl From<BTreeMap<String, String>> for Variables {
    fn from(variables: BTreeMap<String, String>) -> Self {
        Variables(Arc::new(variables))
    }
}

impl Deref for Variables {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Variables {
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}
