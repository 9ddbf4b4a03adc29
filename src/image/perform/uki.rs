//! `Assemble::Uki`: a unified kernel image, not bound to a root yet.

use super::{AssembleError, Make, UKI, Work};
use crate::{
    content::{Digest, rel_path},
    image::uki,
    plan::{self, Outcome},
};

impl Make for plan::Uki<Digest> {
    fn make(&self, work: &Work<'_>) -> Result<Outcome, AssembleError> {
        let release_text = work.text(&self.release)?;
        let image = uki::build(&uki::Parts {
            stub: &work.read(&self.stub)?,
            kernel: &work.read(&self.kernel)?,
            os_release: &self.os_release,
            release: release_text.trim(),
            command_line: &self.command_line,
            initramfs: self.initramfs.as_ref().map(|file| work.read(file)).transpose()?.as_deref(),
            architecture: self.architecture,
        })?;
        work.file("uki", rel_path!(UKI), &image)
    }
}
