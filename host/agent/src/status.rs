//! What the machine says of itself.

use brc_contract::{
    Architecture, BootEntry, EntryName, EntryNameError, SlotName, Standing, boot_order, os_release, partition,
    well_known,
};
use brc_linux::{
    FileError, Files,
    block_device::{BlockDevice, DeviceNumber},
    device_mapper::{DeviceMapperError, Question},
    mapped_target::{self, AnswerError},
};

use crate::{
    loader::{self, VariableError},
    mount::{self, Mount},
    verity::{self, Root},
};

/// The longest small file that is read, in bytes: a command line, os-release, one device's lines.
pub(crate) const MAX_SMALL: usize = 64 << 10;
/// The longest list of mounts that is read, in bytes: a machine with thousands of containers has this many.
const MAX_MOUNTS: usize = 16 << 20;
/// The most that is kept of a version that did not work, in bytes.
const MAX_FAILURE: usize = 1 << 20;
/// The most names of a folder that is read: what lies below one disk, or the entries of the ESP.
pub(crate) const MAX_NAMES: usize = 4096;

/// Who answers for device-mapper: [`brc_linux::device_mapper::ask`].
pub type Ask<'a> = &'a dyn Fn(DeviceNumber, Question) -> Result<Vec<u8>, DeviceMapperError>;
/// What is known, or why it is not.
pub type Known<T> = Result<T, Unknown>;

/// What the machine says of itself, each part on its own.
#[derive(Debug)]
pub struct Status {
    /// The variant that it runs.
    pub variant: Known<String>,
    /// The version of the image.
    pub version: Known<String>,
    /// The architecture.
    pub architecture: Known<Architecture>,
    /// The kernel's release.
    pub kernel: Known<String>,
    /// The identity of the machine, 32 hexadecimal digits.
    pub machine_id: Known<String>,
    /// The slot that it runs from.
    pub slot: Known<SlotName>,
    /// The boot entry that was started, as the loader calls it: without a counter.
    pub entry: Known<EntryName>,
    /// What the entry's counter says now.
    pub standing: Known<Standing>,
    /// Whether the root is verified.
    pub root: Known<Root>,
    /// What is mounted where data belongs.
    pub data: Known<Data>,
    /// The last version that did not work here, and what had failed; `None` when every one did.
    pub last_failure: Known<Option<String>>,
}

/// What is mounted where data belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// The data partition.
    Mounted {
        /// Its device, below `/dev`.
        device: String,
        /// Its file system.
        file_system: String,
    },
    /// Something else, or nothing.
    NotMounted,
}

impl Status {
    /// Looks at the machine whose files these are; it runs on `architecture`, as the program does.
    pub fn of(files: &Files, architecture: &str, ask: Ask<'_>) -> Self {
        let entry = selected(files);
        Status {
            variant: image_value(files, os_release::IMAGE_ID),
            version: image_value(files, os_release::IMAGE_VERSION),
            architecture: Architecture::from_name(architecture)
                .ok_or_else(|| Unknown::Architecture { found: architecture.to_owned() }),
            kernel: line(files, "/proc/sys/kernel/osrelease"),
            machine_id: machine_id(files),
            slot: slot(files),
            standing: standing(files, entry.as_ref().ok()),
            entry,
            root: root(files, ask),
            data: data(files),
            last_failure: last_failure(files),
        }
    }
}

/// A file with one line.
fn line(files: &Files, path: &str) -> Known<String> {
    Ok(files.text(path, MAX_SMALL)?.trim_end().to_owned())
}

fn image_value(files: &Files, key: &'static str) -> Known<String> {
    let text = files.text(well_known::OS_RELEASE, MAX_SMALL)?;
    os_release::value(&text, key).map(str::to_owned).ok_or(Unknown::NoKey { key })
}

fn machine_id(files: &Files) -> Known<String> {
    let id = line(files, "/etc/machine-id")?;
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { Ok(id) } else { Err(Unknown::MachineId { found: id }) }
}

/// What is mounted on `folder`.
fn mounted_on(files: &Files, folder: &'static str) -> Known<Option<Mount>> {
    let mounts = files.text("/proc/self/mountinfo", MAX_MOUNTS)?;
    Ok(mount::mounted_on(&mounts, folder))
}

/// The device that the root is on, if it is a mapped one.
pub(crate) fn root_device(files: &Files) -> Known<(DeviceNumber, bool)> {
    let root = mounted_on(files, "/")?.ok_or(Unknown::NoRoot)?.device;
    match files.names(&format!("/sys/dev/block/{root}/dm"), MAX_NAMES) {
        Ok(_) => Ok((root, true)),
        Err(error) if error.is_absence() => Ok((root, false)),
        Err(error) => Err(error.into()),
    }
}

fn root(files: &Files, ask: Ask<'_>) -> Known<Root> {
    let (device, is_mapped) = root_device(files)?;
    if !is_mapped {
        return Ok(Root::Unverified(format!("its device {device} is not a mapped one")));
    }
    let targets = |question| -> Known<_> { Ok(mapped_target::targets(&ask(device, question)?)?) };
    let command_line = files.text("/proc/cmdline", MAX_SMALL)?;
    Ok(verity::judge(&command_line, &targets(Question::Table)?, &targets(Question::Status)?))
}

/// The devices that a mapped device is made of.
pub(crate) fn parts(files: &Files, device: DeviceNumber) -> Known<Vec<BlockDevice>> {
    let names = files.names(&format!("/sys/dev/block/{device}/slaves"), MAX_NAMES)?;
    names.iter().map(|name| block_device(files, &format!("/sys/class/block/{name}"))).collect()
}

pub(crate) fn block_device(files: &Files, folder: &str) -> Known<BlockDevice> {
    let path = format!("{folder}/uevent");
    BlockDevice::parse(&files.text(&path, MAX_SMALL)?).ok_or(Unknown::Device { path })
}

/// The slot, by the numbers of the partitions that the kernel mapped. Their identities on the command line would be
/// the longer way round: before 6.13 the kernel does not tell which partition has which.
pub(crate) fn slot(files: &Files) -> Known<SlotName> {
    let (device, is_mapped) = root_device(files)?;
    let mut parts = if is_mapped { parts(files, device)? } else { Vec::new() };
    parts.sort_by_key(|part| part.partition);
    let found = || parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(" ");
    let [hash, root] = parts.as_slice() else {
        return Err(Unknown::NoSlot { found: found() });
    };
    let numbers = hash.partition.zip(root.partition).filter(|_| hash.disk == root.disk);
    numbers
        .and_then(|(hash, root)| SlotName::of_partitions(hash, root))
        .ok_or_else(|| Unknown::NoSlot { found: found() })
}

/// The first line of what was kept; the others are what the version had last said.
fn last_failure(files: &Files) -> Known<Option<String>> {
    match files.text(well_known::LAST_FAILURE, MAX_FAILURE) {
        Ok(text) => Ok(text.lines().next().map(str::to_owned)),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn selected(files: &Files) -> Known<EntryName> {
    let path = loader::variable_path("LoaderEntrySelected");
    let bytes = files.bytes(&path, loader::MAX_VARIABLE)?;
    let name = loader::text(&bytes).map_err(|source| Unknown::Variable { path, source })?;
    Ok(EntryName::parse(&name)?)
}

/// What the counter of an entry says now, from the names on the ESP.
fn standing(files: &Files, entry: Option<&EntryName>) -> Known<Standing> {
    let entry = entry.ok_or(Unknown::NoEntry)?;
    let folder = format!("{}/{}", well_known::ESP_MOUNT, well_known::UKI_FOLDER);
    let names = files.names(&folder, MAX_NAMES)?;
    // Of two files of one entry the loader would start the better one.
    let candidate = |name| BootEntry { name, sort_key: String::new(), version: String::new() };
    let same = names.iter().filter_map(|name| EntryName::parse(name).ok()).filter(|name| name.is_same_entry(entry));
    let best = same.map(candidate).min_by(boot_order);
    best.map(|best| best.name.standing()).ok_or_else(|| Unknown::NoFile { entry: entry.to_string(), folder })
}

fn data(files: &Files) -> Known<Data> {
    let Some(mount) = mounted_on(files, well_known::DATA_MOUNT)?.filter(|mount| mount.device.major != 0) else {
        return Ok(Data::NotMounted);
    };
    let device = block_device(files, &format!("/sys/dev/block/{}", mount.device))?;
    // By label it could be that of another disk.
    let own = files.link(well_known::DATA_DEVICE)?.ok_or(Unknown::NoDataPartition)?;
    // An encrypted partition is mounted by way of a mapped device.
    let is_data = device.name == own
        || device.partition.is_none()
            && parts(files, mount.device).is_ok_and(|parts| parts.iter().any(|part| part.name == own));
    if is_data {
        Ok(Data::Mounted { device: format!("/dev/{}", device.name), file_system: mount.file_system })
    } else {
        Ok(Data::NotMounted)
    }
}

/// A part of the status is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// A file does not give it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Device-mapper does not tell.
    #[error(transparent)]
    DeviceMapper(#[from] DeviceMapperError),
    /// Device-mapper's answer makes no sense.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The loader has started something that is no entry of an image.
    #[error(transparent)]
    EntryName(#[from] EntryNameError),
    /// A variable of the loader holds no text.
    #[error("`{path}` cannot be read")]
    Variable { path: String, source: VariableError },
    /// The program runs on an architecture that images are not made for.
    #[error("`{found}` is not an architecture that images are made for")]
    Architecture { found: String },
    /// os-release does not name the image.
    #[error("`/{}` has no {key}: this is no image of brc", well_known::OS_RELEASE)]
    NoKey { key: &'static str },
    /// The machine has no identity yet.
    #[error("`/etc/machine-id` holds `{}`: expected 32 hexadecimal digits", found.escape_debug())]
    MachineId { found: String },
    /// Nothing is mounted on `/`.
    #[error("`/proc/self/mountinfo` has no `/`")]
    NoRoot,
    /// A device does not say which it is.
    #[error("`{path}` says neither name nor number of a device")]
    Device { path: String },
    /// The disk of the root's partitions is not among the block devices.
    #[error("the disk that `{partition}` lies on is not among the block devices")]
    NoDisk { partition: String },
    /// The size of a disk makes no sense.
    #[error("`{path}` is no size of a disk")]
    Size { path: String },
    /// The root is not on the two partitions of a slot.
    #[error("the root is on `{found}`: expected the hash and root partition of a slot, on one disk")]
    NoSlot { found: String },
    /// The counter of an entry that is not known.
    #[error("it is not known which entry was started")]
    NoEntry,
    /// The entry that was started is not on the ESP any more.
    #[error("`{folder}` has no file of entry `{entry}`")]
    NoFile { entry: String, folder: String },
    /// The disk that the root is on has no data partition.
    #[error(
        "there is no `{}`: no partition beside those of the root is called `{}`",
        well_known::DATA_DEVICE,
        partition::DATA_LABEL
    )]
    NoDataPartition,
}
