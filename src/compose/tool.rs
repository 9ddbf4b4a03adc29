//! The tool set that does something for the images of a project, without the images.

use super::{ComposeError, ComposeOrder, Locked, Project, Session};
use crate::{
    content::Digest,
    graph::Role,
    plan::{Goal, ImagePart},
};

impl Session<'_> {
    /// The tree of the tool set that has a role for an order, built where it is not there, and kept.
    ///
    /// # Errors
    /// The variant has no tool for it, or what building it could say.
    pub fn tool(&self, project: &Project, order: &ComposeOrder, role: Role) -> Result<Digest, ComposeError> {
        let images = self.images(project, order, Locked::Completed)?;
        let mut lowered = self.lower(project, &images)?;
        let goals: Vec<Goal> =
            images.iter().map(|image| Goal::of_image(&image.title(), ImagePart::Tool(role))).collect();
        lowered.plan.want_goals(|goal| goals.contains(goal));
        let built = self.build(&lowered)?;
        // Composing needs not every role, so what the last compose keeps does not hold it.
        let kept = format!("{} {}", order.variant, role.name());
        self.store.keep(&project.root, &kept, &built.keys).map_err(ComposeError::Store)?;
        let no_tool = || ComposeError::NoTool { variant: order.variant.to_string(), role };
        goals.iter().find_map(|goal| built.goals.get(goal)).copied().ok_or_else(no_tool)
    }
}
