//! What may stand where in the code, and how long it may be.

use crate::{
    holds, root,
    source::{Kind, Source, Token, after_bracket, paths, rust_files, starts},
};

/// The most lines a file may have. A longer one holds two subjects.
const MAX_FILE_LINES: usize = 600;
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
    let doors = ["src/sandbox/linux/", "host/linux/src/device_mapper.rs", "host/linux/src/nvme.rs"];
    for source in everything().iter().filter(|source| !in_one_of(source, &doors)) {
        let words = source.tokens.iter().filter(|token| token.is("unsafe") || token.is("unsafe_code"));
        broken.extend(words.map(|token| format!("{}:{}: `{}`", source.path, token.line, token.text)));
    }
    holds("`unsafe` stands only in src/sandbox/linux, and in device_mapper.rs and nvme.rs of host/linux/src.", broken);
}

#[test]
fn only_cli_prints_and_exits() {
    let mut broken = Vec::new();
    for source in rust_files(root(), &["src", "host"]) {
        if in_one_of(
            source,
            &[
                "src/cli/",
                "src/main.rs",
                "host/agent/src/main.rs",
                "host/apiclient/src/main.rs",
                "host/early/src/main.rs",
                "host/update/src/main.rs",
            ],
        ) {
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
    // A machine's console, which `vm` cleans, what programs in it print, and the descriptor that a shell is given.
    let doors = ["src/cli/output.rs", "src/cli/verb/boot.rs", "src/cli/verb/shell.rs", "src/cli/passed.rs"];
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

/// Words that begin a public item; of fields and variants the types speak.
const ITEMS: [&str; 9] = ["fn", "struct", "enum", "union", "trait", "static", "type", "const", "unsafe"];

#[test]
fn public_types_and_functions_are_documented() {
    let mut broken = Vec::new();
    for source in rust_files(root(), &["src", "host"]) {
        let program = source.program();
        for (at, pair) in program.windows(2).enumerate() {
            let is_item = pair[0].is("pub") && ITEMS.iter().any(|word| pair[1].is(word));
            if is_item && !is_documented(&program[..at]) {
                broken.push(format!("{}:{}", source.path, pair[0].line));
            }
        }
    }
    holds("Public types and functions have a doc comment.", broken);
}

/// Whether a doc comment stands before the attributes that end here.
fn is_documented(mut before: &[Token]) -> bool {
    while before.last().is_some_and(|last| last.is("]")) {
        let Some(open) = (0..before.len())
            .rev()
            .find(|open| before[*open].is("#") && after_bracket(before, open + 1) == before.len())
        else {
            return false;
        };
        before = &before[..open];
    }
    before.last().is_some_and(|last| last.kind == Kind::Doc)
}
