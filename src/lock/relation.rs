//! Relationship fields: `Depends: a (>= 1) | b, c:any` (Debian Policy, section 7.1).

use std::{cmp::Ordering, fmt};

use brc_contract::Architecture;
use debversion::Version;

/// The longest relationship field that is read, in bytes.
const MAX_FIELD_BYTES: usize = 256 << 10;
/// The longest version that is read, in bytes.
const MAX_VERSION_BYTES: usize = 256;

/// One name of a relationship field, with what it asks of the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Relation<'a> {
    pub(super) name: &'a str,
    /// The architecture that it names, where that is another than the closure's: no package here is of it.
    pub(super) foreign: Option<&'a str>,
    pub(super) bound: Option<Bound<'a>>,
}

/// What is asked of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bound<'a> {
    pub(super) operator: Operator,
    pub(super) version: &'a str,
}

/// How versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operator {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

/// A field is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is no relation to a package")]
pub(super) struct RelationError {
    part: String,
}

/// Reads a field as groups of alternatives. What does not count on `architecture` (`a [arm64]`) is left out; what names
/// a foreign one (`a:i386`) counts and cannot be met.
pub(super) fn groups(field: &str, architecture: Architecture) -> Result<Vec<Vec<Relation<'_>>>, RelationError> {
    if field.len() > MAX_FIELD_BYTES {
        return Err(RelationError { part: format!("{}…", field.chars().take(40).collect::<String>()) });
    }
    let groups = field.split(',').map(str::trim).filter(|group| !group.is_empty());
    groups
        .map(|group| {
            let alternatives = group.split('|').map(str::trim).map(|part| relation(part, architecture));
            alternatives.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
        })
        .filter(|group| !matches!(group, Ok(alternatives) if alternatives.is_empty()))
        .collect()
}

/// Reads a field that is no dependency (`Provides`, `Conflicts`): what it says of packages of `architecture`.
///
/// A field that cannot be read says nothing: a package is no worse for one that nobody needs.
pub(super) fn own(field: &str, architecture: Architecture) -> impl Iterator<Item = Relation<'_>> {
    let relations = groups(field, architecture).unwrap_or_default().into_iter().flatten();
    relations.filter(|relation| relation.foreign.is_none())
}

/// Reads `name[:arch] [(op version)] [[arch…]]`; `None` when it does not count on `architecture`.
fn relation(part: &str, architecture: Architecture) -> Result<Option<Relation<'_>>, RelationError> {
    let wrong = || RelationError { part: part.chars().take(80).collect() };
    let end = part.find([' ', '(', '[', '<', '\t']).unwrap_or(part.len());
    let (head, mut rest) = part.split_at(end);
    let (name, qualifier) = head.split_once(':').unwrap_or((head, "any"));
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !is_name(name) || qualifier.is_empty() || !qualifier.bytes().all(letter) {
        return Err(wrong());
    }
    let is_own = matches!(qualifier, "any" | "native" | "all") || qualifier == architecture.debian();
    let foreign = (!is_own).then_some(qualifier);
    let (mut applies, mut bound) = (true, None);
    rest = rest.trim_start();
    if let Some(inner) = rest.strip_prefix('(') {
        let (inner, after) = inner.split_once(')').ok_or_else(wrong)?;
        bound = Some(read_bound(inner).ok_or_else(wrong)?);
        rest = after.trim_start();
    }
    if let Some(inner) = rest.strip_prefix('[') {
        let (inner, after) = inner.split_once(']').ok_or_else(wrong)?;
        applies = is_for(inner, architecture);
        rest = after.trim_start();
    }
    // Build profiles (`<!nocheck>`) belong to source packages.
    if !rest.is_empty() {
        return Err(wrong());
    }
    Ok(applies.then_some(Relation { name, foreign, bound }))
}

fn read_bound(text: &str) -> Option<Bound<'_>> {
    let text = text.trim();
    let (operator, version) = [
        ("<<", Operator::Earlier),
        ("<=", Operator::EarlierOrEqual),
        (">=", Operator::LaterOrEqual),
        (">>", Operator::Later),
        ("=", Operator::Equal),
        // Policy forbids these two today; dpkg reads them so.
        ("<", Operator::EarlierOrEqual),
        (">", Operator::LaterOrEqual),
    ]
    .into_iter()
    .find_map(|(sign, operator)| text.strip_prefix(sign).map(|version| (operator, version.trim())))?;
    version_of(version).is_some().then_some(Bound { operator, version })
}

/// Whether a list of architectures (`amd64 arm64`, `!i386`, `linux-any`) includes this one.
fn is_for(list: &str, architecture: Architecture) -> bool {
    let matches = |word: &str| {
        matches!(word, "any" | "linux-any")
            || word == architecture.debian()
            || word.strip_prefix("any-") == Some(architecture.debian())
    };
    let mut words = list.split_ascii_whitespace().peekable();
    match words.peek() {
        Some(first) if first.starts_with('!') => !words.any(|word| matches(word.trim_start_matches('!'))),
        _ => words.any(matches),
    }
}

/// Whether a text is a package's name (Debian Policy, section 5.6.7; one letter is accepted).
pub(super) fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 128
        && text.bytes().next().is_some_and(letter)
        && text.bytes().all(|byte| letter(byte) || matches!(byte, b'+' | b'-' | b'.'))
}

/// Reads a version; `None` when it is none.
pub(super) fn version_of(text: &str) -> Option<Version> {
    if text.is_empty() || text.len() > MAX_VERSION_BYTES { None } else { text.parse().ok() }
}

/// Compares two versions; what is no version comes before all that are.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    version_of(left).cmp(&version_of(right))
}

impl Bound<'_> {
    /// Whether a version is as asked.
    pub(super) fn admits(&self, version: &str) -> bool {
        let (Some(left), Some(right)) = (version_of(version), version_of(self.version)) else { return false };
        let order = left.cmp(&right);
        match self.operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::LaterOrEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        }
    }
}

impl Relation<'_> {
    /// Whether a version of the named package is as asked.
    pub(super) fn admits(&self, version: &str) -> bool {
        self.bound.is_none_or(|bound| bound.admits(version))
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operator::Earlier => "<<",
            Operator::EarlierOrEqual => "<=",
            Operator::Equal => "=",
            Operator::LaterOrEqual => ">=",
            Operator::Later => ">>",
        })
    }
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(architecture) = self.foreign {
            write!(f, ":{architecture}")?;
        }
        match self.bound {
            Some(bound) => write!(f, " ({} {})", bound.operator, bound.version),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(field: &str, architecture: Architecture) -> String {
        let groups = groups(field, architecture).unwrap();
        let groups: Vec<String> =
            groups.iter().map(|group| group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")).collect();
        groups.join(", ")
    }

    #[test]
    fn fields_are_read() {
        for (field, expected) in [
            ("", ""),
            ("a", "a"),
            ("a(>=1)", "a (>= 1)"),
            ("a (>= 1:2.3-4~deb13u1+b1) | b, c:any (<< 2),  ", "a (>= 1:2.3-4~deb13u1+b1) | b, c (<< 2)"),
            ("a:native, b:amd64, c:any, d:all", "a, b, c, d"),
            ("c:arm64 | d, e:i386 (>= 1)", "c:arm64 | d, e:i386 (>= 1)"),
            ("c:arm64 [arm64], a", "a"),
            ("a [amd64 i386], b [!amd64], c [linux-any], d [arm64], e [any-amd64]", "a, c, e"),
            ("a (< 2), b (> 2)", "a (<= 2), b (>= 2)"),
        ] {
            assert_eq!(text(field, Architecture::X86_64), expected, "{field}");
        }
        assert_eq!(text("a [amd64], b [!amd64]", Architecture::Aarch64), "b");
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for field in [
            "A",
            "a b",
            "a (1)",
            "a (>= )",
            "a (>= 1",
            "a (~ 1)",
            "a <!nocheck>",
            "../a",
            "a | ",
            "a (>= x y)",
            "a:",
            "a:I",
        ] {
            assert!(groups(field, Architecture::X86_64).is_err(), "{field}");
        }
    }

    #[test]
    fn versions_are_compared_as_dpkg_does() {
        for (left, sign, right) in [
            ("1.0~rc1", "<<", "1.0"),
            ("1.0", "<<", "1.0+deb13u1"),
            ("1:0.1", ">>", "9"),
            ("0:1-0", "=", "1"),
            ("1.10", ">>", "1.9"),
            ("13.8+deb13u2", ">=", "13.8"),
            ("2.41-12", "<=", "2.41-12"),
            ("1.0-1", "<<", "1.0-1+b1"),
            ("1a", "<<", "1+"),
        ] {
            let field = format!("p ({sign} {right})");
            assert!(groups(&field, Architecture::X86_64).unwrap()[0][0].admits(left), "{left} {sign} {right}");
        }
    }
}
