//! What starts a root: its kernel image, the files of the ESP, and what the root says of them.

use brc_contract::{EntryName, partition, well_known};

use super::{LowerError, Lowering, host_files, kernel::BuiltKernel, output};
use crate::{
    content::{RelPath, rel_path},
    graph::{Image, kernel_command_line},
    plan::{
        BootFile, BootRecord, BoundUki, Esp, FileOf, RootLayer, Source, Uki,
        identity::{Seed, fat_volume_id},
    },
};

/// What systemd-boot reads: no menu, no editor that would change a command line.
const LOADER: &str = include_str!("../../../bootloader/loader.conf");

/// What starts a root, as far as it does not depend on the root.
pub(super) struct Boot {
    /// The kernel image, not bound to a root.
    uki: FileOf<Source>,
    /// Every other file of the ESP.
    files: Vec<BootFile<Source>>,
}

impl Lowering<'_> {
    /// The kernel image and what stands beside it; `loader` has the stub and the boot loader.
    pub(super) fn boot(&mut self, image: &Image, kernel: &BuiltKernel, loader: &Source) -> Boot {
        let suffix = image.architecture.efi();
        let mut of_loader = |name: &str| {
            let path = self.path(&format!("usr/lib/systemd/boot/efi/{name}"));
            FileOf { tree: loader.clone(), path }
        };
        let stub = of_loader(&format!("linux{suffix}.efi.stub"));
        let program = of_loader(&format!("systemd-boot{suffix}.efi"));
        let uki = Uki {
            stub,
            kernel: FileOf { tree: kernel.boot.clone(), path: rel_path!("kernel") },
            os_release: host_files::os_release(image),
            release: FileOf { tree: kernel.boot.clone(), path: rel_path!("release") },
            initramfs: kernel.initramfs.clone(),
            // Both partitions are named by PARTUUID, so the same bytes boot from either slot.
            command_line: kernel_command_line(
                image.settings.is_some(),
                image.kernel_arguments.iter().map(String::as_str),
            ),
            architecture: image.architecture,
        };
        let uki = FileOf { tree: output(self.assemble(image, "unbound-uki", uki), "uki"), path: rel_path!("uki.efi") };
        let conf = FileOf { tree: self.text(&rel_path!("loader.conf"), LOADER), path: rel_path!("loader.conf") };
        let files = vec![
            self.boot_file(&well_known::default_loader(image.architecture), program.clone()),
            self.boot_file(&well_known::installed_loader(image.architecture), program),
            self.boot_file(well_known::LOADER_CONF, conf),
        ];
        Boot { uki, files }
    }

    /// The layer in which the root says what starts it.
    pub(super) fn boot_record(&mut self, image: &Image, boot: &Boot) -> RootLayer<Source> {
        let record = BootRecord { uki: boot.uki.clone(), files: boot.files.clone() };
        let tree = output(self.assemble(image, "boot-record", record), "record");
        RootLayer::plain(host_files::HOST_FILES_OWNER, tree)
    }

    /// The ESP; `verity` and `salt` are those of the root that the kernel image is bound to.
    pub(super) fn esp(&mut self, image: &Image, boot: &Boot, verity: &Source, salt: [u8; 32], seed: Seed) -> Source {
        let bound = BoundUki { uki: boot.uki.clone(), verity: verity.clone(), salt };
        let uki = FileOf { tree: output(self.assemble(image, "uki", bound), "uki"), path: rel_path!("uki.efi") };
        let entry = EntryName::new(&image.name());
        let mut files = boot.files.clone();
        files.push(self.boot_file(&format!("{}/{entry}", well_known::UKI_FOLDER), uki));
        let esp = Esp {
            files,
            size: image.layout.esp_bytes,
            volume_id: fat_volume_id(seed.partition(partition::ESP, 0)),
            epoch: image.epoch,
        };
        output(self.assemble(image, "esp", esp), "esp")
    }

    fn boot_file(&mut self, to: &str, from: FileOf<Source>) -> BootFile<Source> {
        BootFile { to: self.path(to), from }
    }

    /// A path that is put together of names; what is none fails the plan.
    fn path(&mut self, text: &str) -> RelPath {
        RelPath::new(text).unwrap_or_else(|error| {
            self.errors.push(LowerError::NoPath(error));
            RelPath::ROOT
        })
    }
}
