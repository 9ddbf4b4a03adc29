//! Lines of the lock: the small part of KDL 2 that it is written in.
//!
//! A line is a node: a word, then quoted strings or whole numbers, then `key="value"`, `key=12` or `key=#true`; a
//! line that ends in `{` has the lines up to `}` as children, which have none. Comments are whole lines.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

/// The most bytes of a lock.
const MAX_BYTES: usize = 64 << 20;
/// The most words of a line.
const MAX_WORDS: usize = 64;

/// A line, read piece by piece; what is left over at the end is an error.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) line: usize,
    pub(super) name: &'a str,
    words: std::collections::VecDeque<Cow<'a, str>>,
    properties: BTreeMap<&'a str, Cow<'a, str>>,
    children: Vec<Node<'a>>,
}

/// Reads all lines of a lock.
pub(super) fn nodes(text: &str) -> Result<Vec<Node<'_>>, ParseLockError> {
    if text.len() > MAX_BYTES {
        return Err(ParseLockError { line: 1, reason: format!("a lock has at most {MAX_BYTES} bytes") });
    }
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let mut open: Option<Node<'_>> = None;
    let mut lines = 0;
    for (index, content) in text.lines().enumerate() {
        let line = index + 1;
        lines = line;
        let content = content.trim();
        if content.is_empty() || content.starts_with("//") {
            continue;
        }
        if content == "}" {
            let node = open.take().ok_or_else(|| ParseLockError { line, reason: "`}` closes nothing".to_owned() })?;
            nodes.push(node);
            continue;
        }
        let (node, opens) = node(line, content)?;
        match (&mut open, opens) {
            (None, true) => open = Some(node),
            (None, false) => nodes.push(node),
            (Some(parent), false) => parent.children.push(node),
            (Some(_), true) => return Err(node.wrong("a block inside a block")),
        }
    }
    match open {
        Some(node) => {
            Err(ParseLockError { line: lines, reason: format!("the block of line {} is not closed", node.line) })
        }
        None => Ok(nodes),
    }
}

/// Reads one line; also whether it opens a block.
fn node(line: usize, content: &str) -> Result<(Node<'_>, bool), ParseLockError> {
    let wrong = |reason: &str| ParseLockError { line, reason: reason.to_owned() };
    if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| content.starts_with(mark)) {
        return Err(wrong("a merge is not finished here: keep the lines of both sides, then run `brc lock`"));
    }
    let end = content.find(' ').unwrap_or(content.len());
    let (name, mut rest) = content.split_at(end);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(wrong("it does not begin with a word"));
    }
    let mut node = Node { line, name, words: Default::default(), properties: BTreeMap::new(), children: Vec::new() };
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok((node, false));
        }
        if rest == "{" {
            return Ok((node, true));
        }
        if node.words.len() + node.properties.len() == MAX_WORDS {
            return Err(wrong("too many words"));
        }
        if let Some((key, after)) = property_key(rest) {
            let (value, after) =
                value(after).ok_or_else(|| wrong("a value that is neither quoted, whole number nor #true"))?;
            if node.properties.insert(key, value).is_some() {
                return Err(wrong(&format!("`{key}` twice")));
            }
            rest = after;
        } else {
            let (word, after) = value(rest).ok_or_else(|| wrong("a word that is neither quoted nor a whole number"))?;
            node.words.push_back(word);
            rest = after;
        }
    }
}

fn property_key(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_lowercase() && !letter.is_ascii_digit() && letter != '-')?;
    let (key, rest) = text.split_at(end);
    let rest = rest.strip_prefix('=')?;
    (!key.is_empty()).then_some((key, rest))
}

/// Reads a quoted string, a whole number or `#true`, which a space or the end follows.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let (value, rest) = match text.strip_prefix('"') {
        None => {
            let end = text.find(' ').unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            let number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            (number || word == "#true").then_some((Cow::Borrowed(word), rest))?
        }
        Some(text) => quoted(text)?,
    };
    (rest.is_empty() || rest.starts_with(' ')).then_some((value, rest))
}

/// Reads up to the closing quote, undoing `\"`, `\\` and `\u{…}`.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((Cow::Owned(value), &text[index + 1..])),
            '\\' => match letters.next()?.1 {
                escaped @ ('"' | '\\') => value.push(escaped),
                'u' => {
                    let (start, _) = letters.next().filter(|(_, letter)| *letter == '{')?;
                    let digits = text[start + 1..].split_once('}').map(|(digits, _)| digits)?;
                    let short = (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                    let code = short.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
                    value.push(char::from_u32(code)?);
                    letters.nth(digits.len())?;
                }
                _ => return None,
            },
            _ => value.push(letter),
        }
    }
    None
}

impl<'a> Node<'a> {
    /// An error at this line.
    pub(super) fn wrong(&self, reason: &str) -> ParseLockError {
        ParseLockError { line: self.line, reason: format!("`{}`: {reason}", self.name) }
    }

    /// The next word.
    pub(super) fn word(&mut self) -> Result<String, ParseLockError> {
        self.words.pop_front().map(Cow::into_owned).ok_or_else(|| self.wrong("a word is missing"))
    }

    /// All words that are left.
    pub(super) fn words(&mut self) -> Vec<String> {
        self.words.drain(..).map(Cow::into_owned).collect()
    }

    /// The next word, a whole number.
    pub(super) fn number(&mut self) -> Result<u64, ParseLockError> {
        let word = self.word()?;
        word.parse().map_err(|_| self.wrong(&format!("`{word}` is no whole number")))
    }

    /// A property that has to be there.
    pub(super) fn property(&mut self, key: &str) -> Result<String, ParseLockError> {
        self.optional(key).ok_or_else(|| self.wrong(&format!("`{key}=` is missing")))
    }

    /// A property that may be there.
    pub(super) fn optional(&mut self, key: &str) -> Option<String> {
        self.properties.remove(key).map(Cow::into_owned)
    }

    /// A property that is a whole number.
    pub(super) fn count(&mut self, key: &str) -> Result<u64, ParseLockError> {
        let text = self.property(key)?;
        text.parse().map_err(|_| self.wrong(&format!("`{key}={text}` is no whole number")))
    }

    /// A property that is `#true` or absent.
    pub(super) fn flag(&mut self, key: &str) -> Result<bool, ParseLockError> {
        match self.optional(key).as_deref() {
            None => Ok(false),
            Some("#true") => Ok(true),
            Some(_) => Err(self.wrong(&format!("`{key}` is `#true` or left out"))),
        }
    }

    /// The lines inside the block.
    pub(super) fn children(&mut self) -> Vec<Node<'a>> {
        std::mem::take(&mut self.children)
    }

    /// An error when something was there before.
    pub(super) fn only<T>(&self, before: Option<T>) -> Result<(), ParseLockError> {
        before.map_or(Ok(()), |_| Err(self.wrong("it stands here a second time")))
    }

    /// An error when something of the line was not read.
    pub(super) fn end(&self) -> Result<(), ParseLockError> {
        if let Some(word) = self.words.front() {
            return Err(self.wrong(&format!("`{word}` is one word too many")));
        }
        if let Some(key) = self.properties.keys().next() {
            return Err(self.wrong(&format!("`{key}` is not known here")));
        }
        match self.children.first() {
            Some(child) => Err(child.wrong("it has no place here")),
            None => Ok(()),
        }
    }
}

/// Writes lines.
pub(super) struct Writer {
    text: String,
    indent: &'static str,
}

/// A line that is being written.
pub(super) struct Line<'w> {
    writer: &'w mut Writer,
}

impl Writer {
    /// Starts a text with a comment.
    pub(super) fn new(comment: &str) -> Self {
        Self { text: format!("{comment}\n"), indent: "" }
    }

    /// Begins a line.
    pub(super) fn node(&mut self, name: &str) -> Line<'_> {
        self.text.push_str(self.indent);
        self.text.push_str(name);
        Line { writer: self }
    }

    /// Leaves one empty line, never two.
    pub(super) fn gap(&mut self) {
        if !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Ends a block.
    pub(super) fn close(&mut self) {
        self.indent = "";
        self.text.push_str("}\n");
    }

    /// Gives the text, with one line feed at its end.
    pub(super) fn finish(mut self) -> String {
        let end = self.text.trim_end().len();
        self.text.truncate(end);
        self.text.push('\n');
        self.text
    }
}

impl Line<'_> {
    /// Adds a quoted word.
    pub(super) fn word(self, word: &str) -> Self {
        self.writer.text.push(' ');
        quote(&mut self.writer.text, word);
        self
    }

    /// Adds a whole number.
    pub(super) fn number(self, number: u64) -> Self {
        self.writer.text.push_str(&format!(" {number}"));
        self
    }

    /// Adds a property.
    pub(super) fn property(self, key: &str, value: &str) -> Self {
        self.writer.text.push_str(&format!(" {key}="));
        quote(&mut self.writer.text, value);
        self
    }

    /// Adds a property that is a whole number.
    pub(super) fn count(self, key: &str, number: u64) -> Self {
        self.writer.text.push_str(&format!(" {key}={number}"));
        self
    }

    /// Adds a property when it is true.
    pub(super) fn flag(self, key: &str, on: bool) -> Self {
        if on {
            self.writer.text.push_str(&format!(" {key}=#true"));
        }
        self
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.writer.text.push('\n');
    }

    /// Ends the line and opens its block.
    pub(super) fn open(self) {
        self.writer.text.push_str(" {\n");
        self.writer.indent = "    ";
    }
}

/// Quotes as KDL 2 does; whatever is not printable ASCII is written as its number, so that nothing hides.
fn quote(text: &mut String, value: &str) {
    text.push('"');
    for letter in value.chars() {
        match letter {
            '"' | '\\' => {
                text.push('\\');
                text.push(letter);
            }
            ' '..='~' => text.push(letter),
            // Writing to a `String` does not fail.
            _ => drop(write!(text, "\\u{{{:x}}}", u32::from(letter))),
        }
    }
    text.push('"');
}

/// A text is not a lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the lock cannot be read: {reason}")]
pub struct ParseLockError {
    /// The line, from 1.
    pub line: usize,
    /// What was expected and found.
    pub reason: String,
}
