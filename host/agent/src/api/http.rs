//! One request of HTTP/1.1 and its answer (RFC 9112); a connection carries no second one.

use std::io::{self, Read, Write};

use brc_contract::settings::MAX_SETTINGS;

/// The most bytes of a request before its body.
const MAX_HEAD: usize = 16 << 10;
/// The most header fields of a request.
const MAX_FIELDS: usize = 64;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, as it came.
    pub method: String,
    /// The path, decoded, without the query.
    pub path: String,
    /// The query, decoded, in its order.
    pub query: Vec<(String, String)>,
    /// What the connection is to become.
    pub upgrade: Option<String>,
    /// What came with it.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// The answer to one that cannot be read, or has more than it may have.
    pub fn read(from: &mut impl Read) -> Result<Self, Answer> {
        let mut bytes = Vec::new();
        let (mut request, head, length) = loop {
            if let Some(found) = head(&bytes)? {
                break found;
            }
            if bytes.len() > MAX_HEAD {
                return Err(Answer::refused(431, format!("a request has at most {MAX_HEAD} bytes before its body")));
            }
            let mut more = [0; 4096];
            match from.read(&mut more).map_err(|error| broken(&error))? {
                0 => return Err(Answer::refused(400, "the request breaks off".to_owned())),
                length => bytes.extend_from_slice(&more[..length]),
            }
        };
        if length > MAX_SETTINGS {
            return Err(Answer::refused(
                413,
                format!("a body has at most {MAX_SETTINGS} bytes, and this one {length}"),
            ));
        }
        request.body = bytes.split_off(head);
        // A second request finds the connection closed.
        request.body.truncate(length);
        if request.body.len() < length {
            let rest = (length - request.body.len()) as u64;
            from.take(rest).read_to_end(&mut request.body).map_err(|error| broken(&error))?;
        }
        if request.body.len() != length {
            return Err(Answer::refused(400, format!("the body has {} bytes: expected {length}", request.body.len())));
        }
        Ok(request)
    }

    /// The value of a name in the query; the first of several.
    pub fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(asked, _)| asked == name).map(|(_, value)| value.as_str())
    }
}

fn broken(error: &io::Error) -> Answer {
    Answer::refused(408, format!("the request does not come: {error}"))
}

/// The request without its body, the length of its head and that of its body; nothing while more must come.
fn head(bytes: &[u8]) -> Result<Option<(Request, usize, usize)>, Answer> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Answer::refused(400, format!("this is no request of HTTP/1.1: {error}"))),
    };
    let field = |name: &str| {
        let found = parsed.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    if field("transfer-encoding").is_some() {
        return Err(Answer::refused(411, "a body must come with its `Content-Length`".to_owned()));
    }
    let wrong = |what: &str| Answer::refused(400, format!("its {what} is none"));
    let body = match field("content-length") {
        Some(text) => text.trim().parse().map_err(|_| wrong("`Content-Length`"))?,
        None => 0,
    };
    let (path, query) = match parsed.path.unwrap_or_default().split_once('?') {
        Some((path, query)) => (path, query),
        None => (parsed.path.unwrap_or_default(), ""),
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(value)?))
    });
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: decoded(path).ok_or_else(|| wrong("path"))?,
        query: pairs.collect::<Option<_>>().ok_or_else(|| wrong("query"))?,
        upgrade: field("upgrade").map(str::to_owned),
        body: Vec::new(),
    };
    Ok(Some((request, length, body)))
}

/// A text without its escapes (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code (RFC 9110, section 15).
    pub status: u16,
    /// JSON, or a text that says why not.
    pub body: Vec<u8>,
}

impl Answer {
    /// It is done, and there is nothing to say.
    pub fn done() -> Self {
        Answer { status: 204, body: Vec::new() }
    }

    /// What was asked for.
    pub fn json(value: &serde_json::Value) -> Self {
        Answer { status: 200, body: format!("{value}\n").into_bytes() }
    }

    /// It is not done; nothing has changed.
    pub fn refused(status: u16, why: String) -> Self {
        Answer { status, body: format!("{why}\n").into_bytes() }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When whoever asked is gone.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let kind = if self.status == 200 { "application/json" } else { "text/plain; charset=utf-8" };
        let reason = match self.status {
            200..=299 => "OK",
            400..=499 => "Refused",
            _ => "Failed",
        };
        // RFC 9110, section 8.6: an answer without content has no length either.
        let length = match self.status {
            204 => String::new(),
            _ => format!("content-type: {kind}\r\ncontent-length: {}\r\n", self.body.len()),
        };
        write!(to, "HTTP/1.1 {} {reason}\r\n{length}connection: close\r\n\r\n", self.status)?;
        to.write_all(&self.body)?;
        to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, Answer> {
        Request::read(&mut text.as_bytes())
    }

    #[test]
    fn a_request_is_read_with_its_query_and_its_body() {
        let text = "PATCH /settings?tx=a%2Db&keys=settings.a,b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
        let request = read(text).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PATCH", "/settings"));
        assert_eq!((request.asked("tx"), request.asked("keys")), (Some("a-b"), Some("settings.a,b")));
        assert_eq!(request.body, b"body");
        // However it comes, and whatever comes behind it.
        let more = format!("{text}GET / HTTP/1.1");
        assert_eq!(Request::read(&mut Slow(more.as_bytes())), Ok(request));
    }

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            self.0 = rest;
            buffer[0] = *first;
            Ok(1)
        }
    }

    #[test]
    fn what_is_no_request_or_too_much_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEAD + 4096));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_FIELDS + 1));
        for (text, status, why) in [
            ("", 400, "the request breaks off"),
            ("GET / HTTP/1.1\r\n", 400, "the request breaks off"),
            ("hello\r\n\r\n", 400, "this is no request of HTTP/1.1"),
            ("GET /%zz HTTP/1.1\r\n\r\n", 400, "its path is none"),
            ("GET /?a=%f HTTP/1.1\r\n\r\n", 400, "its query is none"),
            ("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "its `Content-Length` is none"),
            ("GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", 400, "the body has 3 bytes: expected 9"),
            ("GET / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413, "a body has at most 1048576 bytes"),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411, "a body must come with its `Content-Length`"),
            (long.as_str(), 431, "a request has at most 16384 bytes"),
            (many.as_str(), 400, "this is no request of HTTP/1.1"),
        ] {
            let answer = read(text).unwrap_err();
            let told = String::from_utf8(answer.body).unwrap();
            assert!(answer.status == status && told.starts_with(why), "{text:?}: {} {told}", answer.status);
        }
    }

    #[test]
    fn an_answer_is_written_like_this() {
        let written = |answer: Answer| {
            let mut bytes = Vec::new();
            answer.write(&mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(written(Answer::done()), "HTTP/1.1 204 OK\r\nconnection: close\r\n\r\n");
        assert_eq!(
            written(Answer::json(&serde_json::json!({"a": 1}))),
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 8\r\nconnection: close\r\n\r\n{\"a\":1}\n"
        );
        assert!(
            written(Answer::refused(404, "no".to_owned()))
                .ends_with("content-length: 3\r\nconnection: close\r\n\r\nno\n")
        );
    }
}
