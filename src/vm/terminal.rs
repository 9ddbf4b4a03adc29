//! What a serial line prints, without what only a terminal understands.

/// Takes terminal sequences (ECMA-48, and what xterm and the Linux console add) out of a stream that comes in
/// pieces of any size.
///
/// What is left is printable bytes, tabs and line feeds. A carriage return in the middle of a line becomes a line
/// feed, as what follows would be written over what stands there; one at the end or start of a line is dropped.
#[derive(Debug, Default)]
pub(super) struct Stripper {
    state: State,
    line: Line,
}

/// Where in a sequence the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Nowhere.
    #[default]
    Text,
    /// Behind ESC.
    Escape,
    /// Behind ESC and an intermediate byte, as in `ESC ( B`.
    Intermediate,
    /// In a control sequence, as `ESC [ 0 m` or `ESC [ ! p`.
    Control,
    /// In a string, as `ESC ] 0 ; title BEL`.
    String,
    /// Behind an ESC in a string, which probably ends it.
    StringEscape,
}

/// What stands in the current line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    /// Nothing.
    #[default]
    Empty,
    /// Some text.
    Begun,
    /// Some text and a carriage return.
    Returned,
}

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;
const CANCEL: u8 = 0x18;
const SUBSTITUTE: u8 = 0x1a;
const DELETE: u8 = 0x7f;

impl Stripper {
    /// The text in the next piece of the stream.
    pub(super) fn strip(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(piece.len());
        for byte in piece {
            self.state = self.take(*byte, &mut text);
        }
        text
    }

    fn take(&mut self, byte: u8, text: &mut Vec<u8>) -> State {
        match (self.state, byte) {
            (State::String, ESCAPE) => State::StringEscape,
            (_, ESCAPE) => State::Escape,
            (_, CANCEL | SUBSTITUTE) => State::Text,
            // A line that ends within a sequence: the sequence was cut off, and the line counts.
            (State::Text, _) | (_, b'\n' | b'\r') => {
                self.print(byte, text);
                State::Text
            }
            (State::Escape | State::StringEscape, _) => match byte {
                b'[' => State::Control,
                b']' | b'P' | b'X' | b'^' | b'_' => State::String,
                b' '..=b'/' => State::Intermediate,
                _ => State::Text,
            },
            (State::Intermediate, b' '..=b'/') => State::Intermediate,
            (State::Intermediate, _) => State::Text,
            (State::Control, b' '..=b'?') => State::Control,
            (State::Control, b'@'..=b'~') => State::Text,
            // No control sequence has such a byte: it was cut off.
            (State::Control, _) => {
                self.print(byte, text);
                State::Text
            }
            (State::String, BELL) => State::Text,
            (State::String, _) => State::String,
        }
    }

    fn print(&mut self, byte: u8, text: &mut Vec<u8>) {
        match byte {
            b'\n' => self.line = Line::Empty,
            b'\r' => {
                if self.line == Line::Begun {
                    self.line = Line::Returned;
                }
                return;
            }
            b'\t' => self.begin(text),
            DELETE => return,
            _ if byte < b' ' => return,
            _ => self.begin(text),
        }
        text.push(byte);
    }

    fn begin(&mut self, text: &mut Vec<u8>) {
        if self.line == Line::Returned {
            text.push(b'\n');
        }
        self.line = Line::Begun;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [(&str, &str, &str); 16] = [
        ("plain text", "a\tb\nc\n", "a\tb\nc\n"),
        ("UTF-8", "größer → 1\n", "größer → 1\n"),
        (
            "colours",
            "Reached target \x1b[0;1;39mmulti-user.target\x1b[0m - M\r\n",
            "Reached target multi-user.target - M\n",
        ),
        ("what systemd starts with", "\x1b[!p\x1b]104\x07\x1b[?7hWelcome", "Welcome"),
        ("a title ended by ST", "\x1b]0;title\x1b\\after", "after"),
        ("device control and other strings", "\x1bP1$r0m\x1b\\a\x1b_x\x1b\\b\x1b^y\x1b\\c\x1bXz\x1b\\d", "abcd"),
        ("a string ended by another sequence", "\x1b]0;title\x1b[1mafter", "after"),
        ("character sets", "\x1b(Ba\x1b)0b\x1b#8c", "abc"),
        ("two characters", "\x1b7a\x1b8b\x1bMc\x1b=d", "abcd"),
        (
            "what the firmware starts with",
            "\x1b[2J\x1b[01;01H\x1b[=3h\x1b[2J\x1b[01;01HBdsDxe: loading",
            "BdsDxe: loading",
        ),
        ("ends of lines", "a\r\nb\r\r\nc\n\rd\r\n", "a\nb\nc\nd\n"),
        ("writing over a line", "10%\r20%\r\n", "10%\n20%\n"),
        ("other control characters", "a\x07b\x08c\0d\x7fe", "abcde"),
        ("a sequence that is cancelled", "\x1b[12\x18a\x1b[3\x1ab", "ab"),
        ("a sequence that is cut off by a line's end", "\x1b[12\na\x1b]0;t\r\nb\x1b\nc", "\na\nb\nc"),
        ("a sequence within a sequence", "\x1b[1\x1b[2ma\x1b\x1b[2mb", "ab"),
    ];

    #[test]
    fn only_text_is_left() {
        for (name, printed, text) in CASES {
            let stripped = Stripper::default().strip(printed.as_bytes());
            assert_eq!(String::from_utf8_lossy(&stripped), text, "{name}");
        }
    }

    #[test]
    fn the_pieces_of_a_stream_do_not_matter() {
        for (name, printed, text) in CASES {
            for size in 1..5 {
                let mut stripper = Stripper::default();
                let stripped: Vec<u8> =
                    printed.as_bytes().chunks(size).flat_map(|piece| stripper.strip(piece)).collect();
                assert_eq!(String::from_utf8_lossy(&stripped), text, "{name} in pieces of {size}");
            }
        }
    }

    #[test]
    fn whatever_comes_only_text_is_left() {
        // Every sequence of three bytes out of those that mean something.
        let bytes = [0x1b, b'[', b']', b'P', b'!', b'0', b';', b'm', b'\\', 0x07, 0x18, b'\r', b'\n', b'a', 0xc3, 0x9b];
        for first in bytes {
            for second in bytes {
                for third in bytes {
                    let mut stripper = Stripper::default();
                    let mut stripped = stripper.strip(&[first, second, third]);
                    // A string has no limit but the end of its line.
                    stripped.extend(stripper.strip(b"\nend"));
                    assert!(stripped.iter().all(|byte| *byte >= b' ' || *byte == b'\n'));
                    assert!(stripped.ends_with(b"\nend"), "{first} {second} {third}");
                }
            }
        }
    }
}
