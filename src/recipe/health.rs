//! What must be so before a boot is found healthy.

use super::{
    Code, Spanned,
    decode::{Cursor, Reader},
    unit_name::{name_of, unit_name},
};

/// The longest time that a check may have, in seconds: a day.
const MAX_SECONDS: u32 = 24 * 60 * 60;
/// The time of a check that does not say one, in seconds.
const SECONDS: u32 = 60;

/// A check: `health "api" http="http://127.0.0.1:8080/healthz" within="60s"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthItem {
    /// Its name.
    pub name: Spanned<String>,
    /// `unit="a.service"`, `http="http://…"` or `command="/usr/bin/a --check"`: the unit that is to be active, the URL that
    /// is to answer with 2xx, or the program that is to end well; one of them.
    pub what: HealthCheck,
    /// `within="60s"`: it is tried again and again for so long, in `s` or `min`; 60 seconds when it is not said.
    pub within_seconds: u32,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// A unit is active.
    Unit(Spanned<String>),
    /// A URL answers with 2xx.
    Http(Spanned<String>),
    /// A program ends well; its words are parted by blanks.
    Command(Spanned<String>),
}

impl HealthItem {
    pub(super) fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let name = cursor
            .text(reader, "a name")
            .and_then(|name| name_of(reader, name, "a check", |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
        let [unit, http, command] = ["unit", "http", "command"].map(|name| cursor.text_property(reader, name));
        let within = cursor.text_property(reader, "within").map(|text| seconds(reader, &text));
        let what = match (unit, http, command) {
            (Some(unit), None, None) => unit_name(reader, unit).map(HealthCheck::Unit),
            (None, Some(url), None) => url_of(reader, url).map(HealthCheck::Http),
            (None, None, Some(command)) => program(reader, command).map(HealthCheck::Command),
            _ => {
                let message = "a `health` looks at one thing";
                let help = "write one of `unit=\"…\"`, `http=\"…\"` and `command=\"…\"`";
                reader.error(Code::MissingProperty, cursor.place(), message, help);
                return None;
            }
        };
        Some(HealthItem { name: name?, what: what?, within_seconds: within.unwrap_or(Some(SECONDS))? })
    }
}

/// What only this machine answers for: an address of its own.
fn url_of(reader: &mut Reader<'_>, url: Spanned<String>) -> Option<Spanned<String>> {
    let own = ["http://127.0.0.1", "http://[::1]", "http://localhost"]
        .iter()
        .any(|own| url.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])));
    if own && url.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\')) {
        return Some(url);
    }
    let message = format!("`{}` is no URL of the machine itself", url.value);
    let help = "write `http://127.0.0.1:PORT/`: what another machine does must not cost this one its version";
    reader.error(Code::BadValue, url.span, message, help);
    None
}

fn program(reader: &mut Reader<'_>, command: Spanned<String>) -> Option<Spanned<String>> {
    if command.starts_with('/') && !reader.has_control_character(&command, "a command") {
        return Some(command);
    }
    let message = format!("`{}` is no command", command.value);
    reader.error(Code::BadValue, command.span, message, "write the path of a program, and its words after it");
    None
}

fn seconds(reader: &mut Reader<'_>, text: &Spanned<String>) -> Option<u32> {
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok())?;
    let found = match text.strip_suffix("min") {
        Some(minutes) => number(minutes).and_then(|minutes| minutes.checked_mul(60)),
        None => text.strip_suffix('s').and_then(number),
    };
    let fits = found.filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
    if fits.is_none() {
        let message = format!("`{}` is no time that a check may have", text.value);
        reader.error(Code::BadValue, text.span, message, "write a whole number of `s` or `min`, at most a day");
    }
    fits
}
