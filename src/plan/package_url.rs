//! Package URLs: one name for a package that all tools know (purl, ECMA-427; types of package-url/purl-spec).

use std::fmt::Write as _;

/// `pkg:TYPE/PATH@VERSION?KEY=VALUE&…`. `qualifiers` are sorted by key; one without a value is left out, and so is a
/// version that is empty.
pub(super) fn package_url<'a>(
    kind: &str,
    path: impl IntoIterator<Item = &'a str>,
    version: &str,
    qualifiers: &[(&str, &str)],
) -> String {
    let mut url = format!("pkg:{kind}");
    for segment in path {
        url.push('/');
        encode(segment, &mut url);
    }
    if !version.is_empty() {
        url.push('@');
        encode(version, &mut url);
    }
    let stated = qualifiers.iter().filter(|(_, value)| !value.is_empty());
    for (separator, (key, value)) in std::iter::once('?').chain(std::iter::repeat('&')).zip(stated) {
        url.push(separator);
        url.push_str(key);
        url.push('=');
        encode(value, &mut url);
    }
    url
}

/// A Debian package, or, of the architecture `source`, a source package.
pub(super) fn debian(archive: &str, name: &str, version: &str, architecture: &str) -> String {
    package_url("deb", [archive, name], version, &[("arch", architecture)])
}

/// Everything but letters, digits, `.`, `-`, `_`, `~` and `:` is written as `%` and two digits.
fn encode(text: &str, url: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'.' | b'-' | b'_' | b'~' | b':' => url.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
            // Writing to a `String` does not fail.
            byte => _ = write!(url, "%{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_written_as_it_writes_them() {
        for (written, expected) in [
            (debian("debian", "attr", "1:2.4.47-2", "source"), "pkg:deb/debian/attr@1:2.4.47-2?arch=source"),
            (debian("debian", "attr", "1:2.4.47-2+b1", "amd64"), "pkg:deb/debian/attr@1:2.4.47-2%2Bb1?arch=amd64"),
            (debian("debian", "libstdc++6", "", "all"), "pkg:deb/debian/libstdc%2B%2B6?arch=all"),
            (
                package_url("golang", "google.golang.org/genproto".split('/'), "abcdedf", &[]),
                "pkg:golang/google.golang.org/genproto@abcdedf",
            ),
            (
                package_url(
                    "generic",
                    ["bitwarderl"],
                    "",
                    &[("checksum", ""), ("vcs_url", "git+https://a.example/b@c")],
                ),
                "pkg:generic/bitwarderl?vcs_url=git%2Bhttps:%2F%2Fa.example%2Fb%40c",
            ),
            (
                package_url(
                    "generic",
                    ["openssl"],
                    "1.1.10g",
                    &[("checksum", "sha256:de"), ("download_url", "u?a=b&c")],
                ),
                "pkg:generic/openssl@1.1.10g?checksum=sha256:de&download_url=u%3Fa%3Db%26c",
            ),
        ] {
            assert_eq!(written, expected);
        }
    }
}
