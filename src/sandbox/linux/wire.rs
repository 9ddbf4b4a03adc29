//! What goes over the control socket: a spec one way, frames the other, file descriptors beside them.

use std::{
    ffi::OsStr,
    io::{self, IoSlice, IoSliceMut, Read},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::PathBuf,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

/// The longest message that is accepted, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// The longest text in a frame, in bytes; keeps a frame one write, which the kernel does not tear.
const MAX_FRAME_TEXT: usize = 2000;

/// Numbers and texts one after the other.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.0.extend(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn list<T>(&mut self, values: &[T], mut one: impl FnMut(&mut Self, &T)) {
        self.number(values.len() as u64);
        for value in values {
            one(self, value);
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what a [`Writer`] wrote.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let (value, rest) = self.0.split_first_chunk::<8>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*value))
    }

    pub(super) fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        Ok(self.number()? != 0)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        let (value, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(value)
    }

    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Malformed)
    }

    pub(super) fn path(&mut self) -> Result<PathBuf, Malformed> {
        Ok(PathBuf::from(OsStr::from_bytes(self.bytes()?)))
    }

    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let length = self.number()?;
        (0..length).map(|_| one(self)).collect()
    }
}

/// What a sandbox tells the program that started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// The sandbox could not be made; nothing ran.
    Trouble(Trouble),
    /// The command ended with this status, as `wait` gives it, and tried so often to reach a network that is not there.
    Ended { status: u32, network_tries: u64 },
    /// A program gave a path to another user, which was pretended.
    Owner { text: String },
    /// How often that happened.
    OwnerCount { count: u64 },
}

/// A step of making a sandbox that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Which step.
    pub(super) stage: Stage,
    /// What was attempted, for people.
    pub(super) attempt: String,
    /// The error number of the kernel.
    pub(super) errno: i32,
}

/// The steps whose failures mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Making user and other name spaces.
    Namespaces,
    /// Mounting the overlay.
    Overlay,
    /// Mounting anything else, and preparing what lies there.
    Mount,
    /// Making or emptying a folder that the spec asks for.
    Folder,
    /// Giving up rights.
    Rights,
    /// Starting the command.
    Command,
}

const STAGES: [Stage; 6] =
    [Stage::Namespaces, Stage::Overlay, Stage::Mount, Stage::Folder, Stage::Rights, Stage::Command];

impl Trouble {
    /// A failed attempt with its cause.
    pub(super) fn new(stage: Stage, attempt: impl Into<String>, error: impl Into<io::Error>) -> Self {
        let errno = error.into().raw_os_error().unwrap_or(libc::EIO);
        Trouble { stage, attempt: attempt.into(), errno }
    }
}

impl Frame {
    /// Sends the frame in one write. An end that is gone is no news to anybody.
    pub(super) fn send(&self, socket: BorrowedFd<'_>) {
        let mut body = Writer::default();
        match self {
            Frame::Trouble(trouble) => {
                body.number(0);
                body.number(STAGES.iter().position(|stage| *stage == trouble.stage).unwrap_or(0) as u64);
                body.text(cut(&trouble.attempt));
                body.number(trouble.errno as u64);
            }
            Frame::Ended { status, network_tries } => {
                body.number(1);
                body.number(u64::from(*status));
                body.number(*network_tries);
            }
            Frame::Owner { text } => {
                body.number(2);
                body.text(cut(text));
            }
            Frame::OwnerCount { count } => {
                body.number(3);
                body.number(*count);
            }
        }
        let mut frame = Writer::default();
        frame.bytes(&body.finish());
        rustix::net::send(socket, &frame.finish(), SendFlags::NOSIGNAL).unwrap_or_default();
    }

    /// Takes the first whole frame off `bytes`; `None` when there is none yet.
    pub(super) fn take(bytes: &mut Vec<u8>) -> Result<Option<Frame>, Malformed> {
        let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
        let length = u64::from_le_bytes(*length);
        if length > MAX_BYTES {
            return Err(Malformed);
        }
        let Some(body) = rest.get(..length as usize) else { return Ok(None) };
        let frame = Frame::decode(body)?;
        bytes.drain(..8 + length as usize);
        Ok(Some(frame))
    }

    fn decode(body: &[u8]) -> Result<Frame, Malformed> {
        let mut input = Reader::new(body);
        match input.number()? {
            0 => {
                let stage = usize::try_from(input.number()?).ok().and_then(|at| STAGES.get(at)).ok_or(Malformed)?;
                Ok(Frame::Trouble(Trouble { stage: *stage, attempt: input.text()?, errno: input.number()? as i32 }))
            }
            1 => Ok(Frame::Ended { status: input.small()?, network_tries: input.number()? }),
            2 => Ok(Frame::Owner { text: input.text()? }),
            3 => Ok(Frame::OwnerCount { count: input.number()? }),
            _ => Err(Malformed),
        }
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_FRAME_TEXT)).unwrap_or(text)
}

/// Sends one message with file descriptors beside it.
pub(super) fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut length = Writer::default();
    length.number(bytes.len() as u64);
    let length = length.finish();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(fds));
    let mut sent = rustix::net::sendmsg(socket, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL).and_then(
        |count| {
            if count == length.len() { Ok(0) } else { Err(rustix::io::Errno::PIPE) }
        },
    )?;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        sent += rustix::net::send(socket, rest, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives what [`send_with`] sent.
pub(super) fn receive_with(mut socket: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut length = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(
        socket.as_fd(),
        &mut [IoSliceMut::new(&mut length)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL,
    )?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    let length = u64::from_le_bytes(length);
    if got.bytes != 8 || length > MAX_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    socket.read_exact(&mut bytes)?;
    Ok((bytes, fds))
}

/// Bytes on the control socket are not what this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox's messages are malformed")]
pub(super) struct Malformed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back_one_by_one() {
        let (one, two) = UnixStream::pair().unwrap();
        let trouble = Trouble { stage: Stage::Overlay, attempt: "mount".into(), errno: 22 };
        let frames = [
            Frame::Trouble(trouble),
            Frame::Ended { status: 256, network_tries: 1 },
            Frame::Owner { text: "x".repeat(MAX_FRAME_TEXT) },
        ];
        frames.iter().for_each(|frame| frame.send(one.as_fd()));
        drop(one);
        let mut bytes = Vec::new();
        (&two).read_to_end(&mut bytes).unwrap();
        for frame in frames {
            assert_eq!(Frame::take(&mut bytes).unwrap(), Some(frame));
        }
        assert_eq!(Frame::take(&mut bytes), Ok(None));
    }

    #[test]
    fn descriptors_travel_beside_the_bytes() {
        let (one, two) = UnixStream::pair().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        send_with(one.as_fd(), b"spec", &[writer.as_fd()]).unwrap();
        drop(writer);
        let (bytes, fds) = receive_with(&two).unwrap();
        assert_eq!((bytes.as_slice(), fds.len()), (&b"spec"[..], 1));
        rustix::io::write(&fds[0], b"!").unwrap();
        let mut got = [0; 1];
        rustix::io::read(&reader, &mut got).unwrap();
        assert_eq!(&got, b"!");
    }
}
