//! Detached signatures, as the kernel takes them from modules: CMS (RFC 5652) around RSASSA-PKCS1-v1_5 over SHA-256.

use std::fmt;

use cms::{
    cert::IssuerAndSerialNumber,
    content_info::{CmsVersion, ContentInfo},
    signed_data::{EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo},
};
use rsa::{
    Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey,
    pkcs1::DecodeRsaPrivateKey as _,
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _},
    traits::PublicKeyParts,
};
use sha2::{Digest as _, Sha256};
use x509_cert::{
    der::{
        self, Any, Decode as _, Encode as _,
        asn1::{OctetString, SetOfVec},
        oid::{
            ObjectIdentifier,
            db::{
                rfc5911::{ID_DATA, ID_SIGNED_DATA},
                rfc5912::{ID_SHA_256, RSA_ENCRYPTION},
            },
        },
    },
    spki::AlgorithmIdentifierOwned,
};

/// The largest file that is looked at for a certificate or a key, in bytes.
const MAX_PEM: usize = 64 << 10;

/// The smallest and the largest key that signs, in bits. The crate refuses larger ones.
const KEY_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// A private key that signs; it shows itself to nobody.
#[derive(Clone)]
pub struct SigningKey(RsaPrivateKey);

/// The certificate that a signature names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is, as X.500 writes it: `CN=acme modules`.
    pub subject: String,
    signer: IssuerAndSerialNumber,
    key: RsaPublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads an RSA key of 2048 to 4096 bits: PKCS #8 or PKCS #1, as PEM, not encrypted.
    ///
    /// # Errors
    /// Anything else.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, SigningKeyError> {
        let text = pem_text(bytes).ok_or(SigningKeyError::NoPem)?;
        if text.contains("ENCRYPTED") {
            return Err(SigningKeyError::Encrypted);
        }
        let key = RsaPrivateKey::from_pkcs8_pem(text).ok().or_else(|| RsaPrivateKey::from_pkcs1_pem(text).ok());
        key.filter(signs).map(SigningKey).ok_or(SigningKeyError::Other)
    }

    /// Whether it is the key of `certificate`.
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        self.0.to_public_key() == certificate.key
    }

    /// The signature of `content`, which names `certificate` and holds neither: a `ContentInfo` in DER, the bytes
    /// that the kernel's `scripts/sign-file` makes.
    ///
    /// # Errors
    /// A key whose numbers do not fit together.
    pub fn sign(&self, certificate: &Certificate, content: &[u8]) -> Result<Vec<u8>, SignError> {
        let scheme = Pkcs1v15Sign::new::<Sha256>();
        let signature = self.0.sign(scheme, &Sha256::digest(content)).map_err(SignError::Key)?;
        envelope(certificate, signature).map_err(SignError::Encoding)
    }
}

fn envelope(certificate: &Certificate, signature: Vec<u8>) -> der::Result<Vec<u8>> {
    let digest = algorithm(ID_SHA_256, None);
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(certificate.signer.clone()),
        digest_alg: digest.clone(),
        signed_attrs: None,
        signature_algorithm: algorithm(RSA_ENCRYPTION, Some(Any::null())),
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    };
    let data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![digest])?,
        encap_content_info: EncapsulatedContentInfo { econtent_type: ID_DATA, econtent: None },
        certificates: None,
        crls: None,
        signer_infos: SetOfVec::try_from(vec![signer])?.into(),
    };
    ContentInfo { content_type: ID_SIGNED_DATA, content: Any::encode_from(&data)? }.to_der()
}

fn algorithm(oid: ObjectIdentifier, parameters: Option<Any>) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters }
}

impl Certificate {
    /// Reads an X.509 certificate of an RSA key of 2048 to 4096 bits, as PEM with nothing else.
    ///
    /// # Errors
    /// Anything else.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, CertificateError> {
        let text = pem_text(bytes).ok_or(CertificateError::NoPem)?;
        if text.contains("PRIVATE KEY-----") {
            return Err(CertificateError::HoldsKey);
        }
        let (label, der) = der::pem::decode_vec(text.as_bytes()).map_err(|_| CertificateError::NoPem)?;
        if label != "CERTIFICATE" {
            return Err(CertificateError::Other { label: label.to_owned() });
        }
        let certificate = x509_cert::Certificate::from_der(&der).map_err(CertificateError::Content)?.tbs_certificate;
        let key = certificate.subject_public_key_info.to_der().map_err(CertificateError::Content)?;
        let key = RsaPublicKey::from_public_key_der(&key).ok().filter(signs).ok_or(CertificateError::OtherKey)?;
        let signer = IssuerAndSerialNumber { issuer: certificate.issuer, serial_number: certificate.serial_number };
        Ok(Certificate { subject: certificate.subject.to_string(), signer, key })
    }
}

fn signs(key: &impl PublicKeyParts) -> bool {
    KEY_BITS.contains(&key.n().bits())
}

/// The text of a file that may be PEM.
fn pem_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes.get(..bytes.len().min(MAX_PEM + 1))?).ok()?;
    (bytes.len() <= MAX_PEM && text.contains("-----BEGIN ")).then_some(text)
}

/// A file holds no key that modules are signed with.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// No PEM.
    #[error("it is no PEM: expected `-----BEGIN PRIVATE KEY-----` in at most 64 KiB")]
    NoPem,
    /// Behind a pass phrase.
    #[error("it is encrypted: expected a key without a pass phrase; `openssl pkey -in FILE -out PLAIN` writes one")]
    Encrypted,
    /// Another kind of key, or none.
    #[error(
        "it is no RSA key of 2048 to 4096 bits: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096` makes one"
    )]
    Other,
}

/// A file is no certificate that modules are signed for.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No PEM.
    #[error("it is no PEM: expected `-----BEGIN CERTIFICATE-----` in at most 64 KiB")]
    NoPem,
    /// The key, alone or with its certificate.
    #[error("it holds a private key, which belongs to nobody's recipes: expected the certificate alone")]
    HoldsKey,
    /// PEM of something else.
    #[error("it is a PEM of `{label}`: expected `CERTIFICATE`")]
    Other { label: String },
    /// Bytes that are no certificate.
    #[error("it is no X.509 certificate")]
    Content(#[source] der::Error),
    /// A certificate of another kind of key.
    #[error("its key is not RSA of 2048 to 4096 bits: a signature must be the same bytes whenever it is made")]
    OtherKey,
}

/// Something cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key refuses.
    #[error("the key cannot sign")]
    Key(#[source] rsa::Error),
    /// What was signed cannot be written down.
    #[error("the signature cannot be encoded")]
    Encoding(#[source] der::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = include_bytes!("../../tests/data/signing/modules.key");
    const CERTIFICATE: &[u8] = include_bytes!("../../tests/data/signing/modules.pem");

    #[test]
    fn a_signature_is_the_one_that_openssl_makes() {
        // openssl cms -sign -binary -noattr -nocerts -nosmimecap -md sha256 -outform DER -in content -inkey modules.key
        //   -signer modules.pem
        let expected = include_bytes!("../../tests/data/signing/content.cms");
        let certificate = Certificate::from_pem(CERTIFICATE).unwrap();
        assert_eq!(certificate.subject, "CN=modules of brc's tests");
        let key = SigningKey::from_pem(KEY).unwrap();
        assert!(key.is_of(&certificate));
        assert_eq!(key.sign(&certificate, b"what is signed\n").unwrap(), expected);
        assert_eq!(format!("{key:?}"), "SigningKey");
        let traditional = SigningKey::from_pem(include_bytes!("../../tests/data/signing/modules.pkcs1.key")).unwrap();
        assert!(traditional.is_of(&certificate), "the same key as PKCS #1");
    }

    #[test]
    fn what_is_no_key_or_certificate_is_told_what_it_is() {
        let key = |bytes: &[u8]| SigningKey::from_pem(bytes).unwrap_err().to_string();
        let certificate = |bytes: &[u8]| Certificate::from_pem(bytes).unwrap_err().to_string();
        let elliptic = include_bytes!("../../tests/data/signing/elliptic.key");
        let small = include_bytes!("../../tests/data/signing/small.key");
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
        let cut = &CERTIFICATE[..CERTIFICATE.len() / 2];
        let long = [CERTIFICATE, &[b'-'; MAX_PEM]].concat();
        for (said, expected) in [
            (key(b""), "it is no PEM"),
            (key(CERTIFICATE), "it is no RSA key"),
            (key(elliptic), "it is no RSA key"),
            (key(small), "it is no RSA key of 2048"),
            (key(encrypted), "it is encrypted"),
            (certificate(b"\xff"), "it is no PEM"),
            (certificate(KEY), "it holds a private key"),
            (certificate(&[KEY, CERTIFICATE].concat()), "it holds a private key"),
            (certificate(&[CERTIFICATE, CERTIFICATE].concat()), "it is no PEM"),
            (certificate(cut), "it is no PEM"),
            (certificate(&long), "it is no PEM"),
            (certificate(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "it is no X.509"),
            (certificate(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), "it is a PEM of `X509 CRL`"),
            (certificate(include_bytes!("../../tests/data/signing/elliptic.pem")), "its key is not RSA"),
        ] {
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
