//! The actions of a component that are known as far as their inputs are there.

use super::CliError;
use crate::{
    build::Known,
    compose::{ComposeOrder, Locked, Project, Session},
    content::Digest,
    plan::{Action, Key, is_called},
};

/// One action of a component whose inputs are all there.
pub struct ComponentAction {
    /// The component.
    pub component: String,
    /// What is done.
    pub stage: String,
    /// Its key.
    pub key: Key,
    /// The action.
    pub action: Action<Digest>,
}

/// The actions of a component, in the order of the plan.
///
/// # Errors
/// A name that nothing has, or what planning can say.
pub fn actions_of(
    session: &Session<'_>,
    project: &Project,
    order: &ComposeOrder,
    component: &str,
) -> Result<Vec<ComponentAction>, CliError> {
    let images = session.images(project, order, Locked::AsItIs)?;
    let lowered = session.lower(project, &images)?;
    lowered.plan.last_steps_of(component)?;
    let known = session.look(&lowered)?.into_iter().zip(&lowered.plan.steps);
    let own = known.filter(|(_, step)| is_called(&step.component, component));
    Ok(own
        .filter_map(|(known, step)| match known {
            Known::Waiting => None,
            Known::Ready(key, action) | Known::Done(key, action, _) => {
                Some(ComponentAction { component: step.component.clone(), stage: step.stage.clone(), key, action })
            }
        })
        .collect())
}
