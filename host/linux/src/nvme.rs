//! Asks an NVMe device who it is. `/sys` has its model and its serial number, and nothing of what a cloud says beside them.
#![expect(unsafe_code, reason = "an ioctl whose buffer only this file and the kernel know")]

use std::{fs::File, io};

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// How long the answer is, in bytes.
pub const ANSWER: usize = 4096;
/// `struct nvme_admin_cmd` (Linux, `include/uapi/linux/nvme_ioctl.h`).
const COMMAND: usize = 72;
/// `NVME_IOCTL_ADMIN_CMD`.
const ADMIN_COMMAND: Opcode = opcode::read_write::<[u8; COMMAND]>(b'N', 0x41);
/// The admin command Identify (NVM Express base specification 2.0, figure 138).
const IDENTIFY: u8 = 0x06;
/// What is asked for by it: the controller (CNS 01h).
const CONTROLLER: u32 = 1;
/// Where EBS has the name that a volume was attached by, and how long that may be: vendor specific bytes.
const ATTACHED_AS: std::ops::Range<usize> = 3072..3104;

/// What the controller behind a block device says of itself.
///
/// # Errors
/// It is no NVMe device, or may not be asked (only root may).
pub fn identify(device: &File) -> io::Result<Vec<u8>> {
    let mut answer = vec![0_u8; ANSWER];
    let mut command = [0_u8; COMMAND];
    command[0] = IDENTIFY;
    command[24..32].copy_from_slice(&(answer.as_mut_ptr() as u64).to_ne_bytes());
    command[36..40].copy_from_slice(&(ANSWER as u32).to_ne_bytes());
    command[40..44].copy_from_slice(&CONTROLLER.to_ne_bytes());
    // SAFETY: the opcode's argument is a `struct nvme_admin_cmd`, which has as many bytes as `command`, any of which are
    // valid; the kernel writes to the address in it no more than the length in it says, and `answer` has that many and
    // outlives the call.
    unsafe { ioctl(device, Updater::<ADMIN_COMMAND, [u8; COMMAND]>::new(&mut command)) }?;
    Ok(answer)
}

/// The name that a volume of EBS was attached by, without `/dev/`, as its controller says it; what else is an NVMe device
/// has none. Source: Amazon, `ebsnvme-id` of `amazon-ec2-utils`.
pub fn attached_as(answer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(answer.get(ATTACHED_AS)?).ok()?;
    let name = text.trim_end_matches(['\0', ' ']);
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_says_what_it_was_attached_as() {
        let answer = |name: &str| {
            let mut answer = vec![0; ANSWER];
            answer[3072..3072 + name.len()].copy_from_slice(name.as_bytes());
            answer
        };
        for (name, expected) in [
            ("xvdb", Some("xvdb")),
            ("/dev/xvdb", Some("xvdb")),
            ("sdb                             ", Some("sdb")),
            ("", None),
            ("   ", None),
            ("/dev/", None),
            ("a/b", None),
            ("a\u{1b}[2J", None),
        ] {
            assert_eq!(attached_as(&answer(name)).as_deref(), expected, "{name:?}");
        }
        assert_eq!(attached_as(&[0xff; ANSWER]), None);
        assert_eq!(attached_as(b"short"), None);
    }
}
