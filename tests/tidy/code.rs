//! What may stand where in the code, and how long it may be.

use crate::{
    holds, root,
    source::{Kind, Source, Token, after_bracket, paths, rust_files, starts},
};

/// The most lines a file may have. A longer one holds two subjects.
const MAX_FILE_LINES: usize = 600;
/// The most lines a function may have. A longer one does two things.
const MAX_FUNCTION_LINES: usize = 80;
/// Names that say nothing, so that everything ends up there.
const JUNK_DRAWERS: &[&str] = &[
    "core",
    "common",
    "util",
    "utils",
    "type",
    "types",
    "shared",
    "helper",
    "helpers",
    "manager",
    "misc",
    "base",
    "lib_",
    "stuff",
    "functions",
    "prelude",
    "constants",
    "errors",
];

fn everything() -> Vec<&'static Source> {
    rust_files(root(), &["src", "host", "tests", "benches", "fuzz"])
}

fn in_one_of(source: &Source, places: &[&str]) -> bool {
    places.iter().any(|place| source.path.starts_with(place))
}

#[test]
fn files_are_short() {
    let long = everything().into_iter().filter(|source| source.lines > MAX_FILE_LINES);
    holds(
        &format!("A file has at most {MAX_FILE_LINES} lines."),
        long.map(|source| format!("{}: {} lines", source.path, source.lines)).collect(),
    );
}

#[test]
fn functions_are_short() {
    let mut broken = Vec::new();
    for source in rust_files(root(), &["src", "host"]) {
        let tokens = source.program();
        for (name, lines) in functions(&tokens) {
            if lines > MAX_FUNCTION_LINES {
                broken.push(format!("{}: `{name}` has {lines} lines", source.path));
            }
        }
    }
    holds(&format!("A function has at most {MAX_FUNCTION_LINES} lines."), broken);
}

/// Every function with a body and its number of lines, from `fn` to the closing brace.
fn functions(tokens: &[Token]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(name) = tokens.get(at + 1).filter(|name| token.is("fn") && name.kind == Kind::Word) else { continue };
        let mut body = at + 2;
        while let Some(mark) = tokens.get(body) {
            match mark.text.as_str() {
                "{" | ";" => break,
                "(" | "[" => body = after_bracket(tokens, body),
                _ => body += 1,
            }
        }
        if tokens.get(body).is_some_and(|mark| mark.is("{")) {
            let close = &tokens[after_bracket(tokens, body) - 1];
            found.push((name.text.clone(), close.line - token.line + 1));
        }
    }
    found
}

#[test]
fn no_file_is_a_junk_drawer() {
    let mut broken = Vec::new();
    for source in everything() {
        for part in source.path.trim_end_matches(".rs").split('/') {
            if JUNK_DRAWERS.contains(&part) {
                broken.push(format!("{}: `{part}` says nothing about what is in it", source.path));
            }
        }
    }
    holds("Files and folders are named by nouns of the domain.", broken);
}

#[test]
fn unsafe_stands_only_behind_its_doors() {
    let mut broken = Vec::new();
    let doors = ["src/sandbox/linux/", "host/linux/src/device_mapper.rs"];
    for source in everything().iter().filter(|source| !in_one_of(source, &doors)) {
        let words = source.tokens.iter().filter(|token| token.is("unsafe") || token.is("unsafe_code"));
        broken.extend(words.map(|token| format!("{}:{}: `{}`", source.path, token.line, token.text)));
    }
    holds("`unsafe` stands only in src/sandbox/linux and host/linux/src/device_mapper.rs.", broken);
}

#[test]
fn only_cli_prints_and_exits() {
    let mut broken = Vec::new();
    for source in rust_files(root(), &["src", "host"]) {
        if in_one_of(source, &["src/cli/", "src/main.rs", "host/agent/src/main.rs", "host/early/src/main.rs"]) {
            continue;
        }
        let program = source.program();
        for (at, token) in program.iter().enumerate() {
            let macros = ["println", "eprintln", "print", "eprint", "dbg"];
            if token.kind == Kind::Word
                && macros.contains(&token.text.as_str())
                && program.get(at + 1).is_some_and(|mark| mark.is("!"))
            {
                broken.push(format!("{}:{}: `{}!`", source.path, token.line, token.text));
            }
        }
        for (line, path) in paths(&program, &source.module()) {
            let text = path.join("::");
            if ["process::exit", "process::abort", "io::stdout", "io::stderr"].iter().any(|end| text.ends_with(end)) {
                broken.push(format!("{}:{line}: `{text}`", source.path));
            }
        }
    }
    holds("Only src/cli and the programs' main.rs print and exit; other rooms return values.", broken);
}

#[test]
fn text_reaches_the_terminal_through_one_door() {
    let mut broken = Vec::new();
    // A machine's console, which `vm` cleans, and the descriptor that a shell is given.
    let doors = ["src/cli/output.rs", "src/cli/verb/boot.rs", "src/cli/verb/shell.rs"];
    for source in rust_files(root(), &["src/cli"]) {
        let program = source.program();
        for (at, token) in program.iter().enumerate().filter(|(_, token)| token.kind == Kind::Word) {
            let follows = |text: &str| program.get(at + 1).is_some_and(|mark| mark.is(text));
            let prints = ["println", "eprintln", "print", "eprint"].contains(&token.text.as_str()) && follows("!");
            let of_child = at.checked_sub(1).is_some_and(|before| program[before].is("."));
            let opens = token.text == "stdout" && follows("(") && !of_child && !in_one_of(source, &doors);
            if prints || opens {
                broken.push(format!("{}:{}: `{}`", source.path, token.line, token.text));
            }
        }
    }
    holds("What is shown passes src/cli/output.rs, which writes control characters out.", broken);
}

#[test]
fn only_cli_says_what_is_next() {
    let files = ["src", "recipes", "bootloader"].map(|folder| files_below(&root().join(folder)));
    let mut broken = Vec::new();
    for file in files.concat() {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        let is_door = name.starts_with("src/cli/");
        let says = |line: &str| {
            line.contains("\"next: ") && !(is_door && line.contains("hints.") || line.contains("{command}"))
        };
        let lines = text.lines().enumerate().filter(|(_, line)| says(line));
        broken.extend(lines.map(|(number, line)| format!("{name}:{}: {}", number + 1, line.trim())));
    }
    holds("What follows `next: ` is a command, which `Hints` in src/cli writes; advice begins with `help: `.", broken);
}

/// Every file below a folder, sorted.
fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn async_stays_behind_its_doors() {
    let mut broken = Vec::new();
    for source in rust_files(root(), &["src"]) {
        if in_one_of(source, &["src/publish/", "src/store/remote"]) {
            continue;
        }
        let words = source.tokens.iter().filter(|token| token.is("async") || token.is("await"));
        broken.extend(words.map(|token| format!("{}:{}: `{}`", source.path, token.line, token.text)));
    }
    holds("`async` stands only in `publish` and `store/remote`, each behind one blocking door.", broken);
}

#[test]
fn no_test_is_ignored() {
    let mut broken = Vec::new();
    for source in everything() {
        for (at, token) in source.tokens.iter().enumerate() {
            if starts(&source.tokens[at..], &["#", "[", "ignore"]) {
                broken.push(format!("{}:{}: `#[ignore]`", source.path, token.line));
            }
        }
    }
    holds("A slow test belongs to a tier (tests/README.md); a test that cannot run says so loudly.", broken);
}

#[test]
fn an_error_does_not_print_its_own_source() {
    let mut broken = Vec::new();
    for source in rust_files(root(), &["src", "host"]) {
        for (at, token) in source.tokens.iter().enumerate() {
            let message = source.tokens.get(at + 4).filter(|_| starts(&source.tokens[at..], &["#", "[", "error", "("]));
            if message.is_some_and(|message| message.kind == Kind::Literal && message.text.contains("{source")) {
                broken.push(format!("{}:{}: `{{source}}` in the message", source.path, token.line));
            }
        }
    }
    holds("`Display` of an error never prints its source: whoever reports prints the chain.", broken);
}

#[test]
fn everything_public_is_documented() {
    let mut broken = Vec::new();
    for source in rust_files(root(), &["src", "host"]) {
        let program = source.program();
        for (at, token) in program.iter().enumerate() {
            if let Some(item) = public_item(&program[at..])
                && in_public_item(&program, at)
                && !is_documented(&program, at)
            {
                broken.push(format!("{}:{}: `{item}`", source.path, token.line));
            }
        }
    }
    holds("Every public item and field has a doc comment; an error's variant may have its message instead.", broken);
}

/// What `tokens` declares, if it begins with `pub` and is an item or a field.
fn public_item(tokens: &[Token]) -> Option<&str> {
    if !tokens.first()?.is("pub") || tokens.get(1)?.is("(") {
        return None;
    }
    let qualifier = |token: &&Token| {
        ["const", "unsafe", "async", "extern"].iter().any(|word| token.is(word)) || token.kind == Kind::Literal
    };
    let at = 1 + tokens[1..].iter().take_while(qualifier).count();
    let word = tokens.get(at)?;
    let name = tokens.get(at + 1)?;
    let item = ["fn", "struct", "enum", "union", "trait", "static", "type", "macro"].iter().any(|item| word.is(item));
    if item {
        return Some(&name.text);
    }
    let constant = at > 1 && word.kind == Kind::Word && name.is(":");
    let field = at == 1 && word.kind == Kind::Word && name.is(":") && !tokens.get(3)?.is(":");
    (constant || field).then_some(&word.text)
}

/// Whether what encloses `at` is public as well: a field or method of a private type is nobody's business.
fn in_public_item(tokens: &[Token], at: usize) -> bool {
    let mut closed = 0_usize;
    let open = (0..at).rev().find(|open| match tokens[*open].text.as_str() {
        "}" => {
            closed += 1;
            false
        }
        "{" if closed > 0 => {
            closed -= 1;
            false
        }
        text => text == "{",
    });
    let Some(open) = open else { return true };
    let head = tokens[..open].iter().rposition(|token| [";", "}", "{"].iter().any(|mark| token.is(mark)));
    let head = &tokens[head.map_or(0, |head| head + 1)..open];
    let keyword = |word: &str| head.iter().position(|token| token.is(word));
    if let Some(at) = keyword("struct") {
        return at > 0 && head[at - 1].is("pub");
    }
    let Some(of_impl) = keyword("impl") else { return true };
    let mut name = of_impl + 1;
    let mut depth = 0_usize;
    while let Some(token) = head.get(name) {
        match token.text.as_str() {
            "<" => depth += 1,
            ">" => depth -= 1,
            _ if depth == 0 && token.kind == Kind::Word => break,
            _ => {}
        }
        name += 1;
    }
    let is_declared = |token: &Token| ["struct", "enum"].iter().any(|word| token.is(word));
    let Some(name) = head.get(name) else { return true };
    let declared = tokens.windows(2).position(|window| is_declared(&window[0]) && window[1].text == name.text);
    declared.is_none_or(|declared| declared > 0 && tokens[declared - 1].is("pub"))
}

/// Whether a doc comment stands before the attributes of what is at `at`, or `#[error]` among them.
fn is_documented(tokens: &[Token], mut at: usize) -> bool {
    while let Some(before) = at.checked_sub(1).map(|before| &tokens[before]) {
        if before.kind == Kind::Doc {
            return true;
        }
        if !before.is("]") {
            return false;
        }
        let Some(open) = (0..at).rev().find(|open| tokens[*open].is("#") && after_bracket(tokens, open + 1) >= at)
        else {
            return false;
        };
        at = open;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tokens;

    #[test]
    fn a_function_is_measured_to_its_closing_brace() {
        let found = functions(&tokens(
            "fn a(x: [u8; 2]) -> u8\nwhere u8: Copy\n{\n  if x { \"}\" } else { '}' }\n}\ntrait T { fn b(); }",
        ));
        assert_eq!(found, [("a".to_owned(), 5)]);
    }

    #[test]
    fn what_is_public_and_bare_is_found() {
        let cases = [
            ("pub fn a() {}", false),
            ("/// Yes.\npub fn a() {}", true),
            ("/// Yes.\n#[derive(Debug, Clone)]\n#[x(y)]\npub struct A;", true),
            ("#[derive(Debug)]\npub struct A;", false),
            ("/// A.\npub struct A { pub b: u8 }", false),
            ("/// A.\npub struct A {\n/// B.\npub b: u8 }", true),
            ("pub(crate) fn a() {}", true),
            ("struct A { pub b: u8 }", true),
            ("pub(super) struct A { pub b: u8 }", true),
            ("struct A<'a, T: B> { b: u8 }\nimpl<'a, T: B> A<'a, T> { fn c() {}\npub fn d() {} }", true),
            ("/// A.\npub struct A { b: u8 }\nimpl A { fn c() {}\npub fn d() {} }", false),
            ("pub use a::b;", true),
            ("pub const A: u8 = 1;", false),
            ("pub const fn a() {}", false),
        ];
        for (text, documented) in cases {
            let tokens = tokens(text);
            let bare = (0..tokens.len()).any(|at| {
                public_item(&tokens[at..]).is_some() && in_public_item(&tokens, at) && !is_documented(&tokens, at)
            });
            assert_eq!(!bare, documented, "{text}");
        }
    }
}
