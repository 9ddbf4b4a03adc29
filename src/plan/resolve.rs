//! From a planned action to a resolved one: every named tree is replaced.

use super::{
    Action, Assemble, BootFile, FileOf, Initramfs, Input, Manifest, Pack, RootLayer, Run, Source, Stdin, StepId,
};

impl<T> Action<T> {
    /// The same action with every tree replaced by what `replace` gives for it, in a fixed order.
    ///
    /// # Errors
    /// The first error of `replace`.
    pub fn resolve<U, E>(&self, mut replace: impl FnMut(&T) -> Result<U, E>) -> Result<Action<U>, E> {
        let replace = &mut replace;
        Ok(match self {
            Action::Fetch(fetch) => Action::Fetch(fetch.clone()),
            Action::Run(run) => Action::Run(run.resolve(replace)?),
            Action::Assemble(assemble) => Action::Assemble(assemble.resolve(replace)?),
            Action::Pack(pack) => Action::Pack(pack.resolve(replace)?),
        })
    }
}

impl Action<Source> {
    /// The steps whose outputs this action takes, sorted, each once.
    pub fn needs(&self) -> Vec<StepId> {
        let mut steps = Vec::new();
        let mut note = |source: &Source| {
            if let Source::Output { step, .. } = source {
                steps.push(*step);
            }
        };
        match self {
            // Nearly all actions are runs, which are not copied for it.
            Action::Run(run) => {
                run.inputs.iter().for_each(|input| note(&input.tree));
                run.stdin.iter().for_each(|Stdin::ArchiveOf(tree)| note(tree));
            }
            Action::Fetch(_) => {}
            Action::Assemble(_) | Action::Pack(_) => {
                let Ok(_) = self.resolve(|source| {
                    note(source);
                    Ok::<(), std::convert::Infallible>(())
                });
            }
        }
        steps.sort();
        steps.dedup();
        steps
    }
}

impl<T> Run<T> {
    fn resolve<U, E>(&self, replace: &mut impl FnMut(&T) -> Result<U, E>) -> Result<Run<U>, E> {
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            inputs.push(Input { owner: input.owner.clone(), tree: replace(&input.tree)?, at: input.at.clone() });
        }
        let stdin = match &self.stdin {
            Some(Stdin::ArchiveOf(tree)) => Some(Stdin::ArchiveOf(replace(tree)?)),
            None => None,
        };
        Ok(Run {
            inputs,
            stdin,
            command: self.command.clone(),
            environment: self.environment.clone(),
            directory: self.directory.clone(),
            outputs: self.outputs.clone(),
            network: self.network,
            uid: self.uid,
            architecture: self.architecture,
            processors: self.processors,
            timeout_seconds: self.timeout_seconds,
            product: self.product.clone(),
        })
    }
}

impl<T> FileOf<T> {
    fn resolve<U, E>(&self, replace: &mut impl FnMut(&T) -> Result<U, E>) -> Result<FileOf<U>, E> {
        Ok(FileOf { tree: replace(&self.tree)?, path: self.path.clone() })
    }
}

fn resolve_files<T, U, E>(
    files: &[BootFile<T>],
    replace: &mut impl FnMut(&T) -> Result<U, E>,
) -> Result<Vec<BootFile<U>>, E> {
    files.iter().map(|file| Ok(BootFile { to: file.to.clone(), from: file.from.resolve(replace)? })).collect()
}

impl<T> RootLayer<T> {
    fn resolve<U, E>(&self, replace: &mut impl FnMut(&T) -> Result<U, E>) -> Result<RootLayer<U>, E> {
        Ok(RootLayer {
            owner: self.owner.clone(),
            tree: replace(&self.tree)?,
            drop: self.drop.clone(),
            replaces: self.replaces.clone(),
            users: self.users.clone(),
        })
    }
}

impl<T> Assemble<T> {
    fn resolve<U, E>(&self, replace: &mut impl FnMut(&T) -> Result<U, E>) -> Result<Assemble<U>, E> {
        Ok(match self {
            Assemble::Root { layers } => {
                let layers = layers.iter().map(|layer| layer.resolve(replace));
                Assemble::Root { layers: layers.collect::<Result<_, E>>()? }
            }
            Assemble::Visible { tree, owners, stated } => {
                let (tree, owners) = (replace(tree)?, replace(owners)?);
                Assemble::Visible { tree, owners, stated: stated.clone() }
            }
            Assemble::Modules { tree } => Assemble::Modules { tree: replace(tree)? },
            Assemble::SignedModules { modules, certificate } => {
                Assemble::SignedModules { modules: replace(modules)?, certificate: certificate.resolve(replace)? }
            }
            Assemble::Replaced { tree, with } => Assemble::Replaced { tree: replace(tree)?, with: replace(with)? },
            Assemble::PackagedKernel { packages, drop } => {
                let packages = packages.iter().map(&mut *replace).collect::<Result<_, E>>()?;
                Assemble::PackagedKernel { packages, drop: drop.clone() }
            }
            Assemble::Initramfs(initramfs) => Assemble::Initramfs(Initramfs {
                boot: replace(&initramfs.boot)?,
                modules: replace(&initramfs.modules)?,
                init: initramfs.init.resolve(replace)?,
                load: initramfs.load.clone(),
                firmware: initramfs.firmware.clone(),
                disks: initramfs.disks.clone(),
            }),
            Assemble::Verity { data, salt, uuid } => {
                Assemble::Verity { data: data.resolve(replace)?, salt: *salt, uuid: *uuid }
            }
            Assemble::Uki { stub, kernel, os_release, release, initramfs, command_line, architecture } => {
                Assemble::Uki {
                    stub: stub.resolve(replace)?,
                    kernel: kernel.resolve(replace)?,
                    os_release: os_release.clone(),
                    release: release.resolve(replace)?,
                    initramfs: initramfs.as_ref().map(|file| file.resolve(replace)).transpose()?,
                    command_line: command_line.clone(),
                    architecture: *architecture,
                }
            }
            Assemble::BootRecord { uki, files } => {
                Assemble::BootRecord { uki: uki.resolve(replace)?, files: resolve_files(files, replace)? }
            }
            Assemble::BoundUki { uki, verity, salt } => {
                Assemble::BoundUki { uki: uki.resolve(replace)?, verity: replace(verity)?, salt: *salt }
            }
            Assemble::Esp { files, size, volume_id, epoch } => Assemble::Esp {
                files: resolve_files(files, replace)?,
                size: *size,
                volume_id: *volume_id,
                epoch: *epoch,
            },
            Assemble::Disk { guid, esp, esp_guid, root, verity, slots, label, architecture } => Assemble::Disk {
                guid: *guid,
                esp: esp.resolve(replace)?,
                esp_guid: *esp_guid,
                root: root.resolve(replace)?,
                verity: replace(verity)?,
                slots: slots.clone(),
                label: label.clone(),
                architecture: *architecture,
            },
        })
    }
}

impl<T> Pack<T> {
    fn resolve<U, E>(&self, replace: &mut impl FnMut(&T) -> Result<U, E>) -> Result<Pack<U>, E> {
        Ok(match self {
            Pack::Manifest(manifest) => Pack::Manifest(Manifest {
                variant: manifest.variant.clone(),
                version: manifest.version.clone(),
                architecture: manifest.architecture,
                components: manifest.components.clone(),
                root: replace(&manifest.root)?,
                owners: replace(&manifest.owners)?,
                root_image: manifest.root_image.resolve(replace)?,
                verity: replace(&manifest.verity)?,
                esp: manifest.esp.resolve(replace)?,
            }),
            Pack::Raw { disk, name, compression } => {
                Pack::Raw { disk: disk.resolve(replace)?, name: name.clone(), compression: *compression }
            }
        })
    }
}
