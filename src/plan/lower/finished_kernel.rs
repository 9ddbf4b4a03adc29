//! A kernel that comes finished: taken out of its packages, and an initramfs for it.

use crate::content::rel_path;
use std::collections::BTreeMap;

use super::{Lowering, kernel::BuiltKernel, output};
use crate::{
    graph::{self, Image},
    plan::{FileOf, Initramfs, Named, Source, StepId},
};

/// The drivers of the disks that a platform gives its machines; one of each platform's must be there.
const DISKS: [(&str, &[&str]); 6] = [
    ("qemu", &["virtio_blk"]),
    ("aws", &["nvme"]),
    ("azure", &["hv_storvsc", "nvme"]),
    ("gce", &["nvme", "virtio_scsi"]),
    ("metal", &["nvme", "ahci"]),
    ("vmware", &["vmw_pvscsi", "nvme"]),
];

impl Lowering<'_> {
    pub(super) fn finished_kernel(
        &mut self,
        image: &Image,
        kernel: StepId,
        initramfs: &graph::Initramfs,
        toolsets: &BTreeMap<&str, Source>,
    ) -> BuiltKernel {
        let (boot, modules) = (output(kernel, "boot"), output(kernel, "modules"));
        let init = self.first_program(image, &initramfs.init, toolsets);
        let initramfs = init.map(|init| {
            let disks = DISKS.iter().find(|(platform, _)| *platform == image.platform);
            let action = Initramfs {
                boot: boot.clone(),
                modules: modules.clone(),
                init,
                load: named(&initramfs.modules),
                firmware: named(&initramfs.firmware),
                disks: disks.into_iter().flat_map(|(_, names)| *names).map(|name| (*name).to_owned()).collect(),
            };
            let step = self.step(&image.kernel.name, "initramfs", action);
            FileOf { tree: output(step, "initramfs"), path: rel_path!("initramfs.cpio") }
        });
        BuiltKernel { boot, modules, devel: None, initramfs }
    }

    /// The one file that a component among what the kernel is linked with installs.
    fn first_program(
        &mut self,
        image: &Image,
        name: &str,
        toolsets: &BTreeMap<&str, Source>,
    ) -> Option<FileOf<Source>> {
        let sysroot = image.sysroots.get(&image.kernel.name);
        let component = sysroot.and_then(|sysroot| sysroot.components.iter().find(|member| member.name == name));
        let recipe = component.and_then(|component| component.recipe.as_ref());
        let (Some(component), Some(recipe)) = (component, recipe) else {
            self.errors.push(super::LowerError::NoFirstProgram { component: name.to_owned(), installs: 0 });
            return None;
        };
        let [install] = recipe.installs.as_slice() else {
            let installs = recipe.installs.len();
            self.errors.push(super::LowerError::NoFirstProgram { component: name.to_owned(), installs });
            return None;
        };
        let path = install.to.clone();
        Some(FileOf { tree: self.built(image, component, recipe, toolsets), path })
    }
}

fn named<N: Clone>(names: &[(N, String)]) -> Vec<Named<N>> {
    names.iter().map(|(name, origin)| Named { name: name.clone(), origin: origin.clone() }).collect()
}
