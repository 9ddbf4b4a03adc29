//! Keys: the digest of everything that an action's performer can see; and the same as facts, for people.

use std::{collections::BTreeMap, fmt};

use super::walk::{See, Value};
use crate::content::{Digest, RelPath};

/// The version of the key's format; a change makes every action run again.
const FORMAT: u64 = 3;

/// Names a resolved action.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Digest);

impl Key {
    /// The key as a digest, for file names.
    pub fn digest(&self) -> Digest {
        self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.short())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an action's key was made from, under a name that people understand: ``input `source` ``,
/// ``variable `CC` ``. What is stated many times under one name is one text of many lines.
pub type Facts = BTreeMap<String, Fact>;

/// The value of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A tree that the action takes.
    Tree(Digest),
    /// Anything else.
    Text(String),
}

/// Named fields one after the other, each with its length, so that no two actions share their bytes.
pub(super) struct Fields {
    bytes: Vec<u8>,
    /// The same for people, when somebody asks.
    facts: Option<Facts>,
    /// What the next fields are about, and whether one was there already.
    topic: Option<(String, bool)>,
}

impl Fields {
    /// The first fields of an action of this kind: what the key is, and what it is of. They are told as `facts` where
    /// there are some.
    pub(super) fn of((kind, version): (&str, u64), facts: Option<Facts>) -> Self {
        let mut fields = Fields { bytes: Vec::with_capacity(1024), facts, topic: None };
        fields.number("format", FORMAT);
        fields.text("action", kind);
        fields.number("kind version", version);
        fields
    }

    pub(super) fn key(&self) -> Key {
        Key(Digest::of(&self.bytes))
    }

    pub(super) fn into_facts(self) -> Facts {
        self.facts.unwrap_or_default()
    }

    fn raw(&mut self, name: &'static str, value: &[u8]) {
        self.bytes.push(name.len() as u8);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend((value.len() as u64).to_le_bytes());
        self.bytes.extend(value);
    }

    fn fact(&mut self, field: &str, value: impl FnOnce() -> Fact) {
        let Some(facts) = &mut self.facts else { return };
        let name = match &mut self.topic {
            None => field.to_owned(),
            Some((topic, begun)) if *begun => format!("{topic}, {field}"),
            Some((topic, begun)) => {
                *begun = true;
                topic.clone()
            }
        };
        let mut value = value();
        let mut free = name.clone();
        let mut number = 1;
        while let Some(known) = facts.get_mut(&free) {
            if let (Fact::Text(known), Fact::Text(more)) = (known, &mut value) {
                known.push('\n');
                known.push_str(more);
                return;
            }
            number += 1;
            free = format!("{name} ({number})");
        }
        facts.insert(free, value);
    }

    fn bytes(&mut self, name: &'static str, value: &[u8]) {
        self.raw(name, value);
        self.fact(name, || Fact::Text(value.iter().map(|byte| format!("{byte:02x}")).collect()));
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.raw(name, value.as_bytes());
        self.fact(name, || Fact::Text(value.to_owned()));
    }

    fn number(&mut self, name: &'static str, value: u64) {
        self.raw(name, &value.to_le_bytes());
        self.fact(name, || Fact::Text(value.to_string()));
    }

    fn digest(&mut self, name: &'static str, value: &Digest) {
        self.raw(name, value.as_bytes());
        self.fact(name, || Fact::Tree(*value));
    }
}

impl See<Digest> for Fields {
    fn field(&mut self, name: &'static str, value: Value<'_, Digest>) {
        match value {
            Value::Tree(digest) | Value::Digest(digest) => self.digest(name, digest),
            Value::Bytes(bytes) => self.bytes(name, bytes),
            Value::Text(text) => self.text(name, text),
            Value::Number(number) => self.number(name, number),
            Value::Name(text) => self.raw(name, text.as_bytes()),
        }
    }

    fn file(&mut self, name: &'static str, tree: &Digest, path: &RelPath) {
        let alone = self.topic.is_none();
        if alone {
            self.about(name, "");
        }
        self.digest(name, tree);
        self.text("file", path.as_str());
        if alone {
            self.about_all();
        }
    }

    fn about(&mut self, kind: &'static str, name: &str) {
        if self.facts.is_some() {
            let topic = if name.is_empty() { kind.to_owned() } else { format!("{kind} `{name}`") };
            self.topic = Some((topic, false));
        }
    }

    fn about_all(&mut self) {
        self.topic = None;
    }
}
