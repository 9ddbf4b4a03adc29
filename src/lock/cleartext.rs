//! The frame of a cleartext signature (RFC 9580, section 7), read strictly: nothing may stand outside it.
//!
//! `pgp` reads it too, but in a time that grows with the square of the number of lines, which a mirror chooses.

use pgp::{
    composed::{Deserializable, DetachedSignature},
    packet::Signature,
};

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &str = "-----END PGP SIGNATURE-----";
/// The most bytes of the signatures, armoured; Debian's three have 3 KB.
const MAX_SIGNATURE_BYTES: usize = 256 << 10;
/// The most signatures that are read.
const MAX_SIGNATURES: usize = 32;

/// A text and who says that they signed it.
pub(super) struct Cleartext {
    /// The text, its lines ended by line feeds, without the dashes' escapes and without white space at line ends.
    pub(super) text: String,
    /// What the signatures are over: the same with carriage returns, and none after the last line.
    pub(super) signed: String,
    /// The signatures, in their order.
    pub(super) signatures: Vec<Signature>,
}

/// A text is no cleartext signature; says what it is instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found}")]
pub(super) struct CleartextError {
    pub(super) found: String,
}

/// Takes the frame apart and reads the signatures.
pub(super) fn read(file: &str) -> Result<Cleartext, CleartextError> {
    let (body, armour) = frame(file)?;
    let text = body.iter().flat_map(|line| [*line, "\n"]).collect();
    Ok(Cleartext { text, signed: body.join("\r\n"), signatures: signatures(&armour)? })
}

/// The lines of the text, and the armoured signatures.
fn frame(file: &str) -> Result<(Vec<&str>, String), CleartextError> {
    let wrong = |found: &str| CleartextError { found: found.to_owned() };
    let mut lines = file.lines();
    if lines.next().map(str::trim_end) != Some(BEGIN) {
        return Err(wrong("a text that does not begin with one"));
    }
    for line in lines.by_ref() {
        match line.trim_end() {
            "" => break,
            // Which digests are announced proves nothing; the signatures themselves are judged.
            header if header.starts_with("Hash: ") => {}
            _ => return Err(wrong("a text with another header than `Hash`")),
        }
    }
    let mut body = Vec::new();
    loop {
        let line = lines.next().ok_or_else(|| wrong("a text without a signature"))?;
        let line = line.trim_end_matches([' ', '\t', '\r']);
        if line == BEGIN_SIGNATURE {
            break;
        }
        if line.contains('\r') {
            return Err(wrong("a carriage return inside a line"));
        }
        match line.strip_prefix("- ") {
            Some(escaped) => body.push(escaped),
            None if line.starts_with('-') => return Err(wrong("a line that begins with a dash and is not escaped")),
            None => body.push(line),
        }
    }
    let mut armour = format!("{BEGIN_SIGNATURE}\n");
    loop {
        let line = lines.next().ok_or_else(|| wrong("a signature without an end"))?.trim_end();
        armour.push_str(line);
        armour.push('\n');
        if armour.len() > MAX_SIGNATURE_BYTES {
            return Err(wrong("a signature of too many bytes"));
        }
        if line == END_SIGNATURE {
            break;
        }
    }
    if lines.any(|line| !line.trim_ascii().is_empty()) {
        return Err(wrong("text after the signature"));
    }
    Ok((body, armour))
}

fn signatures(armour: &str) -> Result<Vec<Signature>, CleartextError> {
    let unreadable = |error: pgp::errors::Error| CleartextError { found: format!("an unreadable signature ({error})") };
    let (found, _) = DetachedSignature::from_armor_many(armour.as_bytes()).map_err(unreadable)?;
    // One that this build of `pgp` cannot read counts for nothing; it does not spoil those that it can.
    Ok(found.take(MAX_SIGNATURES).filter_map(Result::ok).map(|found| found.signature).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &str) -> String {
        format!("{BEGIN}\nHash: SHA256\n\n{body}{BEGIN_SIGNATURE}\n\nnone\n{END_SIGNATURE}\n")
    }

    #[test]
    fn what_was_escaped_is_given_back_and_white_space_at_line_ends_goes() {
        let file = framed("a  \t\r\n- -b\n\n- ----- c\n d\n");
        let (body, armour) = frame(&file).unwrap();
        assert_eq!(body, ["a", "-b", "", "----- c", " d"]);
        assert_eq!(armour, format!("{BEGIN_SIGNATURE}\n\nnone\n{END_SIGNATURE}\n"));
    }

    #[test]
    fn a_frame_that_is_not_closed_or_not_alone_is_refused() {
        for (file, expected) in [
            (framed("-b\n"), "not escaped"),
            (framed("-----BEGIN PGP SIGNED MESSAGE-----\n"), "not escaped"),
            (framed("a\rb\n"), "carriage return"),
            (format!("{}more", framed("a\n")), "text after"),
            (framed("a\n").replace(END_SIGNATURE, ""), "without an end"),
            (framed("a\n").replace(BEGIN_SIGNATURE, ""), "not escaped"),
            (framed("a\n").split_once(BEGIN_SIGNATURE).unwrap().0.to_owned(), "without a signature"),
            (framed("a\n").replace("Hash: SHA256", "NotDashEscaped: yes"), "another header"),
            (format!("{BEGIN}\n"), "without a signature"),
        ] {
            let found = frame(&file).unwrap_err().found;
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }

    #[test]
    fn many_lines_take_no_more_than_their_time() {
        // With a square in it this would take minutes.
        assert!(read(&format!("{BEGIN}\n\n{}", "\n".repeat(8 << 20))).is_err());
    }
}
