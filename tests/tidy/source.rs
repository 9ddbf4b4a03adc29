//! Just enough of Rust's grammar to ask questions about source text: words, marks, literals and doc comments.
//!
//! Comments and the insides of literals never look like code here, so a rule cannot be fooled by a sentence.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name, keyword or lifetime.
    Word,
    /// One punctuation character.
    Mark,
    /// A string, character or number; the text is kept as it is written.
    Literal,
    /// A doc comment, `///` or `//!`.
    Doc,
}

/// One token and the line, from 1, that it starts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    pub line: usize,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, Kind::Word | Kind::Mark)
    }
}

/// A Rust file of the tree.
pub struct Source {
    /// The path below the repository, with `/`.
    pub path: String,
    /// The number of lines.
    pub lines: usize,
    /// Everything.
    pub tokens: Vec<Token>,
}

impl Source {
    pub fn read(root: &Path, path: &Path) -> Source {
        let text = fs::read_to_string(path).unwrap();
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        Source { path, lines: text.lines().count(), tokens: tokens(&text) }
    }

    /// The tokens without what is compiled for tests only; a file `tests.rs` or `…_tests.rs` is nothing else, nor is
    /// one in a folder `tests`.
    pub fn program(&self) -> Vec<Token> {
        let mut program = Vec::new();
        if self.path.ends_with("tests.rs") || self.path.contains("/tests/") {
            return program;
        }
        let mut at = 0;
        while at < self.tokens.len() {
            if starts(&self.tokens[at..], &["#", "[", "cfg", "(", "test", ")", "]"]) {
                at = end_of_item(&self.tokens, at);
            } else {
                program.push(self.tokens[at].clone());
                at += 1;
            }
        }
        program
    }

    /// The module that the file holds: `src/store/memo.rs` is `[store, memo]`.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let mut names: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if names.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
            names.pop();
        }
        names
    }
}

/// Every `.rs` file of ours below `folders`, sorted. Each is read once, however many rules ask.
pub fn rust_files(root: &Path, folders: &[&str]) -> Vec<&'static Source> {
    static ALL: OnceLock<Vec<Source>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut found = Vec::new();
        for folder in ["src", "host", "tests", "benches", "fuzz"] {
            collect(&root.join(folder), &mut found);
        }
        found.sort();
        found.iter().map(|path| Source::read(root, path)).collect()
    });
    let below = |source: &&Source| folders.iter().any(|folder| source.path.starts_with(&format!("{folder}/")));
    all.iter().filter(below).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Splits `text` into tokens.
pub fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let (kind, end) = next(bytes, at);
        let part = &text[at..end];
        if let Some(kind) = kind {
            found.push(Token { kind, text: part.to_owned(), line });
        }
        line += part.matches('\n').count();
        at = end;
    }
    found
}

/// The kind of what starts at `at`, none for spaces and comments, and where it ends.
fn next(bytes: &[u8], at: usize) -> (Option<Kind>, usize) {
    let rest = &bytes[at..];
    let word_end = at + rest.iter().take_while(|byte| is_word(**byte)).count();
    match rest {
        [b'/', b'/', ..] => {
            let end = at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let doc = (rest.starts_with(b"///") && !rest.starts_with(b"////")) || rest.starts_with(b"//!");
            (doc.then_some(Kind::Doc), end)
        }
        [b'/', b'*', ..] => (None, block_comment_end(bytes, at)),
        [b'"', ..] => (Some(Kind::Literal), string_end(bytes, at)),
        [b'\'', ..] => quote(bytes, at),
        [b'0'..=b'9', ..] => {
            let fraction =
                bytes.get(word_end) == Some(&b'.') && bytes.get(word_end + 1).is_some_and(u8::is_ascii_digit);
            let tail =
                if fraction { bytes[word_end + 1..].iter().take_while(|byte| is_word(**byte)).count() + 1 } else { 0 };
            (Some(Kind::Literal), word_end + tail)
        }
        [first, ..] if is_word(*first) => prefixed(bytes, at, word_end),
        [first, ..] if first.is_ascii_whitespace() => (None, at + 1),
        _ => (Some(Kind::Mark), at + 1),
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// A word, unless it is the prefix of a literal (`b"…"`, `r#"…"#`, `b'x'`) or of a raw name (`r#type`).
fn prefixed(bytes: &[u8], at: usize, word_end: usize) -> (Option<Kind>, usize) {
    let prefix = &bytes[at..word_end];
    let hashes = bytes[word_end..].iter().take_while(|byte| **byte == b'#').count();
    let quoted = bytes.get(word_end + hashes) == Some(&b'"');
    match prefix {
        b"r" | b"br" | b"cr" if quoted => {
            let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            let body = word_end + hashes + 1;
            let length = bytes[body..].windows(close.len()).position(|window| window == close);
            (Some(Kind::Literal), length.map_or(bytes.len(), |length| body + length + close.len()))
        }
        b"b" | b"c" if quoted && hashes == 0 => (Some(Kind::Literal), string_end(bytes, word_end)),
        b"b" if bytes.get(word_end) == Some(&b'\'') => quote(bytes, word_end),
        b"r" if hashes == 1 => {
            let name = word_end + 1;
            (Some(Kind::Word), name + bytes[name..].iter().take_while(|byte| is_word(**byte)).count())
        }
        _ => (Some(Kind::Word), word_end),
    }
}

fn string_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A character literal or a lifetime.
fn quote(bytes: &[u8], open: usize) -> (Option<Kind>, usize) {
    let closing = |from: usize| bytes[from..].iter().position(|byte| *byte == b'\'').map(|length| from + length + 1);
    match bytes.get(open + 1) {
        Some(b'\\') => (Some(Kind::Literal), closing(open + 3).unwrap_or(bytes.len())),
        Some(first) => {
            let width = match first {
                0x00..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0.. => 4,
            };
            if bytes.get(open + 1 + width) == Some(&b'\'') {
                return (Some(Kind::Literal), open + width + 2);
            }
            let length = bytes[open + 1..].iter().take_while(|byte| is_word(**byte)).count();
            (Some(Kind::Word), open + 1 + length)
        }
        None => (Some(Kind::Mark), open + 1),
    }
}

fn block_comment_end(bytes: &[u8], open: usize) -> usize {
    let (mut at, mut depth) = (open + 2, 1);
    while at < bytes.len() && depth > 0 {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

/// Whether `tokens` begins with these words and marks.
pub fn starts(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(token, text)| token.is(text))
}

/// The index after the bracket that closes the one at `open`.
pub fn after_bracket(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.kind != Kind::Mark {
            continue;
        }
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The index after the item whose attributes begin at `at`.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while starts(&tokens[at..], &["#", "["]) {
        at = after_bracket(tokens, at + 1);
    }
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" | "," if token.kind == Kind::Mark => return at + 1,
            "{" if token.kind == Kind::Mark => return after_bracket(tokens, at),
            "(" | "[" if token.kind == Kind::Mark => at = after_bracket(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// Every path in `tokens` with its line, groups (`a::{b, c}`) written out.
///
/// What `crate`, `self` and `super` lead to is resolved against `module` and begins with `crate`. Other paths stay
/// as they are: they lead to a dependency, a name in this file or a module inside this one, never to another room.
pub fn paths(tokens: &[Token], module: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    // The modules written in this file that are open, with the index at which each ends.
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        open.retain(|(_, end)| at < *end);
        let token = &tokens[at];
        if token.is("mod") && tokens.get(at + 2).is_some_and(|mark| mark.is("{")) {
            open.push((tokens[at + 1].text.clone(), after_bracket(tokens, at + 2)));
            at += 3;
        } else if token.kind == Kind::Word {
            let line = token.line;
            let mut raw = Vec::new();
            at = expand(tokens, at, &[], &mut raw);
            let here: Vec<String> = module.iter().cloned().chain(open.iter().map(|(name, _)| name.clone())).collect();
            found.extend(raw.into_iter().map(|path| (line, absolute(&here, path))));
        } else {
            at += 1;
        }
    }
    found
}

fn expand(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some(token) if token.kind == Kind::Word || token.is("*") => path.push(token.text.clone()),
            Some(token) if token.is("{") && !path.is_empty() => {
                let end = after_bracket(tokens, at);
                at += 1;
                while at < end - 1 {
                    at = match tokens[at].kind {
                        Kind::Word => expand(tokens, at, &path, found),
                        _ => at + 1,
                    };
                }
                return end;
            }
            _ => break,
        }
        at += 1;
        if !starts(tokens.get(at..).unwrap_or_default(), &[":", ":"]) {
            break;
        }
        at += 2;
    }
    found.push(path);
    at
}

fn absolute(here: &[String], path: Vec<String>) -> Vec<String> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let base: &[String] = match path[0].as_str() {
        "crate" => &[],
        "self" if path.len() > 1 => here,
        "super" => &here[..here.len().saturating_sub(ups)],
        _ => return path,
    };
    let names = base.iter().cloned().chain(path.into_iter().skip(ups.max(1)));
    std::iter::once("crate".to_owned()).chain(names).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().filter(|token| token.kind == Kind::Word).map(|token| token.text).collect()
    }

    #[test]
    fn literals_and_comments_hide_what_they_hold() {
        let cases = [
            ("a // unsafe\nb", vec!["a", "b"]),
            ("a /* x /* unsafe */ y */ b", vec!["a", "b"]),
            (r#"a "unsafe \" unsafe" b"#, vec!["a", "b"]),
            ("a r#\"unsafe \" unsafe\"# b", vec!["a", "b"]),
            ("a b\"unsafe\" c\"unsafe\" br##\"unsafe\"## d", vec!["a", "d"]),
            (r"a '\'' b'\\' 'é' '{' b", vec!["a", "b"]),
            ("a<'life> r#type 1.5e3 0..9 b", vec!["a", "'life", "r#type", "b"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_are_counted_through_strings_and_comments() {
        let found = tokens("\"a\nb\" /* \n\n */ x");
        assert_eq!(found.last().map(|token| (token.text.as_str(), token.line)), Some(("x", 4)));
    }

    #[test]
    fn paths_are_seen_from_the_root() {
        let text = "use crate::{plan::{Action, key::{self, key}}, store::Store as S};\n\
                    use super::super::graph::Graph;\n\
                    mod tests { use super::super::memo::*; }\n\
                    fn f() { self::g(crate::content::Digest::of(b\"\")); lock::take() }";
        let module = ["store".to_owned(), "objects".to_owned()];
        let found: Vec<String> = paths(&tokens(text), &module).into_iter().map(|(_, path)| path.join("::")).collect();
        for expected in [
            "crate::plan::Action",
            "crate::plan::key::self",
            "crate::plan::key::key",
            "crate::store::Store",
            "crate::graph::Graph",
            "crate::store::memo::*",
            "crate::store::objects::g",
            "crate::content::Digest::of",
            "lock::take",
        ] {
            assert!(found.iter().any(|path| path == expected), "{expected} is not in {found:?}");
        }
    }

    #[test]
    fn what_is_for_tests_only_is_left_out_of_the_program() {
        let text =
            "fn a() {}\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests { fn b() {} }\n#[cfg(test)]\nuse c;\nfn d() {}";
        let source = Source { path: String::new(), lines: 0, tokens: tokens(text) };
        let names: Vec<String> = source.program().into_iter().map(|token| token.text).collect();
        assert!(
            names.contains(&"d".to_owned()) && !names.contains(&"b".to_owned()) && !names.contains(&"c".to_owned())
        );
    }
}
