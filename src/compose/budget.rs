//! How large a root image is, and whether it may be.

use super::{ComposeError, Session};
use crate::{build::Built, content::RelPath, graph::Image};

impl Session<'_> {
    pub(super) fn check_budgets(&self, images: &[Image], built: &Built) -> Result<(), ComposeError> {
        for image in images {
            let bytes = self.root_bytes(image, built)?;
            if let Some((budget, origin)) = &image.layout.budget
                && bytes > *budget
            {
                let (variant, budget, origin) = (image.title(), *budget, origin.clone());
                return Err(ComposeError::OverBudget { variant, bytes, budget, origin });
            }
        }
        Ok(())
    }

    pub(super) fn root_bytes(&self, image: &Image, built: &Built) -> Result<u64, ComposeError> {
        let tree = built.goals.get(&format!("{} erofs", image.title())).copied();
        let path = RelPath::new("root.erofs").unwrap_or_default();
        tree.map_or(Ok(0), |tree| self.store.file_in(tree, &path).map(|(_, size)| size)).map_err(ComposeError::Store)
    }
}
