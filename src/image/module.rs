//! Signed kernel modules: a signature and its trailer at the end of each module of a tree.

use super::signature::{Certificate, SignError, SigningKey};
use crate::{
    content::{Entry, RelPath, Tree},
    plan::is_module,
};

/// What ends a signed module (include/linux/module_signature.h, Linux 6.12).
const MAGIC: &[u8] = b"~Module signature appended~\n";
/// The kind of signature that is a CMS message with everything in it: `PKEY_ID_PKCS7`.
const CMS: u8 = 2;

/// The files of `tree` that are modules, each with its entry; sorted.
///
/// # Errors
/// A module that is packed: its signature would be in the packed file.
pub fn modules(tree: &Tree) -> Result<Vec<(RelPath, Entry)>, ModuleError> {
    let mut found = Vec::new();
    for (path, entry) in tree.entries().filter(|(path, entry)| is_module(path) && matches!(entry, Entry::File { .. })) {
        if !path.as_str().ends_with(".ko") {
            return Err(ModuleError::Packed { path: path.clone() });
        }
        found.push((path.clone(), entry.clone()));
    }
    Ok(found)
}

/// A module with its signature behind it.
///
/// # Errors
/// A key that cannot sign.
pub fn signed(module: Vec<u8>, certificate: &Certificate, key: &SigningKey) -> Result<Vec<u8>, SignError> {
    let signature = key.sign(certificate, &module)?;
    // Algorithm, hash, kind, lengths of signer and key, three bytes of nothing: only the kind is used for CMS.
    let trailer = [0, 0, CMS, 0, 0, 0, 0, 0];
    let size = u32::try_from(signature.len()).unwrap_or(u32::MAX).to_be_bytes();
    Ok([module.as_slice(), &signature, &trailer, &size, MAGIC].concat())
}

/// The modules of a tree cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// A packed module.
    #[error("`{path}` is packed, so it cannot be signed: expected `….ko`; have it installed as it is, EROFS packs it")]
    Packed { path: RelPath },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Digest;

    #[test]
    fn a_signed_module_is_the_one_that_sign_file_makes() {
        let certificate = Certificate::from_pem(include_bytes!("../../tests/data/signing/modules.pem")).unwrap();
        let key = SigningKey::from_pem(include_bytes!("../../tests/data/signing/modules.key")).unwrap();
        // scripts/sign-file sha256 modules.key modules.pem content content.ko
        let expected = include_bytes!("../../tests/data/signing/content.ko");
        assert_eq!(signed(b"what is signed\n".to_vec(), &certificate, &key).unwrap(), expected);
    }

    #[test]
    fn modules_are_found_wherever_modprobe_looks() {
        let tree = |paths: &[&str]| {
            let mut tree = Tree::new();
            let entry = Entry::File { blob: Digest::of(b""), size: 0, executable: false };
            paths.iter().for_each(|path| tree.insert(RelPath::new(path).unwrap(), entry.clone()).unwrap());
            tree
        };
        let found = modules(&tree(&["usr/lib/modules/6.12/a/b.ko", "usr/lib/modules/6.12/modules.dep", "usr/c.ko"]));
        let paths: Vec<String> = found.unwrap().into_iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["/usr/lib/modules/6.12/a/b.ko"]);
        let packed = modules(&tree(&["lib/modules/6.12/b.ko.xz"])).unwrap_err().to_string();
        assert!(packed.starts_with("`/lib/modules/6.12/b.ko.xz` is packed"), "{packed}");
    }
}
