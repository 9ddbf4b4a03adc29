//! Ports of the host that lead into a machine, and out of it.

use std::str::FromStr;

/// A TCP port of the host's loopback that leads into the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The port of 127.0.0.1 on the host.
    pub host: u16,
    /// The machine's port.
    pub guest: u16,
}

/// A TCP port of the host's loopback that the machine reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The port of 127.0.0.1 on the host.
    pub host: u16,
    /// The port at which the machine finds it.
    pub guest: u16,
}

impl FromStr for Forward {
    type Err = ParseForwardError;

    /// Reads `HOST:GUEST`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, guest) = pair(text).ok_or_else(|| ParseForwardError { text: text.to_owned() })?;
        Ok(Self { host, guest })
    }
}

impl FromStr for Reach {
    type Err = ParseReachError;

    /// Reads `PORT`, which is the same on both sides, or `HOST:GUEST`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let both = || port(text).map(|port| (port, port));
        let (host, guest) = pair(text).or_else(both).ok_or_else(|| ParseReachError { text: text.to_owned() })?;
        Ok(Self { host, guest })
    }
}

fn pair(text: &str) -> Option<(u16, u16)> {
    let (host, guest) = text.split_once(':')?;
    Some((port(host)?, port(guest)?))
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// A text names no forwarded port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` forwards no port: expected HOST:GUEST, two numbers from 1 to 65535, as in 8080:80")]
pub struct ParseForwardError {
    /// What was read.
    pub text: String,
}

/// A text names no port that is reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no port to reach: expected PORT or HOST:GUEST, numbers from 1 to 65535, as in 8080 or 8080:80")]
pub struct ParseReachError {
    /// What was read.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_two_port_numbers() {
        assert_eq!("8080:80".parse(), Ok(Forward { host: 8080, guest: 80 }));
        assert_eq!("1:65535".parse(), Ok(Forward { host: 1, guest: 65535 }));
        for text in ["", "80", ":80", "80:", "0:80", "80:0", "65536:1", "1:65536", "+1:2", " 1:2", "1:2:3", "a:b"] {
            assert!(text.parse::<Forward>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_reached_is_one_port_number_or_two() {
        assert_eq!("80".parse(), Ok(Reach { host: 80, guest: 80 }));
        assert_eq!("8080:80".parse(), Ok(Reach { host: 8080, guest: 80 }));
        for text in ["", ":", "0", "65536", "80:", ":80", "0:80", "80:0", "+80", "-1", "80 ", "1:2:3", "localhost:80"] {
            assert!(text.parse::<Reach>().is_err(), "{text}");
        }
    }
}
