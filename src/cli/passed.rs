//! What a machine prints, passed on: byte for byte to a file or pipe, and to a terminal as text that it does not obey.

use std::io::{self, IsTerminal as _, Write, stderr, stdout};

use super::output::printable;

/// A stream that is passed on.
pub struct Passed<W> {
    to: W,
    is_terminal: bool,
    /// The beginning of a character whose end has not come.
    begun: Vec<u8>,
}

/// To standard output.
pub fn output() -> Passed<io::Stdout> {
    Passed { is_terminal: stdout().is_terminal(), to: stdout(), begun: Vec::new() }
}

/// To standard error.
pub fn errors() -> Passed<io::Stderr> {
    Passed { is_terminal: stderr().is_terminal(), to: stderr(), begun: Vec::new() }
}

impl<W: Write> Write for Passed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.to.write(bytes);
        }
        let mut text = std::mem::take(&mut self.begun);
        text.extend(bytes);
        let is_begun = |rest: &&[u8]| std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
        let begun = text.utf8_chunks().last().map(|chunk| chunk.invalid()).filter(is_begun).map_or(0, <[u8]>::len);
        self.begun = text.split_off(text.len() - begun);
        let text = String::from_utf8_lossy(&text).replace("\r\n", "\n");
        self.to.write_all(printable(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(is_terminal: bool, pieces: &[&[u8]]) -> Vec<u8> {
        let mut passed = Passed { to: Vec::new(), is_terminal, begun: Vec::new() };
        pieces.iter().for_each(|piece| passed.write_all(piece).unwrap());
        passed.to
    }

    #[test]
    fn a_terminal_is_shown_text_and_everything_else_gets_the_bytes() {
        let said: &[&[u8]] = &[b"\x1b[2J\xff\xc3", b"\xa4\r\n\0"];
        assert_eq!(passed(false, said), said.concat());
        assert_eq!(String::from_utf8(passed(true, said)).unwrap(), "\\u{1b}[2J\u{fffd}\u{e4}\n\\u{0}");
    }
}
