//! What the kernel command line asks for: which root, and what is executed in it.

use brc_contract::{
    Guid,
    command_line::{VerityDevice, value, words},
};

/// What is executed when the command line does not say.
const INIT: &str = "/sbin/init";
/// The file system of every root that brc makes.
pub(crate) const FILE_SYSTEM: &str = "erofs";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRoot {
    /// The verified device.
    pub device: VerityDevice,
    /// The identity of the partition with the data.
    pub data: Guid,
    /// The identity of the partition with the hash tree.
    pub hash: Guid,
    /// The device that is mounted: `/dev/dm-0`.
    pub root: String,
    /// The file system's options, as `rootflags=` has them.
    pub root_flags: String,
    /// What is executed in the root.
    pub init: String,
}

impl WantedRoot {
    /// Reads the kernel command line.
    ///
    /// # Errors
    /// When it does not ask for a root as brc makes them.
    pub fn of(line: &str) -> Result<Self, CommandLineError> {
        // What follows `--` is for the init alone.
        let words: Vec<String> = words(line).into_iter().take_while(|word| word != "--").collect();
        let of = |name: &'static str| value(&words, name).ok_or(CommandLineError::Missing { name });
        let create = of("dm-mod.create")?;
        let device =
            VerityDevice::parse(create).ok_or_else(|| CommandLineError::Create { found: create.to_owned() })?;
        let file_system = of("rootfstype")?;
        if file_system != FILE_SYSTEM {
            return Err(CommandLineError::FileSystem { found: file_system.to_owned() });
        }
        let init = value(&words, "init").unwrap_or(INIT);
        if !init.starts_with('/') {
            return Err(CommandLineError::Init { found: init.to_owned() });
        }
        Ok(WantedRoot {
            data: identity(&device.table.data_device)?,
            hash: identity(&device.table.hash_device)?,
            root: of("root")?.to_owned(),
            root_flags: value(&words, "rootflags").unwrap_or_default().to_owned(),
            init: init.to_owned(),
            device,
        })
    }
}

fn identity(device: &str) -> Result<Guid, CommandLineError> {
    let guid = device.strip_prefix("PARTUUID=").and_then(|text| Guid::parse(text).ok());
    guid.ok_or_else(|| CommandLineError::Device { found: device.to_owned() })
}

/// What the kernel does when its first process ends, as the command line decides.
pub fn what_follows(line: &str) -> String {
    let words = words(line);
    match value(&words, "panic").and_then(|seconds| seconds.parse::<i32>().ok()) {
        Some(seconds @ 1..) => {
            format!("the kernel panics now and restarts the machine after {seconds} s")
        }
        Some(..0) => "the kernel panics now and restarts the machine at once".to_owned(),
        Some(0) | None => "the kernel panics now and stays so: its command line has no `panic=`".to_owned(),
    }
}

/// The command line does not ask for a root as brc makes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// A word is missing.
    #[error("the kernel command line has no `{name}=`: expected the words that brc writes for a verified root")]
    Missing { name: &'static str },
    /// The device is none that is made here.
    #[error(
        "`dm-mod.create={found}` of the kernel command line is not understood: expected `NAME,,,ro,0 SECTORS verity 1 …`"
    )]
    Create { found: String },
    /// A device of the table is not named by identity.
    #[error("the kernel command line names the device `{found}`: expected `PARTUUID=` and an identity")]
    Device { found: String },
    /// Another file system.
    #[error("the kernel command line has `rootfstype={found}`: expected `{FILE_SYSTEM}`")]
    FileSystem { found: String },
    /// An init that is no path from the root.
    #[error("the kernel command line has `init={found}`: expected a path that begins with `/`")]
    Init { found: String },
}

#[cfg(test)]
pub(crate) mod tests {
    use brc_contract::command_line::{BLOCKS, HASH_PARTITION, ROOT_HASH, ROOT_PARTITION, SALT, SECTORS, VERIFIED_ROOT};

    use super::*;

    pub(crate) const DATA: &str = "01234567-89ab-cdef-0123-456789abcdef";
    pub(crate) const HASH: &str = "fedcba98-7654-3210-fedc-ba9876543210";

    /// The command line of an image with a root of ten blocks.
    pub(crate) fn line() -> String {
        [
            (ROOT_PARTITION, format!("PARTUUID={DATA}")),
            (HASH_PARTITION, format!("PARTUUID={HASH}")),
            (SECTORS, "80".to_owned()),
            (BLOCKS, "10".to_owned()),
            (ROOT_HASH, "ff".to_owned()),
            (SALT, "00".to_owned()),
        ]
        .iter()
        .fold(format!("console=ttyS0 {VERIFIED_ROOT}"), |line, (from, to)| line.replace(from, to))
    }

    #[test]
    fn what_the_builder_writes_is_understood() {
        let wanted = WantedRoot::of(&line()).unwrap();
        assert_eq!((wanted.data.to_string().as_str(), wanted.hash.to_string().as_str()), (DATA, HASH));
        assert_eq!((wanted.device.name.as_str(), wanted.device.table.sectors), ("root", 80));
        assert_eq!((wanted.root.as_str(), wanted.init.as_str(), wanted.root_flags.as_str()), ("/dev/dm-0", INIT, ""));
        let other = WantedRoot::of(&format!("{} init=/a rootflags=b init=/c -- init=/d", line())).unwrap();
        assert_eq!((other.init.as_str(), other.root_flags.as_str()), ("/c", "b"));
    }

    #[test]
    fn what_is_no_root_of_ours_is_refused_by_word() {
        let without = |from: &str, to: &str| {
            assert!(line().contains(from), "{from}");
            line().replace(from, to)
        };
        for (line, expected) in [
            (String::new(), "no `dm-mod.create=`"),
            (without("dm-mod.create", "dm-mod.destroy"), "no `dm-mod.create=`"),
            (without(",ro,", ",rw,"), "`dm-mod.create=root,,,rw,0 80 verity"),
            (without(" verity ", " linear "), "is not understood"),
            (without(&format!("PARTUUID={HASH}"), "/dev/vda2"), "names the device `/dev/vda2`"),
            (without(DATA, "0123"), "names the device `PARTUUID=0123`"),
            (without("root=/dev/dm-0", ""), "no `root=`"),
            (without("rootfstype=erofs", "rootfstype=ext4"), "`rootfstype=ext4`: expected `erofs`"),
            (without("rootfstype=erofs", ""), "no `rootfstype=`"),
            (line() + " init=sh", "`init=sh`"),
        ] {
            let error = WantedRoot::of(&line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}\n{error}");
        }
    }

    #[test]
    fn what_follows_is_what_the_kernel_does() {
        for (line, expected) in [
            ("panic=10", "restarts the machine after 10 s"),
            ("panic=10 panic=-1", "restarts the machine at once"),
            ("panic=0", "stays so"),
            ("quiet", "stays so"),
        ] {
            assert!(what_follows(line).ends_with(expected) || what_follows(line).contains(expected), "{line}");
        }
    }
}
