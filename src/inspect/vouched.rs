//! The files that start the root, compared with what the root says of them: whoever knows the root hash knows these.

use std::io;

use brc_contract::{error_chain, well_known};

use super::{
    Inspection,
    esp::Esp,
    report::{Findings, Part, Unchecked},
    table::Partition,
};
use crate::{
    content::Sha256,
    image::{
        boot_record::{BootRecord, KernelImage, section_digests},
        pe::PeFile,
        uki::{self, COMMAND_LINE, UkiError, VerifiedRoot},
    },
};

impl Inspection<'_> {
    /// Compares every file of the ESP with `record`, the root's own; an image without one says nothing of them.
    pub(super) fn vouched(
        &mut self,
        partition: &Partition,
        esp: &Esp,
        record: Option<&Vec<u8>>,
        root: &VerifiedRoot<'_>,
    ) -> io::Result<()> {
        let record = match record.map(|bytes| BootRecord::parse(bytes)) {
            Some(Ok(record)) => record,
            Some(Err(problem)) => {
                let problem = error_chain(&problem);
                self.findings.add(Part::Files, format!("`/{}` cannot be read: {problem}", well_known::BOOT_RECORD));
                return Ok(());
            }
            None => {
                self.unchecked.push(Unchecked::Boot);
                return Ok(());
            }
        };
        for path in esp.files.keys().filter(|path| Some(*path) != esp.kernel.as_ref()) {
            let expected = record.files.get(path.as_str());
            let found = self.digest_of_file(partition, &esp.files, path)?.to_string();
            if expected != Some(&found) {
                let expected = expected.map_or("no such file", String::as_str);
                let problem =
                    format!("`{path}` is not what the root vouches for: SHA-256 {found}, expected {expected}");
                self.findings.add(Part::Esp, problem);
            }
        }
        let is_there = |path: &str| esp.files.keys().any(|found| found.as_str() == path);
        for path in record.files.keys().filter(|path| !is_there(path)) {
            self.findings.add(Part::Esp, format!("`/{path}`, which the root vouches for, is missing"));
        }
        if let Some(path) = &esp.kernel
            && let Some(bytes) = self.read_file(partition, &esp.files, path.as_str())?
            && let Err(problem) = compare(bytes, &record.kernel_image, root, &mut self.findings)
        {
            let problem = error_chain(&problem);
            self.findings.add(Part::Uki, format!("it cannot be compared with what the root vouches for: {problem}"));
        }
        Ok(())
    }
}

/// Takes the root hash out of a kernel image, which must give what the root vouches for, and puts it in again, which
/// must give the same bytes: then every byte is as it was written.
fn compare(
    bytes: Vec<u8>,
    expected: &KernelImage,
    root: &VerifiedRoot<'_>,
    findings: &mut Findings,
) -> Result<(), UkiError> {
    let before = findings.len();
    let whole = Sha256::of(&bytes);
    let filled = uki::fill_command_line(&expected.command_line, root)?;
    let file = PeFile::parse(bytes).map_err(|source| UkiError::Pe { file: "unified kernel image", source })?;
    let sections = section_digests(&file);
    let names = sections.keys().chain(expected.sections.keys().filter(|name| !sections.contains_key(*name)));
    for name in names.filter(|name| sections.get(*name) != expected.sections.get(*name)) {
        findings.add(Part::Uki, format!("its section `{name}` is not the one that the root vouches for"));
    }
    let line = String::from_utf8_lossy(file.section(COMMAND_LINE).unwrap_or_default());
    if line != filled {
        findings.add(Part::Uki, format!("its command line is `{line}`, the root vouches for `{filled}`"));
    }
    let unbound = uki::with_command_line(file.into_bytes(), &expected.command_line)?;
    let is_vouched_for = Sha256::of(&unbound).to_string() == expected.sha256;
    let bound = uki::with_command_line(unbound, &filled)?;
    if findings.len() == before && !(is_vouched_for && Sha256::of(&bound) == whole) {
        let problem = "its headers or the bytes between its sections are not those that the root vouches for";
        findings.add(Part::Uki, problem.to_owned());
    }
    Ok(())
}
