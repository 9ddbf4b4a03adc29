//! The first program of the root: what must be so before systemd reads anything.
//!
//! An `/etc` that settings can be put into, over that of the image and gone with the next start; and the machine's
//! identity in it. Nothing here stops a boot: what cannot be done is said in the kernel's log, and systemd starts all the
//! same, with an `/etc` that is the image's.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::Path,
};

use brc_contract::{Guid, error_chain, well_known};
use brc_linux::Files;
use rustix::{
    mount::{MountFlags, mount},
    rand::{GetRandomFlags, getrandom},
};

use crate::identity;

/// What runs from here on.
pub const INIT: &str = "/sbin/init";
/// Where the layer over `/etc` lies. Only root may look into it: what is private in `/etc` is so here.
const LAYER: &str = "/run/brc/etc";

/// Does everything; what could not be done.
pub fn prepare() -> Vec<String> {
    let steps: [(&str, fn() -> io::Result<()>); 3] = [
        ("the kernel's file systems", kernel_file_systems),
        ("`/etc`", etc),
        ("the machine's identity", give_identity),
    ];
    let failed = |(what, step): (&str, fn() -> io::Result<()>)| {
        step().err().map(|error| format!("{what}: {}", error_chain(&error)))
    };
    steps.into_iter().filter_map(failed).collect()
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

fn give_identity() -> io::Result<()> {
    let files = Files::below("/");
    let read = |name: &str, at: u64, length: usize| {
        let mut bytes = vec![0; length];
        File::open(Path::new("/dev").join(name))?.read_exact_at(&mut bytes, at).map(|()| bytes)
    };
    let kept = identity::of_data(&files, read);
    let found = identity::identity(identity::of_firmware(&files), kept, identity::is_virtual(&files));
    let identity = found.map_or_else(made_up, Ok)?;
    let path = "/etc/machine-id";
    fs::write(path, format!("{}\n", identity::machine_id(&identity)))?;
    fs::set_permissions(path, Permissions::from_mode(0o444))?;
    let definition = identity::data_definition(&files, &identity).map_err(io::Error::other)?;
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
