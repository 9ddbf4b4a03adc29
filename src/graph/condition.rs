//! Which conditions hold.

use std::collections::BTreeSet;

use brc_contract::Architecture;

use crate::recipe::{Clause, Condition, Guarded, Key, Sense};

/// What conditions are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// The architecture of the image.
    pub architecture: Architecture,
    /// The architecture of the machine that composes; of a tool set that which it is for.
    pub execution: Architecture,
    /// The platform of the variant.
    pub platform: String,
    /// The features that are on.
    pub features: BTreeSet<String>,
    /// The variant that is composed.
    pub variant: String,
}

impl Situation {
    /// The items whose conditions all hold, in order.
    pub fn decide<'a, T>(&self, items: &'a [Guarded<T>]) -> impl Iterator<Item = &'a Guarded<T>> {
        items.iter().filter(|item| item.when.iter().all(|clause| self.clause(clause)))
    }

    fn clause(&self, clause: &Clause) -> bool {
        clause.any.iter().any(|condition| self.condition(condition))
    }

    fn condition(&self, condition: &Condition) -> bool {
        let among = match condition.key {
            Key::Arch => condition.values.contains(self.architecture.name()),
            Key::Execution => condition.values.contains(self.execution.name()),
            Key::Platform => condition.values.contains(&self.platform),
            Key::Variant => condition.values.contains(&self.variant),
            Key::Feature => condition.values.iter().any(|feature| self.features.contains(feature)),
        };
        among == (condition.sense == Sense::Is)
    }
}
