//! Performs what a finished kernel needs: `Assemble::PackagedKernel` and `Assemble::Initramfs`.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    initramfs::{self, InitramfsError, Kernel},
    kernel_drop::{self, KernelDropError},
    packaged_kernel,
    perform::{AssembleError, Work, file_tree},
};
use crate::{
    content::{Digest, Entry, FolderLinks, Glob, RelPath, Tree},
    plan::{FileOf, Initramfs, Outcome},
    store::StoreError,
};

impl Work<'_> {
    pub(super) fn packaged_kernel(&self, packages: &[Digest], drop: &[Glob]) -> Result<Outcome, AssembleError> {
        let trees = packages.iter().map(|tree| self.store.tree(*tree).map(Arc::unwrap_or_clone));
        let found = packaged_kernel::find(&trees.collect::<Result<Vec<Tree>, StoreError>>()?)?;
        let content = kernel_drop::without(&found.content, drop, |blob, packing| {
            let unpacked = packaged_kernel::unpack(&self.store.read(blob)?, packing);
            unpacked.map_err(|source| AssembleError::from(KernelDropError::from(source)))
        })?;
        let release = format!("{}\n", found.release);
        let mut boot = file_tree([("release", self.store.put(release.as_bytes())?, release.len() as u64)]);
        for (name, entry) in [("kernel", found.kernel), ("config", found.config)] {
            // Nothing but `release` is there yet.
            boot.insert(RelPath::new(name).unwrap_or_default(), entry).unwrap_or_default();
        }
        Ok(Outcome::from([
            ("boot".to_owned(), self.store.put_tree(&boot)?),
            ("modules".to_owned(), self.store.put_tree(&content)?),
        ]))
    }

    pub(super) fn initramfs(&self, wanted: &Initramfs<Digest>) -> Result<Digest, AssembleError> {
        let of_boot = |name: &str| FileOf { tree: wanted.boot, path: RelPath::new(name).unwrap_or_default() };
        let (release, config) = (self.text(&of_boot("release"))?, self.text(&of_boot("config"))?);
        let release = release.trim();
        let content = self.store.tree(wanted.modules)?;
        let below = format!("usr/lib/modules/{release}/");
        let mut modules = BTreeMap::new();
        let mut built_in = String::new();
        for (path, entry) in content.entries() {
            let (Some(path), Entry::File { blob, .. }) = (path.as_str().strip_prefix(&below), entry) else { continue };
            if path == "modules.builtin" {
                built_in = String::from_utf8_lossy(&self.store.read(*blob)?).into_owned();
            }
            modules.extend(packaged_kernel::module_of(path).map(|(name, packing)| (name, (packing, *blob))));
        }
        let kernel = Kernel { release, config: &config, built_in: &built_in };
        let named: Vec<_> = wanted.load.iter().map(|module| (module.name.as_str(), module.origin.as_str())).collect();
        let loaded = initramfs::load_order(&kernel, &named, |name| {
            let Some((packing, blob)) = modules.get(name) else { return Ok(None) };
            let unpacked = packaged_kernel::unpack(&self.store.read(*blob)?, *packing);
            let unpacked = unpacked.map_err(|source| InitramfsError::Unpack { name: name.to_owned(), source })?;
            Ok::<_, AssembleError>(Some(unpacked))
        })?;
        initramfs::check(&kernel, &loaded, &wanted.disks)?;
        let links = FolderLinks::of([content.as_ref()]);
        let mut firmware = BTreeMap::new();
        for file in &wanted.firmware {
            let at = RelPath::new("usr/lib/firmware").unwrap_or_default().join(&file.name);
            // Many a file of firmware is a link to another.
            let real = links.real_folder(&at).unwrap_or(at);
            let Some(Entry::File { blob, .. }) = content.entry(&real) else {
                let (name, origin) = (file.name.to_string(), file.origin.clone());
                return Err(InitramfsError::NoFirmware { name, origin }.into());
            };
            firmware.insert(file.name.clone(), self.store.read(*blob)?);
        }
        let archive = initramfs::archive(&self.read(&wanted.init)?, &loaded, &firmware)?;
        let blob = self.store.put(&archive)?;
        Ok(self.store.put_tree(&file_tree([("initramfs.cpio", blob, archive.len() as u64)]))?)
    }
}
