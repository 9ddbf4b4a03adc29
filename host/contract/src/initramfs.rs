//! The initramfs of a kernel that comes as a package: what the builder puts into it and `brc-early` reads.
//!
//! It holds the program as [`INIT`], the modules in [`MODULES`], uncompressed, their order in [`ORDER`], and in
//! [`FIRMWARE`] what the kernel reads when they ask for it; the program needs no other file and makes the folders that
//! it mounts on. What the root is, the command line says
//! ([`crate::command_line`]). The kernel reads it as a `newc` archive (Linux,
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::{collections::BTreeSet, error::Error, fmt};

/// Where the component `early` installs the program.
pub const PROGRAM: &str = "/usr/lib/brc/early";
/// The program in the initramfs, mode 0755: the first that the kernel executes.
pub const INIT: &str = "/init";
/// The folder of the modules in the initramfs.
pub const MODULES: &str = "/modules";
/// The file that says in which order they are loaded: a [`ModuleOrder`].
pub const ORDER: &str = "/modules/order";
/// The folder of firmware in the initramfs, where the kernel looks.
pub const FIRMWARE: &str = "/lib/firmware";
/// The most names of a path below [`FIRMWARE`].
pub const MAX_FIRMWARE_DEPTH: usize = 8;
/// The longest text of an order, in bytes.
pub const MAX_ORDER_BYTES: usize = 64 << 10;
/// The longest file name of a module, in bytes; the kernel takes module names of up to 55 bytes.
const MAX_NAME_BYTES: usize = 64;

/// The modules of an initramfs in the order in which they are loaded: what a module depends on comes before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleOrder {
    files: Vec<String>,
}

impl ModuleOrder {
    /// The order of these files.
    ///
    /// # Errors
    /// When a name is not `NAME.ko` of letters, digits, `-` and `_`, when two are of one module, or when the text is
    /// longer than [`MAX_ORDER_BYTES`].
    pub fn new(files: impl IntoIterator<Item = String>) -> Result<Self, ModuleOrderError> {
        let files: Vec<String> = files.into_iter().collect();
        let mut modules = BTreeSet::new();
        for file in &files {
            let module = module(file).ok_or_else(|| ModuleOrderError::NotAModule { file: file.clone() })?;
            if let Some(module) = modules.replace(module) {
                return Err(ModuleOrderError::Twice { module });
            }
        }
        let order = ModuleOrder { files };
        match order.text().len() {
            0..=MAX_ORDER_BYTES => Ok(order),
            bytes => Err(ModuleOrderError::TooLong { bytes }),
        }
    }

    /// Reads the text of [`ORDER`].
    ///
    /// # Errors
    /// When it is not one that [`ModuleOrder::text`] writes.
    pub fn parse(text: &str) -> Result<Self, ModuleOrderError> {
        if text.len() > MAX_ORDER_BYTES {
            return Err(ModuleOrderError::TooLong { bytes: text.len() });
        }
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(ModuleOrderError::CutOff);
        }
        // Not `lines`, which would drop a carriage return.
        ModuleOrder::new(text.split_terminator('\n').map(str::to_owned))
    }

    /// The text of [`ORDER`]: one file name a line, empty for a kernel that needs no module.
    pub fn text(&self) -> String {
        self.files.iter().flat_map(|file| [file.as_str(), "\n"]).collect()
    }

    /// The file names in [`MODULES`], in the order of loading.
    pub fn files(&self) -> &[String] {
        &self.files
    }
}

/// Whether `name` is one of a module: letters, digits, `-` and `_`, 61 at most.
pub fn is_module(name: &str) -> bool {
    module(&format!("{name}.ko")).is_some()
}

/// The name of the module in `file`, as the kernel writes it; in file names `-` and `_` are the same to it.
fn module(file: &str) -> Option<String> {
    let name = file.strip_suffix(".ko").filter(|name| !name.is_empty() && file.len() <= MAX_NAME_BYTES)?;
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    fits.then(|| module_name(name))
}

/// A module's name as the kernel compares it: `-` is `_`.
pub fn module_name(name: &str) -> String {
    name.replace('-', "_")
}

/// Some file names are not an order of modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleOrderError {
    /// A name is not one of a module.
    NotAModule {
        /// It.
        file: String,
    },
    /// Two files are of one module.
    Twice {
        /// Its name.
        module: String,
    },
    /// The text is longer than any that is read.
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// The last line does not end.
    CutOff,
}

impl fmt::Display for ModuleOrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleOrderError::NotAModule { file } => write!(
                f,
                "{file:?} is no file of a module: expected `NAME.ko` of letters, digits, `-` and `_`, of at most \
                 {MAX_NAME_BYTES} bytes"
            ),
            ModuleOrderError::Twice { module } => write!(f, "module `{module}` stands in it twice"),
            ModuleOrderError::TooLong { bytes } => {
                write!(f, "it has {bytes} bytes: expected at most {MAX_ORDER_BYTES}")
            }
            ModuleOrderError::CutOff => f.write_str("it ends in the middle of a line"),
        }
    }
}

impl Error for ModuleOrderError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(files: &[&str]) -> Result<ModuleOrder, ModuleOrderError> {
        ModuleOrder::new(files.iter().map(|file| (*file).to_owned()))
    }

    #[test]
    fn an_order_is_read_back_as_it_was_written() {
        for (files, text) in
            [(&["reed_solomon.ko", "dm-mod.ko", "8021q.ko"][..], "reed_solomon.ko\ndm-mod.ko\n8021q.ko\n"), (&[], "")]
        {
            let order = order(files).unwrap();
            assert_eq!(order.text(), text);
            assert_eq!(ModuleOrder::parse(text).unwrap().files(), files);
        }
    }

    #[test]
    fn what_is_no_order_is_refused_by_name() {
        let longest = format!("{}.ko", "a".repeat(MAX_NAME_BYTES - 3));
        assert!(order(&[&longest]).is_ok());
        for (text, expected) in [
            ("dm-mod.ko", "ends in the middle"),
            ("dm-mod.ko\r\n", r#""dm-mod.ko\r" is no file of a module"#),
            ("dm-mod\n", "\"dm-mod\" is no file"),
            ("dm-mod.ko.xz\n", "\"dm-mod.ko.xz\" is no file"),
            ("dm-mod.ko\n\n", "\"\" is no file"),
            ("\n", "\"\" is no file"),
            (".ko\n", "\".ko\" is no file"),
            ("../dm-mod.ko\n", "\"../dm-mod.ko\" is no file"),
            ("order\n", "\"order\" is no file"),
            ("\u{1b}[2J.ko\n", r#""\u{1b}[2J.ko" is no file"#),
            (&format!("a{longest}\n"), "is no file"),
            ("dm-mod.ko\nerofs.ko\ndm_mod.ko\n", "module `dm_mod` stands in it twice"),
            (&"a".repeat(MAX_ORDER_BYTES + 1), "it has 65537 bytes"),
        ] {
            let error = ModuleOrder::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn writer_and_reader_share_their_limit() {
        let names = |count: usize| (0..count).map(|number| format!("{number:060}.ko"));
        let fitting = MAX_ORDER_BYTES / 64;
        assert_eq!(ModuleOrder::new(names(fitting)).unwrap().text().len(), MAX_ORDER_BYTES);
        let too_long = ModuleOrder::new(names(fitting + 1));
        assert_eq!(too_long, Err(ModuleOrderError::TooLong { bytes: MAX_ORDER_BYTES + 64 }));
    }
}
