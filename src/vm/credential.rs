//! systemd credentials, as a machine's firmware hands them over: strings of SMBIOS type 11.

use std::collections::BTreeMap;

use super::BootError;

/// The number of strings in one SMBIOS structure is one byte.
const MAX_CREDENTIALS: usize = 255;
/// The most bytes of one credential: several must fit into the firmware's tables.
const MAX_BYTES: usize = 32 << 10;
/// The most bytes of a name: that of a file.
const MAX_NAME_BYTES: usize = 255;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The strings that hand `credentials` over (systemd.system-credentials(7), `io.systemd.credential.binary:`).
///
/// # Errors
/// A name that systemd would not take, too many bytes, too many credentials.
pub(super) fn strings(credentials: &BTreeMap<String, Vec<u8>>) -> Result<Vec<String>, BootError> {
    if credentials.len() > MAX_CREDENTIALS {
        return Err(BootError::Credentials { count: credentials.len() });
    }
    let string = |(name, value): (&String, &Vec<u8>)| {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"/:=".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(plain) || name == "." || name == ".." {
            return Err(BootError::CredentialName { name: name.clone() });
        }
        if value.len() > MAX_BYTES {
            return Err(BootError::CredentialSize { name: name.clone(), bytes: value.len() });
        }
        Ok(format!("io.systemd.credential.binary:{name}={}", base64(value)))
    };
    credentials.iter().map(string).collect()
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = (word >> (18 - 6 * digit)) & 63;
            let letter = ALPHABET.get(value as usize).filter(|_| digit <= group.len());
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd, 0]), "//79AA==");
    }

    #[test]
    fn a_credential_is_one_string_and_bad_ones_are_refused() {
        let one = |name: &str, bytes: usize| strings(&BTreeMap::from([(name.to_owned(), vec![b'f'; bytes])]));
        assert_eq!(one("a.service~b", 1).unwrap(), ["io.systemd.credential.binary:a.service~b=Zg=="]);
        for name in ["", ".", "..", "a b", "a/b", "a:b", "a=b", "ä", "a\nb", &"x".repeat(256)] {
            assert!(matches!(one(name, 1), Err(BootError::CredentialName { .. })), "{name}");
        }
        assert!(one("a", MAX_BYTES).is_ok());
        assert!(matches!(one("a", MAX_BYTES + 1), Err(BootError::CredentialSize { .. })));
        let many = (0..256).map(|number| (number.to_string(), Vec::new())).collect();
        assert!(matches!(strings(&many), Err(BootError::Credentials { count: 256 })));
    }
}
