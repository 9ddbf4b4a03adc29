//! Where a file or a mirror is: a server or a folder of this machine.

use std::{
    fmt::{self, Write},
    path::PathBuf,
};

use crate::content::{RelPath, Url};

/// A place that bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An `http:` or `https:` URL.
    Server(Url),
    /// A file or folder of this machine.
    Local(PathBuf),
}

impl Location {
    /// Reads `http:`, `https:` and `file:` URLs and absolute paths.
    ///
    /// # Errors
    /// Anything else: another scheme, a URL without host, a `file:` URL of another host, a relative path.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let wrong = |reason| Err(LocationError { text: Url::new(text), reason });
        if text.chars().any(|letter| letter.is_control() || letter == ' ') {
            return wrong("it has a space or control character");
        }
        if text.starts_with('/') {
            return Ok(Location::Local(PathBuf::from(text)));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return wrong("it is neither an absolute path nor a URL");
        };
        match (scheme.to_ascii_lowercase().as_str(), rest.strip_prefix("//")) {
            (scheme @ ("http" | "https"), Some(rest)) => {
                let host = rest.split(['/', '?', '#']).next().unwrap_or("");
                match host.rsplit('@').next() {
                    None | Some("") => wrong("it names no host"),
                    Some(_) if rest.contains('#') => wrong("it has a fragment (`#…`)"),
                    Some(_) => Ok(Location::Server(Url::new(format!("{scheme}://{rest}")))),
                }
            }
            ("file", Some(rest)) => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                if !path.starts_with('/') {
                    return wrong("a `file:` URL must name a path of this machine (`file:///…`)");
                }
                match percent_decode(path) {
                    Some(path) => Ok(Location::Local(PathBuf::from(path))),
                    None => wrong("its `%` escapes are not UTF-8 text"),
                }
            }
            _ => wrong("only `http://`, `https://`, `file:///` and absolute paths are read"),
        }
    }

    /// The place of `path` below this one. What may not stand in a URL is escaped.
    pub fn below(&self, path: &RelPath) -> Location {
        match self {
            Location::Server(url) => {
                let base = url.as_str().trim_end_matches('/');
                Location::Server(Url::new(format!("{base}/{}", percent_encode(path.as_str()))))
            }
            Location::Local(folder) => Location::Local(path.on(folder)),
        }
    }

    /// The place that a server at `self` means by `target` in a redirect (RFC 9110, section 10.2.2).
    ///
    /// # Errors
    /// A target that is no `http:` or `https:` URL, or one that leaves TLS.
    pub(super) fn redirect(url: &Url, target: &str) -> Result<Url, LocationError> {
        let wrong = |reason| Err(LocationError { text: Url::new(target), reason });
        let Some((scheme, rest)) = url.as_str().split_once("://") else {
            return wrong("the redirect starts at no URL");
        };
        let host = rest.split(['/', '?']).next().unwrap_or(rest);
        let target = target.split('#').next().unwrap_or(target);
        let path = rest[host.len()..].split('?').next().unwrap_or("");
        let absolute = if target.contains("://") {
            target.to_owned()
        } else if let Some(rest) = target.strip_prefix("//") {
            format!("{scheme}://{rest}")
        } else if target.starts_with('/') {
            format!("{scheme}://{host}{target}")
        } else {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{host}{folder}/{target}")
        };
        match Location::parse(&absolute)? {
            Location::Local(_) => wrong("a server may not redirect to a file"),
            Location::Server(url) if scheme == "https" && !url.as_str().starts_with("https:") => {
                wrong("it leads from https to http")
            }
            Location::Server(url) => Ok(url),
        }
    }
}

impl fmt::Display for Location {
    /// Writes the place for people, without a user name or password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Local(path) => write!(f, "{}", path.display()),
            Location::Server(url) => write!(f, "{url}"),
        }
    }
}

/// Escapes everything but the characters that RFC 3986, section 3.3 allows in a path.
fn percent_encode(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Resolves `%xx`; `None` when an escape is broken or the result is not UTF-8 text without NUL.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// A text does not say where something is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a place to fetch from: {reason}")]
pub struct LocationError {
    text: Url,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_folders_are_told_apart() {
        let server = |text: &str| Location::Server(Url::new(text));
        let local = |text: &str| Location::Local(PathBuf::from(text));
        for (text, expected) in [
            ("HTTP://example.org/debian", server("http://example.org/debian")),
            ("https://example.org", server("https://example.org")),
            ("file:///srv/a%20b", local("/srv/a b")),
            ("file://localhost/srv", local("/srv")),
            ("/srv/mirror", local("/srv/mirror")),
        ] {
            assert_eq!(Location::parse(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "srv", "ftp://a/b", "http:///x", "http://", "file://host/x", "file:x", "http://a/b c", "/a\nb"]
        {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_below_a_server_is_escaped() {
        let path = RelPath::new("pool/main/g/g++/g++_1%3a1~2 x.deb").unwrap();
        let below = Location::parse("http://example.org/debian/").unwrap().below(&path);
        assert_eq!(below.to_string(), "http://example.org/debian/pool/main/g/g++/g++_1%253a1~2%20x.deb");
    }

    #[test]
    fn a_password_is_not_shown() {
        let place = Location::parse("https://user:secret@example.org/x@y").unwrap();
        assert_eq!(place.to_string(), "https://example.org/x@y");
        for wrong in ["https://user:secret@/x", "ftp://user:secret@example.org", "user:secret@example.org/debian"] {
            let text = Location::parse(wrong).unwrap_err().to_string();
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn redirects_stay_on_the_web_and_never_leave_tls() {
        let base = Url::new("https://example.org/a/b?x=/y");
        for (target, expected) in [
            ("https://other.example/c", "https://other.example/c"),
            ("//other.example/c", "https://other.example/c"),
            ("/c#d", "https://example.org/c"),
            ("c", "https://example.org/a/c"),
        ] {
            assert_eq!(Location::redirect(&base, target).unwrap().as_str(), expected, "{target}");
        }
        for bad in ["http://example.org/c", "file:///etc/passwd", "ftp://example.org/c"] {
            assert!(Location::redirect(&base, bad).is_err(), "{bad}");
        }
        assert!(Location::redirect(&Url::new("http://a.example/x"), "https://b.example/").is_ok());
    }
}
