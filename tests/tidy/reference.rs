//! The reference of recipes is written from the doc comments of `src/recipe`, so that it cannot say anything else.
//!
//! The doc comment of a node or property begins with its form: `/// \`version "1.2.5"\`: its version.`

use std::{collections::BTreeMap, fmt::Write as _, fs};

use crate::{
    holds, root,
    source::{Kind, Token, after_bracket, rust_files, starts},
};

const PAGE: &str = "docs/reference/recipe.md";
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
];

/// What is said of values wherever they stand.
const VALUES: &[(&str, &[&str])] =
    &[("Conditions", &["Guarded"]), ("Braces", &["Template", "Brace"]), ("Sizes", &["Bytes"])];

/// The lists of `src/recipe/word.rs`, and the sections that have their words; without one, any section.
const WORDS: &[(&str, &[&str])] = &[
    ("TOP_LEVEL", &["At the top of a file"]),
    ("PROJECT", &["In `brc.kdl`"]),
    ("COMMON", &["In a `component`, `kernel` or `variant`"]),
    ("COMPONENT", &["In a `component`", "Build systems"]),
    ("PACKAGES", &["In a group of `packages`"]),
    ("KERNEL", &["In a `kernel`"]),
    ("KERNEL_FROM_SOURCE", &["In a `kernel`"]),
    ("INITRAMFS", &["In an `initramfs`"]),
    ("VARIANT", &["In a `variant`"]),
    ("GUARDS", &["Conditions"]),
    ("NO_KERNEL_SOURCE", &["In an `upstream`"]),
    ("SINGLE", &[]),
    ("PROPERTIES", &[]),
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

#[test]
fn the_reference_of_recipes_is_that_of_the_code() {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the line that the reference begins with");
    let (old, after) = rest.split_once(END).expect("the line that the reference ends with");
    let (new, broken) = write();
    holds("A doc comment in src/recipe that begins with a form goes on with its meaning.", broken);
    if std::env::var_os("BRC_BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{new}{END}{after}")).unwrap();
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
            "{PAGE} says what the doc comments of src/recipe say; `BRC_BLESS=1 cargo test --test tidy` writes it."
        ),
        broken,
    );
}

/// The words of each list of `src/recipe/word.rs`, and those that only later versions read.
fn words() -> (BTreeMap<String, Vec<String>>, Vec<String>) {
    let source = rust_files(root(), &["src/recipe"]).into_iter().find(|source| source.path.ends_with("/word.rs"));
    let tokens = source.unwrap().program();
    let plain = |token: &Token| token.text.trim_matches('"').to_owned();
    let mut lists = BTreeMap::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| token.is("const")) {
        let open = at + tokens[at..].iter().position(|token| token.is("=")).unwrap() + 1;
        let inside = &tokens[open..after_bracket(&tokens, open)];
        let words = inside.iter().filter(|token| token.kind == Kind::Literal).map(plain).collect();
        lists.insert(tokens[at + 1].text.clone(), words);
    }
    let arms = tokens.windows(3).filter(|arm| arm[0].kind == Kind::Literal && starts(&arm[1..], &["=", ">"]));
    (lists, arms.map(|arm| plain(&arm[0])).collect())
}

#[test]
fn every_word_of_recipes_is_in_the_reference() {
    let (reference, _) = write();
    let (lists, later) = words();
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let later = later.iter().filter(|word| !page.contains(&format!("`{word}`")));
    let mut broken: Vec<String> = later.map(|word| format!("`{word}`, which later versions read")).collect();
    for (list, words) in &lists {
        let Some((_, headings)) = WORDS.iter().find(|(known, _)| known == list) else {
            broken.push(format!("the list `{list}`: say in tests/tidy/reference.rs which section has its words"));
            continue;
        };
        let sections = reference.split("\n## ").filter(|section| {
            headings.is_empty() || headings.iter().any(|heading| section.starts_with(&format!("{heading}\n")))
        });
        let text: String = sections.collect();
        // A property stands anywhere in a form, a node at its beginning.
        let stands = |word: &String| match list.as_str() {
            "PROPERTIES" => text.contains(&format!("{word}=")),
            _ => [" ", "`"].iter().any(|end| text.contains(&format!("- `{word}{end}"))),
        };
        broken.extend(words.iter().filter(|word| !stands(word)).map(|word| format!("`{word}` of `{list}`")));
    }
    holds(
        "Every word of src/recipe/word.rs is in the reference of recipes: begin the doc comment of what it is read into \
         with its form.",
        broken,
    );
}
