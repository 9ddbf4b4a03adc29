//! The only doors to the two streams: every text passes here, and no other file of brc writes to a terminal.
//!
//! Names, logs and messages come from recipes, archives, images and builds. A terminal obeys control characters, so
//! they are written out (`\u{1b}`) instead of passed on; a line end and a tab are what they are. Only colours of a log
//! are kept, and only where a terminal shows them.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _, stderr, stdout},
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use super::json::{Event, Object};
use crate::sandbox::linux::output_was_closed;

/// The exit code of a program whose reader went away, as shells have it for the signal that others die of.
pub const READER_GONE: u8 = 141;
/// The exit code of what this machine cannot do.
pub const MACHINE: u8 = 3;

/// Why standard output did not take something; the first reason stays.
static REFUSED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Whom the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// People: data as lines, progress live on a terminal.
    People,
    /// Programs: one JSON object a line on standard output.
    Json,
}

/// Writes a line for people to standard error.
pub fn status(text: &str) {
    // Nobody reads: there is nobody to tell.
    let _ = writeln!(stderr(), "{}", printable(text));
}

/// Writes a text for people that holds colours of our own; whatever it quotes was made [`printable`] before.
pub fn status_styled(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Writes a part of a log to standard error, coloured where that is a terminal.
pub fn status_log(text: &str) {
    status_styled(&log_text(text, stderr().is_terminal()));
}

/// Writes a line of data to standard output.
pub fn print(text: &str) {
    write_data(&printable(text));
}

/// Writes a log to standard output, coloured where that is a terminal.
pub fn print_log(text: &str) {
    write_data(&log_text(text, stdout().is_terminal()));
}

/// Writes an event as a line of JSON.
pub fn print_event(event: Event) {
    print_json(&Object::Event(event));
}

/// Writes an object as a line of JSON.
pub fn print_json(object: &Object) {
    // JSON escapes the characters below space; a terminal obeys others, too.
    let text = object.line();
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_obeyed(letter) {
            // Writing to a String cannot fail.
            let _ = write!(line, "\\u{:04x}", u32::from(letter));
        } else {
            line.push(letter);
        }
    }
    write_data(&line);
}

/// Writes bytes to standard output, which is no terminal.
pub fn print_bytes(bytes: &[u8]) {
    write_all(&[bytes]);
}

/// Whether standard output is a terminal.
pub fn prints_to_terminal() -> bool {
    stdout().is_terminal()
}

/// Writes a line to standard output.
fn write_data(line: &str) {
    write_all(&[line.as_bytes(), b"\n"]);
}

/// Writes to standard output and remembers when that fails. Once its reader went away nothing more is written.
fn write_all(parts: &[&[u8]]) {
    let mut refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
    if refused.is_none() {
        let mut out = stdout().lock();
        *refused = must_be_open().and_then(|()| parts.iter().try_for_each(|part| out.write_all(part))).err();
    }
}

/// Fails where the shell has closed standard output: what is written then goes nowhere without a word.
pub fn must_be_open() -> io::Result<()> {
    if output_was_closed() { Err(io::Error::other("it is closed")) } else { Ok(()) }
}

/// The exit code of a command that came to `code`, now that everything is written: what standard output did not take
/// is an error, and quiet when only its reader went away.
pub fn finish(code: ExitCode) -> ExitCode {
    let mut refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
    let error = match refused.take() {
        Some(error) => error,
        None => match stdout().flush() {
            Ok(()) => return code,
            Err(error) => error,
        },
    };
    not_written(&error)
}

/// The exit code where standard output did not take something for this reason, which is told unless its reader is gone.
pub fn not_written(error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::from(READER_GONE);
    }
    status(&format!("error: standard output cannot be written: {error}"));
    ExitCode::from(MACHINE)
}

/// A text without characters that a terminal would obey.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_obeyed(letter) { shown.extend(letter.escape_unicode()) } else { shown.push(letter) }
    }
    Cow::Owned(shown)
}

/// Quoted text of a file, at the same places: each character that a terminal would obey is replaced by one as long.
pub fn printable_in_place(text: &str) -> String {
    let replaced = |letter: char| match letter.len_utf8() {
        _ if !is_obeyed(letter) => letter,
        // Before the end of a line, as some systems write it.
        1 if letter == '\r' => ' ',
        1 => '?',
        2 => '¿',
        _ => char::REPLACEMENT_CHARACTER,
    };
    text.chars().map(replaced).collect()
}

/// Whether a terminal would do something else with it than show it, line ends and tabs aside: control characters, and
/// those that change the direction of what follows.
fn is_obeyed(letter: char) -> bool {
    let turns =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (letter.is_control() && !matches!(letter, '\n' | '\t')) || turns
}

/// A log as it may be shown: with its colours, or with them written out like everything else.
fn log_text(text: &str, colours: bool) -> String {
    let text = text.replace("\r\n", "\n");
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut coloured = false;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(at);
        shown.push_str(&printable(before));
        let length = colour_length(sequence).filter(|_| colours).unwrap_or(0);
        let (colour, after) = sequence.split_at(length);
        coloured |= length > 0;
        shown.push_str(colour);
        // What is no colour is written out.
        let taken = usize::from(length == 0);
        shown.push_str(&printable(after.get(..taken).unwrap_or_default()));
        rest = after.get(taken..).unwrap_or_default();
    }
    shown.push_str(&printable(rest));
    if coloured {
        shown.push_str("\u{1b}[0m");
    }
    shown
}

/// The bytes of `ESC [ 1 ; 31 m`, which sets colour and weight, if the text begins with one.
fn colour_length(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\u{1b}[")?;
    let end = numbers.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    (numbers.as_bytes().get(end) == Some(&b'm')).then_some("\u{1b}[".len() + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        for (text, shown) in [
            ("plain é\tline\n", "plain é\tline\n"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\0b\rc\u{7f}", "a\\u{0}b\\u{d}c\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(printable(text), shown);
            assert_eq!(printable_in_place(text).len(), text.len());
            assert!(!printable_in_place(text).chars().any(is_obeyed));
        }
    }

    #[test]
    fn of_a_log_only_colours_reach_a_terminal() {
        let log = "\u{1b}[1;31mred\u{1b}[0m \u{1b}[2J\u{1b}]52;c;eA==\u{7}\u{1b}[38";
        let written = "\\u{1b}[2J\\u{1b}]52;c;eA==\\u{7}\\u{1b}[38";
        assert_eq!(log_text(log, true), format!("\u{1b}[1;31mred\u{1b}[0m {written}\u{1b}[0m"));
        assert_eq!(log_text(log, false), format!("\\u{{1b}}[1;31mred\\u{{1b}}[0m {written}"));
        assert_eq!(log_text("plain\r\nlines", true), "plain\nlines");
    }
}
