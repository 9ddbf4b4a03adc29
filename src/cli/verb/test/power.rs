//! An update whose machine loses its power.
//!
//! The machine is ended like by a power cut, but for one thing: what it has written by then and not flushed is there
//! nevertheless, since the host has it. What becomes of writes that are lost or come in another order is shown by the model
//! of `host/contract`, which goes through every cut between two sectors.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use super::{
    bench::{Failed, Look},
    story::{Update, is_good, must, said},
};
use crate::cli::CliError;

/// What a boot of the machine came to: how the story ended, with the machine's last lines when it failed.
type Ended = Result<(), (Failed, Vec<String>)>;
/// Boots the machine once more, from the disk as it is.
pub(super) type Run<'r> = dyn Fn(&dyn Fn(&Look<'_>) -> Result<(), Failed>) -> Result<Ended, CliError> + 'r;

/// The moments of the cuts are spread over the time that an update takes, each new one in the widest gap (the golden section).
const SECTION: f64 = 0.618_033_988_749_895;

/// Cuts the power `cuts` times while the update is written; each time the machine must come up, old or new.
///
/// # Errors
/// A machine that does not start.
pub(super) fn cut(update: &Update, cuts: u32, run: &Run<'_>) -> Result<Ended, CliError> {
    let taken = Cell::new(Duration::ZERO);
    let first = run(&|look| {
        update.first_boot(look)?;
        taken.set(write_whole(look)?);
        look.tell(&format!("an update without a cut takes {:.1} s", taken.get().as_secs_f64()));
        give_up(look)
    })?;
    if first.is_err() {
        return Ok(first);
    }
    let (old, new) = (Cell::new(0_u32), Cell::new(0_u32));
    for number in 1..=cuts {
        let moment = taken.get().mul_f64((f64::from(number) * SECTION).fract());
        let ended = run(&|look| {
            come_up(look, update, &old, &new)?;
            begin(look)?;
            wait(look, moment)?;
            look.tell(&format!("{number} of {cuts}: the power goes after {:.1} s", moment.as_secs_f64()));
            Ok(())
        })?;
        if ended.is_err() {
            return Ok(ended);
        }
    }
    run(&|look| {
        come_up(look, update, &old, &new)?;
        // The one before the first cut was none that came up after one.
        let old = old.get().saturating_sub(1);
        look.tell(&format!("{cuts} of {cuts} came up: {old} with the old version, {} with the new one", new.get()));
        must(old + new.get() == cuts, || "not every cut was counted".to_owned())
    })
}

/// Waits until the machine is healthy, whatever runs, and brings it back to the old version.
fn come_up(look: &Look<'_>, update: &Update, old: &Cell<u32>, new: &Cell<u32>) -> Result<(), Failed> {
    let status = look.until("it was found healthy after a cut", is_good)?;
    let is_new = said(&status, "/version") == update.version();
    let counted = if is_new { new } else { old };
    counted.set(counted.get() + 1);
    look.tell(&format!("{} is healthy, its root verified", said(&status, "/version")));
    if is_new {
        let (code, told) = look.run(&["/usr/bin/brc-update", "rollback"])?;
        must(code == 0, || format!("it does not go back: {}", told.trim()))?;
        look.let_go(&["/usr/bin/systemctl", "reboot"])?;
        let is_back = |status: &serde_json::Value| said(status, "/version") != update.version() && is_good(status);
        look.until("the old version was back", is_back)?;
    }
    Ok(())
}

/// Writes the update without a cut; how long it took.
#[expect(clippy::disallowed_methods, reason = "the cuts are spread over this time")]
fn write_whole(look: &Look<'_>) -> Result<Duration, Failed> {
    let start = Instant::now();
    let (code, told) = look.run(&["/usr/bin/brc-update", "apply", "--now"])?;
    must(code == 0, || format!("the update was not taken: {}", told.trim()))?;
    Ok(start.elapsed())
}

/// Gives up what was written and never started, so that it can be written again.
fn give_up(look: &Look<'_>) -> Result<(), Failed> {
    let (code, told) = look.run(&["/usr/bin/brc-update", "rollback"])?;
    must(code == 0, || format!("it is not given up: {}", told.trim()))?;
    look.run(&["/usr/bin/sync"]).map(drop)
}

/// Begins to write the update, and goes on meanwhile.
fn begin(look: &Look<'_>) -> Result<(), Failed> {
    let words = ["/usr/bin/systemd-run", "--no-block", "--quiet", "/usr/bin/brc-update", "apply", "--now"];
    let (code, told) = look.run(&words)?;
    must(code == 0, || format!("the update does not begin: {}", told.trim()))
}

#[expect(clippy::disallowed_methods, reason = "the power goes at a moment")]
fn wait(look: &Look<'_>, moment: Duration) -> Result<(), Failed> {
    let start = Instant::now();
    while start.elapsed() < moment {
        look.pause_for(Duration::from_millis(20).min(moment.saturating_sub(start.elapsed())))?;
    }
    Ok(())
}
