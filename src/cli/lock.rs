//! `brc lock`, `brc update`, `brc outdated`, `brc vendor`.

use std::{collections::BTreeSet, path::Path, process::ExitCode};

use super::{
    CliError,
    arguments::{self, Target},
    context::Context,
    json::Event,
    output::{print, print_event, say},
};
use crate::{
    build::AfterFailure,
    compose::{ComposeError, SetPins},
    content::counted,
    fetch::{Expect, Place, Wanted, Watch},
    lock::{Change, Goal, Lock, Report},
    plan::{Located, Progress},
};

/// How many files are fetched at once.
const CONNECTIONS: usize = 8;

/// Pins what is missing.
pub fn lock(context: &Context, arguments: &arguments::Lock) -> Result<ExitCode, CliError> {
    change(context, arguments.file.as_deref(), Goal::Complete, SetPins::Missing, Written::Yes)
}

/// Moves versions forward, or to those of the imported sets.
pub fn update(context: &Context, arguments: &arguments::Update) -> Result<ExitCode, CliError> {
    let (file, names) = arguments.split();
    if !arguments.from_set {
        let goal = Goal::Update(names.iter().cloned().collect());
        return change(context, file.as_deref(), goal, SetPins::Missing, Written::Yes);
    }
    if let Some(name) = names.first() {
        let message = format!("`--from-set` takes all that the sets have pinned: leave out `{name}`");
        return Err(CliError::Usage(message));
    }
    change(context, file.as_deref(), Goal::Complete, SetPins::All, Written::Yes)
}

/// Says what an update would move, and writes nothing.
pub fn outdated(context: &Context, arguments: &arguments::Lock) -> Result<ExitCode, CliError> {
    change(context, arguments.file.as_deref(), Goal::Update(BTreeSet::new()), SetPins::Missing, Written::No)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Yes,
    No,
}

fn change(
    context: &Context,
    file: Option<&Path>,
    goal: Goal,
    pins: SetPins,
    written: Written,
) -> Result<ExitCode, CliError> {
    let project = context.project(file)?;
    let flats = project.all_flats()?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let (lock, report) = session.make_lock(&project, &flats, &project.lock()?, goal, pins)?;
    show(context, &report);
    if written == Written::Yes {
        project.write_lock(&lock)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, report: &Report) {
    for change in &report.changes {
        if context.json {
            print_event(Event::Change {
                package: change.name.clone(),
                architecture: change.architecture.to_string(),
                from: change.from.clone(),
                to: change.to.clone(),
            });
        } else {
            print(&change_text(change));
        }
    }
    report.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
}

/// A change as people read it: `runc amd64 1.1.14-1 -> 1.1.15-2`.
pub fn change_text(change: &Change) -> String {
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("{} {} {} -> {}", change.name, change.architecture, version(&change.from), version(&change.to))
}

/// Fills a folder from which `--offline` composes.
pub fn vendor(context: &Context, arguments: &arguments::Vendor) -> Result<ExitCode, CliError> {
    let (file, folder) = arguments::last_word(&arguments.words, "DIR")?;
    let (target, folder) = (Target { file, choice: arguments.choice.clone() }, Path::new(folder));
    let (project, mut order) = context.order(&target)?;
    if target.choice.arch.is_empty() {
        // Another machine may compose from the folder.
        order.architectures = project.stated_architectures(&order.variant);
    }
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let images = session.images(&project, &order, crate::compose::Locked::Completed)?;
    let lock = project.lock()?;
    session.vendor_trees(&project, &images, folder)?;
    let wanted: Vec<Wanted> = files(&lock).collect();
    let ignore = |_: Progress| {};
    let watch = Watch { cancelled: context.cancelled(), progress: &ignore };
    say(&format!("gathering {}", counted(wanted.len(), "file")));
    let mut first_error = None;
    for (wanted, result) in wanted.iter().zip(session.client.vendor(&wanted, folder, CONNECTIONS, watch)) {
        if let Err(error) = result {
            say(&format!("error: `{}`: {}", wanted.name, super::complain::chain_text(&error)));
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(ExitCode::SUCCESS), |error| Err(ComposeError::Fetch(Box::new(error)).into()))
}

/// Every file that a lock pins.
fn files(lock: &Lock) -> impl Iterator<Item = Wanted> {
    let packages = lock.packages.iter().map(|(id, package)| Wanted {
        name: id.name.clone(),
        place: Place::Mirror(Located { mirror: package.mirror.clone(), path: package.path.clone() }),
        expect: Expect { sha256: Some(package.sha256), size: Some(package.size), limit: package.size },
    });
    let urls = lock.urls.iter().map(|(url, sha256)| Wanted {
        name: url.to_string(),
        place: Place::Urls(vec![url.clone()]),
        expect: Expect { sha256: Some(*sha256), size: None, limit: u64::MAX },
    });
    let sources = lock.sources.iter().flat_map(|(id, source)| source.files.iter().map(move |file| (id, source, file)));
    let sources = sources.map(|(id, source, (path, file))| Wanted {
        name: id.name.clone(),
        place: Place::Mirror(Located { mirror: source.mirror.clone(), path: path.clone() }),
        expect: Expect { sha256: Some(file.sha256), size: Some(file.size), limit: file.size },
    });
    packages.chain(sources).chain(urls)
}
