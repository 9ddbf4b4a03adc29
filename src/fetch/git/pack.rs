//! A pack (gitformat-pack) from a stranger: every object of it whole, under the name that its bytes have.
//!
//! Nothing is believed: each length is held against what is left before memory is taken for it, deltas may only name
//! bytes that are there, and an object's name is computed and never read.

use std::{
    collections::BTreeMap,
    io::Read as _,
    sync::atomic::{AtomicBool, Ordering},
};

use flate2::bufread::ZlibDecoder;

use super::{GitFormatError, ObjectName};

/// The bytes of a pack's header: `PACK`, version, count.
const HEADER_BYTES: usize = 12;
/// The version that servers send.
const VERSION: u32 = 2;

/// What a repository may not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GitLimits {
    /// Bytes of the pack as it comes.
    pub pack_bytes: u64,
    /// Objects in it.
    pub objects: u32,
    /// Bytes of all objects and deltas when they are unpacked.
    pub bytes: u64,
    /// Files, links and folders of its tree.
    pub entries: u64,
}

impl Default for GitLimits {
    /// A recipe set is text; ours has 9 MB in 1,200 files.
    fn default() -> Self {
        GitLimits { pack_bytes: 128 << 20, objects: 100_000, bytes: 256 << 20, entries: 50_000 }
    }
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        }
    }
}

/// The objects of a pack.
#[derive(Debug, Default)]
pub(super) struct Objects(BTreeMap<ObjectName, (Kind, Vec<u8>)>);

impl Objects {
    /// The bytes of an object that must be of this kind.
    pub(super) fn get(&self, name: ObjectName, wanted: Kind) -> Result<&[u8], GitFormatError> {
        let wanted_name = wanted.name();
        match self.0.get(&name) {
            Some((kind, bytes)) if *kind == wanted => Ok(bytes),
            Some((kind, _)) => {
                let reason = format!("`{name}` is a {}, expected a {wanted_name}", kind.name());
                Err(GitFormatError::new(reason))
            }
            None => Err(GitFormatError::new(format!("the {wanted_name} `{name}` is not in the pack"))),
        }
    }
}

/// Reads a pack.
pub(super) fn read_pack(pack: &[u8], limits: &GitLimits, cancelled: &AtomicBool) -> Result<Objects, GitFormatError> {
    let short = || GitFormatError::new("the pack ends too early");
    let body = pack.len().checked_sub(ObjectName::BYTES).ok_or_else(short)?;
    let (pack, sum) = pack.split_at(body);
    if ObjectName::from_slice(sum) != Some(ObjectName::of_bytes(pack)?) {
        return Err(GitFormatError::new("the pack's checksum is not that of its bytes"));
    }
    let (header, rest) = pack.split_at_checked(HEADER_BYTES).ok_or_else(short)?;
    let number = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let (version, count) = (number(4), number(8).unwrap_or_default());
    if !header.starts_with(b"PACK") || version != Some(VERSION) {
        return Err(GitFormatError::new(format!("it is no pack of version {VERSION}")));
    }
    if count > limits.objects {
        return Err(GitFormatError::new(format!("it has {count} objects, more than {}", limits.objects)));
    }
    let mut unpacking = Unpacking {
        rest,
        left: limits.bytes,
        limit: limits.bytes,
        objects: Objects::default(),
        waiting: BTreeMap::new(),
    };
    for _ in 0..count {
        if cancelled.load(Ordering::Relaxed) {
            return Err(GitFormatError::Cancelled);
        }
        unpacking.entry()?;
    }
    unpacking.finish()
}

/// A pack that is being read.
struct Unpacking<'p> {
    rest: &'p [u8],
    /// How many bytes may still come out of it.
    left: u64,
    limit: u64,
    objects: Objects,
    /// Deltas whose base has not come yet, by its name.
    waiting: BTreeMap<ObjectName, Vec<Vec<u8>>>,
}

impl Unpacking<'_> {
    /// Reads the next entry.
    fn entry(&mut self) -> Result<(), GitFormatError> {
        let (kind, size) = self.entry_header()?;
        let kind = match kind {
            1 => Kind::Commit,
            2 => Kind::Tree,
            3 => Kind::Blob,
            4 => Kind::Tag,
            7 => {
                let short = || GitFormatError::new("the pack ends too early");
                let (base, rest) = self.rest.split_at_checked(ObjectName::BYTES).ok_or_else(short)?;
                self.rest = rest;
                let base = ObjectName::from_slice(base).ok_or_else(short)?;
                let delta = self.inflate(size)?;
                let Some((kind, bytes)) = self.objects.0.get(&base) else {
                    self.waiting.entry(base).or_default().push(delta);
                    return Ok(());
                };
                let (kind, bytes) = (*kind, apply(bytes, &delta, &mut self.left, self.limit)?);
                return self.add(kind, bytes);
            }
            6 => {
                return Err(GitFormatError::new("a delta has its base by place (`ofs-delta`), which nobody asked for"));
            }
            other => return Err(GitFormatError::new(format!("{other} is no kind of object"))),
        };
        let bytes = self.inflate(size)?;
        self.add(kind, bytes)
    }

    /// The kind of the next entry and the size of its bytes.
    fn entry_header(&mut self) -> Result<(u8, u64), GitFormatError> {
        let first = self.byte()?;
        let (mut size, mut shift, mut more) = (u64::from(first & 0x0f), 4, first & 0x80 != 0);
        while more {
            let byte = self.byte()?;
            // Larger than any limit, so that nothing is shifted out.
            if shift > 53 {
                return Err(too_many(self.limit));
            }
            size |= u64::from(byte & 0x7f) << shift;
            (shift, more) = (shift + 7, byte & 0x80 != 0);
        }
        Ok(((first >> 4) & 7, size))
    }

    fn byte(&mut self) -> Result<u8, GitFormatError> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| GitFormatError::new("the pack ends too early"))?;
        self.rest = rest;
        Ok(*first)
    }

    /// Decompresses what comes next, which has to be of this size.
    fn inflate(&mut self, size: u64) -> Result<Vec<u8>, GitFormatError> {
        take(&mut self.left, size, self.limit)?;
        let mut bytes = Vec::new();
        let mut decoder = ZlibDecoder::new(self.rest);
        let read = decoder.by_ref().take(size + 1).read_to_end(&mut bytes);
        read.map_err(|error| GitFormatError::new(format!("an object cannot be decompressed: {error}")))?;
        if bytes.len() as u64 != size {
            return Err(GitFormatError::new(format!("an object has not the {size} bytes that the pack states")));
        }
        let used = usize::try_from(decoder.total_in()).unwrap_or(usize::MAX);
        self.rest = self.rest.get(used..).unwrap_or_default();
        Ok(bytes)
    }

    /// Takes an object, and all that were waiting for it.
    fn add(&mut self, kind: Kind, bytes: Vec<u8>) -> Result<(), GitFormatError> {
        let mut new = vec![bytes];
        while let Some(bytes) = new.pop() {
            let name = ObjectName::of(kind.name(), &bytes)?;
            for delta in self.waiting.remove(&name).unwrap_or_default() {
                new.push(apply(&bytes, &delta, &mut self.left, self.limit)?);
            }
            self.objects.0.insert(name, (kind, bytes));
        }
        Ok(())
    }

    fn finish(self) -> Result<Objects, GitFormatError> {
        if !self.rest.is_empty() {
            return Err(GitFormatError::new("the pack goes on after its last object"));
        }
        match self.waiting.keys().next() {
            Some(base) => Err(GitFormatError::new(format!("a delta changes `{base}`, which is not in the pack"))),
            None => Ok(self.objects),
        }
    }
}

fn take(left: &mut u64, size: u64, limit: u64) -> Result<(), GitFormatError> {
    *left = left.checked_sub(size).ok_or_else(|| too_many(limit))?;
    Ok(())
}

fn too_many(limit: u64) -> GitFormatError {
    GitFormatError::new(format!("it has more than {limit} bytes when it is unpacked"))
}

/// What a delta makes of its base.
fn apply(base: &[u8], delta: &[u8], left: &mut u64, limit: u64) -> Result<Vec<u8>, GitFormatError> {
    let wrong = |what: &str| GitFormatError::new(format!("a delta {what}"));
    let mut delta = delta.iter().copied();
    let mut size = || {
        let (mut size, mut shift) = (0_u64, 0);
        loop {
            let byte = delta.next().ok_or_else(|| wrong("ends too early"))?;
            if shift > 56 {
                return Err(too_many(limit));
            }
            size |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return Ok(size);
            }
        }
    };
    if size()? != base.len() as u64 {
        return Err(wrong("is for a base of another size"));
    }
    let size = size()?;
    take(left, size, limit)?;
    let mut made = Vec::new();
    while let Some(order) = delta.next() {
        let mut number = |bits: u8, count: u8| {
            let mut given = (0..count).filter(|bit| bits & (1 << bit) != 0);
            given.try_fold(0_usize, |number, bit| Some(number | usize::from(delta.next()?) << (8 * bit)))
        };
        let before = made.len();
        if order & 0x80 != 0 {
            let (offset, length) = (number(order, 4), number(order >> 4, 3));
            let (Some(offset), Some(length)) = (offset, length) else { return Err(wrong("ends too early")) };
            let length = if length == 0 { 0x10000 } else { length };
            let range = base.get(offset..offset.saturating_add(length));
            made.extend_from_slice(range.ok_or_else(|| wrong("takes bytes that its base does not have"))?);
        } else if order != 0 {
            made.extend(delta.by_ref().take(usize::from(order)));
            if made.len() - before != usize::from(order) {
                return Err(wrong("ends too early"));
            }
        } else {
            return Err(wrong("has an order that there is not"));
        }
        if made.len() as u64 > size {
            return Err(wrong("makes more than it states"));
        }
    }
    if made.len() as u64 == size { Ok(made) } else { Err(wrong("makes less than it states")) }
}
