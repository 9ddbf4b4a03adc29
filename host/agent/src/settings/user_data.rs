//! User data as a machine is given it: TOML or JSON, plain, packed by gzip, in base64, or both.

use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use brc_contract::settings::{MAX_SETTINGS, Value};
use flate2::read::MultiGzDecoder;

/// What begins a file of gzip (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What begins user data that other systems read.
const OTHERS: [&str; 6] =
    ["#cloud-config", "#!", "Content-Type: multipart", "MIME-Version:", "#cloud-boothook", "#include"];
/// So often something may be wrapped: base64 of gzip, as EC2's tools make it, and no more.
const MAX_WRAPPINGS: usize = 3;

/// The settings that user data holds.
///
/// # Errors
/// Anything that is neither TOML nor JSON with a table `settings`, or unpacks to more than a megabyte.
pub fn parse(bytes: &[u8]) -> Result<Value, UserDataError> {
    let text = unwrapped(bytes)?;
    // Some are comments to TOML.
    if let Some(start) = OTHERS.into_iter().find(|start| text.starts_with(start)) {
        return Err(UserDataError::OtherSystem { start });
    }
    let read = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).map_err(|error| UserDataError::Json(Box::new(error)))?,
        false => toml::from_str(&text).map_err(|error| UserDataError::Toml(Box::new(error)))?,
    };
    let Value::Table(mut tables) = read else { return Err(UserDataError::NoSettings { found: read.described() }) };
    let settings = tables.remove("settings");
    if let Some(name) = tables.keys().next() {
        return Err(UserDataError::Foreign { name: name.clone() });
    }
    match settings {
        Some(settings @ Value::Table(_)) => Ok(settings),
        Some(other) => Err(UserDataError::NoSettings { found: other.described() }),
        None => Ok(Value::none()),
    }
}

fn unwrapped(bytes: &[u8]) -> Result<String, UserDataError> {
    let mut bytes = bytes.to_vec();
    for _ in 0..MAX_WRAPPINGS {
        if bytes.len() > MAX_SETTINGS {
            return Err(UserDataError::TooLong);
        }
        if bytes.starts_with(&GZIP) {
            let mut unpacked = Vec::new();
            let limit = MAX_SETTINGS as u64 + 1;
            MultiGzDecoder::new(&*bytes).take(limit).read_to_end(&mut unpacked).map_err(UserDataError::Gzip)?;
            bytes = unpacked;
            continue;
        }
        let text = String::from_utf8(bytes).map_err(|_| UserDataError::NotText)?;
        // TOML and JSON have characters that base64 has not.
        let joined: String = text.split_ascii_whitespace().collect();
        match STANDARD.decode(&joined) {
            Ok(decoded) if !joined.is_empty() => bytes = decoded,
            _ => return Ok(text),
        }
    }
    Err(UserDataError::Wrapped)
}

/// User data is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum UserDataError {
    /// It is too long, as it is or unpacked.
    #[error("it has more than {MAX_SETTINGS} bytes, as it is or unpacked")]
    TooLong,
    /// It is packed, and cannot be unpacked.
    #[error("it begins like gzip and cannot be unpacked")]
    Gzip(#[source] std::io::Error),
    /// It is no text.
    #[error("it is neither text nor gzip")]
    NotText,
    /// It is packed in something packed, again and again.
    #[error("it is wrapped more than {MAX_WRAPPINGS} times: expected TOML, base64 of it, or base64 of gzip of it")]
    Wrapped,
    /// It is made for another system.
    #[error("it begins with `{start}`, which another system reads: expected TOML with a table `[settings]`")]
    OtherSystem { start: &'static str },
    /// It is no TOML.
    #[error("it is no TOML")]
    Toml(#[source] Box<toml::de::Error>),
    /// It begins like JSON and is none.
    #[error("it begins like JSON and is none")]
    Json(#[source] Box<serde_json::Error>),
    /// It has no settings where they belong.
    #[error("its `settings` is {found}: expected a table")]
    NoSettings { found: String },
    /// It has a table that nobody reads.
    #[error("it has `{name}` beside `settings`: everything belongs below `[settings]`")]
    Foreign { name: String },
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const TOML: &[u8] = b"[settings]\nmotd = 'hello'\n[settings.ntp]\ntime-servers = ['a.example']\n";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn user_data_is_read_plain_packed_and_in_base64() {
        let plain = parse(TOML).unwrap();
        assert_eq!(plain.at(["motd"]), Some(&Value::Text("hello".to_owned())));
        let json = br#"{"settings": {"motd": "hello", "ntp": {"time-servers": ["a.example"]}}}"#;
        let in_base64 = STANDARD.encode(TOML);
        let broken_lines = in_base64.as_bytes().chunks(20).collect::<Vec<_>>().join(&b'\n');
        let of_gzip = STANDARD.encode(gzip(TOML)).into_bytes();
        for given in [json.to_vec(), gzip(TOML), in_base64.into_bytes(), broken_lines, of_gzip] {
            assert_eq!(parse(&given).unwrap(), plain);
        }
        assert!(parse(b"").unwrap().is_none());
        assert!(parse(b"# nothing\n").unwrap().is_none());
    }

    #[test]
    fn what_is_no_user_data_is_told() {
        let wrapped = (0..4).fold(TOML.to_vec(), |bytes, _| gzip(&bytes));
        for (given, expected) in [
            (&gzip(&vec![b'a'; 64 << 20])[..], "it has more than 1048576 bytes, as it is or unpacked"),
            (&vec![b'#'; MAX_SETTINGS + 1], "it has more than 1048576 bytes, as it is or unpacked"),
            (&[0x1f, 0x8b, 0, 1], "it begins like gzip and cannot be unpacked"),
            (b"\xff\xfe", "it is neither text nor gzip"),
            (&wrapped, "it is wrapped more than 3 times"),
            (b"#cloud-config\nusers: []\n", "it begins with `#cloud-config`"),
            (b"#!/bin/sh\n", "it begins with `#!`"),
            (b"[settings\n", "it is no TOML"),
            (b"{\"settings\": ", "it begins like JSON and is none"),
            (b"settings = 5\n", "its `settings` is the number 5: expected a table"),
            (b"[settings]\n[user]\n", "it has `user` beside `settings`"),
            (b"[settings]\nmotd = 1.5\n", "it is no TOML"),
            (b"[settings]\nmotd = 'a'\nmotd = 'b'\n", "it is no TOML"),
        ] {
            let told = parse(given).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{told}");
        }
        let deep = format!("[settings]\na = {}1{}\n", "[".repeat(60), "]".repeat(60));
        assert!(parse(deep.as_bytes()).is_err());
    }
}
