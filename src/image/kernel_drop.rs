//! What recipes leave out of a finished kernel's modules and firmware, held against what stays: a module that needs one
//! that is gone would be found out by the machine that has the device, months later.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io,
};

use rayon::prelude::*;

use super::{initramfs::information, packaged_kernel::module_of};
use crate::content::{Compression, Digest, Entry, Glob, RelPath, Tree};

/// So many modules are told; the rest is a number.
const MAX_TOLD: usize = 20;

/// `content` without what `drop` fits, folders that fit with all that is in them. `unpacked` gives the bytes of a
/// module.
///
/// # Errors
/// A module that stays and depends on one that does not; a file that is no module; an error of `unpacked`.
pub fn without<E: From<KernelDropError> + Send>(
    content: &Tree,
    drop: &[Glob],
    unpacked: impl Fn(Digest, Compression) -> Result<Vec<u8>, E> + Sync,
) -> Result<Tree, E> {
    if drop.is_empty() {
        return Ok(content.clone());
    }
    let mut kept = content.clone();
    kept.drop_where(|path, _| drop.iter().any(|glob| glob.matches(path)));
    let gone = content.entries().filter(|(path, _)| kept.entry(path).is_none());
    let gone: BTreeSet<String> = gone.filter_map(|(path, _)| Some(module_of(path.as_str())?.0)).collect();
    let modules: Vec<_> = kept.entries().filter_map(|(path, entry)| module(path, entry)).collect();
    let needs = modules.par_iter().map(|(name, blob, packing)| {
        let bytes = unpacked(*blob, *packing)?;
        let information = information(&bytes).ok_or_else(|| KernelDropError::NotAModule { name: name.clone() })?;
        Ok(information.depends.into_iter().map(|needed| (needed, name.clone())).collect::<Vec<_>>())
    });
    let mut missed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (needed, by) in needs.collect::<Result<Vec<_>, E>>()?.into_iter().flatten() {
        if gone.contains(&needed) {
            missed.entry(needed).or_default().insert(by);
        }
    }
    if missed.is_empty() { Ok(kept) } else { Err(KernelDropError::needed(&missed).into()) }
}

fn module(path: &RelPath, entry: &Entry) -> Option<(String, Digest, Compression)> {
    let Entry::File { blob, .. } = entry else { return None };
    let (name, packing) = module_of(path.as_str())?;
    Some((name, *blob, packing))
}

/// A kernel cannot go without what is left out of it.
#[derive(Debug, thiserror::Error)]
pub enum KernelDropError {
    /// Modules that stay need it.
    #[error("{list}leave out those that need them too, or write a `drop` that fits less")]
    Needed { list: String },
    /// A file is no module.
    #[error("`{name}.ko` is no kernel module: it has no `.modinfo`")]
    NotAModule { name: String },
    /// A module is damaged.
    #[error("a module cannot be unpacked")]
    Unpack {
        #[from]
        source: io::Error,
    },
}

impl KernelDropError {
    fn needed(missed: &BTreeMap<String, BTreeSet<String>>) -> Self {
        let mut list = String::new();
        for (module, by) in missed.iter().take(MAX_TOLD) {
            let verb = if by.len() == 1 { "needs" } else { "need" };
            let by: Vec<String> = by.iter().map(|name| format!("`{name}`")).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(list, "module `{module}` is left out, and {} {verb} it", by.join(", "));
        }
        if missed.len() > MAX_TOLD {
            let _ = writeln!(list, "and so {} more", missed.len() - MAX_TOLD);
        }
        KernelDropError::Needed { list }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::initramfs::tests::module, *};

    #[test]
    fn what_is_left_out_is_gone_and_what_others_need_is_told() {
        let files = [
            ("usr/lib/modules/6/kernel/net/mii.ko", ""),
            ("usr/lib/modules/6/kernel/net/usb/usbnet.ko", "depends=mii\0"),
            ("usr/lib/modules/6/kernel/net/usb/cdc.ko", "depends=usbnet,mii\0"),
            ("usr/lib/modules/6/modules.order", ""),
        ];
        let path = |text: &str| RelPath::new(text).unwrap();
        let mut content = Tree::new();
        for (at, _) in files {
            let entry = Entry::File { blob: Digest::of(at.as_bytes()), size: 1, executable: false };
            content.insert(path(at), entry).unwrap();
        }
        let unpacked = |blob: Digest, _| {
            let (_, information) = files.iter().find(|(at, _)| Digest::of(at.as_bytes()) == blob).unwrap();
            Ok::<_, KernelDropError>(module(information))
        };
        let left = |drop: &[&str]| {
            let drop: Vec<Glob> = drop.iter().map(|glob| Glob::new(glob).unwrap()).collect();
            without(&content, &drop, unpacked).map_err(|error| error.to_string())
        };
        assert_eq!(left(&[]).unwrap(), content);
        for drop in ["/usr/lib/modules/*/kernel/net/usb", "/usr/lib/modules/*/kernel/net/usb/**"] {
            let tree = left(&[drop]).unwrap();
            assert!(tree.entry(&path(files[0].0)).is_some() && tree.entry(&path(files[1].0)).is_none(), "{drop}");
            assert!(tree.entry(&path(files[3].0)).is_some(), "{drop}");
        }
        let told = left(&["/usr/lib/modules/*/kernel/net/*.ko"]).unwrap_err();
        assert!(told.starts_with("module `mii` is left out, and `cdc`, `usbnet` need it\n"), "{told}");
        assert!(
            left(&["/**/mii.ko", "/**/usbnet.ko"]).unwrap_err().contains("`usbnet` is left out, and `cdc` needs it")
        );
    }
}
