//! What a repository says of itself, for people and programs.

use std::{path::Path, process::ExitCode};

use super::fault::told;
use crate::{
    cli::{
        CliError,
        context::{Context, now},
        json::{self, Object},
        output::{print, print_json, status},
    },
    content::{bytes, counted, date_text},
    publish::{Repository, Stated, Tally, Waiting},
};

/// So many digits of an identity are shown to people.
const SHOWN_DIGITS: usize = 12;

/// Checks a repository and says what is in it.
pub fn check(context: &Context, folder: &Path) -> Result<ExitCode, CliError> {
    show(context, Repository::check(folder, now()).map_err(told)?)
}

/// Says what is in a repository.
pub fn show(context: &Context, found: Stated) -> Result<ExitCode, CliError> {
    if context.is_json() {
        print_json(&Object::Repository(told_to_programs(found)));
        return Ok(ExitCode::SUCCESS);
    }
    for role in &found.roles {
        let keys = role.keys.iter().map(|id| short(id)).collect::<Vec<_>>().join(" ");
        print(&format!(
            "{:<10} version {:<4} until {}, {} of {}: {keys}",
            role.role.name(),
            role.version,
            role.expires,
            role.threshold,
            counted(role.keys.len(), "key")
        ));
    }
    if found.roles.is_empty() {
        print("nothing is published yet");
    } else {
        print(&format!("offers {}, {}", counted(found.images.len(), "image"), bytes(found.bytes)));
    }
    for image in &found.images {
        let waves = image.waves_end.map_or_else(String::new, |at| format!(", in waves until {}", date_text(at)));
        print(&format!("  {}{waves}{}", image.image, if image.is_halted { ", halted" } else { "" }));
    }
    if let Some(most) = &found.max_version {
        print(&format!("no machine goes beyond {most}"));
    }
    for waiting in &found.waiting {
        show_waiting(waiting);
    }
    if found.waiting.iter().any(Waiting::is_signed) {
        status(
            "help: what has enough signatures is published by `brc repo sign` with the keys of snapshot and timestamp",
        );
    }
    if found.waiting.iter().any(|waiting| !waiting.is_signed()) {
        status(
            "help: whoever has a missing key runs `brc repo sign`, here or on a copy whose signatures are then taken",
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn show_waiting(waiting: &Waiting) {
    let role = waiting.role.name();
    print(&format!("waits: {role} version {} until {}", waiting.version, waiting.expires));
    for change in &waiting.changes {
        print(&format!("  {change}"));
    }
    for (root, tally) in &waiting.tallies {
        let missing = tally.missing.iter().map(|id| short(id)).collect::<Vec<_>>().join(" ");
        let missing = if tally.is_enough() { String::new() } else { format!("; not yet: {missing}") };
        print(&format!(
            "  signed by {} of the {} keys that root {root} wants{missing}",
            tally.found.len(),
            tally.threshold
        ));
    }
}

fn short(identity: &str) -> &str {
    identity.get(..SHOWN_DIGITS).unwrap_or(identity)
}

fn told_to_programs(found: Stated) -> json::Repository {
    let tally = |(root, tally): (u64, Tally)| json::RepositoryTally {
        root,
        threshold: tally.threshold,
        signed: tally.found.into_iter().collect(),
        missing: tally.missing.into_iter().collect(),
    };
    let roles = found.roles.into_iter().map(|role| json::RepositoryRole {
        role: role.role.name().to_owned(),
        version: role.version,
        expires: role.expires,
        threshold: role.threshold,
        keys: role.keys,
    });
    let waiting = found.waiting.into_iter().map(|waiting| json::RepositoryDraft {
        role: waiting.role.name().to_owned(),
        version: waiting.version,
        expires: waiting.expires,
        changes: waiting.changes,
        tallies: waiting.tallies.into_iter().map(tally).collect(),
    });
    let halted = found.images.iter().filter(|image| image.is_halted).map(|image| image.image.clone());
    json::Repository {
        halted: halted.collect(),
        roles: roles.collect(),
        max_version: found.max_version,
        images: found.images.into_iter().map(|image| image.image).collect(),
        bytes: found.bytes,
        waiting: waiting.collect(),
    }
}
