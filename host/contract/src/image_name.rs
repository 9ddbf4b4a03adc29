//! What an image is called: on its partitions, in its boot entry, as a file.

use std::fmt;

use crate::Architecture;

/// A variant and its version; shown as `quickstart_1.2.0`, which labels a slot's partitions and begins the name of
/// its boot entry and of every file that is made of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// The variant: `IMAGE_ID` of os-release(5).
    pub variant: String,
    /// The version, without `_`: `IMAGE_VERSION` of os-release(5).
    pub version: String,
}

impl ImageName {
    /// The name of a variant in a version.
    pub fn new(variant: &str, version: &str) -> Self {
        ImageName { variant: variant.to_owned(), version: version.to_owned() }
    }

    /// Reads `quickstart_1.2.0`; a version has no `_`.
    pub fn parse(text: &str) -> Option<Self> {
        let (variant, version) = text.rsplit_once('_')?;
        (!variant.is_empty() && !version.is_empty()).then(|| ImageName::new(variant, version))
    }

    /// The name of a file that is made of the image: `quickstart_1.2.0_x86_64.raw` with the ending `raw`.
    pub fn file(&self, architecture: Architecture, ending: &str) -> String {
        format!("{self}_{}.{ending}", architecture.name())
    }

    /// Reads the name of a file, as [`ImageName::file`] makes it, with its architecture and its ending.
    pub fn of_file(name: &str) -> Option<(Self, Architecture, &str)> {
        let (start, architecture, ending) = Architecture::ALL.into_iter().find_map(|architecture| {
            let (start, ending) = name.rsplit_once(&format!("_{}.", architecture.name()))?;
            Some((start, architecture, ending))
        })?;
        let name = ImageName::parse(start)?;
        (!ending.is_empty()).then_some((name, architecture, ending))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.variant, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_back_as_it_was_named() {
        for (variant, version, architecture, ending, file) in [
            ("quickstart", "0.1.0", Architecture::X86_64, "raw", "quickstart_0.1.0_x86_64.raw"),
            ("quickstart", "0.1.0", Architecture::X86_64, "manifest.json", "quickstart_0.1.0_x86_64.manifest.json"),
            ("my_host", "1~rc1", Architecture::Aarch64, "raw.zst", "my_host_1~rc1_aarch64.raw.zst"),
        ] {
            let name = ImageName::new(variant, version);
            assert_eq!(name.file(architecture, ending), file);
            assert_eq!(ImageName::of_file(file), Some((name, architecture, ending)));
        }
    }

    #[test]
    fn other_files_are_of_no_image() {
        let others = ["quickstart_x86_64.raw", "_1_x86_64.raw", "quickstart_0.1.0_riscv64.raw", "disk.raw", ""];
        for file in others.into_iter().chain(["quickstart__x86_64.raw", "quickstart_0.1.0_x86_64."]) {
            assert_eq!(ImageName::of_file(file), None, "{file}");
        }
    }
}
