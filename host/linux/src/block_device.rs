//! What the kernel says of a block device in `/sys/dev/block/MAJOR:MINOR/uevent`.

use std::fmt;

/// The number of a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceNumber {
    /// Which driver's.
    pub major: u32,
    /// Which of them.
    pub minor: u32,
}

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDevice {
    /// Its name below `/dev`.
    pub name: String,
    /// Its number.
    pub number: DeviceNumber,
    /// Which partition of its disk it is, from 1; `None` for what is no partition.
    pub partition: Option<u32>,
    /// Which disk it is or lies on: no two disks of a boot have the same.
    pub disk: Option<u64>,
}

impl DeviceNumber {
    /// Reads `254:3`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        Some(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// The number in 32 bits, as system calls take it (Linux, `new_encode_dev` in `include/linux/kdev_t.h`).
    pub const fn encoded(self) -> u32 {
        self.minor & 0xff | self.major << 8 | (self.minor & !0xff) << 12
    }

    /// The number that has been [encoded](Self::encoded).
    pub const fn decoded(number: u32) -> Self {
        DeviceNumber { major: number >> 8 & 0xfff, minor: number & 0xff | number >> 12 & 0xfff00 }
    }
}

impl BlockDevice {
    /// Reads the lines of `uevent`; `None` when it has no number or no name.
    pub fn parse(uevent: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = uevent.lines().filter_map(|line| line.split_once('='));
            lines.find(|(name, _)| *name == key).map(|(_, value)| value)
        };
        let number = |key: &str| value(key)?.parse::<u32>().ok();
        Some(BlockDevice {
            name: value("DEVNAME").filter(|name| !name.is_empty())?.to_owned(),
            number: DeviceNumber { major: number("MAJOR")?, minor: number("MINOR")? },
            partition: number("PARTN"),
            disk: value("DISKSEQ").and_then(|text| text.parse().ok()),
        })
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_says_where_it_lies() {
        let text = "MAJOR=254\nMINOR=3\nDEVNAME=vda3\nDEVTYPE=partition\nDISKSEQ=1\nPARTN=3\nPARTNAME=a=b\n";
        let device = BlockDevice::parse(text).unwrap();
        assert_eq!((device.name.as_str(), device.number.to_string().as_str()), ("vda3", "254:3"));
        assert_eq!((device.partition, device.disk), (Some(3), Some(1)));
    }

    #[test]
    fn a_number_is_the_one_that_system_calls_take() {
        for (major, minor) in [(0, 0), (254, 3), (253, 300), (4095, 0xf_ffff)] {
            let number = DeviceNumber { major, minor };
            assert_eq!(u64::from(number.encoded()), rustix::fs::makedev(major, minor));
            assert_eq!(DeviceNumber::decoded(number.encoded()), number);
        }
    }

    #[test]
    fn what_says_less_is_no_device() {
        for text in ["", "MAJOR=254\nMINOR=3\n", "MAJOR=x\nMINOR=3\nDEVNAME=a", "MAJOR=99999999999\nMINOR=3\nDEVNAME=a"]
        {
            assert_eq!(BlockDevice::parse(text), None, "{text}");
        }
        for text in ["", "254", "254:", ":3", "254:3:1", "-1:3", "254: 3"] {
            assert_eq!(DeviceNumber::parse(text), None, "{text}");
        }
    }
}
