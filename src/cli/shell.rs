//! `brc shell` and `brc log`: look into what an action did.

use std::{fs, process::ExitCode};

use super::{CliError, arguments, complain::print, context::Context};
use crate::{
    build::{AfterFailure, Known},
    compose::{Locked, Session},
    content::Digest,
    plan::{Action, Key},
};

/// One action of a component whose inputs are all there.
struct Found {
    name: String,
    key: Key,
    action: Action<Digest>,
}

pub fn log(context: &Context, arguments: &arguments::Log) -> Result<ExitCode, CliError> {
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let mut shown = 0;
    for found in actions_of(context, &session, &arguments.target, &arguments.component)? {
        if let Ok(text) = fs::read_to_string(session.store.log_path(found.key.digest())) {
            print(&format!("==> {}\n{}", found.name, text.trim_end()));
            shown += 1;
        }
    }
    if shown == 0 {
        return Err(CliError::Found(format!("no action of `{}` has printed anything yet", arguments.component)));
    }
    Ok(ExitCode::SUCCESS)
}

fn actions_of(
    context: &Context,
    session: &Session<'_>,
    target: &arguments::Target,
    component: &str,
) -> Result<Vec<Found>, CliError> {
    let (project, order) = context.order(target)?;
    let images = session.images(&project, &order, Locked::AsItIs)?;
    let lowered = session.lower(&project, &images)?;
    super::explain::steps_of(&lowered.plan, component)?;
    let fits = |name: &str| name == component || name.rsplit('/').next() == Some(component);
    let known = session.look(&lowered)?.into_iter().zip(&lowered.plan.steps);
    let own = known.filter(|(_, step)| fits(&step.component));
    Ok(own
        .filter_map(|(known, step)| match known {
            Known::Waiting => None,
            Known::Ready(key, action) | Known::Done(key, action, _) => {
                Some(Found { name: format!("{} {}", step.component, step.stage), key, action })
            }
        })
        .collect())
}
