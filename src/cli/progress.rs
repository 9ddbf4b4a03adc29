//! The three readers of build events: a live tree on a terminal, plain lines elsewhere, JSON lines.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, stderr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{
    json,
    output::{Style, print_event, printable, status},
};
use crate::{
    build::{Event, StepReport},
    content::{bytes, counted},
    plan::{Progress, StepId},
};

/// Shows events to whoever is there.
pub struct Watcher {
    reader: Mutex<Reader>,
}

enum Reader {
    Terminal(Terminal),
    Lines(Counts),
    Json,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    wanted: usize,
    done: usize,
}

struct Terminal {
    counts: Counts,
    bars: MultiProgress,
    total: ProgressBar,
    running: BTreeMap<StepId, ProgressBar>,
}

impl Watcher {
    /// A reader of the given style; the terminal is standard error.
    pub fn new(style: Style) -> Self {
        let reader = match style {
            Style::Json => Reader::Json,
            Style::People if stderr().is_terminal() => Reader::Terminal(Terminal::new()),
            Style::People => Reader::Lines(Counts::default()),
        };
        Watcher { reader: Mutex::new(reader) }
    }

    /// Shows one event.
    pub fn show(&self, event: &Event) {
        match &mut *self.reader.lock().unwrap_or_else(PoisonError::into_inner) {
            Reader::Terminal(terminal) => terminal.show(event),
            Reader::Lines(counts) => show_line(counts, event),
            Reader::Json => show_json(event),
        }
    }
}

impl Counts {
    fn follow(&mut self, event: &Event) {
        match event {
            Event::Planned { wanted, known } => (self.wanted, self.done) = (*wanted, *known),
            Event::Reused(_) | Event::Finished { .. } | Event::Failed(_) => self.done += 1,
            _ => {}
        }
    }
}

impl Terminal {
    fn new() -> Self {
        let bars = MultiProgress::new();
        let total = bars.add(ProgressBar::new(0));
        if let Ok(style) = ProgressStyle::with_template("{bar:24.green} {pos}/{len} steps, {elapsed}") {
            total.set_style(style);
        }
        Terminal { counts: Counts::default(), bars, total, running: BTreeMap::new() }
    }

    fn show(&mut self, event: &Event) {
        self.counts.follow(event);
        match event {
            Event::Planned { wanted, known } => {
                self.total.set_length((*wanted - *known) as u64);
                // What was known is not counted.
                self.total.set_position(0);
            }
            Event::Started { step, last } => {
                let bar = self.bars.insert_before(&self.total, ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("├ {prefix} {elapsed} {wide_msg:.dim}") {
                    bar.set_style(style);
                }
                let last = last.map_or(String::new(), |last| format!(" (last time {})", seconds(last)));
                bar.set_prefix(format!("{}{last}", name(step)));
                bar.enable_steady_tick(Duration::from_millis(250));
                self.running.insert(step.id, bar);
            }
            Event::Progressed { step, progress } => {
                match (self.running.get(step), progress) {
                    (Some(bar), _) => bar.set_message(progress_text(progress)),
                    // What another process performs has no bar here. The bars stay quiet when the terminal is gone.
                    (None, Progress::Waiting(_)) => drop(self.bars.println(progress_text(progress))),
                    (None, _) => {}
                }
            }
            Event::Finished { step, .. } => self.end(step),
            Event::Failed(step) => {
                self.end(step);
                // The bar stays quiet when the terminal is gone.
                let _ = self.bars.println(format!("✗ {} failed", name(step)));
            }
            Event::Reused(_) => self.count(),
            Event::Ended { .. } => {}
        }
    }

    fn end(&mut self, step: &StepReport) {
        if let Some(bar) = self.running.remove(&step.id) {
            bar.finish_and_clear();
        }
        self.count();
    }

    /// Shows how many steps have their outcome.
    fn count(&mut self) {
        self.total.inc(1);
        if self.running.is_empty() && self.counts.done == self.counts.wanted {
            self.total.finish_and_clear();
        }
    }
}

fn show_line(counts: &mut Counts, event: &Event) {
    counts.follow(event);
    let line = match event {
        Event::Planned { wanted, known } => {
            format!("{} of {} to do, {known} known", wanted - known, counted(*wanted, "step"))
        }
        Event::Started { step, last: Some(last) } => {
            format!("{}: started, took {} last time", name(step), seconds(*last))
        }
        Event::Started { step, last: None } => format!("{}: started", name(step)),
        Event::Finished { step, took } => {
            format!("[{}/{}] {}: done in {}", counts.done, counts.wanted, name(step), seconds(*took))
        }
        Event::Failed(step) => format!("[{}/{}] {}: failed", counts.done, counts.wanted, name(step)),
        Event::Progressed { progress: progress @ Progress::Waiting(_), .. } => progress_text(progress),
        Event::Reused(_) | Event::Progressed { .. } | Event::Ended { .. } => return,
    };
    status(&line);
}

fn show_json(event: &Event) {
    print_event(match event {
        Event::Planned { wanted, known } => json::Event::Planned { wanted: *wanted, known: *known },
        Event::Reused(step) => json::Event::Reused(step.into()),
        Event::Started { step, last } => {
            json::Event::Started { action: step.into(), last_seconds: last.map(|last| last.as_secs_f64()) }
        }
        Event::Progressed { progress: Progress::Waiting(what), .. } => json::Event::Waiting { r#for: what.clone() },
        Event::Progressed { .. } => return,
        Event::Finished { step, took } => json::Event::Finished { action: step.into(), seconds: took.as_secs_f64() },
        Event::Failed(step) => json::Event::Failed(step.into()),
        Event::Ended { took, processors } => {
            json::Event::Ended { seconds: took.as_secs_f64(), processor_seconds: processors.as_secs_f64() }
        }
    });
}

impl From<&StepReport> for json::Action {
    fn from(step: &StepReport) -> Self {
        json::Action { component: step.component.clone(), stage: step.stage.clone(), key: step.key.to_string() }
    }
}

fn progress_text(progress: &Progress) -> String {
    match progress {
        Progress::Line(line) => printable(line).into_owned(),
        Progress::Waiting(what) => printable(&format!("waiting for {what}")).into_owned(),
        Progress::Bytes { done, total: Some(total) } => format!("{} of {}", bytes(*done), bytes(*total)),
        Progress::Bytes { done, total: None } => bytes(*done),
    }
}

fn name(step: &StepReport) -> String {
    printable(&format!("{} {}", step.component, step.stage)).into_owned()
}

/// A duration as people say it: `0.3 s`, `7 min 31 s`.
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them() {
        assert_eq!(seconds(Duration::from_millis(300)), "0.3 s");
        assert_eq!(seconds(Duration::from_secs(451)), "7 min 31 s");
    }
}
