//! The references of recipes and of diagnostics are written from the doc comments of `src/recipe`, so that they cannot
//! say anything else.
//!
//! The doc comment of a node or property begins with its form: `/// \`version "1.2.5"\`: its version.`

use std::{collections::BTreeMap, fmt::Write as _, fs};

use crate::{
    holds, root,
    source::{Kind, Token, after_bracket, rust_files, starts},
};

const PAGE: &str = "docs/reference/recipe.md";
const CODES: &str = "docs/reference/diagnostics.md";
const BEGIN: &str = "<!-- from the doc comments of src/recipe; `BRC_BLESS=1 cargo test --test tidy` writes it -->\n";
const END: &str = "<!-- end -->\n";

/// The sections, each with the type that it lists and those that belong to it. What holds such a type elsewhere is a
/// link to its section.
const SECTIONS: &[(&str, &[&str])] = &[
    ("In `brc.kdl`", &["ProjectFile"]),
    ("In `brc.local.kdl`", &["Checkout"]),
    ("At the top of a file", &["Recipes"]),
    ("In an `archive`", &["Archive"]),
    ("In a group of `packages`", &["Packages", "PackagesItem"]),
    ("In a `component`", &["Component", "ComponentItem"]),
    ("In an `upstream`", &["Upstream"]),
    ("Build systems", &["BuildSystemStep"]),
    ("In a `component`, `kernel` or `variant`", &["Item"]),
    ("In a `kernel`", &["Kernel", "KernelItem", "KernelPackage"]),
    ("In an `initramfs`", &["InitramfsItem"]),
    ("In a `variant`", &["Variant", "VariantItem"]),
    ("In an `override`", &["Override"]),
    ("In a `target`", &["Target", "AwsTarget"]),
];

/// What is said of values wherever they stand.
const VALUES: &[(&str, &[&str])] =
    &[("Conditions", &["Guarded"]), ("Braces", &["Template", "Brace"]), ("Sizes", &["Bytes"])];

/// The blocks of `src/recipe/word.rs`, and the sections that have their words.
const BLOCKS: &[(&str, &[&str])] = &[
    ("TopWord", &["At the top of a file"]),
    ("ProjectWord", &["In `brc.kdl`"]),
    ("ImportWord", &["In `brc.kdl`"]),
    ("CheckoutWord", &["In `brc.local.kdl`"]),
    ("ArchiveWord", &["In an `archive`"]),
    ("PackagesWord", &["In a group of `packages`"]),
    ("ComponentWord", &["In a `component`", "Build systems"]),
    ("UpstreamWord", &["In an `upstream`"]),
    ("ItemWord", &["In a `component`, `kernel` or `variant`"]),
    ("PlacedWord", &["In a `component`, `kernel` or `variant`"]),
    ("UnitWord", &["In a `component`, `kernel` or `variant`"]),
    ("UserWord", &["In a `component`, `kernel` or `variant`"]),
    ("FinishWord", &["In a `component`, `kernel` or `variant`"]),
    ("KernelWord", &["In a `kernel`"]),
    ("InitramfsWord", &["In an `initramfs`"]),
    ("VariantWord", &["In a `variant`"]),
    ("LayoutWord", &["In a `variant`"]),
    ("TargetWord", &["In a `target`"]),
    ("AwsWord", &["In a `target`"]),
    ("GuardWord", &["Conditions"]),
];

/// A struct or enum.
struct Type {
    doc: String,
    members: Vec<Member>,
}

/// A field or variant.
struct Member {
    doc: String,
    /// The innermost type that it holds: `Guarded` things and lists are seen through.
    holds: Option<String>,
    /// The fields of a variant that names them.
    fields: Vec<Member>,
}

/// The paragraphs of a doc comment.
fn paragraphs(doc: &str) -> impl Iterator<Item = String> {
    doc.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|part| !part.is_empty())
}

/// The form that a paragraph begins with and what is said of it; spaces may stand in a form, backticks not.
fn formed(paragraph: &str) -> Option<(&str, &str)> {
    paragraph.strip_prefix('`')?.split_once("`: ")
}

/// Takes doc comments, attributes and `pub(…)` from `at` on.
fn doc_before(tokens: &[Token], at: &mut usize) -> String {
    let mut doc = String::new();
    while let Some(token) = tokens.get(*at) {
        if token.kind == Kind::Doc {
            let _ = writeln!(doc, "{}", token.text.trim_start_matches('/').trim());
            *at += 1;
        } else if starts(&tokens[*at..], &["#", "["]) {
            *at = after_bracket(tokens, *at + 1);
        } else if token.is("pub") {
            *at += 1;
            if starts(&tokens[*at..], &["("]) {
                *at = after_bracket(tokens, *at);
            }
        } else {
            break;
        }
    }
    doc
}

/// The fields or variants between braces.
fn members(tokens: &[Token]) -> Vec<Member> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let doc = doc_before(tokens, &mut at);
        let (mut member, mut depth) = (Member { doc, holds: None, fields: Vec::new() }, 0_usize);
        at += 1;
        while let Some(token) = tokens.get(at) {
            match token.text.as_str() {
                "{" => {
                    let end = after_bracket(tokens, at);
                    member.fields = members(&tokens[at + 1..end - 1]);
                    at = end - 1;
                }
                "<" | "(" => depth += 1,
                ">" | ")" => depth -= 1,
                "," if depth == 0 => break,
                _ if token.kind == Kind::Word => member.holds = Some(token.text.clone()),
                _ => {}
            }
            at += 1;
        }
        at += 1;
        found.push(member);
    }
    found
}

/// Every struct and enum of the room.
fn types() -> BTreeMap<String, Type> {
    let mut found = BTreeMap::new();
    for source in rust_files(root(), &["src/recipe"]) {
        let tokens = source.program();
        let mut at = 0;
        while at < tokens.len() {
            let doc = doc_before(&tokens, &mut at);
            let is_type = tokens.get(at).is_some_and(|token| token.is("struct") || token.is("enum"));
            let Some(name) = tokens.get(at + 1).filter(|_| is_type) else {
                at += 1;
                continue;
            };
            let rest = &tokens[at..];
            let open = rest.iter().position(|token| token.is("{") || token.is(";")).unwrap_or(rest.len()) + at;
            let body = starts(&tokens[open..], &["{"]).then(|| &tokens[open + 1..after_bracket(&tokens, open) - 1]);
            let members = body.map(members).unwrap_or_default();
            found.insert(name.text.clone(), Type { doc, members });
            at = open;
        }
    }
    found
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The section that lists a type.
fn section_of(name: &str, sections: &[(&'static str, &[&str])]) -> Option<&'static str> {
    sections.iter().find(|(_, names)| names.contains(&name)).map(|(heading, _)| *heading)
}

struct Writer {
    types: BTreeMap<String, Type>,
    page: String,
    /// What is wrong with the doc comments.
    broken: Vec<String>,
}

impl Writer {
    fn section(&mut self, heading: &'static str, name: &str) {
        let _ = writeln!(self.page, "\n## {heading}");
        let Some(listed) = self.types.remove(name) else {
            self.broken.push(format!("`{heading}` lists `{name}`, which is not in src/recipe"));
            return;
        };
        for paragraph in paragraphs(&listed.doc) {
            let mark = if formed(&paragraph).is_some() { "- " } else { "" };
            let _ = writeln!(self.page, "{mark}{paragraph}");
        }
        self.members(heading, name, &listed.members, 0);
        self.types.insert(name.to_owned(), listed);
    }

    /// Writes a line for each member that has a form, and below it what its type has.
    fn members(&mut self, heading: &'static str, owner: &str, members: &[Member], depth: usize) {
        for member in members {
            let held = member.holds.as_deref().unwrap_or_default();
            let doc = paragraphs(&member.doc).collect::<Vec<_>>().join(" ");
            let has_form = formed(&doc).is_some();
            if doc.starts_with('`') && !has_form {
                self.broken.push(format!("{owner}: the form `{doc}` is not followed by a colon and what it means"));
            }
            let elsewhere = section_of(held, SECTIONS).or(section_of(held, VALUES)).filter(|other| *other != heading);
            // What holds for all texts is worth a link only where there is something to be said.
            let link = elsewhere.filter(|_| has_form || section_of(held, SECTIONS).is_some());
            if has_form || link.is_some() {
                let link = link.map(|other| format!(" See [{other}](#{}).", anchor(other))).unwrap_or_default();
                let _ = writeln!(self.page, "{:1$}- {doc}{link}", "", 2 * depth);
            }
            let below = depth + usize::from(has_form);
            self.members(heading, owner, &member.fields, below);
            // While it is written it is away, so that a type that holds itself comes to an end.
            if elsewhere.is_none()
                && let Some(inner) = self.types.remove(held)
            {
                self.members(heading, held, &inner.members, below);
                self.types.insert(held.to_owned(), inner);
            }
        }
    }
}

/// The sections as text, and what is wrong with the doc comments.
fn write() -> (String, Vec<String>) {
    let mut writer = Writer { types: types(), page: String::new(), broken: Vec::new() };
    for (heading, names) in SECTIONS.iter().chain(VALUES) {
        writer.section(heading, names[0]);
    }
    writer.page.push('\n');
    (writer.page, writer.broken)
}

/// Holds what a page says between its marks to `new`, or writes it.
pub fn is_written(page: &str, begin: &str, new: &str) {
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let parts = text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?)));
    let Some((before, (old, after))) = parts else { panic!("{page} lacks the lines around the reference") };
    if std::env::var_os("BRC_BLESS").is_some() {
        fs::write(&path, format!("{before}{begin}{new}{END}{after}")).unwrap();
        return;
    }
    let (new, old): (Vec<&str>, Vec<&str>) = (new.lines().collect(), old.lines().collect());
    let missing = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    let outdated = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let mut broken: Vec<String> = missing.chain(outdated).collect();
    if broken.is_empty() && new != old {
        broken.push("the lines are the same in another order".to_owned());
    }
    holds(
        &format!(
            "{page} says what the code says that it is written from; `BRC_BLESS=1 cargo test --test tidy` writes it."
        ),
        broken,
    );
}

#[test]
fn the_reference_of_recipes_is_that_of_the_code() {
    let (new, broken) = write();
    holds("A doc comment in src/recipe that begins with a form goes on with its meaning.", broken);
    is_written(PAGE, BEGIN, &new);
}

/// The tokens of a file of `src/recipe`.
fn tokens_of(file: &str) -> Vec<Token> {
    let path = format!("src/recipe/{file}");
    let source = rust_files(root(), &["src/recipe"]).into_iter().find(|source| source.path == path);
    source.unwrap_or_else(|| panic!("{path} is not there")).program()
}

#[test]
fn the_reference_of_diagnostics_is_that_of_the_code() {
    let mut page = "\n| code | means |\n| --- | --- |\n".to_owned();
    for row in tokens_of("code.rs").windows(4) {
        if let [doc, _, equals, text] = row
            && doc.kind == Kind::Doc
            && equals.is("=")
            && text.kind == Kind::Literal
        {
            let meaning = doc.text.trim_start_matches('/').trim().trim_end_matches('.');
            let _ = writeln!(page, "| `{}` | {} |", text.text.trim_matches('"'), meaning.replace('|', "\\|"));
        }
    }
    page.push('\n');
    assert!(page.lines().count() > 80, "{page}");
    is_written(CODES, BEGIN, &page);
}

/// A row of `src/recipe/word.rs`.
struct Row {
    block: String,
    word: String,
    properties: Vec<String>,
}

fn unquoted(token: &Token) -> String {
    token.text.trim_matches('"').to_owned()
}

/// The rows of the blocks in `src/recipe/word.rs`, and the words that only later versions read.
fn words() -> (Vec<Row>, Vec<String>) {
    let tokens = tokens_of("word.rs");
    let (mut rows, mut block) = (Vec::new(), String::new());
    for (at, token) in tokens.iter().enumerate() {
        let rest = &tokens[at + 1..];
        if token.kind == Kind::Word && starts(rest, &["in"]) && rest[1].kind == Kind::Literal {
            block.clone_from(&token.text);
        }
        let is_row = !block.is_empty() && starts(rest, &["="]) && rest[1].kind == Kind::Literal && rest[2].is(",");
        if is_row {
            let open = rest.iter().position(|token| token.is("[")).unwrap();
            let listed = rest[open..after_bracket(rest, open)].iter().filter(|token| token.kind == Kind::Literal);
            let properties = listed.map(unquoted).collect();
            rows.push(Row { block: block.clone(), word: unquoted(&rest[1]), properties });
        }
    }
    let arms = tokens.windows(3).filter(|arm| arm[0].kind == Kind::Literal && starts(&arm[1..], &["=", ">"]));
    (rows, arms.map(|arm| unquoted(&arm[0])).collect())
}

/// The sections of the reference by heading.
fn sections(reference: &str) -> BTreeMap<&str, Vec<&str>> {
    let sections = reference.split("\n## ").filter_map(|section| section.split_once('\n'));
    sections.map(|(heading, text)| (heading, text.lines().collect())).collect()
}

/// How far a line is indented.
fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The name that the form of a line begins with: of a node, or of a property with its `=`.
fn first_name(line: &str) -> Option<&str> {
    let form = line.trim_start().strip_prefix("- `")?;
    let end = form.find(|c: char| !c.is_ascii_alphanumeric() && c != '-')?;
    Some(&form[..end + usize::from(form[end..].starts_with('='))]).filter(|name| !name.is_empty())
}

/// Whether a section says of a word what its node has as property: in its form, below it, in a line of its own, or in the
/// section that it leads to.
fn says_property(sections: &BTreeMap<&str, Vec<&str>>, lines: &[&str], at: usize, property: &str) -> bool {
    let form = format!("{property}=");
    let below = lines[at + 1..].iter().take_while(|line| depth(line) > depth(lines[at]));
    let led = sections.iter().filter(|(heading, _)| lines[at].contains(&format!("(#{})", anchor(heading))));
    below.chain([&lines[at]]).any(|line| line.contains(&form))
        || lines.iter().any(|line| first_name(line) == Some(&form))
        || led.flat_map(|(_, lines)| lines).any(|line| first_name(line) == Some(&form))
}

#[test]
fn the_reference_has_the_words_that_are_read_and_no_others() {
    let (reference, _) = write();
    let sections = sections(&reference);
    let (rows, later) = words();
    assert!(rows.len() > 90, "{} words", rows.len());
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let later = later.iter().filter(|word| !page.contains(&format!("`{word}`")));
    let mut broken: Vec<String> = later.map(|word| format!("`{word}`, which later versions read")).collect();
    for Row { block, word, properties } in &rows {
        let Some((_, headings)) = BLOCKS.iter().find(|(known, _)| known == block) else {
            broken.push(format!("`{block}`: say in tests/tidy/reference.rs which section has its words"));
            continue;
        };
        let lines = headings.iter().flat_map(|heading| sections[heading].iter().copied()).collect::<Vec<_>>();
        // A node that only stands in others is said in their line.
        let inside = format!("{{ {word} ");
        let place = lines.iter().position(|line| first_name(line) == Some(word));
        let Some(at) = place.or_else(|| lines.iter().position(|line| line.contains(&inside))) else {
            broken.push(format!("`{word}` of `{block}`"));
            continue;
        };
        let silent = properties.iter().filter(|property| !says_property(&sections, &lines, at, property));
        broken.extend(silent.map(|property| format!("`{property}=` of `{word}` of `{block}`")));
    }
    for (heading, lines) in &sections {
        let blocks = BLOCKS.iter().filter(|(_, headings)| headings.contains(heading)).map(|(block, _)| *block);
        let blocks: Vec<&str> = blocks.collect();
        for name in lines.iter().filter(|_| !blocks.is_empty()).filter_map(|line| first_name(line)) {
            let is_read = match name.strip_suffix('=') {
                Some(property) => rows.iter().any(|row| row.properties.iter().any(|known| known == property)),
                None => rows.iter().any(|row| row.word == name && blocks.contains(&row.block.as_str())),
            };
            if !is_read {
                broken.push(format!("`{name}` in `{heading}`, which nothing reads"));
            }
        }
    }
    holds(
        "The reference of recipes has every word of src/recipe/word.rs with its properties, and no other: begin the doc \
         comment of what it is read into with its form.",
        broken,
    );
}
