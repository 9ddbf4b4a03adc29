//! The EFI system partition: laid out again from what is read of it, and compared byte by byte.

use std::{collections::BTreeMap, io};

use brc_contract::{Architecture, EntryName, partition, well_known};

use super::{Inspection, boot::Boot, report::Part, table::Partition};
use crate::{
    content::{RelPath, Sha256, rel_path},
    image::{
        esp::needed_size,
        extent,
        fat::{self, Content, Files, ReadError, Stretch, Volume},
        pe::PeFile,
        uki::MAX_UKI_BYTES,
    },
    plan::{
        identity::{Seed, fat_volume_id},
        layout::BLOCK,
    },
};

/// What an ESP holds.
pub(super) struct Esp {
    /// Its files.
    pub files: Files,
    /// The kernel image, if there is just one.
    pub kernel: Option<RelPath>,
    /// What the kernel image says, if it can be read.
    pub boot: Option<Boot>,
}

impl Inspection<'_> {
    /// Checks the file system and what boots from it.
    pub(super) fn esp(&mut self, esp: &Partition, architecture: Architecture) -> io::Result<Option<Esp>> {
        self.figures.esp_bytes = esp.size();
        if esp.size() > partition::MAX_ESP_BYTES {
            let problem = format!("it has {} bytes, brc makes none of more than 4 GiB", esp.size());
            self.findings.add(Part::Esp, problem);
            return Ok(None);
        }
        if let Some(manifest) = &self.expected.manifest {
            let found = extent::sha256(self.image, esp.start, esp.size())?;
            if found != manifest.esp_sha256 {
                let problem = format!("its bytes have SHA-256 {found}, the manifest says {}", manifest.esp_sha256);
                self.findings.add(Part::Esp, problem);
            }
        }
        let (volume, files) = match fat::read(self.image, esp.start, esp.size()) {
            Ok(read) => read,
            Err(ReadError::Io { source }) => return Err(source),
            Err(problem @ ReadError::Shape { .. }) => {
                self.findings.add(Part::Esp, problem.to_string());
                return Ok(None);
            }
        };
        // An ESP has no label: one that is there is found as bytes that nothing makes.
        self.layout(esp, &Volume { label: None, ..volume }, &files)?;
        self.loader(esp, &files, architecture)?;
        let kernel = self.kernel(&files);
        let boot = kernel.as_ref().map(|path| self.boot(esp, &files, path, architecture)).transpose()?.flatten();
        if let Some(boot) = &boot {
            let id = fat_volume_id(Seed::of(&boot.image.variant, architecture).partition(partition::ESP, 0));
            if volume.id != id {
                let problem = format!("the volume id is {:08x}, expected {id:08x}", volume.id);
                self.findings.add(Part::Esp, problem);
            }
        }
        let sizes: Vec<(RelPath, u64)> = files.iter().map(|(path, (_, size))| (path.clone(), *size)).collect();
        self.figures.esp_needed_bytes = needed_size(&sizes);
        if needed_size(&sizes) > esp.size() {
            self.findings.add(Part::Esp, "it has no room for the kernel images of an update".to_owned());
        }
        Ok(Some(Esp { files, kernel, boot }))
    }

    /// Lays the same files out again: all bytes but the files' own must be these, and all others zero.
    fn layout(&mut self, esp: &Partition, volume: &Volume, files: &Files) -> io::Result<()> {
        let sizes: BTreeMap<RelPath, u64> = files.iter().map(|(path, (_, size))| (path.clone(), *size)).collect();
        let mut stretches = match fat::lay_out(volume, &sizes) {
            Ok(stretches) => stretches,
            Err(problem) => {
                self.findings.add(Part::Esp, problem.to_string());
                return Ok(());
            }
        };
        stretches.sort_by_key(|stretch| stretch.offset);
        let mut from = 0;
        for Stretch { offset, what } in stretches {
            self.zeros(Part::Esp, esp.start + from, esp.start + offset)?;
            from = offset;
            match what {
                Content::File { size, path } => {
                    if files.get(&path).is_some_and(|(found, _)| *found != offset) {
                        self.findings.add(Part::Esp, format!("`{path}` does not stand where brc puts it"));
                    }
                    from += size;
                }
                Content::Bytes(expected) => {
                    let mut found = vec![0; expected.len()];
                    extent::read(self.image, &mut found, esp.start + offset)?;
                    if let Some(at) = found.iter().zip(&expected).position(|(found, expected)| found != expected) {
                        let at = offset + at as u64;
                        let problem = "a byte of the file system is not the one that its files make".to_owned();
                        self.findings.add_at(Part::Esp, esp.start + at, at / BLOCK, problem);
                    }
                    from += expected.len() as u64;
                }
            }
        }
        self.zeros(Part::Esp, esp.start + from, esp.end())
    }

    /// The loader stands where firmware looks for it, twice the same, with its settings.
    fn loader(&mut self, esp: &Partition, files: &Files, architecture: Architecture) -> io::Result<()> {
        let paths = [well_known::default_loader(architecture), well_known::installed_loader(architecture)];
        let mut found = Vec::new();
        for path in &paths {
            let bytes = self.read_file(esp, files, path)?;
            let file = bytes.and_then(|bytes| PeFile::parse(bytes).ok());
            if file.as_ref().map(PeFile::machine) != Some(architecture.pe_machine()) {
                self.findings.add(Part::Esp, format!("`/{path}` is missing or no program for {}", architecture.name()));
            }
            found.push(file.map(PeFile::into_bytes));
        }
        if found.windows(2).any(|pair| pair[0] != pair[1]) {
            self.findings.add(Part::Esp, format!("`/{}` and `/{}` differ", paths[0], paths[1]));
        }
        if !files.keys().any(|path| path.as_str() == well_known::LOADER_CONF) {
            self.findings.add(Part::Esp, format!("`/{}` is missing", well_known::LOADER_CONF));
        }
        Ok(())
    }

    /// The one kernel image.
    fn kernel(&mut self, files: &Files) -> Option<RelPath> {
        let folder = rel_path!(well_known::UKI_FOLDER);
        let kernels: Vec<&RelPath> = files.keys().filter(|path| path.parent().as_ref() == Some(&folder)).collect();
        let [path] = kernels[..] else {
            self.findings.add(Part::Esp, format!("`{folder}` has {} kernel images, expected one", kernels.len()));
            return None;
        };
        Some(path.clone())
    }

    /// What the kernel image and its name say.
    fn boot(
        &mut self,
        esp: &Partition,
        files: &Files,
        path: &RelPath,
        architecture: Architecture,
    ) -> io::Result<Option<Boot>> {
        let name = match EntryName::parse(path.name()) {
            Ok(name) => name,
            Err(problem) => {
                self.findings.add(Part::Esp, problem.to_string());
                return Ok(None);
            }
        };
        self.figures.entry = Some(name.to_string());
        let Some(bytes) = self.read_file(esp, files, path.as_str())? else { return Ok(None) };
        Ok(Boot::read(bytes, &name, architecture, &mut self.findings))
    }

    /// A file as a whole, if it is there and no larger than a kernel image.
    pub(super) fn read_file(&mut self, esp: &Partition, files: &Files, path: &str) -> io::Result<Option<Vec<u8>>> {
        let Some((offset, size)) = RelPath::new(path).ok().and_then(|path| files.get(&path)) else { return Ok(None) };
        if *size > MAX_UKI_BYTES {
            self.findings.add(Part::Esp, format!("`/{path}` has {size} bytes, too many to be looked into"));
            return Ok(None);
        }
        let mut bytes = vec![0; *size as usize];
        extent::read(self.image, &mut bytes, esp.start + offset)?;
        Ok(Some(bytes))
    }

    /// The SHA-256 of a file.
    pub(super) fn digest_of_file(&self, esp: &Partition, files: &Files, path: &RelPath) -> io::Result<Sha256> {
        let (offset, size) = files.get(path).copied().unwrap_or_default();
        extent::sha256(self.image, esp.start + offset, size)
    }
}
