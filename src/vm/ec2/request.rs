//! What a machine asks, out of bytes that nobody has looked at yet (HTTP/1.1, RFC 9112).

/// A request is no longer than this: its first line and its headers.
const MAX_HEAD_BYTES: usize = 8 << 10;
/// It has no more headers.
const MAX_HEADERS: usize = 32;
/// What it carries is passed over, and is no longer.
const MAX_BODY_BYTES: usize = 1 << 10;

/// How something is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// To be told.
    Get,
    /// To be made.
    Put,
    /// Any other way.
    Other,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// How.
    pub method: Method,
    /// For what: begins with `/`, has no query.
    pub path: String,
    /// `X-aws-ec2-metadata-token`.
    pub token: Option<String>,
    /// `X-aws-ec2-metadata-token-ttl-seconds`.
    pub lifetime: Option<String>,
    /// Whether it was passed on by somebody (`X-Forwarded-For`).
    pub is_forwarded: bool,
    /// Whether nothing is asked after it on this connection.
    pub is_last: bool,
}

/// Bytes are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// They make no sense.
    Nonsense,
    /// The head is too long, or has too many headers.
    Head,
    /// What it carries is too long.
    Body,
}

/// The first request in `bytes`, and how many of them it takes; `None` when it is not there as a whole.
///
/// # Errors
/// What is no request, or a longer one than is read, as soon as that can be seen.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Malformed> {
    let head = bytes.get(..MAX_HEAD_BYTES).unwrap_or(bytes);
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(head) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if head.len() == MAX_HEAD_BYTES => return Err(Malformed::Head),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::Head),
        Err(_) => return Err(Malformed::Nonsense),
    };
    let target = parsed.path.filter(|target| target.starts_with('/')).ok_or(Malformed::Nonsense)?;
    if named(parsed.headers, "transfer-encoding")?.is_some() {
        return Err(Malformed::Body);
    }
    let end = length + body(named(parsed.headers, "content-length")?.as_deref())?;
    if bytes.len() < end {
        return Ok(None);
    }
    let connection = named(parsed.headers, "connection")?.unwrap_or_default();
    let is_last = connection.split(',').any(|word| word.trim().eq_ignore_ascii_case("close"));
    let request = Request {
        method: match parsed.method {
            Some("GET") => Method::Get,
            Some("PUT") => Method::Put,
            _ => Method::Other,
        },
        path: target.split(['?', '#']).next().unwrap_or_default().to_owned(),
        token: named(parsed.headers, "x-aws-ec2-metadata-token")?,
        lifetime: named(parsed.headers, "x-aws-ec2-metadata-token-ttl-seconds")?,
        is_forwarded: parsed.headers.iter().any(|header| header.name.eq_ignore_ascii_case("x-forwarded-for")),
        is_last: is_last || parsed.version != Some(1),
    };
    Ok(Some((request, end)))
}

/// The value of a header that is there at most once.
fn named(headers: &[httparse::Header<'_>], name: &str) -> Result<Option<String>, Malformed> {
    let mut found = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let Some(header) = found.next() else { return Ok(None) };
    let value = std::str::from_utf8(header.value).map_err(|_| Malformed::Nonsense)?;
    if found.next().is_some() { Err(Malformed::Nonsense) } else { Ok(Some(value.trim().to_owned())) }
}

/// How much a request carries behind its head.
fn body(stated: Option<&str>) -> Result<usize, Malformed> {
    let Some(stated) = stated else { return Ok(0) };
    if stated.is_empty() || !stated.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Nonsense);
    }
    stated.parse().ok().filter(|bytes| *bytes <= MAX_BODY_BYTES).ok_or(Malformed::Body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Request {
        let (request, length) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(length, text.len(), "{text:?}");
        request
    }

    #[test]
    fn what_clients_send_is_read() {
        let asked = "GET /latest/meta-data/?x=1 HTTP/1.1\r\nHost: h\r\nx-AWS-ec2-metadata-TOKEN:  abc \r\n\r\n";
        let request = Request {
            method: Method::Get,
            path: "/latest/meta-data/".to_owned(),
            token: Some("abc".to_owned()),
            lifetime: None,
            is_forwarded: false,
            is_last: false,
        };
        assert_eq!(whole(asked), request);
        let put = whole(
            "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 2\r\n\r\nab",
        );
        assert_eq!((put.method, put.lifetime.as_deref(), put.is_last), (Method::Put, Some("60"), false));
        assert_eq!(whole("POST / HTTP/1.1\r\n\r\n").method, Method::Other);
        assert_eq!(whole("get / HTTP/1.1\r\n\r\n").method, Method::Other);
        assert!(whole("GET / HTTP/1.0\r\n\r\n").is_last);
        assert!(whole("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").is_last);
        assert!(whole("GET / HTTP/1.1\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b\r\n\r\n").is_forwarded);
    }

    #[test]
    fn of_two_requests_the_first_is_read() {
        let text = "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
        let (first, length) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(first.path, "/a");
        assert_eq!(whole(&text[length..]).path, "/b");
    }

    #[test]
    fn a_request_that_is_cut_off_anywhere_is_waited_for() {
        let text = b"PUT /latest/api/token HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..text.len() {
            assert_eq!(parse(&text[..end]), Ok(None), "cut at {end}");
        }
        assert!(parse(text).unwrap().is_some());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let nonsense: [&[u8]; 16] = [
            b"\0\0\0\0",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
            b"GET\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"GET latest HTTP/1.1\r\n\r\n",
            b"GET http://example.org/latest HTTP/1.1\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\n\r\n",
            b"GET /\x01 HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nspace : x\r\n\r\n",
            b"GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            b"GET / HTTP/1.1\r\nX-aws-ec2-metadata-token: \xff\r\n\r\n",
        ];
        for bytes in nonsense {
            assert_eq!(parse(bytes), Err(Malformed::Nonsense), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_all_of_it_is_there() {
        let many = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert!(parse(many(MAX_HEADERS).as_bytes()).unwrap().is_some());
        let long = "x".repeat(MAX_HEAD_BYTES);
        for (text, refused) in [
            (many(MAX_HEADERS + 1), Malformed::Head),
            (many(100_000), Malformed::Head),
            (format!("GET /{long}"), Malformed::Head),
            (format!("GET / HTTP/1.1\r\na: {long}"), Malformed::Head),
            (format!("GET / HTTP/1.1\r\na: {long}\r\n\r\n"), Malformed::Head),
            ("\r\n".repeat(MAX_HEAD_BYTES), Malformed::Head),
            ("GET / HTTP/1.1\r\nContent-Length: 1025\r\n\r\n".to_owned(), Malformed::Body),
            (format!("GET / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", "9".repeat(100)), Malformed::Body),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), Malformed::Body),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(refused), "{}", text.get(..60).unwrap_or(&text));
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_read_waited_for_or_refused(bytes: Vec<u8>, path in "[ -~]{0,40}", value: Vec<u8>) {
            let length = |bytes: &[u8]| parse(bytes).ok().flatten().map_or(0, |(_, length)| length);
            proptest::prop_assert!(length(&bytes) <= bytes.len());
            let likely = [b"GET /", path.as_bytes(), b" HTTP/1.1\r\nContent-Length: 1\r\na: ", &value, b"\r\n\r\nx"].concat();
            proptest::prop_assert!(length(&likely) <= likely.len());
        }
    }
}
