//! The file systems that a sandbox sees: its root, `/proc`, `/dev`, `/tmp`, `/run`, and what is bound into it.
//!
//! Whatever comes from the host is opened as a detached mount first; then the root changes and the host's is
//! taken away; only then are the detached mounts put in place. So no link inside the new root can lead a mount,
//! or a file that is made for one, out of it.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::CWD,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    },
};

use super::{
    machine,
    spec::{Access, Bind, Root, Spec, View},
    syscall::{self, Reach},
    wire::{Stage, Trouble},
};

/// Nothing on it can be executed, gives rights or is a device.
const INERT: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV).union(MountAttrFlags::MOUNT_ATTR_NOEXEC);
const NO_RIGHTS: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);
const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;

/// The device nodes that are there.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// The folders in memory. Their sizes are stated, since the kernel's default is half of the host's memory: programs
/// would see it, and one could take all of it.
const MEMORY_FOLDERS: [(&str, [(&str, &str); 3]); 2] = [
    ("tmp", [("mode", "1777"), ("size", "8g"), ("nr_inodes", "1m")]),
    ("run", [("mode", "0755"), ("size", "64m"), ("nr_inodes", "64k")]),
];
const SHARED_MEMORY: [(&str, &str); 3] = [("mode", "1777"), ("size", "1g"), ("nr_inodes", "64k")];

/// What of `/proc`, besides the processes, shows nothing of the host or is needed; the rest is covered.
const PROC_SHOWN: [&str; 6] = ["self", "thread-self", "mounts", "net", "filesystems", "fs"];
/// What of `/proc` tells of the machine; shown as it is only when the machine itself is.
const PROC_OF_MACHINE: [&str; 7] = ["cpuinfo", "loadavg", "meminfo", "stat", "sys", "uptime", "version"];

/// Something that is mounted nowhere yet.
struct Detached {
    mount: OwnedFd,
    to: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

fn trouble(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Trouble {
    let attempt = attempt.into();
    |error| Trouble::new(Stage::Mount, attempt, error)
}

/// Makes the root of the sandbox and everything on it. Afterwards nothing of the host's root can be reached.
pub(super) fn lay(spec: &Spec) -> Result<(), Trouble> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(io::Error::from).map_err(trouble("make `/` private"))?;
    let processes = filesystem("proc", &[], INERT, Stage::Mount)?;
    let devices: Vec<Detached> = DEVICES.iter().map(|name| device(name)).collect::<Result<_, _>>()?;
    let binds: Vec<Detached> = spec.binds.iter().map(bind).collect::<Result<_, _>>()?;
    enter(&spec.root)?;

    let covers = filesystem("tmpfs", &[("mode", "0755"), ("size", "1m")], INERT, Stage::Mount)?;
    place(&processes, "proc", Kind::Folder)?;
    cover_proc(&covers, spec.view)?;
    drop(covers);
    let nodes = lay_devices(devices)?;
    for (name, options) in MEMORY_FOLDERS {
        place(&filesystem("tmpfs", &options, NO_RIGHTS, Stage::Mount)?, name, Kind::Folder)?;
    }
    for bound in binds {
        place(&bound.mount, &bound.to, bound.kind)?;
    }
    // From here on nobody can add to `/dev`.
    syscall::set_mount(nodes.as_fd(), READ_ONLY, Reach::One).map_err(trouble("protect `/dev`"))
}

/// Makes a folder of the spec and empties it.
pub(super) fn empty_folder(path: &str) -> Result<(), Trouble> {
    let failed = |error| Trouble::new(Stage::Folder, format!("make the empty folder `/{path}`"), error);
    let folder = inside(path);
    make_folder(&folder).map_err(failed)?;
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }.map_err(failed)?;
    }
    Ok(())
}

/// Makes a folder and those above it, 0755, where they are not there.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

fn inside(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

/// Makes the spec's root the root of this mount name space, and takes the host's away.
fn enter(root: &Root) -> Result<(), Trouble> {
    let (mount, at) = match root {
        Root::Overlay { lower, scratch } => {
            rustix::process::chdir(scratch)
                .map_err(|error| Trouble::new(Stage::Overlay, format!("enter `{}`", scratch.display()), error))?;
            (overlay(lower)?, PathBuf::from("root"))
        }
        Root::Folder(path) => (clone(path)?, path.clone()),
    };
    let changed = |error: rustix::io::Errno| trouble("change the root to the sandbox's")(error.into());
    rustix::mount::move_mount(mount.as_fd(), "", CWD, &at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(changed)?;
    drop(mount);
    rustix::process::chdir(&at).map_err(changed)?;
    // Both names are the same folder: the old root then lies on top of the new one, and is taken off it.
    rustix::process::pivot_root(".", ".").map_err(changed)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(changed)?;
    rustix::process::chdir("/").map_err(changed)
}

/// The overlay, named by relative paths only: what is named here can be read in `/proc/self/mountinfo`.
fn overlay(lower: &[PathBuf]) -> Result<OwnedFd, Trouble> {
    let mut names = Vec::new();
    for (at, layer) in lower.iter().enumerate() {
        let name = format!("lower-{at}");
        // A folder that was kept has links from its first life.
        fs::remove_file(&name).unwrap_or_default();
        symlink(layer, &name).map_err(|error| Trouble::new(Stage::Overlay, "name the lower folders", error))?;
        names.push(name);
    }
    let options = [
        ("lowerdir", names.join(":")),
        ("upperdir", "upper".to_owned()),
        ("workdir", "work".to_owned()),
        ("userxattr", String::new()),
    ];
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    filesystem("overlay", &options, NO_RIGHTS, Stage::Overlay)
}

/// A new file system, mounted nowhere yet. An option without value is a flag.
fn filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
    stage: Stage,
) -> Result<OwnedFd, Trouble> {
    let attempt = |context: Option<&OwnedFd>| {
        let said = context.map(complaints).unwrap_or_default();
        if said.is_empty() { format!("mount {kind}") } else { format!("mount {kind} ({said})") }
    };
    let failed = |error: rustix::io::Errno| Trouble::new(stage, attempt(None), error);
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed)?;
    let failed = |error: rustix::io::Errno| Trouble::new(stage, attempt(Some(&context)), error);
    rustix::mount::fsconfig_set_string(context.as_fd(), "source", kind).map_err(failed)?;
    for (name, value) in options {
        if value.is_empty() {
            rustix::mount::fsconfig_set_flag(context.as_fd(), *name).map_err(failed)?;
        } else {
            rustix::mount::fsconfig_set_string(context.as_fd(), *name, *value).map_err(failed)?;
        }
    }
    rustix::mount::fsconfig_create(context.as_fd()).map_err(failed)?;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(failed)
}

/// What the kernel says about a file system that it would not make.
fn complaints(context: &OwnedFd) -> String {
    let mut said = Vec::new();
    let mut line = [0; 512];
    while let Ok(length) = rustix::io::read(context, &mut line) {
        if length == 0 || said.len() > 10 {
            break;
        }
        said.push(String::from_utf8_lossy(line.get(..length).unwrap_or_default()).trim().to_owned());
    }
    said.join("; ")
}

/// What lies at a path now, with what is mounted below it, mounted nowhere yet.
fn clone(path: impl AsRef<Path>) -> Result<OwnedFd, Trouble> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, path.as_ref(), flags)
        .map_err(|error| trouble(format!("open `{}`", path.as_ref().display()))(error.into()))
}

fn device(name: &str) -> Result<Detached, Trouble> {
    let mount = clone(Path::new("/dev").join(name))?;
    // A read-only mount does not hinder writing through a node, but changing the node: as root, its mode is the
    // host's.
    let attributes = READ_ONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    syscall::set_mount(mount.as_fd(), attributes, Reach::One).map_err(trouble(format!("protect `/dev/{name}`")))?;
    Ok(Detached { mount, to: format!("dev/{name}"), kind: Kind::File })
}

fn bind(bind: &Bind) -> Result<Detached, Trouble> {
    let shown = bind.from.display();
    let is_folder = fs::metadata(&bind.from).map_err(trouble(format!("find `{shown}`")))?.is_dir();
    let mount = clone(&bind.from)?;
    let access = if bind.access == Access::Read { READ_ONLY } else { MountAttrFlags::empty() };
    syscall::set_mount(mount.as_fd(), access | MountAttrFlags::MOUNT_ATTR_NOSUID, Reach::All)
        .map_err(trouble(format!("protect `{shown}`")))?;
    Ok(Detached { mount, to: bind.to.clone(), kind: if is_folder { Kind::Folder } else { Kind::File } })
}

/// Mounts something below the new root; what it is mounted on is made.
fn place(mount: &OwnedFd, to: &str, kind: Kind) -> Result<(), Trouble> {
    let at = inside(to);
    let failed = |error| trouble(format!("mount `/{to}`"))(error);
    match kind {
        Kind::Folder => make_folder(&at).map_err(failed)?,
        Kind::File => {
            make_folder(at.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
            if !at.exists() {
                fs::write(&at, "").map_err(failed)?;
            }
        }
    }
    put(mount, &at, "").map_err(failed)
}

/// Mounts something, or what lies at `part` of it, on what is there.
fn put(mount: &OwnedFd, at: &Path, part: &str) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    rustix::mount::move_mount(mount.as_fd(), part, CWD, at, flags).map_err(Into::into)
}

/// Covers all of `/proc` that is not known to be harmless, and tells of a fixed machine where asked to.
///
/// `covers` is a file system for what is laid over; it is reached by no path.
fn cover_proc(covers: &OwnedFd, view: View) -> Result<(), Trouble> {
    let failed = trouble("cover what `/proc` shows of the host");
    try_cover_proc(covers, view).map_err(failed)
}

fn try_cover_proc(covers: &OwnedFd, view: View) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let read_only = Mode::from_raw_mode(0o444);
    let make = |path: &str, content: &[u8]| -> io::Result<()> {
        for (at, _) in path.match_indices('/') {
            match rustix::fs::mkdirat(covers, &path[..at], Mode::from_raw_mode(0o755)) {
                Err(error) if error != rustix::io::Errno::EXIST => return Err(error.into()),
                _ => {}
            }
        }
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(covers, path, flags, read_only)?;
        rustix::io::write(&file, content).map(drop).map_err(Into::into)
    };
    make("nothing", b"")?;
    rustix::fs::mkdirat(covers, "empty", Mode::from_raw_mode(0o555))?;
    let mut hidden = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_process = name.bytes().all(|byte| byte.is_ascii_digit());
        if is_process || PROC_SHOWN.contains(&name.as_str()) || PROC_OF_MACHINE.contains(&name.as_str()) {
            continue;
        }
        hidden.push((name, if entry.file_type()?.is_dir() { "empty" } else { "nothing" }));
    }
    let mut uuid = None;
    match view {
        View::Fixed { processors } => {
            for (path, content) in machine::proc_files(processors) {
                make(path, content.as_bytes())?;
            }
            make("sys/kernel/random/uuid", b"")?;
            uuid = Some(open_part(&CWD, "/proc/sys/kernel/random/uuid")?);
            hidden.extend(PROC_OF_MACHINE.map(|name| (name.to_owned(), name)));
        }
        View::Host => {
            // Kernel parameters would be root's to write where brc runs as root.
            let parameters = open_part(&CWD, "/proc/sys")?;
            syscall::set_mount(parameters.as_fd(), READ_ONLY | INERT, Reach::One)?;
            put(&parameters, Path::new("/proc/sys"), "")?;
        }
    }
    hidden.push(("fs".to_owned(), "empty"));
    syscall::set_mount(covers.as_fd(), READ_ONLY | INERT, Reach::One)?;
    for (name, cover) in hidden {
        put(&open_part(covers, cover)?, &Path::new("/proc").join(name), "")?;
    }
    if let Some(uuid) = uuid {
        put(&uuid, Path::new("/proc/sys/kernel/random/uuid"), "")?;
    }
    Ok(())
}

/// A mount of a part of something, mounted nowhere yet.
fn open_part(of: &impl AsFd, part: &str) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(of.as_fd(), part, flags).map_err(Into::into)
}

/// Makes `/dev`, still writable.
fn lay_devices(devices: Vec<Detached>) -> Result<OwnedFd, Trouble> {
    let failed = |error| trouble("make `/dev`")(error);
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let folder = filesystem("tmpfs", &[("mode", "0755"), ("size", "1m")], attributes, Stage::Mount)?;
    place(&folder, "dev", Kind::Folder)?;
    for device in devices {
        place(&device.mount, &device.to, device.kind)?;
    }
    place(&filesystem("tmpfs", &SHARED_MEMORY, NO_RIGHTS, Stage::Mount)?, "dev/shm", Kind::Folder)?;
    let terminals = [("ptmxmode", "0666"), ("mode", "0620")];
    let no_execution = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    place(&filesystem("devpts", &terminals, no_execution, Stage::Mount)?, "dev/pts", Kind::Folder)?;
    let links = [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ];
    for (target, name) in links {
        symlink(target, Path::new("/dev").join(name)).map_err(failed)?;
    }
    Ok(folder)
}
