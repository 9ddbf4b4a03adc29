//! Looking for a text in what a machine prints, and remembering its last lines.

use std::collections::VecDeque;

use memchr::memmem;

/// So many lines are remembered.
const TAIL_LINES: usize = 20;
/// Longer lines are remembered from their beginning.
const LINE_BYTES: usize = 500;

/// Follows a text that comes in pieces.
#[derive(Debug)]
pub(super) struct Watch {
    wanted: Option<Vec<u8>>,
    is_found: bool,
    /// The end of what came: the wanted text may have begun in it.
    last: Vec<u8>,
    tail: Tail,
}

/// The last lines of a text that comes in pieces.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<Vec<u8>>,
    line: Vec<u8>,
}

impl Watch {
    /// A watch for `wanted`; an empty text is found at once.
    pub(super) fn new(wanted: Option<&str>) -> Self {
        Self {
            wanted: wanted.map(|text| text.as_bytes().to_vec()),
            is_found: wanted == Some(""),
            last: Vec::new(),
            tail: Tail::default(),
        }
    }

    /// Takes the next piece; whether the wanted text has come, now or before.
    pub(super) fn see(&mut self, piece: &[u8]) -> bool {
        self.tail.see(piece);
        let Some(wanted) = &self.wanted else { return false };
        if !self.is_found {
            self.last.extend(piece);
            self.is_found = memmem::find(&self.last, wanted).is_some();
            let kept = wanted.len().saturating_sub(1);
            self.last.drain(..self.last.len().saturating_sub(kept));
        }
        self.is_found
    }

    /// Whether the wanted text has come.
    pub(super) fn is_found(&self) -> bool {
        self.is_found
    }

    /// The last lines.
    pub(super) fn into_tail(self) -> Vec<String> {
        self.tail.into_lines()
    }
}

impl Tail {
    /// Takes the next piece.
    pub fn see(&mut self, piece: &[u8]) {
        for byte in piece {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.keep(line);
            } else if self.line.len() < LINE_BYTES {
                self.line.push(*byte);
            }
        }
    }

    fn keep(&mut self, line: Vec<u8>) {
        if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
            self.lines.push_back(line);
            self.lines.drain(..self.lines.len().saturating_sub(TAIL_LINES));
        }
    }

    /// The last lines that are not blank, the current one too.
    pub fn into_lines(mut self) -> Vec<String> {
        let line = std::mem::take(&mut self.line);
        self.keep(line);
        self.lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_the_pieces_are_cut() {
        let printed = b"aab aabaac\nReached target multi-user.target";
        for wanted in ["a", "aab aaba", "aabaac", "Reached target multi-user", "target"] {
            for size in 1..printed.len() {
                let mut watch = Watch::new(Some(wanted));
                printed.chunks(size).for_each(|piece| {
                    watch.see(piece);
                });
                assert!(watch.is_found(), "{wanted} in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_does_not_come_is_not_found() {
        for wanted in [Some("abd"), Some("bcc"), None] {
            let mut watch = Watch::new(wanted);
            assert!(!watch.see(b"ab"));
            assert!(!watch.see(b"cab"));
            assert!(!watch.see(b"c"));
            assert!(!watch.is_found());
        }
        let mut watch = Watch::new(Some("ab"));
        assert!(!watch.see(b"a") && watch.see(b"b") && watch.see(b"no more"));
    }

    #[test]
    fn the_last_lines_are_kept() {
        let mut watch = Watch::new(None);
        for number in 0..30 {
            watch.see(format!("line {number}\n\n").as_bytes());
        }
        watch.see(&[b'x'; 2 * LINE_BYTES]);
        let lines = watch.into_tail();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines[0], "line 11");
        assert_eq!(lines[TAIL_LINES - 1], "x".repeat(LINE_BYTES));
    }
}
