//! What is said over git's protocol, version 2 (gitprotocol-v2): questions as bytes, answers read from bytes.

use super::{
    GitFormatError, ObjectName,
    packet::{Packet, Packets, push_line},
};

const DELIMITER: &[u8] = b"0001";
const FLUSH: &[u8] = b"0000";

/// A branch or tag as a server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Its whole name: `refs/tags/v1`.
    pub name: String,
    /// The commit: of an annotated tag the one that it is of.
    pub commit: ObjectName,
}

/// Reads what a server says that it can, and whether that is enough.
pub(super) fn read_capabilities(answer: &[u8]) -> Result<(), GitFormatError> {
    let mut packets = Packets::new(answer);
    let mut first = packets.line()?;
    // Servers may begin with a line for older clients.
    if first.is_some_and(|line| line.starts_with("# service=")) {
        while packets.line()?.is_some() {}
        first = packets.line()?;
    }
    if first != Some("version 2") {
        return Err(GitFormatError::new(
            "the server does not speak version 2 of git's protocol, which git has since 2018 (`protocol.version`)",
        ));
    }
    let (mut lists, mut fetches) = (false, false);
    while let Some(line) = packets.line()? {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        match name {
            "ls-refs" => lists = true,
            "fetch" => fetches = value.split(' ').any(|word| word == "shallow"),
            "object-format" if value != "sha1" => {
                let reason = format!("its objects are named by `{value}`, and brc reads those named by `sha1`");
                return Err(GitFormatError::new(reason));
            }
            _ => {}
        }
    }
    match lists && fetches {
        true => Ok(()),
        false => Err(GitFormatError::new("the server offers no `ls-refs`, or no `fetch` with `shallow`")),
    }
}

/// Asks for the references whose names begin so.
pub(super) fn list_question(prefix: &str) -> Vec<u8> {
    let mut question = begin("ls-refs");
    push_line(&mut question, "peel");
    push_line(&mut question, &format!("ref-prefix {prefix}"));
    question.extend_from_slice(FLUSH);
    question
}

/// Reads a list of references.
pub(super) fn read_references(answer: &[u8]) -> Result<Vec<Reference>, GitFormatError> {
    let mut packets = Packets::new(answer);
    let mut references = Vec::new();
    while let Some(line) = packets.line()? {
        let wrong = || GitFormatError::new(format!("`{}` is no reference of a list", line.escape_debug()));
        let mut words = line.split(' ');
        let (object, name) = (words.next().unwrap_or_default(), words.next().ok_or_else(wrong)?);
        // A branch without a commit yet.
        if object == "unborn" {
            continue;
        }
        let peeled = words.find_map(|word| word.strip_prefix("peeled:")).unwrap_or(object);
        let commit = ObjectName::parse(peeled).ok_or_else(wrong)?;
        references.push(Reference { name: name.to_owned(), commit });
    }
    Ok(references)
}

/// Asks for a commit with all its files and nothing before it. Deltas name their base by its name (`ofs-delta` is not
/// asked for) and have it in the same pack (neither is `thin-pack`).
pub(super) fn fetch_question(commit: ObjectName) -> Vec<u8> {
    let mut question = begin("fetch");
    push_line(&mut question, "no-progress");
    push_line(&mut question, "deepen 1");
    push_line(&mut question, &format!("want {commit}"));
    push_line(&mut question, "done");
    question.extend_from_slice(FLUSH);
    question
}

fn begin(command: &str) -> Vec<u8> {
    let mut question = Vec::new();
    push_line(&mut question, &format!("command={command}"));
    push_line(&mut question, concat!("agent=brc/", env!("CARGO_PKG_VERSION")));
    question.extend_from_slice(DELIMITER);
    question
}

/// Takes the pack out of the answer to a fetch.
pub(super) fn read_pack_of(answer: &[u8]) -> Result<Vec<u8>, GitFormatError> {
    let mut packets = Packets::new(answer);
    loop {
        match packets.line()? {
            Some("packfile") => break,
            // What was said before it: which commits have no parents here.
            Some("shallow-info" | "acknowledgments" | "wanted-refs") => while packets.line()?.is_some() {},
            Some(line) => {
                let reason = format!("expected `packfile`, found `{}`", line.escape_debug());
                return Err(GitFormatError::new(reason));
            }
            None => return Err(GitFormatError::new("the server sent no pack")),
        }
    }
    let mut pack = Vec::new();
    loop {
        match packets.next()? {
            // Each packet says on which of three bands it is: the pack, progress, an error.
            Some(Packet::Data([1, data @ ..])) => pack.extend_from_slice(data),
            Some(Packet::Data([2, ..])) => {}
            Some(Packet::Data([3, said @ ..])) => return Err(GitFormatError::said(said)),
            Some(Packet::Data(_)) => return Err(GitFormatError::new("a packet of the pack is on no band")),
            Some(Packet::Flush | Packet::Delimiter) => return Ok(pack),
            None => return Err(GitFormatError::new("the server's answer ends before its pack does")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "0123456789abcdef0123456789abcdef01234567";

    fn lines(lines: &[&str], end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        lines.iter().for_each(|line| push_line(&mut bytes, line));
        bytes.extend_from_slice(end);
        bytes
    }

    #[test]
    fn a_server_says_what_it_can() {
        let good = ["version 2", "agent=git/2", "ls-refs=unborn", "fetch=shallow wait-for-done", "object-format=sha1"];
        let told = |bytes: &[u8]| read_capabilities(bytes).map_err(|error| error.to_string());
        assert_eq!(told(&lines(&good, FLUSH)), Ok(()));
        let older = [lines(&["# service=git-upload-pack"], FLUSH), lines(&good, FLUSH)].concat();
        assert_eq!(told(&older), Ok(()));
        for (bytes, expected) in [
            (lines(&["version 1", "x"], FLUSH), "does not speak version 2"),
            (lines(&["version 2", "ls-refs", "fetch"], FLUSH), "no `fetch` with `shallow`"),
            (lines(&["version 2", "object-format=sha256"], FLUSH), "are named by `sha256`"),
            (b"<html>".to_vec(), "it is no message of git's protocol"),
            (b"0005".to_vec(), "ends inside a packet"),
            (lines(&["ERR go\u{1b} away"], FLUSH), "the server says `go\\u{1b} away`"),
        ] {
            let error = told(&bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn references_are_read_with_the_commit_that_an_annotated_tag_is_of() {
        let other = NAME.replace('0', "f");
        let list =
            [format!("{NAME} refs/tags/a"), format!("{NAME} refs/tags/b peeled:{other}"), "unborn HEAD".to_owned()];
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let found = read_references(&lines(&list, FLUSH)).unwrap();
        let shown: Vec<String> = found.iter().map(|found| format!("{} {}", found.name, found.commit)).collect();
        assert_eq!(shown, [format!("refs/tags/a {NAME}"), format!("refs/tags/b {other}")]);
        for bad in ["0123 refs/tags/a", NAME, &format!("{NAME} refs/a peeled:0")] {
            assert!(read_references(&lines(&[bad], FLUSH)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pack_is_taken_out_of_its_bands() {
        let band = |number: u8, text: &str| {
            let mut packet = format!("{:04x}", text.len() + 5).into_bytes();
            packet.push(number);
            packet.extend_from_slice(text.as_bytes());
            packet
        };
        let shallow = lines(&["shallow-info", &format!("shallow {NAME}")], DELIMITER);
        let head = [shallow, lines(&["packfile"], b"")].concat();
        let good = [head.clone(), band(1, "PA"), band(2, "counting"), band(1, "CK"), FLUSH.to_vec()].concat();
        assert_eq!(read_pack_of(&good).unwrap(), b"PACK");
        for end in 0..good.len() - 1 {
            assert!(read_pack_of(&good[..end]).is_err(), "{end}");
        }
        let failed = [head, band(3, "out of\nmemory"), FLUSH.to_vec()].concat();
        assert_eq!(read_pack_of(&failed).unwrap_err().to_string(), "the server says `out of\\nmemory`");
    }
}
