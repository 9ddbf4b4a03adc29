//! Apt's sources: the mirrors that a Debian host is configured with. Text in, mirrors out.

/// One place that apt gets an archive from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AptSource {
    /// The mirror's name: `debian` or `debian-security`.
    pub mirror: String,
    /// The URI as apt has it, without trailing `/`.
    pub uri: String,
}

/// Finds the mirrors of Debian's archives in one file of `/etc/apt` (sources.list(5)).
///
/// `name` is the file's name: `.sources` is read as deb822, everything else as one-line entries. An archive is
/// known by its URI, whose path ends in `/debian` or `/debian-security`. What is disabled, is a source archive
/// only, or cannot be read, is passed over: apt's configuration is an offer, not an input. Each is named once.
pub fn apt_sources(name: &str, text: &str) -> Vec<AptSource> {
    let uris = if name.ends_with(".sources") { deb822_uris(text) } else { line_uris(text) };
    let mut found: Vec<AptSource> = Vec::new();
    for uri in uris {
        let uri = uri.trim_end_matches('/');
        let usable = ["http://", "https://", "file:///"].iter().any(|scheme| uri.starts_with(scheme));
        let mirror = uri.rsplit('/').next().unwrap_or("");
        let source = AptSource { mirror: mirror.to_owned(), uri: uri.to_owned() };
        if usable && matches!(mirror, "debian" | "debian-security") && !found.contains(&source) {
            found.push(source);
        }
    }
    found
}

/// The URIs of enabled stanzas with binary packages.
fn deb822_uris(text: &str) -> Vec<&str> {
    let mut uris = Vec::new();
    let mut stanza: Vec<(&str, Vec<&str>)> = Vec::new();
    // A blank line after the last ends its stanza too.
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            let field = |wanted: &str| {
                let found = stanza.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                found.map(|(_, words)| words.as_slice())
            };
            let is_off = |word: &&str| ["no", "false", "without", "off", "disable"].contains(word);
            let enabled = !field("Enabled").is_some_and(|words| words.iter().any(is_off));
            if enabled && field("Types").is_some_and(|words| words.contains(&"deb")) {
                uris.extend(field("URIs").unwrap_or(&[]));
            }
            stanza.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, words)) = stanza.last_mut() {
                words.extend(line.split_whitespace());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.push((name.trim(), value.split_whitespace().collect()));
        }
    }
    uris
}

/// The URIs of lines `deb [options] URI suite component…`.
fn line_uris(text: &str) -> Vec<&str> {
    let mut uris = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        let Some(rest) = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t'])) else {
            continue;
        };
        let rest = match rest.trim_start().strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None => rest,
        };
        uris.extend(rest.split_whitespace().next());
    }
    uris
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> Vec<(String, String)> {
        apt_sources(name, text).into_iter().map(|source| (source.mirror, source.uri)).collect()
    }

    fn pair(mirror: &str, uri: &str) -> (String, String) {
        (mirror.to_owned(), uri.to_owned())
    }

    #[test]
    fn deb822_sources_are_read() {
        let text = "Types: deb deb-src\n# comment: x\nURIs: http://a.example/debian/\n  https://b.example/debian\n\
            Suites: trixie\nComponents: main\n\n\
            Types: deb\nURIs: http://a.example/debian-security\nSuites: trixie-security\n\n\
            Enabled: no\nTypes: deb\nURIs: http://off.example/debian\n\n\
            Types: deb-src\nURIs: http://src.example/debian\n\n\
            Types: deb\nURIs: https://b.example/node_20.x\nSuites: nodistro\n";
        assert_eq!(
            found("debian.sources", text),
            [
                pair("debian", "http://a.example/debian"),
                pair("debian", "https://b.example/debian"),
                pair("debian-security", "http://a.example/debian-security"),
            ]
        );
    }

    #[test]
    fn one_line_sources_are_read() {
        let text = "# deb http://old.example/debian x\n\
            deb [arch=amd64 signed-by=/usr/share/k.gpg] http://a.example/debian trixie main # c\n\
            deb-src http://a.example/src/debian trixie main\n\
            deb\thttp://a.example/debian/ trixie-updates main\n\
            deb file:///srv/debian-security trixie-security main\n\
            deb cdrom:[Debian]/ trixie main\ndeb\ndeb [broken\n";
        assert_eq!(
            found("sources.list", text),
            [pair("debian", "http://a.example/debian"), pair("debian-security", "file:///srv/debian-security")]
        );
    }
}
