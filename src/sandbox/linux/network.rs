//! How often programs tried to reach a network that their sandbox does not have, as the kernel counted it.
//!
//! Packets without a route are counted by IP. A name is looked up first where no server is named either: at port 53 of
//! loopback, where nobody listens, which UDP counts (proc_net_snmp, RFC 2011 and RFC 2013).

use std::{fs::File, os::unix::fs::FileExt};

/// More than these files ever hold.
const MAX_BYTES: usize = 64 * 1024;
/// What is counted, as `/proc/net/snmp` and `/proc/net/snmp6` call it.
const COUNTED: [(&str, &str); 4] =
    [("Ip", "OutNoRoutes"), ("Udp", "NoPorts"), ("", "Ip6OutNoRoutes"), ("", "Udp6NoPorts")];

/// The counters of this process's network name space, opened while it may.
pub(super) struct Counters(Vec<File>);

impl Counters {
    /// Opens what is there; a kernel without counters counts nothing.
    pub(super) fn open() -> Self {
        Self(["/proc/net/snmp", "/proc/net/snmp6"].into_iter().flat_map(File::open).collect())
    }

    /// How often something was tried so far.
    pub(super) fn tries(&self) -> u64 {
        let mut text = vec![0; MAX_BYTES];
        let read = |file: &File, text: &mut [u8]| file.read_at(text, 0).unwrap_or(0);
        self.0
            .iter()
            .map(|file| {
                let length = read(file, &mut text);
                tries(&String::from_utf8_lossy(text.get(..length).unwrap_or_default()))
            })
            .sum()
    }
}

/// The sum of what is counted in one of the files: either a line of names and one of numbers, both after the same
/// `Protocol:`, or a name and a number on each line.
fn tries(text: &str) -> u64 {
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.windows(2).filter_map(|pair| {
        let [(protocol, names), (same, numbers)] = [pair[0].split_once(':')?, pair[1].split_once(':')?];
        (protocol == same).then_some((protocol, names, numbers))
    });
    let tables = pairs.flat_map(|(protocol, names, numbers)| {
        names.split_whitespace().zip(numbers.split_whitespace()).map(move |(name, number)| (protocol, name, number))
    });
    let plain = lines.iter().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(("", words.next()?, words.next()?))
    });
    let counted = tables.chain(plain).filter(|(protocol, name, _)| COUNTED.contains(&(protocol, name)));
    counted.filter_map(|(.., number)| number.parse::<u64>().ok()).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_no_route_and_what_nobody_listened_for_is_counted() {
        let table = "Ip: Forwarding OutDiscards OutNoRoutes\nIp: 2 7 3\nIcmp: InMsgs\nIcmp: 9\n\
                     Udp: InDatagrams NoPorts\nUdp: 8 2\nUdpLite: InDatagrams NoPorts\nUdpLite: 5 5\n";
        assert_eq!(tries(table), 5);
        assert_eq!(tries("Ip6InReceives \t 4\nIp6OutNoRoutes \t 1\nUdp6NoPorts \t 6\n"), 7);
        for nothing in ["", "\n", "Ip:", "Ip: OutNoRoutes\n", "Ip: OutNoRoutes\nIp: many\n", "Ip6OutNoRoutes"] {
            assert_eq!(tries(nothing), 0, "{nothing:?}");
        }
    }
}
