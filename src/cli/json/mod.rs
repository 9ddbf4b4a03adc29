//! The lines of `--json`: each object that brc prints for programs, as a type.
//!
//! Each line says the format's [`VERSION`] itself: lines are filtered and put together from several runs, and the only
//! line of a run may be an error, so a first line that says it for all would be lost. The schema of all lines is
//! `docs/reference/events.schema.json`; it is derived from these types, their doc comments included.

mod ami;
mod difference;
mod event;
mod object;
mod size;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use ami::{Ami, AmiCall, AmiPlan, AmiRemoval, Published, PublishedAmi};
pub use difference::{
    Download, DownloadPart, FileDifference, ImageDifference, ImageLabel, PartitionChange, SizeChange, Tally,
    TopicChange,
};
pub use event::{Action, Event, KernelOption, OptionDifference, WantedValue};
pub use object::{
    ActionReport, Change, CriticalPath, Edge, Esp, Finding, Graph, ImageCheck, ImageFinding, Log, Object,
    PlannedAction, Provenance, Removal, Repository, RepositoryDraft, RepositoryKey, RepositoryRole, RepositoryTally,
    Reproduction, Resolved, Root, Surroundings, Usage, Value, Verity, WhatRan,
};
pub use size::{ImageSize, PartitionRoom, SizeShare};

/// The version of the lines. A field that is added leaves it, one that goes or changes its meaning counts it up.
pub const VERSION: u32 = 1;

/// An object as it is printed: with the version of the format.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Line<'a> {
    /// The version of the format.
    #[cfg_attr(test, schemars(extend("const" = VERSION)))]
    version: u32,
    #[serde(flatten)]
    object: &'a Object,
}

impl Object {
    /// The object as one line of JSON, without its end.
    pub fn line(&self) -> String {
        #[expect(clippy::expect_used, reason = "these types have only text keys, and a String takes every byte")]
        serde_json::to_string(&Line { version: VERSION, object: self }).expect("a line of JSON")
    }
}
