//! Snapshots by the EBS direct APIs: begun, filled block by block, closed, read.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use super::{
    blocks::{BLOCK_BYTES, Blocks},
    order::{Encryption, NO_PARENT, PARENT_TAG},
};
use crate::{
    content::{Sha256, Sha256Hasher},
    publish::aws::{Answer, Aws, AwsError, Call},
};

/// After so many minutes without a block AWS gives an upload up; the most that it waits is three days.
const TIMEOUT_MINUTES: u64 = 24 * 60;
/// How many blocks are listed at once; fewer than 100 are refused.
const PAGE: &str = "10000";

/// A snapshot that is begun.
#[derive(Debug, Clone)]
pub(super) struct Start<'a> {
    pub gib: u64,
    pub description: String,
    pub tags: Vec<(String, String)>,
    /// A snapshot whose blocks it begins with.
    pub parent: Option<&'a str>,
    /// Never beside a parent: AWS refuses both at once.
    pub encryption: Option<&'a Encryption>,
    /// Counts up when what was begun before is gone.
    pub attempt: u32,
}

/// What AWS says of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Blocks may be sent, or it is being made.
    Pending,
    /// It is whole.
    Completed,
    /// It was given up.
    Failed,
}

impl State {
    /// Reads it; what is not known is no good.
    pub fn of(text: &str) -> State {
        match text {
            "completed" => State::Completed,
            "pending" => State::Pending,
            _ => State::Failed,
        }
    }
}

/// Whether a text of a server is the name of a snapshot: names become parts of paths.
pub fn is_snapshot(text: &str) -> bool {
    let digits = text.strip_prefix("snap-").unwrap_or_default();
    (8..=64).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Start<'_> {
    /// The request; equal ones have equal tokens, so that the second is told of the first one's snapshot.
    fn body(&self) -> Value {
        let parent_tag = (PARENT_TAG.to_owned(), self.parent.unwrap_or(NO_PARENT).to_owned());
        let tags = self.tags.iter().chain([&parent_tag]);
        let tags: Vec<Value> = tags.map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        let mut body = json!({
            "VolumeSize": self.gib,
            "Description": self.description,
            "Tags": tags,
            "Timeout": TIMEOUT_MINUTES,
        });
        if let Some(parent) = self.parent {
            body["ParentSnapshotId"] = json!(parent);
        } else if let Some(encryption) = self.encryption {
            body["Encrypted"] = json!(true);
            if let Some(key) = &encryption.key {
                body["KmsKeyArn"] = json!(key);
            }
        }
        let token = Sha256::of(format!("brc {} {body}", self.attempt).as_bytes());
        body["ClientToken"] = json!(token.to_string());
        body
    }

    /// Begins it, or finds what an equal request has begun before.
    pub fn run(&self, aws: &Aws<'_>) -> Result<(String, State), AwsError> {
        let key = self.encryption.and_then(|encryption| encryption.key.as_deref());
        let key = key.map(|key| key_arn(aws, key)).transpose()?;
        let encryption = self.encryption.map(|_| Encryption { key });
        let body = Start { encryption: encryption.as_ref(), ..self.clone() }.body().to_string().into_bytes();
        let call = Call::ebs("StartSnapshot", "POST", "/snapshots".to_owned(), body).about(&self.description);
        let answer = aws.ask(aws.region(), &call)?;
        let json = answer.json()?;
        let text = |name| json.get(name).and_then(Value::as_str);
        let id =
            text("SnapshotId").filter(|id| is_snapshot(id)).ok_or_else(|| answer.nonsense("it names no snapshot"))?;
        if json.get("BlockSize").and_then(Value::as_u64).is_some_and(|size| size != BLOCK_BYTES as u64) {
            return Err(answer.nonsense("its blocks are not of 512 KiB"));
        }
        Ok((id.to_owned(), State::of(text("Status").unwrap_or("pending"))))
    }
}

/// The ARN of a key: these APIs take no alias.
fn key_arn(aws: &Aws<'_>, key: &str) -> Result<String, AwsError> {
    if key.starts_with("arn:") && key.contains(":key/") {
        return Ok(key.to_owned());
    }
    let answer = aws.ask(aws.region(), &Call::kms("DescribeKey", key, &json!({ "KeyId": key })))?;
    let arn = answer.json()?.pointer("/KeyMetadata/Arn").and_then(Value::as_str).map(str::to_owned);
    arn.ok_or_else(|| answer.nonsense("it has no ARN of the key"))
}

/// Sends a block.
pub(super) fn put(aws: &Aws<'_>, snapshot: &str, number: u32, bytes: Vec<u8>, sha256: Sha256) -> Result<(), AwsError> {
    let checksum = BASE64.encode(sha256.as_bytes());
    let call = Call::ebs("PutSnapshotBlock", "PUT", format!("/snapshots/{snapshot}/blocks/{number}"), Vec::new())
        .about(snapshot)
        .header("content-type", "application/octet-stream")
        .header("x-amz-data-length", &bytes.len().to_string())
        .header("x-amz-checksum", &checksum)
        .header("x-amz-checksum-algorithm", "SHA256")
        .unsigned_body(bytes)
        .wait_until_known();
    let answer = aws.ask(aws.region(), &call)?;
    match answer.header("x-amz-checksum") {
        Some(found) if found != checksum => Err(answer.nonsense("it has taken other bytes than were sent")),
        _ => Ok(()),
    }
}

/// Closes a snapshot to which these blocks were sent.
pub(super) fn complete(aws: &Aws<'_>, snapshot: &str, sent: &Blocks) -> Result<State, AwsError> {
    let mut call = Call::ebs("CompleteSnapshot", "POST", format!("/snapshots/completion/{snapshot}"), Vec::new())
        .about(snapshot)
        .header("x-amz-changedblockscount", &sent.len().to_string());
    if !sent.is_empty() {
        call = call
            .header("x-amz-checksum", &BASE64.encode(linear(sent).as_bytes()))
            .header("x-amz-checksum-algorithm", "SHA256")
            .header("x-amz-checksum-aggregation-method", "LINEAR");
    }
    let answer = aws.ask(aws.region(), &call.wait_until_known())?;
    let json = answer.json()?;
    Ok(State::of(json.get("Status").and_then(Value::as_str).unwrap_or("pending")))
}

/// The digest of the digests of blocks in the order of their numbers.
fn linear(sent: &Blocks) -> Sha256 {
    let mut hasher = Sha256Hasher::default();
    sent.values().for_each(|sha256| hasher.update(sha256.as_bytes()));
    hasher.finish()
}

/// The numbers of the blocks of a snapshot, each with the token that it is read by.
pub(super) fn list(aws: &Aws<'_>, snapshot: &str) -> Result<Vec<(u32, String)>, AwsError> {
    let mut found = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mut call = Call::ebs("ListSnapshotBlocks", "GET", format!("/snapshots/{snapshot}/blocks"), Vec::new())
            .about(snapshot)
            .ask("maxResults", PAGE);
        if let Some(token) = &next {
            call = call.ask("pageToken", token);
        }
        let answer = aws.ask(aws.region(), &call)?;
        let json = answer.json()?;
        let page = json.get("Blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let block = |block: &Value| {
            let number = u32::try_from(block.get("BlockIndex")?.as_u64()?).ok()?;
            Some((number, block.get("BlockToken")?.as_str()?.to_owned()))
        };
        let page: Option<Vec<_>> = page.iter().map(block).collect();
        let page = page.ok_or_else(|| answer.nonsense("a block has no number or token"))?;
        let is_empty = page.is_empty();
        found.extend(page);
        next = json.get("NextToken").and_then(Value::as_str).filter(|token| !token.is_empty()).map(str::to_owned);
        if next.is_none() || is_empty {
            return Ok(found);
        }
    }
}

/// Reads a block of a snapshot.
pub(super) fn get(aws: &Aws<'_>, snapshot: &str, number: u32, token: &str) -> Result<Vec<u8>, AwsError> {
    let call = Call::ebs("GetSnapshotBlock", "GET", format!("/snapshots/{snapshot}/blocks/{number}"), Vec::new());
    let answer: Answer = aws.ask(aws.region(), &call.about(snapshot).ask("blockToken", token))?;
    let expected = answer.header("x-amz-checksum");
    let found = BASE64.encode(Sha256::of(answer.bytes()).as_bytes());
    if answer.bytes().len() != BLOCK_BYTES || expected.is_some_and(|expected| expected != found) {
        return Err(answer.nonsense("the block is not what its checksum says"));
    }
    Ok(answer.bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_and_encryption_are_never_asked_for_at_once_and_equal_requests_have_equal_tokens() {
        let encryption = Encryption { key: Some("arn:aws:kms:x".to_owned()) };
        let start = |parent, encryption, attempt| {
            Start { gib: 2, description: "x".to_owned(), tags: Vec::new(), parent, encryption, attempt }.body()
        };
        let both = start(Some("snap-1"), Some(&encryption), 0);
        assert!(both.get("ParentSnapshotId").is_some() && both.get("Encrypted").is_none());
        let alone = start(None, Some(&encryption), 0);
        assert_eq!((&alone["Encrypted"], &alone["KmsKeyArn"]), (&json!(true), &json!("arn:aws:kms:x")));
        assert_eq!(both, start(Some("snap-1"), None, 0));
        let tokens =
            [both, alone, start(None, None, 0), start(None, None, 1)].map(|body| body["ClientToken"].to_string());
        assert_eq!(tokens.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{tokens:?}");
    }

    #[test]
    fn the_checksum_of_a_snapshot_is_that_of_its_blocks_checksums_in_order() {
        let blocks = Blocks::from([(7, Sha256::of(b"b")), (2, Sha256::of(b"a"))]);
        let joined = [*Sha256::of(b"a").as_bytes(), *Sha256::of(b"b").as_bytes()].concat();
        assert_eq!(linear(&blocks), Sha256::of(&joined));
    }

    #[test]
    fn a_name_that_would_leave_its_folder_is_no_snapshot() {
        assert!(is_snapshot("snap-0123456789abcdef0") && is_snapshot("snap-12345678"));
        for bad in ["snap-", "../../x", "snap-../../etc", "vol-12345678", "snap-1234567g", ""] {
            assert!(!is_snapshot(bad), "{bad}");
        }
    }
}
