//! What is told of an action that ran: which it is, why it was not reused, what changed.

use super::{
    context::Context,
    json::{self, ActionReport},
};
use crate::{
    build::{Change, Reason},
    store::{RecordedFact, StepRecord, Store},
};

/// An action as people know it: `runc compile`.
pub fn title(step: &StepRecord) -> String {
    format!("{} {}", step.component, step.stage)
}

/// An action, why it was not reused, and how it is run again.
pub fn action_report(context: &Context, store: &Store, step: &StepRecord, reason: &Reason) -> ActionReport {
    let log = store.log_path(step.key);
    let changes = if let Reason::Changed(changes) = reason { changes.as_slice() } else { &[] };
    ActionReport {
        action: json::Action {
            component: step.component.clone(),
            stage: step.stage.clone(),
            key: step.key.to_string(),
        },
        state: step.state.name().to_owned(),
        reason: reason.to_string(),
        changes: changes.iter().map(change_object).collect(),
        r#where: "this machine".to_owned(),
        seconds: step.took.as_secs_f64(),
        log: log.exists().then(|| log.display().to_string()),
        reproduce: context.hints.image("build", &[&step.component]),
    }
}

fn change_object(change: &Change) -> json::Change {
    let value = |fact: &RecordedFact| match fact {
        RecordedFact::Tree(tree) => tree.to_string(),
        RecordedFact::Text(text) => text.clone(),
    };
    json::Change {
        what: change.name.clone(),
        old: change.old.as_ref().map(value),
        new: change.new.as_ref().map(value),
        details: None,
    }
}
