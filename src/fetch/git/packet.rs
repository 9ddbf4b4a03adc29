//! Lines of git's protocol (gitprotocol-common, "pkt-line Format"): their length in four digits, then their bytes.

use super::GitFormatError;

/// The digits of a length, which it counts too.
const LENGTH_DIGITS: usize = 4;
/// The longest packet, its length included.
const MAX_PACKET_BYTES: usize = 65_520;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// Bytes; a line has its line feed.
    Data(&'a [u8]),
    /// The end of a message.
    Flush,
    /// The end of a part of it.
    Delimiter,
}

/// The packets of an answer, one after the other.
pub(super) struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Packets { rest: bytes }
    }

    /// The next one; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Packet<'a>>, GitFormatError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let wrong = || GitFormatError::new("it is no message of git's protocol: expected the length of a packet");
        let (digits, rest) = self.rest.split_at_checked(LENGTH_DIGITS).ok_or_else(wrong)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong());
        }
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        let packet = match usize::from_str_radix(digits, 16).map_err(|_| wrong())? {
            0 => Packet::Flush,
            1 => Packet::Delimiter,
            // The end of a whole answer, which some servers say after the last flush.
            2 => {
                self.rest = &[];
                return Ok(None);
            }
            length @ LENGTH_DIGITS..=MAX_PACKET_BYTES => {
                let cut = || GitFormatError::new("the server's answer ends inside a packet");
                let (data, rest) = rest.split_at_checked(length - LENGTH_DIGITS).ok_or_else(cut)?;
                self.rest = rest;
                return Ok(Some(Packet::Data(data)));
            }
            _ => return Err(wrong()),
        };
        self.rest = rest;
        Ok(Some(packet))
    }

    /// The next line without its line feed; `None` at the end of a message, or of a part of it. An error that the server
    /// states is one.
    pub(super) fn line(&mut self) -> Result<Option<&'a str>, GitFormatError> {
        let Some(Packet::Data(line)) = self.next()? else { return Ok(None) };
        let line = std::str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line));
        let line = line.map_err(|_| GitFormatError::new("a line of the server's answer is not UTF-8"))?;
        match line.strip_prefix("ERR ") {
            Some(said) => Err(GitFormatError::said(said.as_bytes())),
            None => Ok(Some(line)),
        }
    }
}

/// Adds a line to a question.
pub(super) fn push_line(question: &mut Vec<u8>, line: &str) {
    question.extend_from_slice(format!("{:04x}{line}\n", line.len() + LENGTH_DIGITS + 1).as_bytes());
}
