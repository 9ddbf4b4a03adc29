//! Kernel modules that are loaded at boot: those that recipes name are there, or built in (kmod(8)).

use brc_contract::initramfs;

use super::{finding::Finding, root::Root};
use crate::{
    content::{Entry, RelPath},
    store::StoreError,
};

/// Where modules lie, in a folder for each kernel.
const MODULES: &str = "usr/lib/modules";

/// `stated` are names of modules, each with the place that says so. A kernel without a folder of modules has all that
/// it has built in, and nothing in the root says what that is.
pub(super) fn findings(stated: &[(String, String)], root: &Root<'_>) -> Result<Vec<Finding>, StoreError> {
    let Ok(modules) = RelPath::new(MODULES) else { return Ok(Vec::new()) };
    let below = |path: &RelPath| path.below(&modules).filter(|below| !below.is_root());
    let mut names = Vec::new();
    for (path, entry) in root.tree.entries().filter(|(path, _)| below(path).is_some()) {
        match path.name() {
            // One path a line, and `alias PATTERN MODULE`.
            "modules.builtin" => names.extend(root.text(path)?.unwrap_or_default().lines().filter_map(module_name)),
            "modules.alias" => {
                let text = root.text(path)?.unwrap_or_default();
                names
                    .extend(text.lines().filter_map(|line| line.split_whitespace().nth(1)).map(initramfs::module_name));
            }
            name if matches!(entry, Entry::File { .. }) => names.extend(module_name(name)),
            _ => {}
        }
    }
    let missing = stated.iter().filter(|(name, _)| !names.is_empty() && !names.contains(&initramfs::module_name(name)));
    let told = missing.map(|(name, origin)| {
        let message = format!("the kernel has no module `{name}`, neither in the root nor built in: correct its name");
        Finding::wrong(origin, message)
    });
    Ok(told.collect())
}

/// The name of a module by its path: `kernel/drivers/vhost/vhost.ko.xz`.
fn module_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"].iter().find_map(|suffix| name.strip_suffix(suffix))?;
    Some(initramfs::module_name(stem))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::World, *};

    #[test]
    fn a_module_that_no_kernel_has_is_told() {
        let world = World::new(&[
            ("/usr/lib/modules/6.12/kernel/vhost-vsock.ko.xz", 0o644, "x"),
            ("/usr/lib/modules/6.12/modules.builtin", 0o644, "kernel/fs/overlayfs/overlay.ko\n"),
            ("/usr/lib/modules/6.12/modules.alias", 0o644, "# made\nalias crypto-lz4 lz4\n"),
        ]);
        let stated = |names: &[&str]| -> Vec<_> {
            names.iter().map(|name| ((*name).to_owned(), "a.kdl:1".to_owned())).collect()
        };
        assert_eq!(findings(&stated(&["vhost_vsock", "overlay", "crypto-lz4"]), &world.root()).unwrap(), []);
        let found = findings(&stated(&["vhost_vsok"]), &world.root()).unwrap();
        assert!(
            matches!(&found[..], [Finding::Wrong(text)] if text.starts_with("a.kdl:1: the kernel has no module `vhost_vsok`"))
        );
        assert_eq!(findings(&stated(&["any"]), &World::new(&[]).root()).unwrap(), []);
    }
}
