//! Frames as a stream of bytes: between two zeros, and without a zero inside (COBS, "consistent overhead byte stuffing").
//! So the beginning of the next frame is found whatever became of this one.

use super::{
    MAX_FRAME,
    frame::{Frame, FrameError},
};

/// The most bytes of a frame on the stream: one more for each run of 254.
const MAX_STUFFED: usize = MAX_FRAME + MAX_FRAME / 254 + 2;
/// The longest run without a zero.
const RUN: usize = 254;

impl Frame {
    /// It as it is on the stream, with a zero at either end.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = self.bytes();
        let mut stuffed = Vec::with_capacity(bytes.len() + bytes.len() / RUN + 3);
        stuffed.push(0);
        // Each run says how far it is to the next zero; a zero is thought behind the last.
        let runs = bytes.split(|byte| *byte == 0);
        for mut run in runs {
            while run.len() >= RUN {
                let (full, rest) = run.split_at(RUN);
                stuffed.push(0xff);
                stuffed.extend(full);
                run = rest;
            }
            stuffed.push(run.len() as u8 + 1);
            stuffed.extend(run);
        }
        stuffed.push(0);
        stuffed
    }
}

/// The bytes that [`Frame::encode`] has stuffed.
fn unstuffed(mut bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut found = Vec::with_capacity(bytes.len());
    while let Some((length, rest)) = bytes.split_first() {
        let (run, rest) = rest.split_at_checked(usize::from(*length) - 1).ok_or(FrameError::Stuffing)?;
        found.extend(run);
        if *length != 0xff && !rest.is_empty() {
            found.push(0);
        }
        bytes = rest;
    }
    Ok(found)
}

/// Takes a stream apart.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What has come of the current frame.
    begun: Vec<u8>,
    /// Whether it is too long, and what comes of it is not kept.
    is_too_long: bool,
}

impl Decoder {
    /// Takes the next bytes of the stream; the frames that they end, or what is wrong with them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Result<Frame, FrameError>> {
        let mut found = Vec::new();
        let mut pieces = bytes.split(|byte| *byte == 0).peekable();
        while let Some(piece) = pieces.next() {
            if self.begun.len() + piece.len() > MAX_STUFFED {
                self.is_too_long = true;
                self.begun = Vec::new();
            }
            if !self.is_too_long {
                self.begun.extend(piece);
            }
            if pieces.peek().is_some() {
                found.extend(self.end());
            }
        }
        found
    }

    /// The frame that a zero has ended; none between two zeros.
    fn end(&mut self) -> Option<Result<Frame, FrameError>> {
        if std::mem::take(&mut self.is_too_long) {
            return Some(Err(FrameError::TooLong));
        }
        let begun = std::mem::take(&mut self.begun);
        (!begun.is_empty()).then(|| unstuffed(&begun).and_then(|bytes| Frame::parse(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Command, End, MAX_PIECE, Message},
        *,
    };

    /// One of each kind, with the bytes that the format has for it.
    fn frames() -> Vec<(Frame, &'static [u8])> {
        let frame = |session, message| Frame { session, message };
        let text = |text: &str| text.to_owned();
        let command = Command {
            words: vec![text("a"), text("")],
            environment: vec![(text("N"), text("v"))],
            directory: text("/"),
            has_input: true,
        };
        vec![
            (frame(0, Message::Hello { version: 1, nonce: 2 }), b"\x01\0\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0"),
            (
                frame(1, Message::Start(command)),
                b"\x02\x01\0\0\0\x01\x01\0\0\0/\x01\0\0\0\x01\0\0\0N\x01\0\0\0v\x01\0\0\0a\0\0\0\0",
            ),
            (frame(2, Message::Get { path: text("/a") }), b"\x03\x02\0\0\0\x02\0\0\0/a"),
            (frame(2, Message::Put { path: text("/"), name: text("b") }), b"\x04\x02\0\0\0\x01\0\0\0/\x01\0\0\0b"),
            (frame(256, Message::Input(b"\0in\0".to_vec())), b"\x05\0\x01\0\0\0in\0"),
            (frame(3, Message::InputEnd), b"\x06\x03\0\0\0"),
            (frame(3, Message::Output(b"out".to_vec())), b"\x07\x03\0\0\0out"),
            (frame(3, Message::Errors(Vec::new())), b"\x08\x03\0\0\0"),
            (frame(3, Message::Taken { cost: 67 }), b"\x09\x03\0\0\0\x43\0\0\0"),
            (frame(3, Message::Ended(End::Code(7))), b"\x0a\x03\0\0\0\0\x07"),
            (frame(3, Message::Ended(End::Signal(9))), b"\x0a\x03\0\0\0\x01\x09"),
            (frame(3, Message::Refused { message: text("no") }), b"\x0b\x03\0\0\0\x02\0\0\0no"),
            (frame(u32::MAX, Message::Cancel), b"\x0c\xff\xff\xff\xff"),
        ]
    }

    #[test]
    fn frames_are_written_like_this_and_read_back_wherever_the_stream_is_cut() {
        let (mut stream, mut all) = (Vec::new(), Vec::new());
        for (frame, bytes) in frames() {
            assert_eq!(frame.bytes(), bytes, "{frame:?}");
            let encoded = frame.encode();
            assert!(encoded[1..encoded.len() - 1].iter().all(|byte| *byte != 0) && encoded.ends_with(&[0]));
            stream.extend(encoded);
            all.push(Ok(frame));
        }
        for size in [1, 2, 3, 7, stream.len()] {
            let mut decoder = Decoder::default();
            let found: Vec<_> = stream.chunks(size).flat_map(|piece| decoder.feed(piece)).collect();
            assert_eq!(found, all, "pieces of {size}");
        }
    }

    #[test]
    fn runs_of_every_length_are_read_back() {
        for length in (0..520).chain([MAX_PIECE - 1, MAX_PIECE]) {
            for fill in [0, 1, 255] {
                for last in [0, 1] {
                    let mut piece = vec![fill; length];
                    piece.extend((length < MAX_PIECE).then_some(last));
                    let frame = Frame { session: 0x0101_0101, message: Message::Input(piece) };
                    assert_eq!(Decoder::default().feed(&frame.encode()), [Ok(frame)], "{length} of {fill}, {last}");
                }
            }
        }
    }

    #[test]
    fn a_frame_that_is_cut_or_goes_on_is_refused() {
        for (frame, bytes) in frames() {
            let is_open = matches!(frame.message, Message::Input(_) | Message::Output(_) | Message::Errors(_));
            for length in 0..bytes.len() {
                let found = Frame::parse(&bytes[..length]);
                // A piece is as long as its frame, and a command has as many words as there are.
                let is_shorter = is_open && length >= 5 || matches!(frame.message, Message::Start(_)) && found.is_ok();
                assert!(is_shorter || found == Err(FrameError::Cut), "{frame:?} of {length}: {found:?}");
            }
            if !is_open {
                assert!(Frame::parse(&[bytes, b"x"].concat()).is_err(), "{frame:?}");
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let long = [&[5, 1, 0, 0, 0][..], &vec![1; MAX_PIECE + 1]].concat();
        let longer = [&[3, 1, 0, 0, 0][..], &vec![1; MAX_FRAME]].concat();
        for (bytes, error) in [
            (&[0, 1, 0, 0, 0][..], FrameError::Kind),
            (&[13, 1, 0, 0, 0], FrameError::Kind),
            (&[10, 1, 0, 0, 0, 2, 0], FrameError::Kind),
            (&[2, 1, 0, 0, 0, 2], FrameError::Kind),
            (&[3, 1, 0, 0, 0, 1, 0, 0, 0, 0xff], FrameError::Text),
            (&[3, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], FrameError::Cut),
            (&[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], FrameError::Cut),
            (&long, FrameError::TooLong),
            (&longer, FrameError::TooLong),
        ] {
            assert_eq!(Frame::parse(bytes), Err(error), "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }

    #[test]
    fn the_next_frame_is_found_whatever_became_of_this_one() {
        let good = Frame { session: 1, message: Message::Cancel };
        for (broken, error) in [
            (b"the rest of something\0".to_vec(), FrameError::Stuffing),
            (vec![1; MAX_STUFFED + 1], FrameError::TooLong),
            (vec![1; 3 * MAX_STUFFED], FrameError::TooLong),
            (vec![0xff], FrameError::Stuffing),
        ] {
            let stream = [broken, good.encode()].concat();
            for size in [1000, stream.len()] {
                let mut decoder = Decoder::default();
                let found: Vec<_> = stream.chunks(size).flat_map(|piece| decoder.feed(piece)).collect();
                assert_eq!(found, [Err(error), Ok(good.clone())]);
            }
        }
        let mut decoder = Decoder::default();
        for _ in 0..100 {
            assert_eq!(decoder.feed(&vec![7; MAX_STUFFED]), []);
            assert!(decoder.begun.capacity() <= 2 * MAX_STUFFED);
        }
    }
}
