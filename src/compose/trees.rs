//! Trees that locked programs fetch: made while locking, found again in the store and in vendored folders.

use std::{collections::BTreeSet, fs, io, path::Path};

use super::{ComposeError, Project, Session};
use crate::{
    content::{Digest, write_archive},
    graph::{Flat, Image},
    lock::{Lock, TreeId, Wanted},
    plan::{Action, Goal, Network, Outcome, Plan, StepId},
    store::Memo,
};

impl Session<'_> {
    /// Has every tree fetched that is wanted and not locked, by the tool sets that `lock` pins, and enters what came.
    pub(super) fn fetch_trees(
        &self,
        project: &Project,
        flats: &[Flat],
        wanted: &Wanted,
        lock: &mut Lock,
    ) -> Result<(), ComposeError> {
        let missing = wanted.trees.iter().map(|tree| tree.id(lock)).filter(|id| !lock.trees.contains_key(id));
        let missing: Vec<TreeId> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        for id in &missing {
            (self.status)(&format!("locking: fetching {} of {}", id.kind.name(), id.component));
        }
        let images = flats.iter().map(|flat| project.pin(flat, lock)).collect::<Result<Vec<_>, _>>()?;
        let mut lowered = self.lower(project, &images)?;
        // Components of one folder ask the same.
        let goals: BTreeSet<Goal> = missing.iter().map(|id| Goal::Fetched(id.question)).collect();
        lowered.plan.want_goals(|goal| goals.contains(goal));
        let built = self.build(&lowered)?;
        let found = missing.into_iter().filter_map(|id| {
            let tree = *built.goals.get(&Goal::Fetched(id.question))?;
            Some((id, tree))
        });
        lock.trees.extend(found);
        Ok(())
    }

    /// Remembers the trees of a plan that are in the store or in a vendored folder, so that no run has to fetch them.
    pub(super) fn recall_trees(&self, plan: &Plan) -> Result<(), ComposeError> {
        for step in &plan.steps {
            let Action::Run(run) = &step.action else { continue };
            let Network::Fetching { expected: Some(tree) } = run.network else { continue };
            // Nothing but the tree is in the key of such a run, so its inputs need not be there.
            let Ok((_, key)) = step.action.resolve_with_key(|_| Ok::<_, std::convert::Infallible>(tree));
            let key = key.digest();
            let known = self.store.recall(key).map_err(ComposeError::Store)?.is_some();
            if known || !self.has_tree(tree)? {
                continue;
            }
            let outcome: Outcome = run.outputs.keys().map(|output| (output.clone(), tree)).collect();
            self.store.remember(key, &outcome).map_err(ComposeError::Store)?;
        }
        Ok(())
    }

    /// Whether the store has a tree, perhaps from a vendored folder.
    fn has_tree(&self, tree: Digest) -> Result<bool, ComposeError> {
        match self.store.tree(tree) {
            Ok(_) => Ok(true),
            Err(_) => self
                .client
                .vendored_tree(tree, &self.store, self.cancelled)
                .map_err(|error| ComposeError::Fetch(Box::new(error))),
        }
    }

    /// Writes the recipe sets from elsewhere, and the trees that locked programs fetch for `images`, into a vendored
    /// folder, as canonical archives `tree/DIGEST.tar`; those that are not in the store are fetched.
    ///
    /// # Errors
    /// A tree that cannot be had, or a disk that refuses.
    pub fn vendor_trees(&self, project: &Project, images: &[Image], folder: &Path) -> Result<(), ComposeError> {
        let mut lowered = self.lower(project, images)?;
        let steps = lowered.plan.steps.iter().enumerate();
        let goals = steps.filter_map(|(index, step)| match &step.action {
            Action::Run(run) if run.network != Network::None => {
                Some(Goal::output(StepId(index), run.outputs.keys().next()?))
            }
            _ => None,
        });
        lowered.plan.goals = goals.collect();
        let built = self.build(&lowered)?;
        let sets = project.sets.values().map(|set| set.locked.tree);
        let folder = folder.join("tree");
        built.goals.values().copied().chain(sets).try_for_each(|tree| self.vendor_tree(tree, &folder))
    }

    fn vendor_tree(&self, digest: Digest, folder: &Path) -> Result<(), ComposeError> {
        let to = folder.join(format!("{digest}.tar"));
        if to.is_file() {
            return Ok(());
        }
        let tree = self.store.tree(digest).map_err(ComposeError::Store)?;
        let write = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            let file = tempfile::NamedTempFile::new_in(folder)?;
            let mut out = io::BufWriter::new(file);
            let open = |blob| self.store.open_blob(blob).map_err(io::Error::other);
            write_archive(&tree, 0, open, &mut out).map_err(io::Error::other)?;
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            file.persist(&to)?;
            Ok(())
        };
        write().map_err(|source| ComposeError::Write { path: to.clone(), source })
    }
}
