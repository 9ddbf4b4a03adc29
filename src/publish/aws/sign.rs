//! Signature Version 4, as AWS publishes it: a request is signed over its method, path, query, headers and body.
//!
//! Written here because the crate `aws-sigv4` brings 51 others, among them tokio and tracing; what it has to do for four
//! services is this file, held against the vectors that AWS publishes.

use std::fmt::Write as _;

use ring::{digest, hmac};

use super::key::Credentials;
use crate::content::date_text;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What takes the place of the body's digest where a service does not want the body signed.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What is signed.
pub(super) struct Signable<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, percent-encoded as it is sent.
    pub path: &'a str,
    /// The pairs of the query, not encoded.
    pub query: &'a [(String, String)],
    /// All headers, the host among them; names in small letters.
    pub headers: &'a [(String, String)],
    /// The digest of the body in hexadecimal, or [`UNSIGNED`].
    pub body: &'a str,
}

/// For whom and when.
pub(super) struct Scope<'a> {
    /// The region.
    pub region: &'a str,
    /// The service's name in signatures.
    pub service: &'a str,
    /// Seconds since 1970.
    pub now: u64,
}

/// The date as AWS writes it: `20150830T123600Z`.
pub(super) fn amazon_date(now: u64) -> String {
    date_text(now).chars().filter(|letter| !matches!(letter, '-' | ':')).collect()
}

/// The header `authorization` of a request.
pub(super) fn authorization(request: &Signable<'_>, scope: &Scope<'_>, credentials: &Credentials) -> String {
    let date = amazon_date(scope.now);
    let day = date.get(..8).unwrap_or_default();
    let scope_text = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let (canonical, names) = canonical(request);
    let text =
        format!("{ALGORITHM}\n{date}\n{scope_text}\n{}", hex(digest::digest(&digest::SHA256, canonical.as_bytes())));
    let first = [b"AWS4", credentials.secret.as_bytes()].concat();
    let key = [day, scope.region, scope.service, "aws4_request"]
        .into_iter()
        .fold(first, |key, part| keyed(&key, part.as_bytes()).as_ref().to_vec());
    let signature = hex(keyed(&key, text.as_bytes()));
    format!("{ALGORITHM} Credential={}/{scope_text}, SignedHeaders={names}, Signature={signature}", credentials.key)
}

/// The request in the one form that is signed, and the names of its headers.
fn canonical(request: &Signable<'_>) -> (String, String) {
    let mut headers: Vec<(&str, String)> =
        request.headers.iter().map(|(name, value)| (name.as_str(), one_space(value))).collect();
    headers.sort();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    // The path is encoded once for the wire and once more here; slashes stay.
    let path = request.path.split('/').map(encoded).collect::<Vec<_>>().join("/");
    let (method, query) = (request.method, query(request.query));
    (format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", request.body), names)
}

/// The query as it is sent and signed: encoded, then sorted.
pub(super) fn query(pairs: &[(String, String)]) -> String {
    let mut pairs: Vec<(String, String)> = pairs.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// A text with everything but unreserved characters percent-encoded (RFC 3986, section 2.3).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A header's value without spaces around it, and one where several stood.
fn one_space(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn keyed(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

/// The SHA-256 of a body, in hexadecimal.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes))
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-08-30T12:36:00Z, the time of the published vectors.
    const NOW: u64 = 1_440_938_160;

    type Pairs = &'static [(&'static str, &'static str)];

    /// Name, method, path, query, headers, body, signature.
    #[rustfmt::skip]
    const VECTORS: [(&str, &str, &str, Pairs, Pairs, &[u8], &str); 9] = [
        ("get-vanilla", "GET", "/", &[], &[], b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", &[], &[], b"", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        ("get-vanilla-query-order-key-case", "GET", "/", &[("Param2", "value2"), ("Param1", "value1")], &[], b"", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ("get-vanilla-query-order-value", "GET", "/", &[("Param1", "value2"), ("Param1", "value1")], &[], b"", "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"),
        ("get-vanilla-utf8-query", "GET", "/", &[("\u{1234}", "bar")], &[], b"", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        ("get-header-value-trim", "GET", "/", &[], &[("my-header1", " value1"), ("my-header2", "\"a   b   c\"")], b"", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
        ("post-vanilla", "POST", "/", &[], &[], b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ("post-x-www-form-urlencoded", "POST", "/", &[], &[("content-type", "application/x-www-form-urlencoded")], b"Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
        ("get-vanilla-with-session-token", "GET", "/", &[], &[("x-amz-security-token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267")], b"", "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
    ];

    fn signature(method: &str, path: &str, query: &[(&str, &str)], headers: &[(&str, &str)], body: &[u8]) -> String {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        let always = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let request = Signable {
            method,
            path,
            query: &pairs(query),
            headers: &pairs(&[&always[..], headers].concat()),
            body: &sha256_hex(body),
        };
        let credentials = Credentials {
            key: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
            until: None,
        };
        let scope = Scope { region: "us-east-1", service: "service", now: NOW };
        authorization(&request, &scope, &credentials)
    }

    #[test]
    fn the_published_vectors_are_signed_as_published() {
        assert_eq!(amazon_date(NOW), "20150830T123600Z");
        for (name, method, path, query, headers, body, expected) in VECTORS {
            let found = signature(method, path, query, headers, body);
            assert_eq!(found.rsplit_once("Signature=").unwrap().1, expected, "{name}");
            assert!(
                found.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ")
            );
        }
    }

    #[test]
    fn what_a_query_holds_is_encoded_before_it_is_sorted() {
        let pairs = [("b", "1 2"), ("a", "x+y/z"), ("a", "é")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(query(&pairs), "a=%C3%A9&a=x%2By%2Fz&b=1%202");
    }
}
