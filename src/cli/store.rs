//! `brc store`.

use std::{process::ExitCode, time::Duration};

use serde_json::json;

use super::{
    CliError,
    arguments::{self, StoreVerb},
    context::Context,
    output::{print, print_json, say},
    progress::bytes,
};
use crate::{
    content::counted,
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
                if context.json {
                    print_json(&json!({"kind": name(kind), "files": used.count, "bytes": used.bytes}));
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
            let report = store.gc(&policy)?;
            if context.json {
                print_json(
                    &json!({"dry_run": dry_run, "files": report.removed.total().count, "bytes": report.removed.total().bytes}),
                );
            } else {
                let verb = if *dry_run { "would be removed" } else { "removed" };
                print(&format!(
                    "{}, {}: {verb}",
                    counted(report.removed.total().count, "file"),
                    bytes(report.removed.total().bytes)
                ));
            }
        }
        StoreVerb::Verify => return Ok(verify(context, &store.verify(Mend::Repair)?)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells everything that verification found.
fn verify(context: &Context, report: &VerifyReport) -> ExitCode {
    let tell = |event: serde_json::Value, text: String| if context.json { print_json(&event) } else { say(&text) };
    for digest in report.damaged.keys() {
        tell(
            json!({"event": "damaged", "object": digest.to_string()}),
            format!("damaged: object `{digest}`; what needs it is made again by the next compose"),
        );
    }
    for (key, object) in &report.broken {
        tell(
            json!({"event": "forgotten", "key": key.to_string(), "object": object.to_string()}),
            format!(
                "forgotten: what the action `{key}` gave, whose object `{object}` is missing or cannot be used; it is \
                 made again by the next compose"
            ),
        );
    }
    for path in &report.unreadable {
        let name = path.file_name().unwrap_or_default().display().to_string();
        tell(
            json!({"event": "forgotten", "key": name}),
            format!(
                "forgotten: what the action `{name}` gave, whose record is torn; it is made again by the next compose"
            ),
        );
    }
    if !report.is_clean() {
        return ExitCode::FAILURE;
    }
    if !context.json {
        say("every object is what it was");
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
