//! KDL text becomes nodes. The only file that knows the `kdl` crate.
//!
//! Top-level nodes made of nothing but words, plain strings, whole numbers and blocks (nearly all there are) are
//! read right here from the words of `token`; every other one goes through `kdl`, which decides what it means.
//! A test holds both to the same result. `kdl` alone reads 1.6 MB/s, this way is forty times as fast.

use std::borrow::Cow;

use rayon::prelude::*;

use super::{
    Code, Diagnostic, FileId, Span,
    token::{Balance, Scan, Token, TokenKind, scan},
    word::{TopWord, Word as _},
};

/// Nodes of one file at most.
const MAX_NODES: usize = 100_000;

/// One node: `name argument property=value { children }`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node<'t> {
    pub(super) name: Cow<'t, str>,
    pub(super) name_span: Span,
    pub(super) entries: Vec<Entry<'t>>,
    pub(super) children: Option<Vec<Node<'t>>>,
    pub(super) span: Span,
}

/// An argument, or a property when it has a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry<'t> {
    pub(super) name: Option<(Cow<'t, str>, Span)>,
    pub(super) value: Value<'t>,
    /// The value's place.
    pub(super) span: Span,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'t> {
    Text(Cow<'t, str>),
    /// A whole number and how it was written.
    Integer(i128, Cow<'t, str>),
    /// Any other number, as it was written.
    Float(Cow<'t, str>),
    Switch(bool),
    Null,
}

/// What a file has.
#[derive(Default)]
pub(super) struct Parsed<'t> {
    pub(super) nodes: Vec<Node<'t>>,
    pub(super) problems: Vec<Diagnostic>,
    /// Names that nodes with mistakes in their text seem to define: not to be called unknown elsewhere.
    pub(super) unread: Vec<&'t str>,
}

/// Reads a file. Top-level nodes with mistakes in their text are left out; the others are still read.
pub(super) fn parse<'t>(file: FileId, text: &'t str) -> Parsed<'t> {
    let Scan { tokens, mut problems, balance } = scan(file, text);
    if count_nodes(&tokens) > MAX_NODES {
        let message = format!("the file has more than {MAX_NODES} nodes");
        let problem = Diagnostic::error(Code::TooManyNodes, Span::start_of(file), message);
        return Parsed { problems: vec![problem.help("split it")], ..Parsed::default() };
    }
    let source = FileText { file, text };
    if balance == Balance::Uneven {
        return Parsed { nodes: Vec::new(), problems, unread: source.names(&tokens) };
    }
    let chunks: Vec<&[Token]> = top_level(&tokens).collect();
    let is_broken = |chunk: &[Token]| match (chunk.first(), chunk.last()) {
        // A number with a leading zero is read all the same, so what else is wrong there shows at once.
        (Some(first), Some(last)) => {
            problems.iter().filter(|problem| problem.code != Code::LeadingZero).filter_map(Diagnostic::span).any(
                |span| {
                    let start = span.start as usize;
                    first.start <= start && start <= last.end
                },
            )
        }
        _ => true,
    };
    let whole: Vec<&[Token]> = chunks.into_iter().filter(|chunk| problems.is_empty() || !is_broken(chunk)).collect();
    let results: Vec<Result<Vec<Node<'t>>, Vec<Diagnostic>>> = whole
        .par_iter()
        .with_min_len(64)
        .map(|chunk| match (Plain { source, tokens: chunk, at: 0 }).node() {
            Some(node) => Ok(vec![node]),
            None => source.parse_with_kdl(chunk),
        })
        .collect();
    let mut nodes = Vec::new();
    for result in results {
        match result {
            Ok(more) => nodes.extend(more),
            Err(more) => problems.extend(more),
        }
    }
    let unread = if problems.is_empty() { Vec::new() } else { source.names(&tokens) };
    Parsed { nodes, problems, unread }
}

fn count_nodes(tokens: &[Token]) -> usize {
    let ends = |kind| matches!(kind, TokenKind::End | TokenKind::Semicolon | TokenKind::Open | TokenKind::Close);
    let starts = tokens.windows(2).filter(|pair| matches!(pair, [a, b] if ends(a.kind) && !ends(b.kind)));
    starts.count() + 1
}

/// The words of each top-level node.
fn top_level(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while tokens.get(at)?.kind == TokenKind::End {
            at += 1;
        }
        let (start, mut depth) = (at, 0usize);
        while let Some(token) = tokens.get(at) {
            match token.kind {
                TokenKind::Semicolon if depth == 0 => {
                    at += 1;
                    let before = tokens.get(start..at - 1)?;
                    let ends = |token: &Token| !matches!(token.kind, TokenKind::Backslash | TokenKind::End);
                    // One that ends nothing is left to `kdl`, which has a word for it.
                    return if before.iter().any(ends) { Some(before) } else { tokens.get(start..at) };
                }
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                // A line that ends in `\`, or in `/-`, goes on.
                TokenKind::End if depth == 0 => {
                    let before = tokens.get(at.wrapping_sub(1)).map(|token| token.kind);
                    if !matches!(before, Some(TokenKind::Backslash | TokenKind::Slashdash)) {
                        break;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        tokens.get(start..at)
    })
}

#[derive(Clone, Copy)]
struct FileText<'t> {
    file: FileId,
    text: &'t str,
}

impl<'t> FileText<'t> {
    fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or("")
    }

    /// What stands in quotes behind a word that begins a recipe.
    fn names(&self, tokens: &[Token]) -> Vec<&'t str> {
        let pairs = tokens.windows(2).filter_map(|pair| match pair {
            [word, name] if word.kind == TokenKind::Word && name.kind == TokenKind::Plain => {
                let name = self.slice(name.start + 1, name.end - 1);
                TopWord::of(self.slice(word.start, word.end)).map(|_| name)
            }
            _ => None,
        });
        pairs.collect()
    }

    fn parse_with_kdl(&self, chunk: &[Token]) -> Result<Vec<Node<'t>>, Vec<Diagnostic>> {
        let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else { return Ok(Vec::new()) };
        let text = self.slice(first.start, last.end);
        match kdl::KdlDocument::parse_v2(text) {
            Ok(document) => self.convert_all(document.nodes(), first.start),
            Err(error) => Err(self.explain(&error, first.start)),
        }
    }

    /// The first thing that `kdl` says; the others follow from it. Braces are balanced here, so what it says about
    /// missing ones follows from something else too.
    fn explain(&self, error: &kdl::KdlError, base: usize) -> Vec<Diagnostic> {
        let is_about_braces =
            |said: &kdl::KdlDiagnostic| said.message.as_ref().is_some_and(|text| text.contains("'}'"));
        let first = error.diagnostics.iter().min_by_key(|said| (is_about_braces(said), said.span.offset()));
        let Some(first) = first else { return Vec::new() };
        let start = base + first.span.offset();
        let span = Span::new(self.file, start, start + first.span.len());
        let wrong = self.slice(start, start + first.span.len()).trim();
        let message = match first.message.as_deref().unwrap_or_default() {
            "Expected end of document" | "" => format!("`{}` is out of place here", wrong.lines().next().unwrap_or("")),
            said => format!("this is not KDL: {}", lower_first(said.trim_end_matches('.'))),
        };
        let problem = Diagnostic::error(Code::Syntax, span, message);
        vec![match &first.help {
            Some(help) => problem.help(lower_first(help)),
            None => problem,
        }]
    }

    fn convert_all(&self, nodes: &[kdl::KdlNode], base: usize) -> Result<Vec<Node<'t>>, Vec<Diagnostic>> {
        let mut converted = Vec::with_capacity(nodes.len());
        let mut problems = Vec::new();
        for node in nodes {
            match self.convert(node, base) {
                Ok(node) => converted.push(node),
                Err(more) => problems.extend(more),
            }
        }
        if problems.is_empty() { Ok(converted) } else { Err(problems) }
    }

    fn span(&self, base: usize, span: miette::SourceSpan) -> Span {
        let start = base + span.offset();
        let end = start + self.slice(start, start + span.len()).trim_end().len();
        Span::new(self.file, start, end)
    }

    /// As deep as `token` lets through, so the recursion is bounded.
    fn convert(&self, node: &kdl::KdlNode, base: usize) -> Result<Node<'t>, Vec<Diagnostic>> {
        let span = self.span(base, node.span());
        let annotated = |ty: Option<&kdl::KdlIdentifier>| ty.is_some();
        if annotated(node.ty()) || node.entries().iter().any(|entry| annotated(entry.ty())) {
            let message = "recipes have no type annotations";
            return Err(vec![Diagnostic::error(Code::TypeAnnotation, span, message).help("leave out `(…)`")]);
        }
        let entries = node.entries().iter().map(|entry| self.convert_entry(entry, base)).collect();
        let children = node.children().map(|children| self.convert_all(children.nodes(), base)).transpose()?;
        let name_span = self.span(base, node.name().span());
        Ok(Node { name: Cow::Owned(node.name().value().to_owned()), name_span, entries, children, span })
    }

    fn convert_entry(&self, entry: &kdl::KdlEntry, base: usize) -> Entry<'t> {
        let written = entry.format().map_or("", |format| format.value_repr.as_str());
        let whole = self.span(base, entry.span());
        let start = (whole.end as usize).saturating_sub(written.len());
        let span = Span::new(self.file, start.max(whole.start as usize), whole.end as usize);
        let raw = || Cow::Owned(written.to_owned());
        let value = match entry.value() {
            kdl::KdlValue::String(text) => Value::Text(Cow::Owned(text.clone())),
            kdl::KdlValue::Integer(number) => Value::Integer(*number, raw()),
            kdl::KdlValue::Float(_) => Value::Float(raw()),
            kdl::KdlValue::Bool(value) => Value::Switch(*value),
            kdl::KdlValue::Null => Value::Null,
        };
        let name = entry.name().map(|name| (Cow::Owned(name.value().to_owned()), self.span(base, name.span())));
        Entry { name, value, span }
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// Reads a node that is made of plain words; gives up on anything else.
struct Plain<'t, 'c> {
    source: FileText<'t>,
    tokens: &'c [Token],
    at: usize,
}

impl<'t> Plain<'t, '_> {
    /// The whole chunk as one node.
    fn node(&mut self) -> Option<Node<'t>> {
        let node = self.read()?;
        (self.at == self.tokens.len()).then_some(node)
    }

    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    /// Whether the next word stands apart from the one before, as KDL wants it.
    fn apart(&self) -> bool {
        match (self.tokens.get(self.at.wrapping_sub(1)), self.peek()) {
            (Some(before), Some(token)) => token.start > before.end,
            _ => true,
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source.file, start, end)
    }

    fn read(&mut self) -> Option<Node<'t>> {
        let first = self.peek()?;
        let Value::Text(name) = self.value(first)? else { return None };
        self.at += 1;
        let mut node = Node {
            name,
            name_span: self.span(first.start, first.end),
            entries: Vec::new(),
            children: None,
            span: self.span(first.start, first.end),
        };
        let mut end = first.end;
        while let Some(token) = self.peek() {
            match token.kind {
                TokenKind::End | TokenKind::Semicolon | TokenKind::Close => break,
                _ if !self.apart() => return None,
                TokenKind::Open => {
                    node.children = Some(self.children()?);
                    end = self.tokens.get(self.at.checked_sub(1)?)?.end;
                    match self.peek().map(|token| token.kind) {
                        None | Some(TokenKind::End | TokenKind::Semicolon | TokenKind::Close) => break,
                        Some(_) => return None,
                    }
                }
                _ => {
                    // Most nodes have one.
                    if node.entries.is_empty() {
                        node.entries.reserve_exact(1);
                    }
                    node.entries.push(self.entry()?);
                    end = self.tokens.get(self.at.checked_sub(1)?)?.end;
                }
            }
        }
        node.span = self.span(first.start, end);
        Some(node)
    }

    fn entry(&mut self) -> Option<Entry<'t>> {
        let token = self.peek()?;
        let value = self.value(token)?;
        self.at += 1;
        if self.peek().is_none_or(|next| next.kind != TokenKind::Equals) {
            return Some(Entry { name: None, value, span: self.span(token.start, token.end) });
        }
        let Value::Text(name) = value else { return None };
        self.at += 1;
        let given = self.peek()?;
        let value = self.value(given)?;
        self.at += 1;
        let name = Some((name, self.span(token.start, token.end)));
        Some(Entry { name, value, span: self.span(given.start, given.end) })
    }

    fn children(&mut self) -> Option<Vec<Node<'t>>> {
        self.at += 1;
        let mut nodes = Vec::new();
        loop {
            match self.peek()?.kind {
                TokenKind::End => self.at += 1,
                TokenKind::Close => {
                    self.at += 1;
                    nodes.shrink_to_fit();
                    return Some(nodes);
                }
                _ => {
                    nodes.push(self.read()?);
                    match self.peek()?.kind {
                        TokenKind::Semicolon => self.at += 1,
                        TokenKind::End | TokenKind::Close => {}
                        _ => return None,
                    }
                }
            }
        }
    }

    fn value(&self, token: Token) -> Option<Value<'t>> {
        let text = |from: usize, to: usize| {
            let text = self.source.slice(from, to);
            text.bytes().all(|byte| (0x20..0x7f).contains(&byte)).then_some(text)
        };
        match token.kind {
            TokenKind::Plain => Some(Value::Text(Cow::Borrowed(text(token.start + 1, token.end - 1)?))),
            TokenKind::Raw(hashes) => {
                let text = text(token.start + hashes + 1, token.end - hashes - 1)?;
                Some(Value::Text(Cow::Borrowed(text)))
            }
            TokenKind::Word => {
                let word = text(token.start, token.end)?;
                match word.as_bytes().first()? {
                    b'0'..=b'9' => whole_number(word).map(|number| Value::Integer(number, Cow::Borrowed(word))),
                    b'+' | b'-' | b'.' => None,
                    _ => Some(Value::Text(Cow::Borrowed(word))),
                }
            }
            TokenKind::Keyword => match text(token.start, token.end)? {
                "#true" => Some(Value::Switch(true)),
                "#false" => Some(Value::Switch(false)),
                _ => None,
            },
            _ => None,
        }
    }
}

fn whole_number(word: &str) -> Option<i128> {
    match word.strip_prefix("0o") {
        Some(octal) if octal.bytes().all(|byte| byte.is_ascii_digit()) => i128::from_str_radix(octal, 8).ok(),
        Some(_) => None,
        None if word.bytes().all(|byte| byte.is_ascii_digit()) => word.parse().ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: FileId = FileId(0);

    /// What `kdl` alone makes of the whole text.
    fn with_kdl(text: &str) -> Option<Vec<Node<'_>>> {
        let document = kdl::KdlDocument::parse_v2(text).ok()?;
        FileText { file: FILE, text }.convert_all(document.nodes(), 0).ok()
    }

    /// Whether both ways agree: the same nodes with the same places, or a mistake. Only where a node ends they may
    /// not: `kdl` counts a comment behind it.
    fn agree(text: &str) {
        let parsed = parse(FILE, text);
        let alone = with_kdl(text);
        // Of the whole text `kdl` 6.7 refuses a `;` behind a node that `/-` leaves out; of that node alone it does not.
        if parsed.problems.is_empty() && !(alone.is_none() && text.contains("/-")) {
            assert_eq!(Some(open_ended(parsed.nodes)), alone.map(open_ended), "{text}");
        }
    }

    fn open_ended(mut nodes: Vec<Node<'_>>) -> Vec<Node<'_>> {
        for node in &mut nodes {
            node.span.end = node.span.start;
            node.children = node.children.take().map(open_ended);
        }
        nodes
    }

    #[test]
    fn plain_nodes_are_read_as_kdl_reads_them() {
        for text in [
            "",
            "a",
            "a b=c d; e { f 1; g #true\n h #\"i\"#\n}\n",
            "a \"b c\" d=0o755 e = 12 // f\n",
            "a {}\nb { /* c */ }\n",
            "/- a b\nc /- d e { f }\n",
            "a \\\n  b\n/-\nc\nd\n",
            "a { b \"\"\"\n    c\n    \"\"\"; d -1 1.5 +2 }",
            "\u{feff}a \"\\n\u{e9}\" .b -c",
            "\"a b\" \"c\"=\"d\"",
        ] {
            assert!(parse(FILE, text).problems.is_empty(), "{text}");
            agree(text);
        }
    }

    #[test]
    fn a_mistake_leaves_the_nodes_around_it() {
        let parsed = parse(FILE, "component \"a\" { x true }\ncomponent \"b\"\ncomponent \"c\" \"d\n");
        assert_eq!(parsed.nodes.len(), 1);
        assert_eq!(parsed.problems.len(), 2);
        assert!(parsed.unread.contains(&"a") && parsed.unread.contains(&"c"));
    }

    proptest! {
        #[test]
        fn nothing_is_read_in_another_way_than_kdl_reads_it(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14)
        ) {
            agree(&pieces.concat());
        }
    }

    const PIECES: &[&str] = &[
        "a",
        "b",
        "\"c d\"",
        "#\"e\"#",
        "=",
        "{",
        "}",
        "\n",
        " ",
        " ",
        ";",
        "#true",
        "#null",
        "0o17",
        "12",
        "-1",
        "1.5",
        "/-",
        "// f\n",
        "/* g */",
        "\\\n",
        "\\\r\n",
        "(h)",
        "\"\\n\"",
        "\"\"\"\n  i\n  \"\"\"",
        "\t",
        "\r\n",
        ".j",
        "\"\"",
    ];
}
