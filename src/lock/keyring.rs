//! Pinned OpenPGP certificates and the policy by which one of their keys may sign an archive.
//!
//! `pgp` checks mathematics only; which key may speak, and when, is decided here (RFC 9580, sections 5.2.3, 10.1):
//!
//! * The newest valid self-signature of the primary key and the newest valid binding of a subkey count. They say
//!   whether the key may sign and when it expires. A signing subkey has signed back (`0x19`).
//! * A key is used when it is valid both when the signature was made and now. A certificate or subkey with any valid
//!   revocation is never used, whatever the reason and whenever it was made: a pinned keyring can be renewed.
//! * SHA-2 of at least 224 bits and SHA-3 only, for self-signatures too; SHA-1, MD5 and RIPEMD-160 count for nothing
//!   (as with Sequoia's policy of 2026), except in a revocation, which is honoured all the same.
//! * RSA of at least 2048 bits, EdDSA and ECDSA.
//! * A signature with a critical subpacket or notation that is unknown here does not count, nor one that expired or
//!   was made in the future (a day of clock skew is allowed).

use pgp::{
    composed::{Deserializable, SignedPublicKey, SignedPublicSubKey},
    crypto::hash::HashAlgorithm,
    packet::{Signature, SignatureType, SignatureVersion, SubpacketData},
    ser::Serialize as _,
    types::{KeyDetails, PublicParams, RsaPublicParams, Tag, VerifyingKey},
};

use super::cleartext::Cleartext;

/// The most bytes of one keyring.
const MAX_KEYRING_BYTES: usize = 4 << 20;
/// How far a clock may be off, in seconds.
pub(super) const CLOCK_SKEW_SECONDS: u64 = 24 * 60 * 60;

/// The certificates that may sign an archive.
pub(super) struct Keyring {
    certificates: Vec<SignedPublicKey>,
}

/// Why no signature counts; the best reason found, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct NoGoodSignature {
    pub(super) reason: String,
}

impl Keyring {
    /// Reads keyrings, armoured or binary.
    pub(super) fn read(keyrings: &[Vec<u8>]) -> Result<Self, NoGoodSignature> {
        let wrong = |reason: String| NoGoodSignature { reason };
        let mut certificates = Vec::new();
        for bytes in keyrings {
            if bytes.len() > MAX_KEYRING_BYTES {
                return Err(wrong(format!("a pinned keyring of {} bytes (at most {MAX_KEYRING_BYTES})", bytes.len())));
            }
            let unreadable =
                |error: pgp::errors::Error| wrong(format!("a pinned keyring that cannot be read: {error}"));
            if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
                let (keys, _) = SignedPublicKey::from_armor_many(&bytes[..]).map_err(unreadable)?;
                for key in keys {
                    certificates.push(key.map_err(unreadable)?);
                }
            } else {
                for key in SignedPublicKey::from_bytes_many(&bytes[..]).map_err(unreadable)? {
                    certificates.push(key.map_err(unreadable)?);
                }
            }
        }
        if certificates.is_empty() {
            return Err(wrong("no pinned certificate at all".to_owned()));
        }
        Ok(Self { certificates })
    }

    /// Whether one signature of `message` is good, and why none is otherwise.
    pub(super) fn verify(&self, message: &Cleartext, now: u64) -> Result<(), NoGoodSignature> {
        let mut reasons = Vec::new();
        for signature in &message.signatures {
            match self.judge(signature, message.signed.as_bytes(), now) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        // Of a key that is pinned there is more to say than of one that nobody knows.
        let known = reasons.iter().position(|reason| !reason.starts_with("a signature by an unknown key"));
        let reason = reasons.into_iter().nth(known.unwrap_or(0)).unwrap_or_else(|| "no signature".to_owned());
        Err(NoGoodSignature { reason })
    }

    /// Whether one signature counts.
    fn judge(&self, signature: &Signature, text: &[u8], now: u64) -> Result<(), String> {
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Err("a signature that is not over a document".to_owned());
        }
        let made = formed(signature, now)?;
        let mut reason = None;
        for certificate in &self.certificates {
            for candidate in candidates(certificate) {
                if !names(signature, &candidate) {
                    continue;
                }
                let key = match candidate {
                    Candidate::Primary(key) => key.fingerprint(),
                    Candidate::Subkey(key) => key.fingerprint(),
                };
                let verdict = self.not_revoked(certificate).and_then(|()| may_sign(certificate, &candidate, made, now));
                let verdict = verdict.and_then(|()| {
                    let verified = match candidate {
                        Candidate::Primary(key) => signature.verify(&key.primary_key, text),
                        Candidate::Subkey(key) => signature.verify(&key.key, text),
                    };
                    verified.map_err(|_| "whose text was changed after it was signed, or a forged signature".to_owned())
                });
                match verdict {
                    Ok(()) => return Ok(()),
                    Err(why) => reason = Some(format!("a signature by key {key}, {why}")),
                }
            }
        }
        Err(reason.unwrap_or_else(|| format!("a signature by an unknown key ({})", issuer(signature))))
    }

    /// Fails when any pinned copy of this certificate holds a revocation of it.
    fn not_revoked(&self, certificate: &SignedPublicKey) -> Result<(), String> {
        let primary = &certificate.primary_key;
        let fingerprint = primary.fingerprint();
        let copies = self.certificates.iter().filter(|copy| copy.fingerprint() == fingerprint);
        let mut revocations = copies.flat_map(|copy| &copy.details.revocation_signatures);
        if revocations.any(|revocation| revocation.verify_key(primary).is_ok()) {
            return Err("which is revoked".to_owned());
        }
        Ok(())
    }
}

/// A key of a certificate that could have made a signature.
#[derive(Clone, Copy)]
enum Candidate<'a> {
    Primary(&'a SignedPublicKey),
    Subkey(&'a SignedPublicSubKey),
}

fn candidates(certificate: &SignedPublicKey) -> impl Iterator<Item = Candidate<'_>> {
    std::iter::once(Candidate::Primary(certificate)).chain(certificate.public_subkeys.iter().map(Candidate::Subkey))
}

/// Whether the signature names this key as its issuer.
fn names(signature: &Signature, candidate: &Candidate<'_>) -> bool {
    let (fingerprint, id) = match candidate {
        Candidate::Primary(key) => (key.fingerprint(), key.legacy_key_id()),
        Candidate::Subkey(key) => (key.fingerprint(), key.legacy_key_id()),
    };
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        signature.issuer_key_id().contains(&&id)
    } else {
        fingerprints.contains(&&fingerprint)
    }
}

fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(ToString::to_string);
    fingerprint
        .or_else(|| signature.issuer_key_id().first().map(ToString::to_string))
        .unwrap_or_else(|| "it names none".to_owned())
}

/// What every signature must fulfil, whatever it is over: gives when it was made, seconds since 1970.
fn formed(signature: &Signature, now: u64) -> Result<u64, String> {
    let Some(config) = signature.config() else { return Err("a signature of an unknown version".to_owned()) };
    if !matches!(config.version(), SignatureVersion::V4 | SignatureVersion::V6) {
        return Err("a signature of an outdated version".to_owned());
    }
    if !strong(config.hash_alg) {
        return Err(format!("a signature over a {} digest, which proves nothing", config.hash_alg));
    }
    let unknown = config.hashed_subpackets().any(|subpacket| {
        let strange = matches!(
            subpacket.data,
            SubpacketData::Other(..) | SubpacketData::Experimental(..) | SubpacketData::Notation(_)
        );
        subpacket.is_critical && strange
    });
    if unknown {
        return Err("a signature with a critical condition that brc does not know".to_owned());
    }
    let Some(made) = signature.created().map(|time| u64::from(time.as_secs())) else {
        return Err("a signature without a date".to_owned());
    };
    if made > now.saturating_add(CLOCK_SKEW_SECONDS) {
        return Err("a signature made in the future".to_owned());
    }
    let seconds = signature.signature_expiration_time().map_or(0, |duration| u64::from(duration.as_secs()));
    if seconds != 0 && made.saturating_add(seconds) <= now {
        return Err("a signature that has expired".to_owned());
    }
    Ok(made)
}

/// Whether a digest still binds a text to a signature.
fn strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha224
            | HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    )
}

/// Whether a key of `certificate` was and is allowed to sign documents.
fn may_sign(certificate: &SignedPublicKey, candidate: &Candidate<'_>, made: u64, now: u64) -> Result<(), String> {
    let primary = &certificate.primary_key;
    let Some(own) = self_signature(certificate, now) else {
        return Err("whose certificate has no valid self-signature".to_owned());
    };
    valid_at(primary, own, made, now)?;
    match candidate {
        Candidate::Primary(_) => {
            mathematics(primary)?;
            if own.key_flags().sign() { Ok(()) } else { Err("which is not for signing".to_owned()) }
        }
        Candidate::Subkey(subkey) => {
            let revoked = subkey.signatures.iter().any(|signature| {
                signature.typ() == Some(SignatureType::SubkeyRevocation)
                    && signature.verify_subkey_binding(primary, &subkey.key).is_ok()
            });
            if revoked {
                return Err("which is revoked".to_owned());
            }
            let Some(binding) = binding(certificate, subkey, now) else {
                return Err("which its certificate does not vouch for".to_owned());
            };
            valid_at(&subkey.key, binding, made, now)?;
            mathematics(&subkey.key)?;
            let signed_back = binding.embedded_signature().is_some_and(|back| {
                formed(back, now).is_ok() && back.verify_primary_key_binding(&subkey.key, primary).is_ok()
            });
            match (binding.key_flags().sign(), signed_back) {
                (true, true) => Ok(()),
                (true, false) => Err("which did not agree to belong to its certificate".to_owned()),
                (false, _) => Err("which is not for signing".to_owned()),
            }
        }
    }
}

/// The newest valid self-signature of a primary key: direct, or over one of its user ids.
fn self_signature(certificate: &SignedPublicKey, now: u64) -> Option<&Signature> {
    let primary = &certificate.primary_key;
    let direct = certificate
        .details
        .direct_signatures
        .iter()
        .filter(|signature| signature.typ() == Some(SignatureType::Key) && signature.verify_key(primary).is_ok());
    let users = certificate.details.users.iter().flat_map(|user| {
        let revoked = user.signatures.iter().any(|signature| {
            signature.typ() == Some(SignatureType::CertRevocation)
                && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        });
        user.signatures.iter().filter(move |signature| {
            !revoked
                && signature.is_certification()
                && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        })
    });
    newest(direct.chain(users), now)
}

/// The newest valid binding of a subkey.
fn binding<'a>(certificate: &SignedPublicKey, subkey: &'a SignedPublicSubKey, now: u64) -> Option<&'a Signature> {
    let bindings = subkey.signatures.iter().filter(|signature| {
        signature.typ() == Some(SignatureType::SubkeyBinding)
            && signature.verify_subkey_binding(&certificate.primary_key, &subkey.key).is_ok()
    });
    newest(bindings, now)
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>, now: u64) -> Option<&'a Signature> {
    let formed = signatures.filter_map(|signature| formed(signature, now).ok().map(|made| (made, signature)));
    formed.max_by_key(|(made, _)| *made).map(|(_, signature)| signature)
}

/// Whether a key existed when it signed and had not expired then or now, by the signature that speaks for it.
fn valid_at(key: &impl KeyDetails, own: &Signature, made: u64, now: u64) -> Result<(), String> {
    let born = u64::from(key.created_at().as_secs());
    if made < born {
        return Err("made before the key was".to_owned());
    }
    let seconds = own.key_expiration_time().map_or(0, |duration| u64::from(duration.as_secs()));
    let end = born.saturating_add(seconds);
    if seconds != 0 && (end <= made || end <= now) {
        return Err("which has expired".to_owned());
    }
    Ok(())
}

/// Whether the key's algorithm and size are still good.
fn mathematics(key: &impl VerifyingKey) -> Result<(), String> {
    match key.public_params() {
        PublicParams::RSA(rsa) if modulus_bits(rsa) < 2048 => Err("whose RSA modulus is too small".to_owned()),
        PublicParams::RSA(_)
        | PublicParams::ECDSA(_)
        | PublicParams::EdDSALegacy(_)
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => Ok(()),
        _ => Err("whose algorithm brc does not accept".to_owned()),
    }
}

/// The size of an RSA modulus: the first two bytes of its encoding (RFC 9580, section 3.2).
fn modulus_bits(rsa: &RsaPublicParams) -> u16 {
    let mut bytes = Vec::new();
    match rsa.to_writer(&mut bytes) {
        Ok(()) => bytes.first_chunk().map_or(0, |bits| u16::from_be_bytes(*bits)),
        Err(_) => 0,
    }
}
