//! What one end says to the other.

use std::{error::Error, fmt};

use super::{MAX_FRAME, MAX_PIECE};

/// What a frame costs beyond its bytes.
const FRAME_COST: usize = 64;
/// Bytes before the body: the kind, and the number of the session.
const HEADER: usize = 5;

/// Something that is said in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The session, numbered by who asks; 0 is none.
    pub session: u32,
    /// What is said.
    pub message: Message,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The machine is there, or is answered: everything said before counts for nothing.
    Hello {
        /// Of the one who says it.
        version: u32,
        /// Drawn by the machine, and said back to it.
        nonce: u64,
    },
    /// A program is to be run.
    Start(Command),
    /// A file or folder of the machine is asked for, as entries.
    Get {
        /// Where it is.
        path: String,
    },
    /// A file or folder is to be made in the machine, of the entries that follow.
    Put {
        /// Where it is to be, or the folder that it is to be in.
        path: String,
        /// What it is called there.
        name: String,
    },
    /// Bytes for whoever was started.
    Input(Vec<u8>),
    /// There are no more.
    InputEnd,
    /// Bytes of standard output, or of what was asked for.
    Output(Vec<u8>),
    /// Bytes of standard error.
    Errors(Vec<u8>),
    /// Bytes of so much cost were taken in.
    Taken {
        /// As [`Message::cost`] has it.
        cost: u32,
    },
    /// It is over.
    Ended(End),
    /// It is over, and was not done.
    Refused {
        /// Why.
        message: String,
    },
    /// Nobody waits for it any more.
    Cancel,
}

/// A program that is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What is in its environment besides `PATH`.
    pub environment: Vec<(String, String)>,
    /// The folder that it starts in.
    pub directory: String,
    /// Whether its standard input comes; otherwise it is empty.
    pub has_input: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

impl End {
    /// The code that a shell gives.
    pub fn code(self) -> u8 {
        match self {
            End::Code(code) => code,
            End::Signal(signal) => signal.saturating_add(128),
        }
    }
}

impl Message {
    /// What it takes of a window.
    pub fn cost(&self) -> usize {
        match self {
            Message::Input(bytes) | Message::Output(bytes) | Message::Errors(bytes) => bytes.len() + FRAME_COST,
            _ => 0,
        }
    }

    /// Whether nothing follows it in its session.
    pub fn is_last(&self) -> bool {
        matches!(self, Message::Ended(_) | Message::Refused { .. })
    }

    fn kind(&self) -> u8 {
        match self {
            Message::Hello { .. } => 1,
            Message::Start(_) => 2,
            Message::Get { .. } => 3,
            Message::Put { .. } => 4,
            Message::Input(_) => 5,
            Message::InputEnd => 6,
            Message::Output(_) => 7,
            Message::Errors(_) => 8,
            Message::Taken { .. } => 9,
            Message::Ended(_) => 10,
            Message::Refused { .. } => 11,
            Message::Cancel => 12,
        }
    }

    /// Puts what it says behind `bytes`.
    fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Message::Hello { version, nonce } => {
                bytes.extend(version.to_le_bytes());
                bytes.extend(nonce.to_le_bytes());
            }
            Message::Start(command) => {
                bytes.push(u8::from(command.has_input));
                put_text(bytes, &command.directory);
                bytes.extend((command.environment.len() as u32).to_le_bytes());
                let pairs = command.environment.iter().flat_map(|(name, value)| [name, value]);
                for text in pairs.chain(&command.words) {
                    put_text(bytes, text);
                }
            }
            Message::Get { path } => put_text(bytes, path),
            Message::Put { path, name } => {
                put_text(bytes, path);
                put_text(bytes, name);
            }
            Message::Input(piece) | Message::Output(piece) | Message::Errors(piece) => bytes.extend(piece),
            Message::Taken { cost } => bytes.extend(cost.to_le_bytes()),
            Message::Ended(End::Code(code)) => bytes.extend([0, *code]),
            Message::Ended(End::Signal(signal)) => bytes.extend([1, *signal]),
            Message::Refused { message } => put_text(bytes, message),
            Message::InputEnd | Message::Cancel => {}
        }
    }
}

impl Frame {
    /// Its bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.message.kind()];
        bytes.extend(self.session.to_le_bytes());
        self.message.put(&mut bytes);
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// Bytes that are no frame.
    pub fn parse(bytes: &[u8]) -> Result<Frame, FrameError> {
        if bytes.len() > MAX_FRAME {
            return Err(FrameError::TooLong);
        }
        let (header, body) = bytes.split_at_checked(HEADER).ok_or(FrameError::Cut)?;
        let mut left = Left(body);
        let session = Left(&header[1..]).number()?;
        let message = match header[0] {
            1 => Message::Hello { version: left.number()?, nonce: left.long()? },
            2 => Message::Start(left.command()?),
            3 => Message::Get { path: left.text()? },
            4 => Message::Put { path: left.text()?, name: left.text()? },
            5 => Message::Input(left.piece()?),
            6 => Message::InputEnd,
            7 => Message::Output(left.piece()?),
            8 => Message::Errors(left.piece()?),
            9 => Message::Taken { cost: left.number()? },
            10 => match left.take(2)? {
                [0, code] => Message::Ended(End::Code(*code)),
                [1, signal] => Message::Ended(End::Signal(*signal)),
                _ => return Err(FrameError::Kind),
            },
            11 => Message::Refused { message: left.text()? },
            12 => Message::Cancel,
            _ => return Err(FrameError::Kind),
        };
        if left.0.is_empty() { Ok(Frame { session, message }) } else { Err(FrameError::Rest) }
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// What is left to be read.
struct Left<'a>(&'a [u8]);

impl<'a> Left<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], FrameError> {
        let (taken, left) = self.0.split_at_checked(length).ok_or(FrameError::Cut)?;
        self.0 = left;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, FrameError> {
        Ok(self.take(4)?.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn long(&mut self) -> Result<u64, FrameError> {
        Ok(u64::from(self.number()?) | u64::from(self.number()?) << 32)
    }

    fn text(&mut self) -> Result<String, FrameError> {
        let length = self.number()? as usize;
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| FrameError::Text)
    }

    /// All that is left.
    fn piece(&mut self) -> Result<Vec<u8>, FrameError> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.len() > MAX_PIECE { Err(FrameError::TooLong) } else { Ok(bytes.to_vec()) }
    }

    fn command(&mut self) -> Result<Command, FrameError> {
        let has_input = match self.take(1)? {
            [0] => false,
            [1] => true,
            _ => return Err(FrameError::Kind),
        };
        let directory = self.text()?;
        let (mut environment, mut words) = (Vec::new(), Vec::new());
        for _ in 0..self.number()? {
            environment.push((self.text()?, self.text()?));
        }
        while !self.0.is_empty() {
            words.push(self.text()?);
        }
        Ok(Command { words, environment, directory, has_input })
    }
}

/// Bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// They end too early.
    Cut,
    /// They go on behind its end.
    Rest,
    /// There are too many.
    TooLong,
    /// It is of no kind that is known.
    Kind,
    /// A text is not UTF-8.
    Text,
    /// They are not as the stream has them.
    Stuffing,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameError::Cut => "it ends too early",
            FrameError::Rest => "it goes on behind its end",
            FrameError::TooLong => "it is too long",
            FrameError::Kind => "it is of no kind that is known",
            FrameError::Text => "it has a text that is not UTF-8",
            FrameError::Stuffing => "it is not as frames are on this stream",
        })
    }
}

impl Error for FrameError {}
