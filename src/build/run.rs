//! A build from its start to its end: the schedule, and workers for each lane.

use std::{sync::atomic::AtomicBool, time::Duration};

use super::{
    BuildError, Event, JobServer,
    lane::Lane,
    schedule::{Built, Options, Performers, Schedule},
    worker,
};
use crate::{plan::Plan, store::Store};

/// Runs what the plan's goals need and gives their trees.
///
/// # Errors
/// Every step that failed; or a store or job server that cannot be used.
pub fn build(
    plan: &Plan,
    performers: Performers<'_>,
    store: &Store,
    options: &Options,
    events: &(dyn Fn(Event) + Sync),
    cancelled: &AtomicBool,
) -> Result<Built, BuildError> {
    #[expect(clippy::disallowed_methods, reason = "how long a build took is shown to people; it enters no key")]
    let start = std::time::Instant::now();
    let worked = processor_time();
    let folder = store.temporary().map_err(BuildError::Store)?;
    let job_server = JobServer::new(folder.path(), options.jobs.max(1));
    let mut schedule = Schedule::new(plan, performers, store, options, job_server, events);
    schedule.recall_all()?;
    std::thread::scope(|scope| {
        let schedule = &schedule;
        let lanes = if schedule.has_work() { &Lane::ALL[..] } else { &[] };
        for lane in lanes {
            for _ in 0..lane.workers(options.jobs) {
                scope.spawn(|| worker::work(schedule, *lane));
            }
        }
        schedule.obey(cancelled);
    });
    events(Event::Ended { took: start.elapsed(), processors: processor_time().saturating_sub(worked) });
    schedule.finish()
}

/// How long processors have worked for this process and for those that it has waited for.
fn processor_time() -> Duration {
    // proc_pid_stat(5): after the name in parentheses, fields 14 to 17 in ticks, of which Linux counts 100 a second.
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(4);
    Duration::from_millis(fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10)
}
