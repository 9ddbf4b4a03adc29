//! Kernel modules: found in a tree, and signed, with a signature and its trailer at the end of each.

use super::signature::{Certificate, SignError, SigningKey};
use crate::content::{Digest, Entry, RelPath, Tree};

/// What ends a signed module (include/linux/module_signature.h, Linux 6.12).
const MAGIC: &[u8] = b"~Module signature appended~\n";
/// The kind of signature that is a CMS message with everything in it: `PKEY_ID_PKCS7`.
const CMS: u8 = 2;
/// Where `modprobe` looks, for packed modules too (kmod 34).
const FOLDERS: [&str; 2] = ["usr/lib/modules/", "lib/modules/"];
const PACKED: [&str; 3] = [".ko.gz", ".ko.xz", ".ko.zst"];
/// What each module begins with.
pub const ELF: [u8; 4] = *b"\x7fELF";

/// The modules of `tree`, wherever they are, with their owners and modes; `begins` gives the first bytes of a file.
///
/// # Errors
/// A packed module: its signature would be in the packed file. An error of `begins`.
pub fn modules<E: From<ModuleError>>(
    tree: &Tree,
    mut begins: impl FnMut(Digest) -> Result<[u8; 4], E>,
) -> Result<Tree, E> {
    let mut modules = Tree::new();
    for (path, entry) in tree.entries() {
        let Entry::File { blob, .. } = entry else { continue };
        let in_folder = FOLDERS.iter().any(|folder| path.as_str().starts_with(folder));
        if in_folder && PACKED.iter().any(|end| path.name().ends_with(end)) {
            return Err(ModuleError::Packed { path: path.clone() }.into());
        }
        // Elsewhere the name may mean Korean.
        if path.name().ends_with(".ko") && begins(*blob)? == ELF {
            let metadata = tree.metadata(path).unwrap_or_else(|| entry.plain_metadata());
            // Its folders are folders in `tree`, so nothing stands in its way.
            modules.insert_with(path.clone(), entry.clone(), metadata).unwrap_or_default();
        }
    }
    Ok(modules)
}

/// `tree` with the files of `with` instead of its own, whose owners and modes stay.
pub fn replaced(mut tree: Tree, with: &Tree) -> Tree {
    for (path, entry) in with.entries().filter(|(_, entry)| matches!(entry, Entry::File { .. })) {
        if let Some(metadata) = tree.metadata(path) {
            tree.remove(path);
            // It was there, so it can be there.
            tree.insert_with(path.clone(), entry.clone(), metadata).unwrap_or_default();
        }
    }
    tree
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
    #[error(
        "`{path}` is packed, so it cannot be signed: expected `….ko`; have it installed as it is, the root is packed"
    )]
    Packed { path: RelPath },
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
        sync::atomic::AtomicBool,
    };

    use super::*;
    use crate::{
        content::Metadata,
        image::Assembler,
        plan::{self, Assemble, FileOf, Performer, Replaced, Request, SignedModules},
        store::Store,
    };

    const KEY: &[u8] = include_bytes!("../../tests/data/signing/modules.key");
    const CERTIFICATE: &[u8] = include_bytes!("../../tests/data/signing/modules.pem");

    #[test]
    fn a_signed_module_is_the_one_that_sign_file_makes() {
        let certificate = Certificate::from_pem(CERTIFICATE).unwrap();
        let key = SigningKey::from_pem(KEY).unwrap();
        // scripts/sign-file sha256 modules.key modules.pem content content.ko
        let expected = include_bytes!("../../tests/data/signing/content.ko");
        assert_eq!(signed(b"what is signed\n".to_vec(), &certificate, &key).unwrap(), expected);
    }

    #[test]
    fn modules_are_found_wherever_they_are() {
        let tree = |paths: &[(&str, &[u8])]| {
            let mut tree = Tree::new();
            for (path, content) in paths {
                let entry = Entry::File { blob: Digest::of(content), size: 4, executable: false };
                tree.insert(RelPath::new(path).unwrap(), entry).unwrap();
            }
            tree
        };
        let begins = |blob| Ok::<_, ModuleError>(if blob == Digest::of(&ELF) { ELF } else { *b"text" });
        let found = modules(
            &tree(&[
                ("usr/lib/modules/6.12/a/b.ko", &ELF),
                ("usr/lib/modules/6.12/modules.dep", b"text"),
                ("opt/driver.ko", &ELF),
                ("usr/share/doc/a/README.ko", b"text"),
                ("usr/share/doc/a/README.ko.gz", b"text"),
            ]),
            begins,
        );
        let found = found.unwrap();
        let files = found.entries().filter(|(_, entry)| matches!(entry, Entry::File { .. }));
        let paths: Vec<String> = files.map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["/opt/driver.ko", "/usr/lib/modules/6.12/a/b.ko"]);
        let packed = modules(&tree(&[("lib/modules/6.12/b.ko.xz", b"text")]), begins).unwrap_err().to_string();
        assert!(packed.starts_with("`/lib/modules/6.12/b.ko.xz` is packed"), "{packed}");
    }

    fn perform(store: &Store, keys: &[SigningKey], assemble: &Assemble<Digest>) -> Result<Digest, String> {
        let request = Request {
            log: Path::new("unused"),
            cancelled: &AtomicBool::new(false),
            job_server: None,
            progress: &|_| {},
        };
        let outcome = Assembler::new(store.clone()).with_keys(keys.to_vec()).perform(assemble, &request);
        outcome.map(|outcome| *outcome.values().next().unwrap()).map_err(|failure| failure.error.to_string())
    }

    #[test]
    fn the_modules_of_a_root_are_signed_and_nothing_else_of_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let put = |tree: &mut Tree, path: &str, content: &[u8], metadata: Metadata| {
            let entry =
                Entry::File { blob: store.put(content).unwrap(), size: content.len() as u64, executable: false };
            tree.insert_with(RelPath::new(path).unwrap(), entry, metadata).unwrap();
        };
        let (module, odd) = ("lib/modules/6.12/a.ko", Metadata { uid: 7, ..Metadata::with_mode(0o640) });
        let content = [&ELF, b"a module".as_slice()].concat();
        let mut root = Tree::new();
        put(&mut root, "etc/passwd", b"root", Metadata::with_mode(0o644));
        let without = store.put_tree(&root).unwrap();
        put(&mut root, module, &content, odd.clone());
        let root = store.put_tree(&root).unwrap();
        let mut certificate = Tree::new();
        put(&mut certificate, "modules.pem", CERTIFICATE, Metadata::with_mode(0o644));
        let certificate =
            FileOf { tree: store.put_tree(&certificate).unwrap(), path: RelPath::new("modules.pem").unwrap() };
        let keys = [SigningKey::from_pem(KEY).unwrap()];
        let sign = |tree: Digest, keys: &[SigningKey]| {
            let modules = perform(&store, keys, &Assemble::Modules(plan::Modules { tree }))?;
            let signed = Assemble::SignedModules(SignedModules { modules, certificate: certificate.clone() });
            let with = perform(&store, keys, &signed)?;
            perform(&store, keys, &Assemble::Replaced(Replaced { tree, with }))
        };
        assert_eq!(sign(without, &[]), Ok(without), "without modules no key is asked for");
        let refused = sign(root, &[]).unwrap_err();
        assert!(refused.starts_with("kernel modules are signed for `CN=modules of brc's tests`"), "{refused}");

        let mut expected = store.tree(root).unwrap().as_ref().clone();
        expected.remove(&RelPath::new(module).unwrap());
        let known = Certificate::from_pem(CERTIFICATE).unwrap();
        put(&mut expected, module, &signed(content, &known, &keys[0]).unwrap(), odd);
        assert_eq!(sign(root, &keys), Ok(expected.digest()));

        let secret = KEY.split(|byte| *byte == b'\n').nth(1).unwrap();
        for object in files_below(dir.path()) {
            assert!(!object.windows(secret.len()).any(|bytes| bytes == secret), "the key is in the store");
        }
    }

    fn files_below(folder: &Path) -> Vec<Vec<u8>> {
        let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![fs::read(path).unwrap()] };
        fs::read_dir(folder).unwrap().flat_map(|entry| below(entry.unwrap().path())).collect()
    }
}
