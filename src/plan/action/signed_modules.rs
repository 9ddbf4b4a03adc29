//! Kernel modules, signed.

use crate::plan::{
    FileOf,
    walk::{Kind, Walk, names},
};

/// Kernel modules with a signature at the end of each. Output: `modules`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SignedModules<T> {
    /// What `Modules` gave.
    pub modules: T,
    /// The certificate, X.509 as PEM. The key that it belongs to stays outside: a signature is the same bytes
    /// whoever makes it (RSASSA-PKCS1-v1_5, RFC 8017).
    pub certificate: FileOf<T>,
}

impl<T> Kind<T> for SignedModules<T> {
    type With<U> = SignedModules<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("signed modules", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<SignedModules<U>, E> {
        Ok(SignedModules {
            modules: walk.tree("modules", &self.modules)?,
            certificate: walk.file("certificate", &self.certificate)?,
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["modules"])
    }
}
