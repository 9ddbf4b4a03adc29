//! `brc lock`, `brc update`, `brc outdated`, `brc vendor`.

use std::{collections::BTreeSet, fs, io, path::Path, process::ExitCode};

use serde_json::json;

use super::{
    CliError, arguments,
    complain::{print, print_json, say},
    context::Context,
};
use crate::{
    build::AfterFailure,
    compose::ComposeError,
    fetch::{Expect, Place, Wanted, Watch},
    lock::{Change, Goal, Lock, Report},
    plan::{Located, Progress},
};

/// How many files are fetched at once.
const CONNECTIONS: usize = 8;

/// Pins what is missing.
pub fn lock(context: &Context, arguments: &arguments::Lock) -> Result<ExitCode, CliError> {
    change(context, &arguments.target, Goal::Complete, Written::Yes)
}

/// Moves versions forward.
pub fn update(context: &Context, arguments: &arguments::Update) -> Result<ExitCode, CliError> {
    change(context, &arguments.target, Goal::Update(arguments.names.iter().cloned().collect()), Written::Yes)
}

/// Says what an update would move, and writes nothing.
pub fn outdated(context: &Context, arguments: &arguments::Lock) -> Result<ExitCode, CliError> {
    change(context, &arguments.target, Goal::Update(BTreeSet::new()), Written::No)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Yes,
    No,
}

fn change(context: &Context, target: &arguments::Target, goal: Goal, written: Written) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(target)?;
    let flats = project.flats(&order.variant, &order.architectures)?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    let (lock, report) = session.make_lock(project.wanted(&flats)?, project.lock()?, goal)?;
    show(context, &report);
    if written == Written::Yes {
        project.write_lock(&lock)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, report: &Report) {
    for change in &report.changes {
        if context.json {
            print_json(&json!({
                "event": "change", "package": change.name, "architecture": change.architecture, "from": change.from,
                "to": change.to,
            }));
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
    let (project, order) = context.order(&arguments.target)?;
    let session = context.session(context.store()?, AfterFailure::Stop)?;
    session.images(&project, &order, crate::compose::Locked::Completed)?;
    let lock = project.lock()?;
    let wanted: Vec<Wanted> = files(&lock).collect();
    let folder = arguments.folder.join("sha256");
    fs::create_dir_all(&folder).map_err(|source| unwritable(&folder, source))?;
    let missing: Vec<Wanted> = wanted.into_iter().filter(|wanted| !is_there(&folder, wanted)).collect();
    let ignore = |_: Progress| {};
    let watch = Watch { cancelled: context.cancelled(), progress: &ignore };
    say(&format!("fetching {} files", missing.len()));
    let mut first_error = None;
    for (wanted, result) in missing.iter().zip(session.client.download_all(&missing, CONNECTIONS, watch)) {
        match result {
            Ok(mut downloaded) => {
                let to = folder.join(downloaded.sha256.to_string());
                let mut copy = || -> io::Result<()> {
                    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
                    io::copy(&mut downloaded.file, &mut file)?;
                    file.persist(&to).map_err(|error| error.error)?;
                    Ok(())
                };
                copy().map_err(|source| unwritable(&to, source))?;
            }
            Err(error) => {
                say(&format!("error: `{}`: {}", wanted.name, super::complain::chain_text(&error)));
                first_error.get_or_insert(error);
            }
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
        name: url.clone(),
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

fn is_there(folder: &Path, wanted: &Wanted) -> bool {
    let path = wanted.expect.sha256.map(|sha256| folder.join(sha256.to_string()));
    let size = path.and_then(|path| fs::metadata(path).ok()).map(|metadata| metadata.len());
    size.is_some_and(|found| wanted.expect.size.is_none_or(|size| size == found))
}

fn unwritable(path: &Path, source: io::Error) -> ComposeError {
    ComposeError::Write { path: path.to_owned(), source }
}
