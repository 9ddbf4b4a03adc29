//! The configuration of an image's kernel, without its compile: which option has which value, and who wanted it.

use std::collections::BTreeMap;

use super::{ComposeError, Project, Session};
use crate::{
    content::rel_path,
    graph::{Image, KernelSource},
    recipe::read_fragment,
};

/// The file with a kernel's configuration.
const CONFIG: &str = "config";
/// The stage that gives it, and its output: of a kernel from source, and of a finished one.
const CONFIGURED: (&str, &str) = ("config", "config");
const UNPACKED: (&str, &str) = ("unpack", "boot");
/// The most bytes of a fragment.
const MAX_FRAGMENT_BYTES: u64 = 16 << 20;

/// An option of a kernel's final configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelOption {
    /// Its value: `y`, `m`, `256`, `"text"`; `n` for one that is not set.
    pub value: String,
    /// Every line of a fragment that speaks of it, in order; the last one counts. Empty: it is as Kconfig has it.
    pub wanted: Vec<WantedValue>,
}

/// A line of a fragment that wants a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedValue {
    /// The value.
    pub value: String,
    /// Where that is written: `kernel-configs/base.config:12`.
    pub place: String,
}

impl Session<'_> {
    /// The final configuration of an image's kernel, by the names of the options without `CONFIG_`.
    ///
    /// # Errors
    /// What composing the image could say up to there: above all, an option that Kconfig dropped.
    pub fn kernel_config(
        &self,
        project: &Project,
        image: &Image,
    ) -> Result<BTreeMap<String, KernelOption>, ComposeError> {
        let mut lowered = self.lower(project, std::slice::from_ref(image))?;
        let (stage, output) = match image.kernel.source {
            KernelSource::Finished { .. } => UNPACKED,
            KernelSource::Debian { .. } | KernelSource::Upstream(_) => CONFIGURED,
        };
        let config = lowered.plan.step(&image.kernel.name, stage);
        lowered.plan.want_outputs(config.map(|step| (step, output)));
        let built = self.build(&lowered)?;
        let mut options = BTreeMap::new();
        for tree in built.goals.values() {
            let path = rel_path!(CONFIG);
            let (blob, _) = self.store.file_in(*tree, &path).map_err(ComposeError::Store)?;
            let text = self.store.read(blob).map_err(ComposeError::Store)?;
            for line in read_fragment(&String::from_utf8_lossy(&text)) {
                options.insert(line.option, KernelOption { value: line.value, wanted: Vec::new() });
            }
        }
        for fragment in &image.kernel.fragments {
            let text = project.read_file(fragment, MAX_FRAGMENT_BYTES)?;
            for line in read_fragment(&String::from_utf8_lossy(&text)) {
                // An option that the final configuration does not speak of is not set.
                let not_set = || KernelOption { value: "n".to_owned(), wanted: Vec::new() };
                let option = options.entry(line.option).or_insert_with(not_set);
                option.wanted.push(WantedValue { value: line.value, place: format!("{fragment}:{}", line.line) });
            }
        }
        Ok(options)
    }
}
