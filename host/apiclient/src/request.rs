//! One request to the machine and its answer, on a connection of its own.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
};

/// The most bytes of an answer: settings and what runs.
const MAX_ANSWER: u64 = 16 << 20;
/// The most bytes of an answer before its body.
const MAX_HEAD: usize = 16 << 10;
const MAX_FIELDS: usize = 32;

/// Asks, and gives the body of the answer.
///
/// # Errors
/// A machine that does not answer, or refuses.
pub fn ask(socket: &str, method: &str, uri: &str, body: &[u8]) -> Result<Vec<u8>, AskError> {
    let mut stream = connect(socket)?;
    let failed = |source| AskError::Broken { socket: socket.to_owned(), source };
    let head = format!(
        "{method} {uri} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // A machine that refuses early closes early, and its answer says why.
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut bytes = Vec::new();
    let read = stream.take(MAX_ANSWER).read_to_end(&mut bytes);
    let (status, head) = match status(&bytes)? {
        Some(found) => found,
        None => return Err(failed(sent.and(read).err().unwrap_or(io::ErrorKind::UnexpectedEof.into()))),
    };
    accepted(status, method, uri, bytes.split_off(head))
}

/// Asks for a connection of another kind, and gives it.
///
/// # Errors
/// As [`ask`].
pub fn upgrade(socket: &str, uri: &str, protocol: &str) -> Result<UnixStream, AskError> {
    let mut stream = connect(socket)?;
    let failed = |source| AskError::Broken { socket: socket.to_owned(), source };
    let head = format!("GET {uri} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n");
    stream.write_all(head.as_bytes()).map_err(failed)?;
    // Byte by byte: what follows is not ours.
    let mut bytes = Vec::new();
    loop {
        if let Some((101, _)) = status(&bytes)? {
            return Ok(stream);
        }
        if let Some((status, head)) = status(&bytes)? {
            stream.take(MAX_ANSWER).read_to_end(&mut bytes).map_err(failed)?;
            accepted(status, "GET", uri, bytes.split_off(head))?;
            return Err(AskError::Form);
        }
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(failed)?;
        bytes.push(byte[0]);
        if bytes.len() > MAX_HEAD {
            return Err(AskError::Form);
        }
    }
}

fn connect(socket: &str) -> Result<UnixStream, AskError> {
    UnixStream::connect(socket).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => AskError::Denied { socket: socket.to_owned(), source },
        _ => AskError::Away { socket: socket.to_owned(), source },
    })
}

/// The status code and the length of the head, once all of it is there.
fn status(bytes: &[u8]) -> Result<Option<(u16, usize)>, AskError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => Ok(parsed.code.map(|code| (code, length))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(AskError::Form),
    }
}

fn accepted(status: u16, method: &str, uri: &str, body: Vec<u8>) -> Result<Vec<u8>, AskError> {
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let why = String::from_utf8_lossy(&body).trim().to_owned();
    Err(AskError::Refused { status, asked: format!("{method} {uri}"), why })
}

/// The machine does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Whoever asks may not.
    #[error("`{socket}` is for root and the group `api`: ask as one of them")]
    Denied { socket: String, source: io::Error },
    /// Nobody listens.
    #[error("nobody answers at `{socket}`: is it the socket of a machine of brc, mounted into this container?")]
    Away { socket: String, source: io::Error },
    /// The connection broke off.
    #[error("the connection to `{socket}` breaks off")]
    Broken { socket: String, source: io::Error },
    /// The answer is not one of HTTP.
    #[error("the answer is not one of HTTP/1.1")]
    Form,
    /// It is refused.
    #[error("`{asked}` is answered with {status}: {why}")]
    Refused { status: u16, asked: String, why: String },
}
