//! One layout for recipes: what they mean and their comments stay, only white space changes.
//!
//! Lines are where they were. Blocks are indented by four spaces, a line that goes on by four more; words stand one
//! space apart; one empty line stays between nodes, none at the edges of a block; a comment behind a node keeps its
//! distance, so that columns stay. The lines of a string of several lines move with its node.

use super::{
    Diagnostic, FileId, SourceSet,
    parse::{Node, parse},
    read::describe,
    token::{Token, TokenKind, scan},
};

/// How much deeper a block is.
const INDENT: usize = 4;

/// Why a recipe cannot be laid out.
#[derive(Debug, Clone, PartialEq)]
pub enum FormatError {
    /// Nobody could say what it means.
    Mistakes(Vec<Diagnostic>),
    /// It would mean something else afterwards: a bug of ours.
    Changed,
}

/// Lays the recipe `file` out anew.
///
/// # Errors
/// See [`FormatError`].
pub fn format(sources: &SourceSet, file: FileId) -> Result<String, FormatError> {
    match sources.defect(file) {
        Some(defect) => Err(FormatError::Mistakes(vec![describe(defect, file)])),
        None => format_text(file, sources.text(file)),
    }
}

fn format_text(file: FileId, text: &str) -> Result<String, FormatError> {
    let parsed = parse(file, text);
    if !parsed.problems.is_empty() {
        return Err(FormatError::Mistakes(parsed.problems));
    }
    // Strings of several lines are moved only where that surely changes nothing.
    for strings in [Strings::Moved, Strings::AsWritten] {
        let laid_out = Layout::new(text, strings).lay_out(&scan(file, text).tokens);
        let again = parse(file, &laid_out);
        if again.problems.is_empty() && means_the_same(&parsed.nodes, &again.nodes) {
            return Ok(laid_out);
        }
    }
    Err(FormatError::Changed)
}

/// Whether nodes say the same, wherever they stand.
fn means_the_same(one: &[Node<'_>], other: &[Node<'_>]) -> bool {
    let entries = |node: &Node<'_>| -> Vec<_> {
        let plain = node
            .entries
            .iter()
            .map(|entry| (entry.name.as_ref().map(|(name, _)| name.to_string()), entry.value.clone()));
        plain.map(|(name, value)| (name, format!("{value:?}"))).collect()
    };
    let same_children = |one: &Node<'_>, other: &Node<'_>| match (&one.children, &other.children) {
        (Some(one), Some(other)) => means_the_same(one, other),
        (one, other) => one.is_none() == other.is_none(),
    };
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one.name == other.name && entries(one) == entries(other) && same_children(one, other))
}

/// What happens to the lines of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strings {
    Moved,
    AsWritten,
}

/// A word or a comment of a line.
struct Piece<'t> {
    text: &'t str,
    /// The kind of a word; none for a comment.
    kind: Option<TokenKind>,
    /// The white space before it.
    space: &'t str,
}

struct Layout<'t> {
    text: &'t str,
    strings: Strings,
    out: String,
    depth: usize,
    /// Whether the line before goes on in this one.
    goes_on: bool,
    empty_lines: usize,
    /// Whether a block began with the line before, or nothing was written yet.
    at_edge: bool,
}

impl<'t> Layout<'t> {
    fn new(text: &'t str, strings: Strings) -> Self {
        Layout { text, strings, out: String::new(), depth: 0, goes_on: false, empty_lines: 0, at_edge: true }
    }

    fn lay_out(mut self, tokens: &[Token]) -> String {
        let mut line = Vec::new();
        let mut at = self.text.len() - self.text.trim_start_matches('\u{feff}').len();
        for token in tokens {
            self.gap(at, token.start, &mut line);
            at = token.end;
            if token.kind == TokenKind::End {
                self.line(&line);
                line.clear();
            } else if let Some(last) = self.between(token.start, token.end) {
                let space = line.last().map_or("", |_: &Piece<'_>| self.space_before(token.start));
                line.push(Piece { text: last, kind: Some(token.kind), space });
            }
        }
        self.gap(at, self.text.len(), &mut line);
        self.line(&line);
        self.out
    }

    fn between(&self, start: usize, end: usize) -> Option<&'t str> {
        self.text.get(start..end)
    }

    /// The white space that ends at `end`.
    fn space_before(&self, end: usize) -> &'t str {
        let before = self.text.get(..end).unwrap_or_default();
        before
            .get(before.trim_end_matches(|letter: char| letter.is_whitespace() && letter != '\n').len()..)
            .unwrap_or("")
    }

    /// The comments between two words.
    fn gap(&self, start: usize, end: usize, line: &mut Vec<Piece<'t>>) {
        let mut rest = self.between(start, end).unwrap_or_default();
        while let Some(at) = rest.find("//").into_iter().chain(rest.find("/*")).min() {
            let (space, comment) = rest.split_at(at);
            let length = if comment.starts_with("//") { comment.len() } else { comment_length(comment) };
            let (text, after) = comment.split_at(length);
            line.push(Piece { text: text.trim_end(), kind: None, space });
            rest = after;
        }
    }

    fn line(&mut self, pieces: &[Piece<'t>]) {
        let pieces = without_last_semicolon(pieces);
        let Some(first) = pieces.first() else {
            self.empty_lines += 1;
            return;
        };
        let closes = pieces.iter().take_while(|piece| piece.kind == Some(TokenKind::Close)).count();
        if self.empty_lines > 0 && !self.at_edge && closes == 0 {
            self.out.push('\n');
        }
        self.empty_lines = 0;
        let depth = self.depth.saturating_sub(closes) + usize::from(self.goes_on && first.kind.is_some());
        self.out.extend(std::iter::repeat_n(' ', depth * INDENT));
        for (at, piece) in pieces.iter().enumerate() {
            if let Some(before) = at.checked_sub(1).and_then(|before| pieces.get(before)) {
                self.out.push_str(&space(before, piece, at + 1 == pieces.len()));
            }
            match piece.kind {
                Some(TokenKind::Open) => self.depth += 1,
                Some(TokenKind::Close) => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.piece(piece, (depth + 1) * INDENT);
        }
        self.out.push('\n');
        let words = || pieces.iter().filter_map(|piece| piece.kind);
        self.at_edge = words().next_back() == Some(TokenKind::Open);
        // A comment of its own line does not end a line that goes on.
        if let Some(last) = words().next_back() {
            self.goes_on = matches!(last, TokenKind::Backslash | TokenKind::Slashdash);
        }
    }

    fn piece(&mut self, piece: &Piece<'_>, indent: usize) {
        let is_string = matches!(piece.kind, Some(TokenKind::Fancy | TokenKind::Raw(_)));
        match moved(piece.text, indent).filter(|_| is_string && self.strings == Strings::Moved) {
            Some(text) => self.out.push_str(&text),
            None => self.out.push_str(piece.text),
        }
    }
}

/// The bytes of a comment between `/*` and its `*/`; they may lie in each other.
fn comment_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0usize, 0usize);
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth = depth.saturating_sub(1),
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// A line without the `;` that the end of the line, or of the block, stands for.
fn without_last_semicolon<'p, 't>(pieces: &'p [Piece<'t>]) -> Vec<&'p Piece<'t>> {
    let ends = |at: usize| match pieces.get(at + 1..).and_then(|rest| rest.iter().find_map(|piece| piece.kind)) {
        None | Some(TokenKind::Close) => at > 0,
        Some(_) => false,
    };
    let is_needless = |at: usize, piece: &Piece<'_>| piece.kind == Some(TokenKind::Semicolon) && ends(at);
    pieces.iter().enumerate().filter(|(at, piece)| !is_needless(*at, piece)).map(|(_, piece)| piece).collect()
}

/// What stands between two pieces of a line.
fn space(before: &Piece<'_>, piece: &Piece<'_>, is_last: bool) -> String {
    let one = || " ".to_owned();
    match (before.kind, piece.kind) {
        (_, Some(TokenKind::Semicolon | TokenKind::Equals)) | (Some(TokenKind::Equals), Some(_)) => String::new(),
        (Some(TokenKind::Open), Some(TokenKind::Close)) | (Some(TokenKind::Slashdash), Some(_)) => String::new(),
        // A type in brackets belongs to what follows.
        (Some(TokenKind::Other), _) | (_, Some(TokenKind::Other)) => {
            if piece.space.is_empty() {
                String::new()
            } else {
                one()
            }
        }
        (_, None) if is_last && piece.text.starts_with("//") => {
            let width: usize = piece.space.chars().map(|letter| if letter == '\t' { INDENT } else { 1 }).sum();
            " ".repeat(width.max(1))
        }
        _ => one(),
    }
}

/// A string of several lines with its lines indented anew; none where it is no such string.
fn moved(text: &str, indent: usize) -> Option<String> {
    let quote = text.trim_start_matches('#');
    let lines: Vec<&str> = text.lines().collect();
    let [first, inner @ .., last] = lines.as_slice() else { return None };
    if !quote.starts_with("\"\"\"") {
        return None;
    }
    let end = last.trim_start();
    let old = last.get(..last.len() - end.len())?;
    let mut moved = vec![(*first).to_owned()];
    for line in inner {
        moved.push(match line.strip_prefix(old) {
            _ if line.trim().is_empty() => String::new(),
            Some(rest) => format!("{:indent$}{rest}", ""),
            None => return None,
        });
    }
    moved.push(format!("{:indent$}{end}", ""));
    Some(moved.join("\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn laid_out(text: &str) -> String {
        format_text(FileId(0), text).unwrap_or_else(|found| panic!("{text}\n{found:?}"))
    }

    #[test]
    fn there_is_one_layout() {
        for (text, expected) in [
            ("", ""),
            ("\n\n", ""),
            ("a  1   b = 2 // c", "a 1 b=2 // c\n"),
            ("\n\na\n\n\n\nb\n\n", "a\n\nb\n"),
            ("a {\n\n  b\n\n}\n", "a {\n    b\n}\n"),
            ("a{b;c;}\n", "a { b; c }\n"),
            ("a {}\nb { }\n", "a {}\nb {}\n"),
            ("a {\r\n\tb 1;\r\n}\r\n", "a {\n    b 1\n}\n"),
            ("  // one\na   // two  \n", "// one\na   // two\n"),
            ("a {\n// c\n}\n", "a {\n    // c\n}\n"),
            ("a 1 \\\n2 \\ // why\n    3\nb\n", "a 1 \\\n    2 \\ // why\n    3\nb\n"),
            ("/- a 1\nb /-  2 3\n", "/-a 1\nb /-2 3\n"),
            ("a /* b */ 1\n/* x\n   y */\n", "a /* b */ 1\n/* x\n   y */\n"),
            (
                "a {\n  b \"\"\"\n  one\n\n    two\n  \"\"\"\n}",
                "a {\n    b \"\"\"\n        one\n\n          two\n        \"\"\"\n}\n",
            ),
            ("a #\"\"\"\n\\x\n\"\"\"# c=1\n", "a #\"\"\"\n    \\x\n    \"\"\"# c=1\n"),
            ("a mode=0o755 \"b  c\" #\"d  e\"#", "a mode=0o755 \"b  c\" #\"d  e\"#\n"),
        ] {
            assert_eq!(laid_out(text), expected, "{text:?}");
            assert_eq!(laid_out(expected), expected, "again: {text:?}");
        }
    }

    #[test]
    fn a_file_with_mistakes_is_left_alone() {
        for text in ["a {", "a }", "a \"x", "a 0755", "a /x/y", "a \"b\"\"c\""] {
            assert!(format_text(FileId(0), text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_recipes_of_brc_are_laid_out() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = vec![root.join("brc.kdl")];
        for folder in ["recipes", "examples/quickstart", "examples/kernel-module"] {
            files.extend(std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()));
        }
        files.retain(|file| file.extension().is_some_and(|extension| extension == "kdl"));
        assert!(files.len() > 10, "{files:?}");
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            assert_eq!(laid_out(&text), text, "`brc fmt {}`", file.display());
        }
    }

    /// Texts that are often KDL: pieces with anything between them that may stand there.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "\"b  c\"",
            "#\"d\\\"#",
            "1",
            "k=2",
            "k = \"v\"",
            "{",
            "}",
            ";",
            "\n",
            "\n\n\n",
            "\r\n",
            "  ",
            "\t",
            " // note\n",
            "/* x */",
            "/* x\n  y */",
            "/-",
            " \\\n",
            "\"\"\"\n  t\n\n    u\n  \"\"\"",
            "(t)v",
            "#true",
            "\"e\\n\"",
            "{ b; }",
            " c {\n",
            "\n}\n",
            "\u{feff}",
            "\u{85}",
        ]);
        prop::collection::vec((piece, prop::sample::select(vec!["", " ", "  ", "\n"])), 0..24)
            .prop_map(|pieces| pieces.into_iter().map(|(piece, space)| format!("{piece}{space}")).collect())
    }

    proptest! {
        #[test]
        fn a_layout_changes_no_meaning_and_is_stable(text in texts()) {
            let Ok(once) = format_text(FileId(0), &text) else {
                // Whatever can be read can be laid out.
                prop_assert!(!parse(FileId(0), &text).problems.is_empty(), "{text:?}");
                return Ok(());
            };
            prop_assert!(means_the_same(&parse(FileId(0), &text).nodes, &parse(FileId(0), &once).nodes));
            prop_assert_eq!(format_text(FileId(0), &once).unwrap(), once.clone(), "{:?}", text);
            // Nothing but white space and needless `;` comes or goes, in comments neither.
            let kept = |text: &str| -> String {
                text.chars().filter(|letter| !letter.is_whitespace() && !matches!(letter, ';' | '\u{feff}')).collect()
            };
            prop_assert_eq!(kept(&once), kept(&text));
        }
    }
}
