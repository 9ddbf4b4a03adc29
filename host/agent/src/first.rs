//! The first program of the root: what must be so before systemd reads anything.
//!
//! An `/etc` that settings can be put into, over that of the image and gone with the next start; the disk for data, where
//! that is not the root's; and the machine's identity. Nothing here stops a boot: what cannot be done is said in the kernel's log, and systemd starts all the
//! same, with an `/etc` that is the image's.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use brc_contract::{Guid, error_chain, well_known};
use brc_linux::{Files, nvme};
use rustix::{
    mount::{MountFlags, mount},
    rand::{GetRandomFlags, getrandom},
};

use crate::{
    data_disk::{self, Disks},
    disk::RootDisk,
    identity,
};

/// What runs from here on.
pub const INIT: &str = "/sbin/init";
/// Where the layer over `/etc` lies. Only root may look into it: what is private in `/etc` is so here.
const LAYER: &str = "/run/brc/etc";
/// What tells udev where the data is, where that is not the root's disk.
const RULES: &str = "/run/udev/rules.d/91-brc-data-disk.rules";
/// The longest that the disk for data is waited for, and how long between two looks.
const LONGEST: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// How long an empty disk stays the only one before it is taken.
const SETTLED: Duration = Duration::from_secs(1);

/// Does everything; what could not be done.
pub fn prepare() -> Vec<String> {
    let mut failed = Vec::new();
    let mut done = |what: &str, done: io::Result<()>| {
        failed.extend(done.err().map(|error| format!("{what}: {}", error_chain(&error))));
    };
    done("the kernel's file systems", kernel_file_systems());
    done("`/etc`", etc());
    let files = Files::below("/");
    let kept = if data_disk::is_apart(&files) {
        let found = find_data_disk(&files);
        let kept = found.as_ref().ok().copied().flatten();
        done("the disk for data", found.map(drop));
        kept
    } else {
        identity::of_data(&files, read)
    };
    done("the machine's identity", give_identity(&files, kept));
    failed
}

/// Writes a line into the kernel's log, for everybody who looks at the console.
///
/// # Errors
/// When there is no log.
pub fn alert(line: &str) -> io::Result<()> {
    File::options().write(true).open("/dev/kmsg")?.write_all(format!("<1>brc: {line}\n").as_bytes())
}

/// With a kernel that mounts the root itself, nothing is mounted but that and `/dev`.
fn kernel_file_systems() -> io::Result<()> {
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for (kind, folder, sign) in [("proc", "/proc", "/proc/self"), ("sysfs", "/sys", "/sys/class")] {
        if !Path::new(sign).exists() {
            mount(kind, folder, kind, plain, c"")?;
        }
    }
    // As systemd mounts it when it is not there.
    Ok(mount("tmpfs", "/run", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755,size=20%,nr_inodes=800k")?)
}

fn etc() -> io::Result<()> {
    fs::create_dir_all(LAYER)?;
    fs::set_permissions(LAYER, Permissions::from_mode(0o700))?;
    for name in ["upper", "work"] {
        let folder = Path::new(LAYER).join(name);
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
    }
    let options = c"lowerdir=/etc,upperdir=/run/brc/etc/upper,workdir=/run/brc/etc/work";
    Ok(mount("etc", "/etc", "overlay", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME, options)?)
}

/// So many bytes of a device from a byte on.
fn read(name: &str, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    File::open(Path::new("/dev").join(name))?.read_exact_at(&mut bytes, at).map(|()| bytes)
}

/// Finds the disk for data, which may come a little later than the root's, and tells udev; the identity of the data
/// partition on it, if there is one yet.
#[expect(clippy::disallowed_methods, reason = "it waits for a device with a limit")]
fn find_data_disk(files: &Files) -> io::Result<Option<Guid>> {
    let attached_as = |name: &str| {
        // Instances on Xen call disks what they were attached as.
        if name.starts_with("xvd") {
            return Some(name.to_owned());
        }
        let device = File::open(Path::new("/dev").join(name)).ok().filter(|_| name.starts_with("nvme"))?;
        match nvme::identify(&device) {
            Ok(answer) => nvme::attached_as(&answer),
            Err(error) => {
                // Said, and taken for one that has no name.
                let _ = alert(&format!("`{name}` does not say who it is: {error}"));
                None
            }
        }
    };
    let disks = Disks { read: &read, attached_as: &attached_as };
    let root = RootDisk::of(files).map_err(io::Error::other)?;
    let named = attached_as(&root.name);
    let (start, mut before) = (Instant::now(), None);
    loop {
        let candidates = data_disk::candidates(files, &root, &disks).map_err(io::Error::other)?;
        let pause = match data_disk::choose(named.as_deref(), &candidates) {
            // An empty one that nobody names is it when it is still the only one a moment later.
            Ok(found) if found.is_certain() || before == Some(found.number) => {
                let path = Path::new(RULES);
                fs::create_dir_all(path.parent().unwrap_or(Path::new("/run")))?;
                fs::write(path, data_disk::rules(found.number))?;
                return Ok(found.content.identity());
            }
            Ok(found) => {
                before = Some(found.number);
                SETTLED
            }
            Err(missing) if start.elapsed() >= LONGEST => return Err(io::Error::other(missing)),
            Err(_) => {
                before = None;
                PAUSE
            }
        };
        thread::sleep(pause);
    }
}

fn give_identity(files: &Files, kept: Option<Guid>) -> io::Result<()> {
    let found = identity::identity(identity::of_firmware(files), kept, identity::is_virtual(files));
    let identity = found.map_or_else(made_up, Ok)?;
    let path = "/etc/machine-id";
    fs::write(path, format!("{}\n", identity::machine_id(&identity)))?;
    fs::set_permissions(path, Permissions::from_mode(0o444))?;
    let definition = identity::data_definition(files, &identity).map_err(io::Error::other)?;
    let path = Path::new("/run").join(well_known::DATA_DEFINITION.trim_start_matches("usr/lib/"));
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/run")))?;
    fs::write(path, definition)
}

/// An identity that nobody has (RFC 9562, version 4).
fn made_up() -> io::Result<Guid> {
    let mut bytes = [0; 16];
    let got = getrandom(&mut bytes, GetRandomFlags::empty())?;
    if got < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let number =
        u128::from_be_bytes(bytes) & !(0xf_u128 << 76) & !(0x3_u128 << 62) | (0x4_u128 << 76) | (0x2_u128 << 62);
    Ok(Guid::from_number(number))
}
