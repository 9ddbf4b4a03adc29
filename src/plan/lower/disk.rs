//! From the root tree to the disk: file system, verity, partitions, manifest.

use std::collections::BTreeMap;

use brc_contract::partition;

use super::{
    LowerError, Lowering,
    boot::Boot,
    command::{command, folders},
    output,
    root::FinishedRoot,
};
use crate::{
    content::{RelPath, rel_path},
    graph::{Artifact, ArtifactCompression, ArtifactKind, Image, Role},
    plan::{
        Action, Disk, FileOf, Goal, ImagePart, Input, Manifest, Run, Slot, Source, Stdin, Verity, Zstd,
        identity::{Seed, file_system_uuid},
        inventory,
        layout::hash_partition_size,
    },
};

/// The longest time that `mkfs.erofs` may take.
const FILE_SYSTEM_SECONDS: u64 = 1800;

impl Lowering<'_> {
    pub(super) fn disk(&mut self, image: &Image, toolsets: &BTreeMap<&str, Source>, boot: &Boot, root: &FinishedRoot) {
        let seed = Seed::of(&image.variant, image.architecture);
        let Some(root_image) = self.file_system(image, toolsets, root, seed) else { return };
        let root_image = FileOf { tree: root_image, path: rel_path!("root.erofs") };
        let salt = seed.verity_salt();
        let verity = Verity { data: root_image.clone(), salt, uuid: seed.verity_uuid() };
        let verity = output(self.assemble(image, "verity", verity), "verity");
        let esp = FileOf { tree: self.esp(image, boot, &verity, salt, seed), path: rel_path!("esp.img") };
        let label = image.name().to_string();
        if label.encode_utf16().count() > partition::MAX_LABEL_UNITS {
            self.errors.push(LowerError::LabelTooLong { label: label.clone() });
        }
        let kinds = [partition::root_verity(image.architecture), partition::root(image.architecture)];
        let slots = [0, 1].map(|slot| Slot {
            verity_size: hash_partition_size(image.layout.slot_bytes),
            root_size: image.layout.slot_bytes,
            empty_guids: kinds.map(|kind| seed.partition(kind, slot).bytes()),
        });
        let esp_guid = seed.partition(partition::ESP, 0);
        let disk = Disk {
            guid: seed.disk().bytes(),
            esp: esp.clone(),
            esp_guid: esp_guid.bytes(),
            root: root_image.clone(),
            verity: verity.clone(),
            slots: slots.to_vec(),
            label,
            architecture: image.architecture,
        };
        let disk = output(self.assemble(image, "disk", disk), "disk");
        let manifest = Manifest {
            variant: image.variant.clone(),
            version: image.version.clone(),
            architecture: image.architecture,
            components: inventory(image).into_iter().filter(|part| part.role.is_in_image()).collect(),
            root: root.tree.clone(),
            owners: root.owners.clone(),
            root_image: root_image.clone(),
            verity,
            esp,
        };
        let manifest = self.step(&image.variant, "manifest", manifest);
        let title = image.title();
        let goal = |part| Goal::of_image(&title, part);
        for artifact in &image.artifacts {
            let tree = self.artifact(image, *artifact, &disk);
            self.lowered.plan.goals.push((goal(ImagePart::Artifact(*artifact)), tree));
        }
        self.lowered.plan.goals.extend([
            (goal(ImagePart::Manifest), output(manifest, "manifest")),
            (goal(ImagePart::Root), root.tree.clone()),
            (goal(ImagePart::RootImage), root_image.tree),
        ]);
    }

    /// The disk in a form that it is published in.
    fn artifact(&mut self, image: &Image, artifact: Artifact, disk: &Source) -> Source {
        match (artifact.kind, artifact.compression) {
            (ArtifactKind::Raw, ArtifactCompression::Plain) => disk.clone(),
            (ArtifactKind::Raw, ArtifactCompression::Zstd) => {
                let of = FileOf { tree: disk.clone(), path: rel_path!("disk.raw") };
                let name = image.name().file(image.architecture, artifact.ending());
                output(self.step(&image.variant, "compress", Zstd { of, name }), "artifact")
            }
        }
    }

    pub(super) fn assemble(&mut self, image: &Image, stage: &str, part: impl Into<Action<Source>>) -> super::StepId {
        self.step(&image.variant, stage, part)
    }

    /// The root as an EROFS image, made from a stream: no second copy, no root user.
    fn file_system(
        &mut self,
        image: &Image,
        toolsets: &BTreeMap<&str, Source>,
        root: &FinishedRoot,
        seed: Seed,
    ) -> Option<Source> {
        let tools = self.role(image, Role::RootFilesystem, toolsets)?;
        let epoch = image.epoch.to_string();
        let uuid = file_system_uuid(seed.partition(partition::root(image.architecture), 0)).to_string();
        let words = [
            "/usr/bin/mkfs.erofs",
            "--quiet",
            "--tar=f",
            "-b4096",
            // Said by number: what erofs-utils takes without one makes a container host a tenth larger.
            "-zzstd,level=3",
            "-C65536",
            "-T",
            &epoch,
            "-U",
            &uuid,
            "--workers=2",
            "/out/root.erofs",
        ];
        let inputs = vec![Input { owner: "file system tools".to_owned(), tree: tools, at: RelPath::ROOT }];
        let mut run = Run {
            stdin: Some(Stdin::ArchiveOf(root.tree.clone())),
            outputs: folders([("erofs", rel_path!("out"))]),
            ..command(image, inputs, words.map(str::to_owned).to_vec(), FILE_SYSTEM_SECONDS)
        };
        // It is stronger than `-T`, and what the files of the archive show.
        run.environment.insert("SOURCE_DATE_EPOCH".to_owned(), epoch.clone());
        let step = self.step(&image.variant, "erofs", run);
        Some(output(step, "erofs"))
    }
}
