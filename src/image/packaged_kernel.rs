//! A finished kernel, taken out of an archive's packages: the kernel itself, its configuration, its modules.
//!
//! Modules stay packed as they come: the kernel unpacks what it loads, and a root with unpacked ones would be 24 MiB
//! larger (122, not 98). Those of the initramfs are unpacked, so that what loads them needs no decompressor.

use std::io::{self, Read as _};

use brc_contract::initramfs::module_name;

use crate::content::{Compression, Entry, RelPath, Tree};

/// The largest module: those of distributions have a few MiB.
const MAX_MODULE_BYTES: u64 = 256 << 20;
/// Where Debian's packages have kernels and their configurations.
const KERNEL: &str = "boot/vmlinuz-";
const CONFIG: &str = "boot/config-";
/// Where packages have modules and firmware, before and after `/usr` was merged.
const CONTENT: [(&str, &str); 4] = [
    ("usr/lib/modules", "usr/lib/modules"),
    ("lib/modules", "usr/lib/modules"),
    ("usr/lib/firmware", "usr/lib/firmware"),
    ("lib/firmware", "usr/lib/firmware"),
];

/// What packages of a kernel hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagedKernel {
    /// The kernel's release: `6.12.117+deb13-cloud-amd64`.
    pub release: String,
    /// The kernel, with an EFI stub of its own.
    pub kernel: Entry,
    /// Its configuration.
    pub config: Entry,
    /// `usr/lib/modules` and `usr/lib/firmware`; modules may be packed.
    pub content: Tree,
}

/// Finds the kernel in what packages install.
///
/// # Errors
/// No kernel or several, one without configuration or modules, a path that two packages have.
pub fn find(packages: &[Tree]) -> Result<PackagedKernel, PackagedKernelError> {
    let files = || packages.iter().flat_map(Tree::entries);
    let releases: Vec<&str> = files().filter_map(|(path, _)| path.as_str().strip_prefix(KERNEL)).collect();
    let release = match releases.as_slice() {
        [release] => *release,
        found => {
            let found = found.iter().map(|release| format!("`{release}`")).collect();
            return Err(PackagedKernelError::Kernels { found });
        }
    };
    let file = |path: String| {
        let found = files().find(|(at, entry)| at.as_str() == path && matches!(entry, Entry::File { .. }));
        found.map(|(_, entry)| entry.clone()).ok_or(PackagedKernelError::Missing { path, release: release.to_owned() })
    };
    let (kernel, config) = (file(format!("{KERNEL}{release}"))?, file(format!("{CONFIG}{release}"))?);
    let mut content = Tree::new();
    for package in packages {
        for (from, to) in CONTENT {
            let from = RelPath::new(from).ok().and_then(|from| package.subtree(&from));
            for (path, entry) in from.iter().flat_map(Tree::entries) {
                let at = format!("{to}/{}", path.as_str());
                let same = |_| PackagedKernelError::Twice { path: at.clone() };
                content.insert(RelPath::new(&at).map_err(|_| same(()))?, entry.clone()).map_err(|_| same(()))?;
            }
        }
    }
    let modules = format!("usr/lib/modules/{release}");
    if !content.entries().any(|(path, _)| path.as_str() == modules) {
        return Err(PackagedKernelError::Missing { path: modules, release: release.to_owned() });
    }
    Ok(PackagedKernel { release: release.to_owned(), kernel, config, content })
}

/// A module's name, with `_` for `-`, and how its file is packed; `None` for a file that is no module.
pub fn module_of(path: &str) -> Option<(String, Compression)> {
    let name = path.rsplit('/').next()?;
    let (stem, suffix) = name.split_at(name.rfind(".ko")?);
    let packing = Compression::of_suffix(suffix.strip_prefix(".ko")?)?;
    Some((module_name(stem), packing))
}

/// The module in a file that is packed like this.
///
/// # Errors
/// A damaged file, or a module of more than 256 MiB.
pub fn unpack(packed: &[u8], packing: Compression) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    packing.decoder(packed)?.take(MAX_MODULE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_MODULE_BYTES {
        return Err(io::Error::other("it has more than 256 MiB"));
    }
    Ok(bytes)
}

/// Packages hold no kernel that can be taken.
#[derive(Debug, thiserror::Error)]
pub enum PackagedKernelError {
    /// No kernel, or several.
    #[error(
        "the kernel's packages hold {}: expected one file `/boot/vmlinuz-…` in all of them",
        if found.is_empty() { "no kernel".to_owned() } else { format!("several kernels, {}", found.join(" and ")) }
    )]
    Kernels { found: Vec<String> },
    /// A part of the kernel is not there.
    #[error("kernel `{release}` comes without `/{path}`")]
    Missing { path: String, release: String },
    /// Two packages have one file.
    #[error("`/{path}` is there twice in the kernel's packages")]
    Twice { path: String },
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::content::Digest;

    fn file(text: &[u8]) -> Entry {
        Entry::File { blob: Digest::of(text), size: text.len() as u64, executable: false }
    }

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::new();
        for path in paths {
            tree.insert(RelPath::new(path).unwrap(), file(path.as_bytes())).unwrap();
        }
        tree
    }

    #[test]
    fn a_kernel_is_found_among_packages() {
        let meta = tree(&["usr/share/doc/linux-image-cloud-amd64/copyright"]);
        let old = tree(&["boot/vmlinuz-6.1", "boot/config-6.1", "lib/modules/6.1/kernel/fs/erofs.ko"]);
        let firmware = tree(&["usr/lib/firmware/vendor/file.bin"]);
        let found = find(&[meta.clone(), old.clone(), firmware]).unwrap();
        assert_eq!(found.release, "6.1");
        assert_eq!(found.kernel, file(b"boot/vmlinuz-6.1"));
        let paths: Vec<_> = found.content.entries().filter(|(_, entry)| matches!(entry, Entry::File { .. })).collect();
        let paths: Vec<_> = paths.into_iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["usr/lib/firmware/vendor/file.bin", "usr/lib/modules/6.1/kernel/fs/erofs.ko"]);

        let cases: [(&[Tree], &str); 4] = [
            (&[meta], "hold no kernel: expected one file `/boot/vmlinuz-…`"),
            (&[old.clone(), tree(&["boot/vmlinuz-6.2"])], "several kernels, `6.1` and `6.2`"),
            (&[tree(&["boot/vmlinuz-6.1"])], "kernel `6.1` comes without `/boot/config-6.1`"),
            (&[tree(&["boot/vmlinuz-6.1", "boot/config-6.1"])], "comes without `/usr/lib/modules/6.1`"),
        ];
        for (packages, expected) in cases {
            let error = find(packages).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn modules_are_unpacked_however_they_come() {
        let module = b"\x7fELF a module".repeat(100);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&module).unwrap();
        let packed = [
            ("kernel/drivers/md/dm-mod.ko.xz", liblzma::encode_all(module.as_slice(), 6).unwrap()),
            ("dm_mod.ko.zst", zstd::encode_all(module.as_slice(), 3).unwrap()),
            ("dm-mod.ko.gz", gzip.finish().unwrap()),
            ("dm_mod.ko", module.clone()),
        ];
        for (path, bytes) in &packed {
            let (name, packing) = module_of(path).unwrap();
            assert_eq!((name.as_str(), unpack(bytes, packing).unwrap()), ("dm_mod", module.clone()), "{path}");
        }
        assert_eq!(module_of("modules.order"), None);
        assert_eq!(module_of("kernel/notes.ko.txt"), None);
        let damaged = packed[0].1.get(..50).unwrap();
        assert!(unpack(damaged, Compression::Xz).is_err() && unpack(b"x", Compression::Zstd).is_err());
    }
}
