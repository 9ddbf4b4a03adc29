//! `brc store`.

use std::{process::ExitCode, time::Duration};

use crate::{
    cli::{
        CliError,
        arguments::{self, StoreVerb},
        context::Context,
        json::{self, Event, Object},
        output::{print, print_event, print_json, status},
    },
    content::{bytes, counted},
    store::{GcMode, GcPolicy, Kind, Mend, VerifyReport},
};

/// One day, in seconds.
const DAY: u64 = 24 * 3600;

/// Looks after the store.
pub fn run(context: &Context, arguments: &arguments::Store) -> Result<ExitCode, CliError> {
    let mut store = context.store()?;
    match &arguments.verb {
        StoreVerb::Du => {
            let usage = store.du()?;
            for kind in Kind::ALL {
                let used = usage.of(kind);
                if context.is_json() {
                    let kind = name(kind).to_owned();
                    print_json(&Object::Usage(json::Usage { kind, files: used.count, bytes: used.bytes }));
                } else {
                    print(&format!("{:<12} {:>14} {:>12}", name(kind), counted(used.count, "file"), bytes(used.bytes)));
                }
            }
        }
        StoreVerb::Gc { dry_run, keep_days } => {
            #[expect(clippy::disallowed_methods, reason = "only cli reads the clock")]
            let mut policy = GcPolicy::new(std::time::SystemTime::now());
            policy.keep_used_within = Duration::from_secs(u64::from(*keep_days) * DAY);
            policy.mode = if *dry_run { GcMode::Measure } else { GcMode::Remove };
            let removed = store.gc(&policy)?.removed.total();
            if context.is_json() {
                let (files, bytes) = (removed.count, removed.bytes);
                print_json(&Object::Removal(json::Removal { dry_run: *dry_run, files, bytes }));
            } else {
                let verb = if *dry_run { "would be removed" } else { "removed" };
                print(&format!("{}, {}: {verb}", counted(removed.count, "file"), bytes(removed.bytes)));
            }
        }
        StoreVerb::Verify => return Ok(verify(context, &store.verify(Mend::Repair)?)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows everything that verification found.
fn verify(context: &Context, report: &VerifyReport) -> ExitCode {
    let show = |event: Event, text: String| if context.is_json() { print_event(event) } else { status(&text) };
    for digest in report.damaged.keys() {
        show(
            Event::Damaged { object: digest.to_string() },
            format!("damaged: object `{digest}`; what needs it is made again by the next compose"),
        );
    }
    for (key, object) in &report.broken {
        show(
            Event::Forgotten { key: key.to_string(), object: Some(object.to_string()) },
            format!(
                "forgotten: what the action `{key}` gave, whose object `{object}` is missing or cannot be used; it is \
                 made again by the next compose"
            ),
        );
    }
    for path in &report.unreadable {
        let name = path.file_name().unwrap_or_default().display().to_string();
        show(
            Event::Forgotten { key: name.clone(), object: None },
            format!(
                "forgotten: what the action `{name}` gave, whose record is torn; it is made again by the next compose"
            ),
        );
    }
    if !report.is_clean() {
        return ExitCode::FAILURE;
    }
    if !context.is_json() {
        status("every object is what it was");
    }
    ExitCode::SUCCESS
}

/// What a kind of file is called.
const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "objects",
        Kind::Executable => "executables",
        Kind::Checkout => "checkouts",
        Kind::Memo => "memo",
        Kind::Log => "logs",
        Kind::Failed => "failed",
        Kind::Damaged => "damaged",
        Kind::Temporary => "temporary",
        Kind::Record => "records",
    }
}
