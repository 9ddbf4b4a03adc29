//! A finished kernel, taken out of packages.

use crate::{
    content::Glob,
    plan::walk::{Kind, Walk, names},
};

/// A finished kernel, taken out of packages. Outputs: `boot` (files `kernel`, `config` and `release`, one line) and
/// `modules` (a tree to lay into the root: modules and firmware).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PackagedKernel<T> {
    /// What the packages install; one of them holds a kernel.
    pub packages: Vec<T>,
    /// What of their modules and firmware `modules` lacks.
    pub drop: Vec<Glob>,
}

impl<T> Kind<T> for PackagedKernel<T> {
    type With<U> = PackagedKernel<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("kernel package", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<PackagedKernel<U>, E> {
        Ok(PackagedKernel {
            packages: walk.each(&self.packages, |walk, package| walk.tree("package", package))?,
            drop: walk.globs("drop", &self.drop),
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["boot", "modules"])
    }
}
