//! Paths that the builder writes and the running host reads.

use crate::Architecture;

/// Folders of the root that the running host mounts something over: nobody sees what an image has below.
pub const COVERED: [&str; 4] = ["dev", "proc", "sys", "efi"];
/// Folders of the root that are empty at each boot: folders below can be made then, and nothing else is there.
pub const EMPTY_AT_BOOT: [&str; 2] = ["run", "tmp"];
/// Links of the running host to what is empty at each boot (`var.conf` of systemd).
pub const LINKED: [&str; 2] = ["var/run", "var/lock"];
/// Where unified kernel images lie on the ESP (Boot Loader Specification, UAPI.1, type 2).
pub const UKI_FOLDER: &str = "EFI/Linux";
/// systemd-boot's settings, on the ESP.
pub const LOADER_CONF: &str = "loader/loader.conf";
/// Where the running host mounts the ESP.
pub const ESP_MOUNT: &str = "/efi";
/// Where the running host mounts the data partition.
pub const DATA_MOUNT: &str = "/var";
/// The link that udev gives to the data partition of the machine, and to no other.
pub const DATA_DEVICE: &str = "/dev/brc/data";
/// The same for the ESP.
pub const ESP_DEVICE: &str = "/dev/brc/esp";
/// The link that udev gives to the disk for data, where that is not the root's.
pub const DATA_DISK_DEVICE: &str = "/dev/brc/data-disk";
/// What names the image and its version, in the root.
pub const OS_RELEASE: &str = "usr/lib/os-release";

/// Of the last version that did not work: its name and what had failed, then what it had last said.
pub const LAST_FAILURE: &str = "/var/lib/brc/update/last-failure";
/// It says that the machine waits for a reboot, as other systems say it; kured and its like look there.
pub const REBOOT_REQUIRED: &str = "/run/reboot-required";
/// There while an update is written and nobody has asked for the start of it; what is asked for by [`REBOOT_REQUIRED`].
pub const UPDATE_STAGED: &str = "/run/brc/update/staged";
/// Where images of containers lie that come with the machine, in the root: OCI archives.
pub const EMBEDDED_IMAGES: &str = "usr/lib/brc/images";
/// What of the same lies on the disk for data, in the root: for each archive a line with its SHA-256, its size in bytes, the
/// identity of its partition and its name.
pub const DATA_IMAGES: &str = "usr/lib/brc/data-images";
/// Where those archives lie while an image is composed; no root has this folder.
pub const DATA_ARCHIVES: &str = "usr/lib/brc/data-archives";
/// Where systemd puts what firmware or hypervisor hands over (systemd.exec(5), `@system`).
pub const CREDENTIALS: &str = "/run/credentials/@system";
/// What the image says of settings, in the root.
pub const IMAGE_SETTINGS: &str = "usr/lib/brc/settings/image.json";
/// Where the templates of files that settings make lie, in the root.
pub const TEMPLATES: &str = "usr/lib/brc/settings/templates";
/// The first program of the root, where an image has the agent's: it gives the machine its identity and an `/etc` of its
/// own before systemd reads either.
pub const FIRST_PROGRAM: &str = "usr/lib/brc/init";
/// Where the image says how the data partition is made (repart.d(5)), in the root.
pub const DATA_DEFINITION: &str = "usr/lib/repart.d/50-brc-data.conf";

/// Where the image says that its data lies on a disk of its own, in the root: in one line how many bytes that disk has
/// where nobody says more. It is not there where the data lies on the system's disk.
pub const DATA_DISK: &str = "usr/lib/brc/data-disk";

/// What the root says of the files that start it.
pub const BOOT_RECORD: &str = "usr/lib/brc/boot.json";

/// Where the firmware looks for a loader on the ESP when nothing else is set: `EFI/BOOT/BOOTX64.EFI`.
pub fn default_loader(architecture: Architecture) -> String {
    format!("EFI/BOOT/BOOT{}.EFI", architecture.efi().to_ascii_uppercase())
}

/// Where the loader installs itself on the ESP: `EFI/systemd/systemd-bootx64.efi`.
pub fn installed_loader(architecture: Architecture) -> String {
    format!("EFI/systemd/systemd-boot{}.efi", architecture.efi())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_has_the_firmwares_name() {
        assert_eq!(default_loader(Architecture::X86_64), "EFI/BOOT/BOOTX64.EFI");
        assert_eq!(default_loader(Architecture::Aarch64), "EFI/BOOT/BOOTAA64.EFI");
        assert_eq!(installed_loader(Architecture::X86_64), "EFI/systemd/systemd-bootx64.efi");
    }
}
