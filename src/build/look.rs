//! A look at a plan without running it: what is known already, and under which keys.

use super::BuildError;
use crate::{
    content::Digest,
    plan::{Action, Key, Outcome, Plan, Source},
    store::Store,
};

/// What is known of one step.
#[derive(Debug, Clone)]
pub enum Known {
    /// Its inputs are not all there, so nothing can be said.
    Waiting,
    /// It could run now.
    Ready(Key, Action<Digest>),
    /// Its outcome is remembered.
    Done(Key, Action<Digest>, Outcome),
}

/// What is known of each step of a plan, in order.
///
/// # Errors
/// A store that cannot be used.
pub fn look(plan: &Plan, store: &Store) -> Result<Vec<Known>, BuildError> {
    let mut all: Vec<Known> = Vec::with_capacity(plan.steps.len());
    look_each(plan, store, |known| all.push(known))?;
    Ok(all)
}

/// Hands over what is known of each step of a plan, in order: a plan may have more steps than should be kept twice.
///
/// # Errors
/// A store that cannot be used.
pub fn look_each(plan: &Plan, store: &Store, mut see: impl FnMut(Known)) -> Result<(), BuildError> {
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let resolved = step.action.resolve_with_key(|source| match source {
            Source::Tree(digest) => Ok(*digest),
            Source::Output { step, output } => {
                let outcome = outcomes.get(step.0).and_then(Option::as_ref);
                outcome.and_then(|outcome| outcome.get(output)).copied().ok_or(())
            }
        });
        let known = match resolved {
            Err(()) => Known::Waiting,
            Ok((action, key)) => {
                let known = if action.is_remembered() { store.recall(key.digest()) } else { Ok(None) };
                match known.map_err(BuildError::Store)? {
                    Some(outcome) => Known::Done(key, action, outcome),
                    None => Known::Ready(key, action),
                }
            }
        };
        outcomes.push(match &known {
            Known::Done(_, _, outcome) => Some(outcome.clone()),
            Known::Waiting | Known::Ready(..) => None,
        });
        see(known);
    }
    Ok(())
}
