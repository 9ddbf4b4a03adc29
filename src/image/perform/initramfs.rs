//! `Assemble::Initramfs`: what a finished kernel is started with.

use std::collections::BTreeMap;

use super::{AssembleError, Make, Work, file_tree};
use crate::{
    content::{Digest, Entry, FolderLinks, rel_path},
    image::{
        initramfs::{self, InitramfsError, Kernel},
        packaged_kernel,
    },
    plan::{self, Outcome},
};

impl Make for plan::Initramfs<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let release = work.text_in(self.boot, rel_path!("release"))?;
        let config = work.text_in(self.boot, rel_path!("config"))?;
        let release = release.trim();
        let content = work.store.tree(self.modules)?;
        let below = format!("usr/lib/modules/{release}/");
        let mut modules = BTreeMap::new();
        let mut built_in = String::new();
        for (path, entry) in content.entries() {
            let (Some(path), Entry::File { blob, .. }) = (path.as_str().strip_prefix(&below), entry) else { continue };
            if path == "modules.builtin" {
                built_in = String::from_utf8_lossy(&work.store.read(*blob)?).into_owned();
            }
            modules.extend(packaged_kernel::module_of(path).map(|(name, packing)| (name, (packing, *blob))));
        }
        let kernel = Kernel { release, config: &config, built_in: &built_in };
        let named: Vec<_> = self.load.iter().map(|module| (module.name.as_str(), module.origin.as_str())).collect();
        let loaded = initramfs::load_order(&kernel, &named, |name| {
            let Some((packing, blob)) = modules.get(name) else { return Ok(None) };
            let unpacked = packaged_kernel::unpack(&work.store.read(*blob)?, *packing);
            let unpacked = unpacked.map_err(|source| InitramfsError::Unpack { name: name.to_owned(), source })?;
            Ok::<_, AssembleError>(Some(unpacked))
        })?;
        initramfs::check(&kernel, &loaded, &self.disks)?;
        let links = FolderLinks::of([content.as_ref()]);
        let mut firmware = BTreeMap::new();
        for file in &self.firmware {
            let at = rel_path!("usr/lib/firmware").join(&file.name);
            // Many a file of firmware is a link to another.
            let real = links.real_folder(&at).unwrap_or(at);
            let Some(Entry::File { blob, .. }) = content.entry(&real) else {
                let (name, origin) = (file.name.to_string(), file.origin.clone());
                return Err(InitramfsError::NoFirmware { name, origin }.into());
            };
            firmware.insert(file.name.clone(), work.store.read(*blob)?);
        }
        let archive = initramfs::archive(&work.read(&self.init)?, &loaded, &firmware)?;
        let blob = work.store.put(&archive)?;
        work.only("initramfs", &file_tree([(rel_path!("initramfs.cpio"), blob, archive.len() as u64)])?)
    }
}
