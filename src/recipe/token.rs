//! Words of a KDL text, and what KDL swallows or says badly about them.
//!
//! The `kdl` crate decides what the text means (`parse`). This pass before it finds the mistakes for which that
//! parser has no good words, bounds the nesting that it recurses on, and cuts the text into top-level nodes.

use super::{
    Code, Diagnostic, FileId, Span,
    word::{TopWord, Word as _},
};

/// Blocks inside each other at most. Recipes need five.
const MAX_DEPTH: usize = 16;
/// Blocks behind `/-` inside each other at most: the parser takes twice as long for each one more.
const MAX_IGNORED: usize = 2;

/// Mistakes in one file at most; somebody who has made so many has given us something else than recipes.
const MAX_PROBLEMS: usize = 100;

/// One word of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A bare identifier or number.
    Word,
    /// `"…"` on one line; without a backslash in it.
    Plain,
    /// `#"…"#` on one line: so many `#` on either side.
    Raw(usize),
    /// Any other string: escapes, several lines.
    Fancy,
    /// `#true`, `#inf`
    Keyword,
    /// `{`
    Open,
    /// `}`
    Close,
    /// `=`
    Equals,
    /// The end of a line.
    End,
    /// `;`
    Semicolon,
    /// `/-`
    Slashdash,
    /// `\` at the end of a line: the node goes on.
    Backslash,
    /// Anything else: `(`, `)`, `[`.
    Other,
    /// What has a problem of its own.
    Broken,
}

/// What the pass found.
pub(super) struct Scan {
    pub(super) tokens: Vec<Token>,
    pub(super) problems: Vec<Diagnostic>,
    /// Whether every `{` has its `}`, so that the words fall apart into top-level nodes.
    pub(super) balance: Balance,
}

/// Whether blocks that begin also end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Balance {
    Even,
    Uneven,
}

/// Cuts `text` into words. Linear in time and memory, without recursion.
pub(super) fn scan(file: FileId, text: &str) -> Scan {
    let mut scanner = Scanner {
        file,
        text,
        at: 0,
        line: Line { start: 0, indent: None },
        tokens: Vec::new(),
        problems: Vec::new(),
        blocks: Vec::new(),
        askew: None,
    };
    if text.starts_with('\u{feff}') {
        scanner.at = '\u{feff}'.len_utf8();
    }
    while scanner.at < text.len() && scanner.problems.len() < MAX_PROBLEMS {
        scanner.step();
    }
    scanner.finish()
}

struct Scanner<'t> {
    file: FileId,
    text: &'t str,
    at: usize,
    line: Line,
    tokens: Vec<Token>,
    problems: Vec<Diagnostic>,
    blocks: Vec<OpenBlock>,
    /// The first block whose `}` is indented in another way than the line of its `{`.
    askew: Option<usize>,
}

/// The line that is being read.
struct Line {
    start: usize,
    /// How far its first word is indented, in bytes; `None` before it.
    indent: Option<usize>,
}

/// An open block.
struct OpenBlock {
    /// Where its `{` is.
    start: usize,
    /// How far the line of its `{` is indented.
    indent: Option<usize>,
    /// Whether a line after it begins like a new recipe.
    suspect: bool,
    /// Whether it is behind `/-`.
    ignored: bool,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        if kind != TokenKind::End {
            self.line.indent.get_or_insert(self.at - self.line.start);
        }
        self.tokens.push(Token { kind, start: self.at, end: self.at + length });
        self.at += length;
    }

    fn problem(&mut self, code: Code, start: usize, end: usize, message: impl Into<String>) -> &mut Diagnostic {
        let at = self.problems.len();
        self.problems.push(Diagnostic::error(code, Span::new(self.file, start, end), message));
        // Pushed one line above, so indexing cannot fail.
        &mut self.problems[at]
    }

    fn step(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        match first {
            '\n' | '\r' | '\u{85}' | '\u{b}' | '\u{c}' | '\u{2028}' | '\u{2029}' => {
                let length = if rest.starts_with("\r\n") { 2 } else { first.len_utf8() };
                self.push(TokenKind::End, length);
                self.line = Line { start: self.at, indent: None };
            }
            ';' => self.push(TokenKind::Semicolon, 1),
            _ if first.is_whitespace() || first == '\u{feff}' => self.at += first.len_utf8(),
            '{' => self.open(),
            '}' => self.close(),
            '=' => self.push(TokenKind::Equals, 1),
            '"' => self.string(0),
            '#' => self.hash(),
            '/' if rest.starts_with("//") => self.at += line_length(rest),
            '/' if rest.starts_with("/*") => self.comment(),
            '/' if rest.starts_with("/-") => self.push(TokenKind::Slashdash, 2),
            '/' => self.path(self.at),
            '\\' => self.push(TokenKind::Backslash, 1),
            '(' | ')' | '[' | ']' => self.push(TokenKind::Other, 1),
            _ => self.word(),
        }
    }

    fn open(&mut self) {
        if self.blocks.len() == MAX_DEPTH {
            let at = self.at;
            self.problem(Code::TooDeep, at, at + 1, format!("blocks are more than {MAX_DEPTH} deep"));
            // What follows is not understood any more: the rest of the file is left alone.
            self.blocks.clear();
            self.at = self.text.len();
            return;
        }
        let ignored = self.node_is_ignored();
        self.blocks.push(OpenBlock { start: self.at, indent: self.line.indent, suspect: false, ignored });
        if self.blocks.iter().filter(|block| block.ignored).count() > MAX_IGNORED {
            let at = self.at;
            self.problem(Code::TooDeep, at, at + 1, "blocks behind `/-` lie inside each other more than twice");
        }
        self.push(TokenKind::Open, 1);
    }

    /// Whether the node that is being read has a `/-` in or before it.
    fn node_is_ignored(&self) -> bool {
        let mut tokens = self.tokens.iter().rev().peekable();
        while let Some(token) = tokens.next() {
            match token.kind {
                TokenKind::Slashdash => return true,
                TokenKind::End if tokens.peek().is_some_and(|before| before.kind == TokenKind::End) => {}
                TokenKind::End => return tokens.peek().is_some_and(|before| before.kind == TokenKind::Slashdash),
                TokenKind::Open | TokenKind::Close | TokenKind::Semicolon => return false,
                _ => {}
            }
        }
        false
    }

    fn close(&mut self) {
        let Some(block) = self.blocks.pop() else {
            let at = self.at;
            self.problem(Code::StrayBrace, at, at + 1, "this `}` closes nothing");
            self.at += 1;
            return;
        };
        let indent = self.at - self.line.start;
        if self.askew.is_none() && self.line.indent.is_none() && block.indent != Some(indent) {
            self.askew = Some(block.start);
        }
        let (braced, inner) = match self.tokens.as_slice() {
            [.., before, open, word] if open.kind == TokenKind::Open && before.kind == TokenKind::Word => {
                (open.start, self.text.get(word.start..word.end).unwrap_or(""))
            }
            _ => (0, ""),
        };
        self.push(TokenKind::Close, 1);
        if matches!(inner, "version" | "arch" | "platform") {
            let (end, help) = (self.at, format!("write it in quotes: `\"{{{inner}}}\"`"));
            let message = format!("`{{{inner}}}` without quotes is a block, not a value to fill in");
            self.problem(Code::UnquotedBraces, braced, end, message).help = Some(help);
        }
    }

    /// A word: up to the next white space or character that cannot be in one.
    fn word(&mut self) {
        let rest = self.rest();
        let length = rest.find(ends_word).unwrap_or(rest.len());
        let (word, start) = (&rest[..length], self.at);
        let after = &rest[length..];
        if after.starts_with('/') {
            return self.path(start);
        }
        if word == "r" && (after.starts_with('"') || after.starts_with("#\"")) {
            self.at += 1;
            self.problem(Code::OldRawString, start, start + 1, "raw strings have no `r` in KDL 2").help =
                Some("write `#\"…\"#`".to_owned());
            return;
        }
        let column_0 = start == 0 || self.text.as_bytes().get(start - 1) == Some(&b'\n');
        if column_0
            && TopWord::of(word).is_some()
            && self.blocks.iter().all(|block| !block.suspect)
            && let Some(block) = self.blocks.last_mut()
        {
            block.suspect = true;
        }
        self.push(TokenKind::Word, length);
        self.check_word(word, after, start);
    }

    fn check_word(&mut self, word: &str, after: &str, start: usize) {
        let end = start + word.len();
        let digits = word.trim_start_matches(['+', '-']);
        if matches!(word, "true" | "false" | "null" | "inf" | "-inf" | "nan") {
            let message = format!("`{word}` without `#` means nothing in KDL 2");
            self.problem(Code::BareBoolean, start, end, message).help = Some(format!("write `#{word}`"));
        } else if word.ends_with('!') && after.starts_with('=') {
            let key = word.trim_end_matches('!');
            self.problem(Code::NotEquals, start, end + 1, "there is no `!=`").help =
                Some(format!("write `{key}=\"!…\"`"));
        } else if digits.starts_with(|c: char| c.is_ascii_digit()) {
            if !is_number(digits) {
                let message = format!("`{word}` is neither a number nor a quoted text");
                self.problem(Code::UnquotedValue, start, end, message).help = Some(format!("write `\"{word}\"`"));
            } else if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
                let number = match digits.trim_start_matches('0') {
                    "" => "0",
                    number => number,
                };
                let message = format!("`{word}` is read as {number}, not as an octal number");
                self.problem(Code::LeadingZero, start, end, message).help = Some(format!("write `0o{number}`"));
            }
        } else if word.contains(['*', '?']) {
            let message = format!("`{word}` is a glob without quotes");
            self.problem(Code::UnquotedPath, start, end, message).help = Some(format!("write `\"{word}\"`"));
        }
    }

    /// A path without quotes, which KDL would cut at its `/`, or take for a comment from its `/*` or `//` on.
    fn path(&mut self, start: usize) {
        let rest = self.text.get(start..).unwrap_or("");
        let length = rest.find(|c: char| c.is_whitespace() || matches!(c, ';' | '"')).unwrap_or(rest.len());
        let path = &rest[..length];
        self.problem(Code::UnquotedPath, start, start + length, format!("`{path}` has a `/` and no quotes")).help =
            Some(format!("write `\"{path}\"`"));
        self.tokens.push(Token { kind: TokenKind::Broken, start, end: start + length });
        self.at = start + length;
    }

    fn comment(&mut self) {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut depth = 0usize;
        while let Some(pair) = bytes.get(self.at..self.at + 2) {
            match pair {
                b"/*" => depth += 1,
                b"*/" => depth -= 1,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return;
            }
            if depth > MAX_DEPTH {
                break;
            }
        }
        self.at = bytes.len();
        self.problem(Code::UnterminatedComment, start, start + 2, "this comment does not end").help =
            Some("write `*/` where it ends".to_owned());
    }

    fn hash(&mut self) {
        let rest = self.rest();
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if rest[hashes..].starts_with('"') {
            return self.string(hashes);
        }
        let length = rest[hashes..].find(ends_word).unwrap_or(rest.len() - hashes);
        self.push(TokenKind::Keyword, hashes + length);
    }

    /// A string whose quote stands behind so many `#`.
    fn string(&mut self, hashes: usize) {
        let start = self.at;
        let body = self.text.get(start + hashes..).unwrap_or("");
        let quote = if body.starts_with("\"\"\"") { "\"\"\"" } else { "\"" };
        let close = format!("{quote}{}", "#".repeat(hashes));
        let inside = &body[quote.len()..];
        let length = end_of_string(inside, &close, hashes == 0, quote.len() == 1);
        let Some(length) = length else {
            let line = line_length(body);
            self.problem(Code::UnterminatedString, start, start + hashes + quote.len(), "this string does not end")
                .help = Some(format!("write `{close}` where it ends"));
            let skip = if quote.len() == 1 { hashes + line } else { self.text.len() - start };
            self.tokens.push(Token { kind: TokenKind::Broken, start, end: start + skip });
            self.at = start + skip;
            return;
        };
        let value = &inside[..length];
        if hashes == 0 {
            self.check_escapes(value, start + quote.len());
        }
        let kind = match (quote.len(), hashes) {
            (1, 0) if !value.contains('\\') => TokenKind::Plain,
            (1, hashes) if hashes > 0 => TokenKind::Raw(hashes),
            _ => TokenKind::Fancy,
        };
        self.push(kind, hashes + quote.len() + length + close.len());
    }

    fn check_escapes(&mut self, value: &str, start: usize) {
        let mut characters = value.char_indices();
        while let Some((at, character)) = characters.next() {
            if character != '\\' {
                continue;
            }
            let Some((_, escaped)) = characters.next() else { continue };
            if !matches!(escaped, '\\' | '"' | 'b' | 'f' | 'n' | 'r' | 't' | 's' | 'u') && !escaped.is_whitespace() {
                let end = start + at + 1 + escaped.len_utf8();
                let message = format!("`\\{escaped}` means nothing in a KDL string");
                self.problem(Code::UnknownEscape, start + at, end, message).help =
                    Some("a string that keeps its backslashes is written `#\"…\"#`".to_owned());
            }
        }
    }

    fn finish(mut self) -> Scan {
        // A string or comment without an end swallows the braces behind it.
        let swallowed = [Code::UnterminatedString, Code::UnterminatedComment];
        let is_swallowed = self.problems.iter().any(|problem| swallowed.contains(&problem.code));
        let suspect = self.blocks.iter().find(|block| block.suspect).or(self.blocks.last()).map(|block| block.start);
        if let Some(start) = suspect.map(|start| self.askew.unwrap_or(start)).filter(|_| !is_swallowed) {
            self.problem(Code::UnclosedBlock, start, start + 1, "this block does not end").help =
                Some("write `}` where it ends".to_owned());
        }
        let uneven = [Code::StrayBrace, Code::UnclosedBlock, Code::TooDeep, Code::UnterminatedComment];
        let is_uneven = !self.blocks.is_empty()
            || self.problems.len() >= MAX_PROBLEMS
            || self.problems.iter().any(|problem| uneven.contains(&problem.code));
        let balance = if is_uneven { Balance::Uneven } else { Balance::Even };
        Scan { tokens: self.tokens, problems: self.problems, balance }
    }
}

fn line_length(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn ends_word(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '"' | '{' | '}' | '(' | ')' | '[' | ']' | ';' | '=' | '/' | '\\' | '#' | '\u{feff}')
}

/// How long a string is, without its quotes; `None` when it does not end.
fn end_of_string(inside: &str, close: &str, escapes: bool, one_line: bool) -> Option<usize> {
    let bytes = inside.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\n' if one_line => return None,
            b'\\' if escapes => {
                // A backslash before white space joins lines, also in a string of one line.
                at += 1;
                let white = inside.get(at..).map_or(0, |rest| rest.len() - rest.trim_start().len());
                at += white.max(1);
                continue;
            }
            b'"' if bytes[at..].starts_with(close.as_bytes()) => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether a word that begins with a digit is a number of KDL 2.
fn is_number(digits: &str) -> bool {
    let all = |text: &str, fits: fn(u8) -> bool| {
        text.bytes().next().is_some_and(fits) && text.bytes().all(|byte| fits(byte) || byte == b'_')
    };
    for (prefix, fits) in [
        ("0x", (|b: u8| b.is_ascii_hexdigit()) as fn(u8) -> bool),
        ("0o", |b: u8| matches!(b, b'0'..=b'7')),
        ("0b", |b: u8| matches!(b, b'0' | b'1')),
    ] {
        if let Some(rest) = digits.strip_prefix(prefix) {
            return all(rest, fits);
        }
    }
    let decimal = |text: &str| all(text, |b: u8| b.is_ascii_digit());
    let (mantissa, exponent) = digits.split_once(['e', 'E']).map_or((digits, None), |(m, e)| (m, Some(e)));
    let whole = match mantissa.split_once('.') {
        Some((integer, fraction)) => decimal(integer) && decimal(fraction),
        None => decimal(mantissa),
    };
    whole && exponent.is_none_or(|exponent| decimal(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}
