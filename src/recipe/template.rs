//! Texts in which braces are filled: `{version}`, `{arch}`, `{arch.debian}`, `{platform}`.

use std::fmt;

/// What may stand between braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Brace {
    /// `{version}`: the version of the component, or the one that a kernel states.
    Version,
    /// `{arch}`: the architecture of the image, as recipes write it: `x86_64`.
    Arch,
    /// `{arch.debian}`: the architecture of the image, as Debian writes it: `amd64`.
    DebianArch,
    /// `{platform}`: the platform of the variant: `qemu`.
    Platform,
}

/// A text in which braces are filled: `url`, `to`, `from` and names of files. Nowhere else are braces allowed; steps
/// have `$version` and `$arch`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Text(String),
    Brace(Brace),
}

/// A text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A name between braces that is not known.
    #[error("`{{{name}}}` is not known; `{{version}}`, `{{arch}}`, `{{arch.debian}}` and `{{platform}}` are")]
    Unknown {
        /// What stands between the braces.
        name: String,
    },
    /// A brace without its other half.
    #[error("a brace has no other half")]
    Unbalanced,
}

impl Brace {
    const ALL: [Brace; 4] = [Brace::Version, Brace::Arch, Brace::DebianArch, Brace::Platform];

    /// The word between the braces.
    pub fn name(self) -> &'static str {
        match self {
            Brace::Version => "version",
            Brace::Arch => "arch",
            Brace::DebianArch => "arch.debian",
            Brace::Platform => "platform",
        }
    }
}

impl Template {
    /// Reads a text with braces.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(TemplateError::Unbalanced)?;
            if before.contains('}') {
                return Err(TemplateError::Unbalanced);
            }
            let brace = Brace::ALL.into_iter().find(|brace| brace.name() == name);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Brace(brace.ok_or_else(|| TemplateError::Unknown { name: name.to_owned() })?));
            rest = after;
        }
        if rest.contains('}') {
            return Err(TemplateError::Unbalanced);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template { parts })
    }

    /// The text with every brace filled by what `value` says; `None` when `value` has none for a brace in it.
    pub fn fill<'a>(&self, value: impl Fn(Brace) -> Option<&'a str>) -> Option<String> {
        let mut filled = String::new();
        for part in &self.parts {
            filled.push_str(match part {
                Part::Text(text) => text,
                Part::Brace(brace) => value(*brace)?,
            });
        }
        Some(filled)
    }

    /// Whether `brace` occurs.
    pub fn uses(&self, brace: Brace) -> bool {
        self.parts.contains(&Part::Brace(brace))
    }

    /// The text, when no brace occurs.
    pub fn as_plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Template {
    /// Writes the text as it was written, braces and all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Brace(brace) => write!(f, "{{{}}}", brace.name()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_filled() {
        let template = Template::new("https://example.org/runc-{version}-{arch}.tar.xz").unwrap();
        let value = |brace| match brace {
            Brace::Version => Some("1.2.5"),
            Brace::Arch => Some("x86_64"),
            Brace::DebianArch => Some("amd64"),
            Brace::Platform => None,
        };
        assert_eq!(template.fill(value).unwrap(), "https://example.org/runc-1.2.5-x86_64.tar.xz");
        assert_eq!(template.to_string(), "https://example.org/runc-{version}-{arch}.tar.xz");
        assert_eq!(Template::new("{platform}").unwrap().fill(value), None);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["{verison}", "{", "}", "{version", "a}b{version}", "{}"] {
            assert!(Template::new(text).is_err(), "{text}");
        }
    }
}
