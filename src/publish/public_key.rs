//! Public keys, as metadata name them: Ed25519, and ECDSA on the curve P-256, which most services that hold keys have.
//!
//! Source: TUF 1.0.33, section 4.2; RFC 8410 and RFC 5480 for what stands in files.

use pem_rfc7468::LineEnding;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::canonical::canonical;
use crate::content::Sha256;

/// What a file with a public key is called in its first line.
pub const PUBLIC_LABEL: &str = "PUBLIC KEY";
/// What stands before a key in a file (SubjectPublicKeyInfo); it has one form only.
const ED25519_HEAD: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const P256_HEAD: [u8; 26] =
    *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const ED25519_BYTES: usize = 32;
/// Both coordinates, and a byte that says so.
const P256_BYTES: usize = 65;
const ED25519_NAME: &str = "ed25519";
const P256_NAME: &str = "ecdsa";

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    keytype: String,
    keyval: KeyValue,
    scheme: String,
}

/// The value of a public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeyValue {
    /// Of Ed25519 hexadecimal digits, of ECDSA the text of its file.
    public: String,
}

impl PublicKey {
    /// The key of Ed25519 with these 32 bytes.
    pub(super) fn ed25519(public: &[u8]) -> Self {
        let name = ED25519_NAME.to_owned();
        PublicKey { keytype: name.clone(), keyval: KeyValue { public: hex(public) }, scheme: name }
    }

    /// The key of ECDSA with this point; `None` when it is none of P-256.
    pub(super) fn p256(point: &[u8]) -> Option<Self> {
        let public = pem_rfc7468::encode_string(PUBLIC_LABEL, LineEnding::LF, &[&P256_HEAD, point].concat()).ok()?;
        (point.len() == P256_BYTES).then(|| PublicKey {
            keytype: P256_NAME.to_owned(),
            keyval: KeyValue { public },
            scheme: "ecdsa-sha2-nistp256".to_owned(),
        })
    }

    /// Reads what stands in a file with a public key.
    pub(super) fn from_pem(text: &[u8]) -> Option<Self> {
        let (label, bytes) = pem_rfc7468::decode_vec(text).ok()?;
        if label != PUBLIC_LABEL {
            return None;
        }
        match (bytes.strip_prefix(&ED25519_HEAD), bytes.strip_prefix(&P256_HEAD)) {
            (Some(key), _) if key.len() == ED25519_BYTES => Some(PublicKey::ed25519(key)),
            (_, Some(point)) => PublicKey::p256(point),
            _ => None,
        }
    }

    /// What stands in its file; `None` for a key of a kind that is not ours.
    pub(super) fn to_pem(&self) -> Option<String> {
        if self.keytype == P256_NAME {
            return Some(self.keyval.public.clone());
        }
        let bytes = [&ED25519_HEAD[..], &unhex(&self.keyval.public)?].concat();
        pem_rfc7468::encode_string(PUBLIC_LABEL, LineEnding::LF, &bytes).ok()
    }

    /// Its identity: the SHA-256 of its canonical form.
    pub(super) fn identity(&self) -> String {
        let form = serde_json::to_value(self).ok().and_then(|value| canonical(&value));
        Sha256::of(&form.unwrap_or_default()).to_string()
    }

    /// Whether this is its signature of a message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let public = &self.keyval.public;
        match (self.keytype.as_str(), self.scheme.as_str()) {
            (ED25519_NAME, ED25519_NAME) => unhex(public)
                .is_some_and(|key| UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()),
            (P256_NAME, "ecdsa-sha2-nistp256") => pem_rfc7468::decode_vec(public.as_bytes()).is_ok_and(|(_, bytes)| {
                let point = bytes.strip_prefix(&P256_HEAD).unwrap_or_default();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
            }),
            _ => false,
        }
    }

    /// What its signatures are, for people.
    pub(super) fn signature_form(&self) -> &'static str {
        if self.keytype == P256_NAME { "ECDSA P-256 with SHA-256 as DER" } else { "the 64 bytes of Ed25519" }
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`hex`] writes.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    if digits.len().is_multiple_of(2) { pairs.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_is_read_back_as_it_was_written() {
        let ours = PublicKey::ed25519(&[7; 32]);
        assert_eq!(PublicKey::from_pem(ours.to_pem().unwrap().as_bytes()), Some(ours));
        let certificate_key = b"-----BEGIN PUBLIC KEY-----\n\
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3Lt7q6lLAwzDJPJ3dpWp1ESfBizy\n\
            Kt/nk9gaKwBA+t2abvbuJPMhgXFw53oZDpo5yskIkPLYCwHUU5HFFsNwwg==\n-----END PUBLIC KEY-----\n";
        let theirs = PublicKey::from_pem(certificate_key).unwrap();
        assert_eq!(theirs.to_pem().unwrap().as_bytes(), certificate_key);
        // However its lines are broken, it is the same key.
        let text = String::from_utf8(certificate_key.to_vec()).unwrap().replace('\n', "\r\n");
        assert_eq!(PublicKey::from_pem(text.as_bytes()).unwrap().identity(), theirs.identity());
        for bad in ["", "x", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"] {
            assert_eq!(PublicKey::from_pem(bad.as_bytes()), None, "{bad}");
        }
    }
}
