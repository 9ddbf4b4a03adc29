//! What is mounted where, from `/proc/self/mountinfo` (Linux, `Documentation/filesystems/proc.rst`, section 3.5).

use brc_linux::block_device::DeviceNumber;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The device that it is on; one with major 0 is no block device.
    pub device: DeviceNumber,
    /// Its kind: `erofs`.
    pub file_system: String,
}

/// What is mounted on `folder`, which has no character that the kernel escapes; of several mounts the last, which
/// hides the others.
pub fn mounted_on(mountinfo: &str, folder: &str) -> Option<Mount> {
    mountinfo.lines().rev().find_map(|line| {
        // 34 16 254:6 / /var rw,nodev shared:34 - ext4 /dev/vda6 rw
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(2);
        let (device, mounted_on) = (fields.next()?, fields.nth(1)?);
        let file_system = after.split(' ').next()?.to_owned();
        let device = DeviceNumber::parse(device)?;
        (mounted_on == folder).then_some(Mount { device, file_system })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mount_on_a_folder_counts() {
        let text = "16 1 253:0 / / ro,relatime shared:1 - erofs /dev/root ro\n\
                    29 16 0:24 / /var rw - autofs systemd-1 rw\n\
                    34 29 254:6 / /var rw,nodev shared:34 master:2 - ext4 /dev/vda6 rw\n\
                    35 16 254:7 /sub /var/lib rw - xfs /dev/vda7 rw\n\
                    broken\n36 16 - / /var\n37 16 x:y / /var rw - ext4 a rw\n";
        let found = |folder| mounted_on(text, folder).map(|mount| format!("{} {}", mount.device, mount.file_system));
        for (folder, expected) in
            [("/", Some("253:0 erofs")), ("/var", Some("254:6 ext4")), ("/va", None), ("/lib", None), ("", None)]
        {
            assert_eq!(found(folder).as_deref(), expected, "{folder}");
        }
    }
}
