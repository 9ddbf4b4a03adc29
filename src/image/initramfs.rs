//! What a finished kernel is started with until it has its root: the first program, the modules that it loads, and
//! firmware, as one cpio archive.
//!
//! The order of loading is worked out here, from what each module says of itself (`.modinfo`), so that a name that
//! does not exist and a module that is missing are found while composing. Formats: initramfs buffer format and cpio
//! "newc" (Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::collections::{BTreeMap, BTreeSet};

use brc_contract::initramfs::{self, ModuleOrder, ModuleOrderError};
use object::{Object as _, ObjectSection as _, read::elf::ElfFile64};

use super::{packaged_kernel::module_of, uki::MAX_UKI_BYTES};
use crate::content::RelPath;

/// What a root under verity needs of a kernel: the option, and the module that it becomes where it is not built in.
const WANTED: [(&str, &str, &str); 4] = [
    ("BLK_DEV_DM", "dm-mod", "the root lies behind the device mapper"),
    ("DM_VERITY", "dm-verity", "the root is checked by dm-verity"),
    ("EROFS_FS", "erofs", "the root is an EROFS file system"),
    ("CRYPTO_SHA256", "sha256_generic", "the root's hashes are SHA-256"),
];

/// The longest chain of modules that depend on each other; those of Linux are ten or so.
const MAX_CHAIN: usize = 64;

/// A kernel as its packages describe it.
#[derive(Debug, Clone, Copy)]
pub struct Kernel<'a> {
    /// Its release.
    pub release: &'a str,
    /// Its configuration, as `/boot/config-…` has it.
    pub config: &'a str,
    /// The text of `modules.builtin`: the paths of modules that are built in.
    pub built_in: &'a str,
}

/// A module that is loaded: its name and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name, with `_` for `-`.
    pub name: String,
    /// Its file.
    pub bytes: Vec<u8>,
}

impl Module {
    fn file(&self) -> String {
        format!("{}.ko", self.name)
    }
}

/// The modules of `wanted` with all that they depend on, in an order in which each can be loaded; what is built in is
/// not among them. `read` gives the file of a module by its name with `_` for `-`, if there is one.
///
/// # Errors
/// A name that the kernel does not have; a dependency that is missing; a file that is no module; an error of `read`.
pub fn load_order<E: From<InitramfsError>>(
    kernel: &Kernel<'_>,
    wanted: &[(&str, &str)],
    mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<Module>, E> {
    let built_in = built_in(kernel.built_in);
    let mut order = Vec::new();
    let mut known = BTreeMap::new();
    let mut bytes = 0;
    let mut read = |name: &str| -> Result<Option<Vec<u8>>, E> {
        let module = read(name)?;
        bytes += module.as_ref().map_or(0, |module| module.len() as u64);
        if bytes > MAX_UKI_BYTES { Err(InitramfsError::TooLarge.into()) } else { Ok(module) }
    };
    for (name, origin) in wanted {
        let wanted = initramfs::module_name(name);
        if built_in.contains(&wanted) {
            continue;
        }
        let mut chain = Vec::new();
        let found = visit(&wanted, &built_in, &mut chain, &mut known, &mut order, &mut read)?;
        if !found {
            let (name, origin) = ((*name).to_owned(), (*origin).to_owned());
            return Err(InitramfsError::NoModule { name, origin, release: kernel.release.to_owned() }.into());
        }
    }
    Ok(order)
}

/// Adds a module after all that it depends on; `false` when there is no such module.
fn visit<E: From<InitramfsError>>(
    name: &str,
    built_in: &BTreeSet<String>,
    chain: &mut Vec<String>,
    known: &mut BTreeMap<String, Visit>,
    order: &mut Vec<Module>,
    read: &mut impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<bool, E> {
    match known.get(name) {
        Some(Visit::Done) => return Ok(true),
        Some(Visit::Open) => return Err(InitramfsError::Cycle { chain: chain.join("`, `") }.into()),
        None => {}
    }
    let Some(bytes) = read(name)? else { return Ok(false) };
    let information = information(&bytes).ok_or_else(|| InitramfsError::NotAModule { name: name.to_owned() })?;
    known.insert(name.to_owned(), Visit::Open);
    chain.push(name.to_owned());
    if chain.len() > MAX_CHAIN {
        return Err(InitramfsError::TooDeep { chain: chain.join("` needs `") }.into());
    }
    for dependency in &information.depends {
        if !built_in.contains(dependency) && !visit(dependency, built_in, chain, known, order, read)? {
            let dependency = dependency.clone();
            return Err(InitramfsError::NoDependency { dependency, chain: chain.join("` and `") }.into());
        }
    }
    // A soft one makes it faster, or is looked for in several places: what is not there is not missed.
    for dependency in &information.before {
        // A cipher is asked for by what it does, and is there in C as `NAME_generic` (Linux, `crypto/`).
        for name in [dependency.clone(), format!("{dependency}_generic")] {
            if built_in.contains(&name) || matches!(known.get(&name), Some(Visit::Open)) {
                break;
            }
            if visit(&name, built_in, chain, known, order, read)? {
                break;
            }
        }
    }
    chain.pop();
    known.insert(name.to_owned(), Visit::Done);
    order.push(Module { name: name.to_owned(), bytes });
    Ok(true)
}

/// How far a module was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    Open,
    Done,
}

/// What a module says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Information {
    /// Modules that it cannot do without.
    pub(super) depends: Vec<String>,
    /// Modules that should be loaded before it.
    before: Vec<String>,
}

/// Reads `.modinfo`: texts `key=value`, each ended by a NUL (Linux, `include/linux/moduleparam.h`).
pub(super) fn information(module: &[u8]) -> Option<Information> {
    let file: ElfFile64<'_> = ElfFile64::parse(module).ok()?;
    let section = file.section_by_name(".modinfo")?.data().ok()?;
    let mut information = Information::default();
    for text in section.split(|byte| *byte == 0) {
        let Some((key, value)) = std::str::from_utf8(text).ok().and_then(|text| text.split_once('=')) else { continue };
        match key {
            "depends" => {
                information.depends.extend(value.split(',').filter(|name| !name.is_empty()).map(initramfs::module_name))
            }
            "softdep" => {
                let before = value.split_once("pre:").map(|(_, names)| names.split("post:").next().unwrap_or(""));
                information.before.extend(before.unwrap_or("").split_whitespace().map(initramfs::module_name));
            }
            _ => {}
        }
    }
    Some(information)
}

/// Refuses a kernel that would not reach its root with what is loaded. `disks` are the drivers of the platform's disks.
///
/// # Errors
/// What is missing, by option and module.
pub fn check(kernel: &Kernel<'_>, loaded: &[Module], disks: &[String]) -> Result<(), InitramfsError> {
    let (built_in, release) = (built_in(kernel.built_in), kernel.release.to_owned());
    let is_there = |module: &str| {
        let module = initramfs::module_name(module);
        built_in.contains(&module) || loaded.iter().any(|loaded| loaded.name == module)
    };
    for (option, module, why) in WANTED {
        let set =
            |line: &'_ str| line.strip_prefix("CONFIG_")?.strip_prefix(option)?.strip_prefix('=').map(str::to_owned);
        let value = kernel.config.lines().find_map(set);
        match value.as_deref() {
            Some("y") => {}
            Some("m") if is_there(module) => {}
            Some("m") => return Err(InitramfsError::NotLoaded { module, why, release }),
            _ => return Err(InitramfsError::NoOption { option, why, release }),
        }
    }
    if !disks.is_empty() && !disks.iter().any(|module| is_there(module)) {
        return Err(InitramfsError::NoDisk { release, drivers: disks.join("`, `") });
    }
    Ok(())
}

/// The archive: the first program, modules in their order, firmware by its path below `/lib/firmware`.
///
/// # Errors
/// More modules than an order takes.
pub fn archive(
    init: &[u8],
    modules: &[Module],
    firmware: &BTreeMap<RelPath, Vec<u8>>,
) -> Result<Vec<u8>, InitramfsError> {
    let order = ModuleOrder::new(modules.iter().map(Module::file))?.text();
    let inside = |path: &str| path.trim_start_matches('/').to_owned();
    let mut files: BTreeMap<String, (u32, &[u8])> = BTreeMap::new();
    files.insert(inside(initramfs::INIT), (0o755, init));
    files.insert(inside(initramfs::ORDER), (0o644, order.as_bytes()));
    let module_path = |module: &Module| inside(&format!("{}/{}", initramfs::MODULES, module.file()));
    files.extend(modules.iter().map(|module| (module_path(module), (0o644, module.bytes.as_slice()))));
    files.extend(firmware.iter().map(|(path, bytes)| {
        (inside(&format!("{}/{path}", initramfs::FIRMWARE, path = path.as_str())), (0o644, bytes.as_slice()))
    }));
    let folders: BTreeSet<String> = files.keys().flat_map(|path| folders_of(path)).collect();
    let mut archive = Archive::default();
    for folder in folders.iter().filter(|folder| !folder.is_empty()) {
        archive.entry(folder, 0o040_755, 2, &[]);
    }
    for (path, (mode, bytes)) in files {
        archive.entry(&path, 0o100_000 | mode, 1, bytes);
    }
    Ok(archive.finish())
}

/// The folders that a path lies in, outermost first.
fn folders_of(path: &str) -> impl Iterator<Item = String> {
    path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default().to_owned())
}

/// A cpio archive that is being written. No clock and no user is in it.
#[derive(Debug, Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn entry(&mut self, path: &str, mode: u32, links: u32, content: &[u8]) {
        self.entries += 1;
        self.header(self.entries, path, mode, links, content.len());
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn header(&mut self, inode: u32, path: &str, mode: u32, links: u32, size: usize) {
        // inode, mode, uid, gid, links, time, size, device and special device (major, minor), name, checksum
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let name = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
        let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name, 0];
        self.bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|field| self.bytes.extend_from_slice(format!("{field:08x}").as_bytes()));
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.header(0, "TRAILER!!!", 0, 1, 0);
        self.bytes
    }
}

fn built_in(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| module_of(line.trim())).map(|(name, _)| name).collect()
}

/// An initramfs that would not do.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// The kernel has no such module.
    #[error("kernel `{release}` has no module `{name}`, or its `drop` leaves it out; `initramfs` names it ({origin})")]
    NoModule { name: String, origin: String, release: String },
    /// The kernel's packages have no such firmware.
    #[error("no package of the kernel has `/usr/lib/firmware/{name}`, which `initramfs` names ({origin})")]
    NoFirmware { name: String, origin: String },
    /// A module depends on one that is not there.
    #[error("module `{chain}` needs `{dependency}`, and the kernel's packages do not have it")]
    NoDependency { dependency: String, chain: String },
    /// Modules depend on each other.
    #[error("the modules `{chain}` depend on each other")]
    Cycle { chain: String },
    /// More modules than a kernel image holds.
    #[error("its modules have more than {} MiB together, and a unified kernel image no more", MAX_UKI_BYTES >> 20)]
    TooLarge,
    /// Modules that depend on each other in a longer chain than any kernel has.
    #[error("more than {MAX_CHAIN} modules depend on each other: `{chain}`")]
    TooDeep { chain: String },
    /// The modules cannot be listed.
    #[error("the modules of the initramfs cannot be listed")]
    Order {
        #[from]
        source: ModuleOrderError,
    },
    /// A module is damaged.
    #[error("module `{name}` cannot be unpacked")]
    Unpack { name: String, source: std::io::Error },
    /// A file is no module.
    #[error("`{name}.ko` is no kernel module: it has no `.modinfo`")]
    NotAModule { name: String },
    /// A module that finds the root is not loaded.
    #[error("{why}, and `{module}` is a module of kernel `{release}`: write `module \"{module}\"` in its `initramfs`")]
    NotLoaded { module: &'static str, why: &'static str, release: String },
    /// The kernel cannot do what the root needs.
    #[error("{why}, and kernel `{release}` is built without CONFIG_{option}: take another kernel")]
    NoOption { option: &'static str, why: &'static str, release: String },
    /// No driver for a disk.
    #[error(
        "kernel `{release}` would find no disk: expected one of `{drivers}` in its `initramfs`, as the platform has them"
    )]
    NoDisk { release: String, drivers: String },
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An ELF file with nothing but a `.modinfo` (ELF-64, version 1.5 draft 2).
    pub(in super::super) fn module(information: &str) -> Vec<u8> {
        const NAMES: &[u8] = b"\0.modinfo\0.shstrtab\0";
        let table = (64 + information.len() + NAMES.len()).next_multiple_of(8);
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        // Relocatable, x86-64, version 1; no entry, no program headers; three sections, the last one of names.
        [1_u16, 62, 1, 0].iter().for_each(|half| file.extend(half.to_le_bytes()));
        [0, 0, table as u64].iter().for_each(|word| file.extend(word.to_le_bytes()));
        [0_u16, 0, 64, 0, 0, 64, 3, 2].iter().for_each(|half| file.extend(half.to_le_bytes()));
        file.extend(information.as_bytes());
        file.extend(NAMES);
        file.resize(table, 0);
        let (offset, size) = (64, information.len() as u64);
        for (name, kind, offset, size) in
            [(0, 0, 0, 0), (1, 1, offset, size), (10, 3, offset + size, NAMES.len() as u64)]
        {
            [name, kind].iter().for_each(|half: &u32| file.extend(half.to_le_bytes()));
            [0, 0, offset, size, 0, 1, 0].iter().for_each(|word: &u64| file.extend(word.to_le_bytes()));
        }
        file
    }

    const BUILT_IN: &str = "kernel/drivers/nvme/host/nvme.ko\nkernel/crypto/sha256_generic.ko\n";
    const CONFIG: &str = "CONFIG_BLK_DEV_DM=m\nCONFIG_DM_VERITY=m\nCONFIG_EROFS_FS=m\nCONFIG_CRYPTO_SHA256=y\n";
    const KERNEL: Kernel<'_> = Kernel { release: "6.12", config: CONFIG, built_in: BUILT_IN };

    fn read(name: &str) -> Result<Option<Vec<u8>>, InitramfsError> {
        let information = match name {
            "dm_verity" => "license=GPL\0depends=dm-bufio,dm-mod,reed_solomon\0",
            "dm_bufio" => "depends=dm-mod\0",
            "erofs" => "depends=libcrc32c\0softdep=pre: crypto-lz4 dm-mod post: late\0",
            "libcrc32c" => "depends=\0softdep=pre: crc32c\0",
            "dm_mod" | "crc32c_generic" | "reed_solomon" | "virtio_blk" => "depends=\0",
            "lonely" => "depends=dropped\0",
            "a" => "depends=b\0",
            "b" => "depends=a\0",
            "text" => return Ok(Some(b"no module".to_vec())),
            "huge" => return Ok(Some(vec![0; MAX_UKI_BYTES as usize + 1])),
            _ => {
                let Some(number) = name.strip_prefix("deep").and_then(|number| number.parse::<u32>().ok()) else {
                    return Ok(None);
                };
                return Ok(Some(module(&format!("depends=deep{}\0", number + 1))));
            }
        };
        Ok(Some(module(information)))
    }

    #[test]
    fn modules_come_after_what_they_depend_on() {
        let wanted = ["dm-verity", "nvme", "erofs", "dm_mod", "virtio_blk"].map(|name| (name, "k.kdl:1"));
        let order = load_order(&KERNEL, &wanted, read).unwrap();
        let names: Vec<&str> = order.iter().map(|module| module.name.as_str()).collect();
        let expected =
            ["dm_mod", "dm_bufio", "reed_solomon", "dm_verity", "crc32c_generic", "libcrc32c", "erofs", "virtio_blk"];
        assert_eq!(names, expected);
        check(&KERNEL, &order, &["virtio_blk".to_owned()]).unwrap();
        check(&KERNEL, &order, &["nvme".to_owned(), "ahci".to_owned()]).unwrap();
    }

    #[test]
    fn what_would_not_start_is_told_by_name() {
        let cases = [
            (
                "erofs2",
                "kernel `6.12` has no module `erofs2`, or its `drop` leaves it out; `initramfs` names it (k.kdl:7)",
            ),
            ("lonely", "module `lonely` needs `dropped`"),
            ("a", "the modules `a`, `b` depend on each other"),
            ("text", "`text.ko` is no kernel module"),
            ("huge", "its modules have more than 256 MiB together"),
            ("deep0", "more than 64 modules depend on each other: `deep0` needs `deep1` needs"),
        ];
        for (name, expected) in cases {
            let error = load_order(&KERNEL, &[(name, "k.kdl:7")], read).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let order = |names: &[&str]| {
            let named: Vec<_> = names.iter().map(|name| (*name, "")).collect();
            load_order(&KERNEL, &named, read).unwrap()
        };
        let without = |option: &str| CONFIG.replace(&format!("CONFIG_{option}=m\n"), "");
        let cases = [
            (CONFIG.to_owned(), order(&["dm-verity"]), "write `module \"erofs\"` in its `initramfs`"),
            (CONFIG.to_owned(), order(&["erofs"]), "write `module \"dm-verity\"`"),
            (CONFIG.to_owned(), order(&["dm-verity", "erofs"]), "expected one of `virtio_blk`"),
            (without("EROFS_FS"), order(&["dm-verity", "erofs"]), "is built without CONFIG_EROFS_FS"),
        ];
        for (config, loaded, expected) in cases {
            let kernel = Kernel { config: &config, ..KERNEL };
            let error = check(&kernel, &loaded, &["virtio_blk".to_owned()]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_archive_is_the_one_that_cpio_makes() {
        let modules = [Module { name: "dm_mod".to_owned(), bytes: b"12345".to_vec() }];
        let firmware = BTreeMap::from([(RelPath::new("vendor/x.bin").unwrap(), b"f".to_vec())]);
        let archive = archive(b"init", &modules, &firmware).unwrap();
        assert_eq!(archive.len() % 4, 0);
        // Inode 1, a folder 0755 of root's with two links, four bytes of name with the NUL; no time, size or device.
        let fields = [1, 0o040_755, 0, 0, 2, 0, 0, 0, 0, 0, 0, 4, 0].map(|field| format!("{field:08x}")).concat();
        let header = format!("070701{fields}lib\0");
        assert_eq!(String::from_utf8_lossy(&archive[..header.len()]), header);
        // The names in order: folders first, so that each is there before what lies in it.
        let text = String::from_utf8_lossy(&archive).into_owned();
        let names = [
            "lib\0",
            "lib/firmware\0",
            "lib/firmware/vendor\0",
            "modules\0",
            "init\0",
            "modules/dm_mod.ko\0",
            "TRAILER!!!\0",
        ];
        let places: Vec<_> = names.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(text.contains("modules/order\0dm_mod.ko\n"), "{text}");
    }
}
