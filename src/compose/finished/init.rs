//! The first program of the root, without which the kernel panics and starts the machine again, for ever.

use super::{finding::Finding, root::Root};
use crate::{content::RelPath, graph::KernelSource};

/// What a kernel starts when its command line says nothing else, in this order (`kernel_init` of Linux).
const OF_LINUX: [&str; 4] = ["sbin/init", "etc/init", "bin/init", "bin/sh"];
/// What `brc-early` starts.
const OF_INITRAMFS: [&str; 1] = ["sbin/init"];

/// `title` is the image's.
pub(super) fn finding(title: &str, kernel: &KernelSource, root: &Root<'_>) -> Option<Finding> {
    let paths: &[&str] = match kernel {
        KernelSource::Finished { .. } => &OF_INITRAMFS,
        KernelSource::Debian { .. } | KernelSource::Upstream(_) => &OF_LINUX,
    };
    let is_program = |path: &&str| RelPath::new(path).is_ok_and(|path| root.is_program(&path));
    let message = "the root has no program `/sbin/init`, so the kernel has nothing to start: bring an init, or a link to it; \
                   where it lies in `/usr/sbin`, the root needs the link `/sbin` to `usr/sbin`";
    (!paths.iter().any(is_program)).then(|| Finding::wrong(title, message))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::World, *};

    #[test]
    fn a_root_without_a_first_program_is_told() {
        let finished = KernelSource::Finished {
            packages: Vec::new(),
            initramfs: crate::graph::Initramfs { init: String::new(), modules: Vec::new(), firmware: Vec::new() },
            drop: Vec::new(),
        };
        for (path, mode, is_there) in [
            ("/sbin/init", 0o755, true),
            ("/sbin/init", 0o644, false),
            ("/usr/sbin/init", 0o755, false),
            ("/bin/sh", 0o755, false),
        ] {
            let world = World::new(&[(path, mode, "x")]);
            assert_eq!(finding("v", &finished, &world.root()).is_none(), is_there, "{path} {mode:o}");
        }
    }
}
