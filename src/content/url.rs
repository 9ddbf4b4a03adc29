//! URLs as they are and as they are shown.

use std::fmt;

/// A URL as somebody wrote it, perhaps with a user name, a password or keys in its query, which are never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url(String);

impl Url {
    /// Takes a text as it is; whether it is a URL is for whoever fetches to say.
    pub fn new(text: impl Into<String>) -> Self {
        Url(text.into())
    }

    /// The whole of it: for whoever asks a server, and for the lock.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the host as user name and password, where something does, and the URL without it.
    pub fn split_user(&self) -> (Option<&str>, Url) {
        let (before, behind) = self.around_user();
        let user = &self.0[before.len()..self.0.len() - behind.len()];
        (user.strip_suffix('@'), Url(format!("{before}{behind}")))
    }

    /// Splits it into what stands before a user name and password, and what stands behind them.
    fn around_user(&self) -> (&str, &str) {
        let start = self.0.find("://").map_or(0, |at| at + 3);
        let (before, rest) = self.0.split_at(start);
        // They end at the last `@` before the path.
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        match authority.rsplit_once('@') {
            // `git@example.org:a` is no URL, and nothing in it is secret.
            Some((user, _)) if start > 0 || user.contains(':') => (before, &rest[user.len() + 1..]),
            _ => (before, rest),
        }
    }
}

impl fmt::Display for Url {
    /// Writes it without user name and password, without the values of its query (of a presigned URL they are the key),
    /// and without what a terminal would obey.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, behind) = self.around_user();
        let (whole, fragment) = behind.split_at(behind.find('#').unwrap_or(behind.len()));
        let (path, query) = whole.split_at(whole.find('?').unwrap_or(whole.len()));
        write!(f, "{}{}", before.escape_debug(), path.escape_debug())?;
        for (number, field) in query.split('&').enumerate() {
            let separator = if number == 0 { "" } else { "&" };
            match field.split_once('=') {
                Some((name, _)) => write!(f, "{separator}{}=…", name.escape_debug())?,
                None => write!(f, "{separator}{}", field.escape_debug())?,
            }
        }
        write!(f, "{}", fragment.escape_debug())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_user_name_nor_password_nor_what_a_query_says_is_shown() {
        for (text, shown) in [
            ("https://example.org/x@y", "https://example.org/x@y"),
            ("https://user:secret@example.org/x@y?z@", "https://example.org/x@y?z@"),
            ("http://user:secret@/x", "http:///x"),
            ("http://us@er:secret@example.org", "http://example.org"),
            ("user:secret@example.org/debian", "example.org/debian"),
            ("ftp://user:secret@example.org#a@b", "ftp://example.org#a@b"),
            ("/srv/a@b", "/srv/a@b"),
            ("https://a/x?key=secret&sig=s=1&plain#part=1", "https://a/x?key=…&sig=…&plain#part=1"),
            ("git@example.org:a.git", "git@example.org:a.git"),
            ("http://a/\u{1b}]0;x\u{7}", "http://a/\\u{1b}]0;x\\u{7}"),
        ] {
            let url = Url::new(text);
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(format!("{url:?}"), format!("\"{shown}\""));
            assert_eq!(url.as_str(), text);
        }
    }
}
