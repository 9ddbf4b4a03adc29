//! Builds of a project are recorded, so that people can be told later.

use super::{ComposeError, ComposeOrder, Project, Session};
use crate::{
    build::{Asked, Built, Event, Recorder, due},
    plan::Lowered,
    store::{BuildEnd, BuildRecord},
};

impl Session<'_> {
    /// Runs what a plan's goals need, and keeps a record of it for the variant of `order`: `command` is what was
    /// asked for.
    ///
    /// # Errors
    /// Every action that failed, or a store that cannot be used.
    pub fn build_recorded(
        &self,
        project: &Project,
        order: &ComposeOrder,
        command: &str,
        lowered: &Lowered,
    ) -> Result<Built, ComposeError> {
        let recorder = Recorder::default();
        let built = self.build_told(lowered, &|event: Event| {
            recorder.follow(&event);
            (self.events)(event);
        });
        let asked = Asked { command: command.to_owned(), began: self.now };
        let end = if built.is_ok() { BuildEnd::Done } else { BuildEnd::Failed };
        let recorded = self.record(project, &order.variant.to_string(), recorder, asked, end, lowered);
        // An error of the build comes before one of its record.
        let built = built?;
        recorded.map(|()| built)
    }

    fn record(
        &self,
        project: &Project,
        variant: &str,
        recorder: Recorder,
        asked: Asked,
        end: BuildEnd,
        lowered: &Lowered,
    ) -> Result<(), ComposeError> {
        // Only a build that did nothing is compared with the one before it.
        let count = if recorder.is_idle() { 2 } else { 0 };
        let earlier = self.store.builds(&project.root, variant, count).map_err(ComposeError::Store)?;
        let last = earlier.iter().find(|build| !build.steps.is_empty());
        let record = recorder.record(asked, end, &lowered.plan, &self.store, last).map_err(ComposeError::Build)?;
        self.store.record_build(&project.root, variant, &record).map_err(ComposeError::Store)
    }

    /// What the steps of a plan would be recorded as if they were run now.
    ///
    /// # Errors
    /// A store that cannot be used.
    pub fn due(&self, lowered: &Lowered) -> Result<BuildRecord, ComposeError> {
        due(&lowered.plan, &self.store, self.now).map_err(ComposeError::Build)
    }
}
