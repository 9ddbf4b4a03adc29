//! The recipes that brc ships are right; sizes; and nothing makes reading panic.

use std::{fs, path::Path, path::PathBuf};

use proptest::prelude::*;

use super::{
    Code, Diagnostic, FileGlob, Presence, Reading, SourcePath, SourceSet, one_line, read,
    word::{self, GuardWord, Word as _},
};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder`, relative to it.
fn files_below(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "target" || name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        match entry.path().is_dir() {
            true => files_below(&entry.path(), &format!("{path}/"), found),
            false => found.push(path),
        }
    }
}

fn matches(root: &Path, glob: &FileGlob) -> Vec<SourcePath> {
    let mut all = Vec::new();
    files_below(&root.join(glob.folder.as_str()), "", &mut all);
    all.iter().filter(|path| glob.matches(path)).map(|path| glob.folder.join(path)).collect()
}

/// Reads from the disk below `root` until nothing is wanted any more.
fn read_all(root: &Path, mut sources: SourceSet) -> (SourceSet, Reading) {
    for _ in 0..8 {
        let wanted = match read(&sources) {
            Reading::Wanted(wanted, _) => wanted,
            reading => return (sources, reading),
        };
        for path in wanted.files {
            match fs::read(root.join(path.as_str())) {
                Ok(bytes) => sources.add_file(path, bytes),
                Err(_) => sources.add_missing(path),
            }
        }
        for glob in wanted.globs {
            let paths = matches(root, &glob);
            sources.add_matches(glob, paths);
        }
        for path in wanted.presence.into_iter().chain(wanted.anywhere) {
            let presence = match fs::metadata(root.join(path.as_str())) {
                Ok(metadata) if metadata.is_dir() => Presence::Folder,
                Ok(_) => Presence::File,
                Err(_) => Presence::Missing,
            };
            sources.add_presence(path, presence);
        }
    }
    panic!("reading does not come to an end");
}

fn read_project(folder: &str) -> (SourceSet, Reading) {
    let root = repository().join(folder);
    read_all(&root, SourceSet::new(Some(SourcePath::new("brc.kdl")), None))
}

fn read_text(text: &str) -> (SourceSet, Reading) {
    let mut sources = SourceSet::new(None, Some(SourcePath::new("a.kdl")));
    sources.add_file(SourcePath::new("a.kdl"), text.as_bytes().to_vec());
    read_all(Path::new("/nonexistent"), sources)
}

fn problems(reading: Reading) -> Vec<Diagnostic> {
    match reading {
        Reading::Wanted(..) => Vec::new(),
        Reading::Read(_, warnings) => warnings,
        Reading::Refused(problems) => problems,
    }
}

/// Mistakes as people see them, each with the places that it names.
pub(crate) fn shown(sources: &SourceSet, problems: &[Diagnostic]) -> String {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&one_line(sources, problem));
        text.push('\n');
        for label in problem.labels.iter().filter(|label| !label.text.is_empty()) {
            let (line, column) = super::line_and_column(sources, label.span);
            text.push_str(&format!("    {}:{line}:{column}: {}\n", sources.path(label.span.file), label.text));
        }
    }
    text
}

#[test]
fn the_recipes_that_brc_ships_are_read_without_a_word() {
    for folder in [".", "examples/quickstart"] {
        let (sources, reading) = read_project(folder);
        assert_eq!(shown(&sources, &problems(reading)), "", "{folder}");
    }
}

/// What stands around the nodes of a block that begins a recipe at the top of a file, or lies in one.
fn around(place: &str) -> &'static str {
    match place {
        "the top of a file" => "NODE",
        "a `component`" | "a `component`, `kernel` or `variant`" => "component \"c\" { NODE }",
        "a `kernel`" => "kernel \"k\" { NODE }",
        "a `variant`" => "variant \"v\" { NODE }",
        "a `packages` group" => "packages \"p\" archive=\"a\" suite=\"s\" { NODE }",
        "an `archive`" => "archive \"a\" { NODE }",
        "an `upstream`" => "component \"c\" { upstream { NODE } }",
        "a `unit`" => "component \"c\" { unit \"a.service\" { NODE } }",
        "a `target`" => "target \"t\" { NODE }",
        "the `aws` of a `target`" => "target \"t\" { aws { NODE } }",
        "a `recipes` import" => "recipes \"r\" { NODE }",
        "a `layout`" => "variant \"v\" { layout \"ab\" { NODE } }",
        place => panic!("say here what {place} looks like"),
    }
}

#[test]
fn every_property_in_the_table_of_words_is_read() {
    for block in word::BLOCKS.iter().filter(|block| block.place != GuardWord::PLACE) {
        for (word, properties) in block.words.iter().zip(block.properties) {
            for property in *properties {
                let text = around(block.place).replace("NODE", &format!("{word} \"a\" {property}=\"x\""));
                let unread = format!("`{word}` has no `{property}=`");
                let found = problems(read_text(&text).1);
                assert!(found.iter().all(|found| found.message != unread), "{text}: {found:?}");
            }
        }
    }
}

#[test]
fn what_is_bad_by_its_mere_size_is_told() {
    for (code, text) in [(Code::TooLarge, "// \n".repeat(300_000)), (Code::TooManyNodes, "a;".repeat(100_001))] {
        let problems = problems(read_text(&text).1);
        assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), [code]);
    }
}

/// So many components, each built with two others and needing four.
fn generated(count: usize) -> String {
    let component = |at: usize| {
        format!(
            "component \"c{at}\" {{\n    version \"1.2.{at}\"\n    license \"MIT\"\n    upstream {{ url \
             \"https://example.org/c{at}-{{version}}.tar.xz\" sha256=\"{at:064x}\" }}\n    needs \"c{}\" \"c{}\" \"c{}\" \
             \"c{}\"\n    step \"make VERSION=$version\"\n    install \"c{at}\" to=\"/usr/bin/c{at}\" mode=0o755\n}}\n",
            at / 2,
            at / 3,
            at / 5,
            at / 7
        )
    };
    let leaf = "component \"c0\" { version \"1\" }\n".to_owned();
    std::iter::once(leaf).chain((1..count).map(component)).collect()
}

#[test]
fn five_thousand_components_are_read() {
    let mut sources = SourceSet::new(Some(SourcePath::new("brc.kdl")), None);
    sources.add_file(SourcePath::new("brc.kdl"), b"project \"many\"\nread \"many/*.kdl\"".to_vec());
    sources.add_missing(SourcePath::new("brc.local.kdl"));
    let text = generated(5000);
    let nodes: Vec<&str> = text.split_inclusive("\n}\n").collect();
    let files: Vec<String> = nodes.chunks(500).map(<[&str]>::concat).collect();
    let paths: Vec<SourcePath> = (0..files.len()).map(|at| SourcePath::new(&format!("many/{at}.kdl"))).collect();
    let glob = FileGlob { folder: SourcePath::default(), pattern: "many/*.kdl".to_owned() };
    sources.add_matches(glob, paths.clone());
    for (path, file) in paths.into_iter().zip(files) {
        sources.add_file(path, file.into_bytes());
    }
    let Reading::Read(recipes, warnings) = read(&sources) else { panic!("not read") };
    assert_eq!((recipes.components.len(), warnings.len()), (5000, 0));
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60)) {
        read_text(&pieces.concat());
    }

    #[test]
    fn no_letters_make_reading_panic(text in "\\PC{0,80}") {
        read_text(&text);
    }
}

/// What recipes are made of, and what only looks so.
const PIECES: &[&str] = &[
    "component ",
    "packages ",
    "kernel ",
    "variant ",
    "override ",
    "archive ",
    "feature ",
    "project ",
    "read ",
    "when ",
    "otherwise ",
    "version ",
    "upstream ",
    "url ",
    "needs ",
    "step ",
    "file ",
    "install ",
    "unit ",
    "layout ",
    "slot ",
    "settings ",
    "suite ",
    "arch",
    "platform",
    "feature",
    "mode",
    "to",
    "text",
    "sha256",
    "=",
    "=",
    " ",
    " ",
    "\n",
    "\n",
    ";",
    "{",
    "{",
    "}",
    "}",
    "\"",
    "\"a\"",
    "\"b\"",
    "\"/usr/bin/a\"",
    "\"1GiB\"",
    "\"{version}\"",
    "\"a|b\"",
    "\"!a\"",
    "#\"",
    "\"#",
    "#\"c\"#",
    "\"\"\"",
    "\"\"\"\n  x\n  \"\"\"",
    "#true",
    "true",
    "0o755",
    "0755",
    "1.30",
    "1GiB",
    "-",
    "//",
    "/*",
    "*/",
    "/-",
    "\\",
    "\\\n",
    "(t)",
    "ü",
    "\u{feff}",
    "\r\n",
    "\0",
];
