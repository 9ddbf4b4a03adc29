//! `brc log`: what the actions of a component printed.

use std::{fs, io, path::Path, process::ExitCode};

use crate::{
    build::AfterFailure,
    cli::{
        CliError, arguments,
        component_actions::actions_of,
        context::Context,
        json::{self, Object},
        output::{print, print_json, print_log},
    },
    compose::Locked,
    content::date_text,
    plan::is_called,
};

/// Prints what the actions of a component printed; when they would be others now, what they printed the last time.
pub fn run(context: &Context, arguments: &arguments::Log) -> Result<ExitCode, CliError> {
    let (target, component) = arguments.named.split()?;
    let (project, order) = context.order_of(&target, &component, Locked::AsItIs)?;
    let session = context.session(&project, AfterFailure::Stop)?;
    let mut shown = 0;
    for found in actions_of(&session, &project, &order, &component)? {
        if let Some(text) = read_log(&session.store.log_path(found.key.digest()))? {
            let (component, stage, key) = (found.component, found.stage, found.key.to_string());
            show_log(context, json::Log { action: json::Action { component, stage, key }, began: None, text });
            shown += 1;
        }
    }
    for build in session.store.builds(&project.root, &order.variant.to_string(), usize::MAX)? {
        let own = build.steps.iter().filter(|step| is_called(&step.component, &component));
        for step in own.filter(|_| shown == 0).collect::<Vec<_>>() {
            if let Some(text) = read_log(&session.store.log_path(step.key))? {
                let (component, stage, key) = (step.component.clone(), step.stage.clone(), step.key.to_string());
                let began = Some(date_text(build.began));
                show_log(context, json::Log { action: json::Action { component, stage, key }, began, text });
                shown += 1;
            }
        }
    }
    if shown == 0 {
        return Err(CliError::Found(format!("no action of `{component}` has printed anything yet")));
    }
    Ok(ExitCode::SUCCESS)
}

fn show_log(context: &Context, log: json::Log) {
    if context.is_json() {
        return print_json(&Object::Log(log));
    }
    let when = log.began.map_or(String::new(), |when| format!(", as it was {when}"));
    print(&format!("==> {} {}{when}", log.action.component, log.action.stage));
    print_log(log.text.trim_end());
}

/// What an action printed; none when it left no log. Bytes that are no UTF-8 are shown as such.
fn read_log(path: &Path) -> Result<Option<String>, CliError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::Machine(format!("the log `{}` cannot be read: {error}", path.display()).into())),
    }
}
