//! `brc vendor`: everything that an image is made from, in a folder.

use std::{path::Path, process::ExitCode};

use brc_contract::error_chain;

use crate::{
    build::AfterFailure,
    cli::{
        CliError,
        arguments::{self, Target},
        context::Context,
        output::status,
    },
    compose::{ComposeError, Locked},
    content::counted,
    fetch::{Expect, Place, WantedFile, Watch},
    lock::Lock,
    plan::{Located, Progress},
};

/// How many files are fetched at once.
const CONNECTIONS: usize = 8;

/// Fills a folder from which `--offline` composes.
pub fn run(context: &Context, arguments: &arguments::Vendor) -> Result<ExitCode, CliError> {
    let (file, folder) = arguments::last_word(&arguments.words, "DIR")?;
    let (target, folder) = (Target { file, choice: arguments.choice.clone() }, Path::new(folder));
    let (project, mut order) = context.order(&target, Locked::Completed)?;
    if target.choice.arch.is_empty() {
        // Another machine may compose from the folder.
        order.architectures = project.stated_architectures(&order.variant);
    }
    let session = context.session(&project, AfterFailure::Stop)?;
    let images = session.images(&project, &order, Locked::Completed)?;
    let lock = project.lock()?;
    session.vendor_trees(&project, &images, folder)?;
    let wanted: Vec<WantedFile> = files(&lock).collect();
    let ignore = |_: Progress| {};
    let watch = Watch { cancelled: context.cancelled(), progress: &ignore };
    status(&format!("gathering {}", counted(wanted.len(), "file")));
    let mut first_error = None;
    for (wanted, result) in wanted.iter().zip(session.client.vendor(&wanted, folder, CONNECTIONS, watch)) {
        if let Err(error) = result {
            status(&format!("error: `{}`: {}", wanted.name, error_chain(&error)));
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(ExitCode::SUCCESS), |error| Err(ComposeError::Fetch(Box::new(error)).into()))
}

/// Every file that a lock pins.
fn files(lock: &Lock) -> impl Iterator<Item = WantedFile> {
    let packages = lock.packages.iter().map(|(id, package)| WantedFile {
        name: id.name.clone(),
        place: Place::Mirror(Located { mirror: package.mirror.clone(), path: package.path.clone() }),
        expect: Expect { sha256: Some(package.sha256), size: Some(package.size), limit: package.size },
    });
    let urls = lock.urls.iter().map(|(url, sha256)| WantedFile {
        name: url.to_string(),
        place: Place::Urls(vec![url.clone()]),
        expect: Expect { sha256: Some(*sha256), size: None, limit: u64::MAX },
    });
    let sources = lock.sources.iter().flat_map(|(id, source)| source.files.iter().map(move |file| (id, source, file)));
    let sources = sources.map(|(id, source, (path, file))| WantedFile {
        name: id.name.clone(),
        place: Place::Mirror(Located { mirror: source.mirror.clone(), path: path.clone() }),
        expect: Expect { sha256: Some(file.sha256), size: Some(file.size), limit: file.size },
    });
    packages.chain(sources).chain(urls)
}
