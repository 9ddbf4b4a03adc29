//! What a registry says, read: manifests, lists of tags, challenges (OCI Distribution and Image Format, 1.1).

use serde_json::Value;

use crate::content::{Compression, Sha256, Url};

/// What is asked for, and read.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The one layer of an artifact: its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layer {
    pub digest: Sha256,
    pub size: u64,
    pub compression: Compression,
}

/// Reads a manifest; else what is wrong with it.
pub(super) fn read_manifest(bytes: &[u8]) -> Result<Layer, String> {
    let manifest: Value = serde_json::from_slice(bytes).map_err(|error| format!("its manifest is no JSON: {error}"))?;
    if manifest["manifests"].is_array() {
        return Err("it is an index of several images, expected one artifact".to_owned());
    }
    let layers = manifest["layers"].as_array().ok_or("its manifest has no `layers`")?;
    let [layer] = layers.as_slice() else {
        return Err(format!("it has {} layers, expected one with the files of the set", layers.len()));
    };
    let kind = layer["mediaType"].as_str().unwrap_or_default();
    let compression = match kind.rsplit_once("tar").map(|(_, end)| end) {
        Some("") => Compression::Plain,
        Some("+gzip" | ".gzip") => Compression::Gzip,
        Some("+zstd" | ".zstd") => Compression::Zstd,
        _ => {
            let kind = kind.escape_debug();
            return Err(format!(
                "its layer is of the type `{kind}`, expected one that ends in `tar`, `tar+gzip` or `tar+zstd`"
            ));
        }
    };
    let digest = layer["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
    let digest = digest.and_then(|digest| Sha256::parse(digest).ok()).ok_or("its layer has no digest `sha256:…`")?;
    let size = layer["size"].as_u64().ok_or("its layer has no size")?;
    Ok(Layer { digest, size, compression })
}

/// The tags of a list; none of what is no list.
pub(super) fn read_tags(bytes: &[u8]) -> Vec<String> {
    let list: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let tags = list["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
}

/// The token in the answer of whoever gives them.
pub(super) fn read_token(bytes: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(bytes).ok()?;
    let token = answer["token"].as_str().or(answer["access_token"].as_str())?;
    // It becomes a header.
    token.chars().all(|c| c.is_ascii_graphic()).then(|| token.to_owned())
}

/// Where a token is asked for: `Bearer realm="https://…",service="…",scope="…"` (RFC 6750, section 3).
pub(super) fn token_url(challenge: &str) -> Option<Url> {
    let (scheme, mut rest) = challenge.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut asked) = (None, Vec::new());
    while let Some((name, behind)) = rest.split_once("=\"") {
        let (value, next) = behind.split_once('"')?;
        // What would end a part of a URL is none of a scope.
        if !value.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '&' | '#')) {
            return None;
        }
        match name.trim_matches([',', ' ']) {
            "realm" => realm = Some(value),
            name @ ("service" | "scope") => asked.push(format!("{name}={value}")),
            _ => {}
        }
        rest = next;
    }
    let realm = realm.filter(|realm| ["https://", "http://"].iter().any(|scheme| realm.starts_with(scheme)))?;
    let mark = if realm.contains('?') { '&' } else { '?' };
    Some(Url::new(format!("{realm}{mark}{}", asked.join("&"))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_artifact_has_one_layer_of_files() {
        let digest = format!("sha256:{}", Sha256::of(b"x"));
        let layer = |kind: &str| json!({"mediaType": kind, "digest": digest, "size": 7});
        let read = |value: Value| read_manifest(value.to_string().as_bytes());
        for (kind, compression) in [
            ("application/vnd.oci.image.layer.v1.tar", Compression::Plain),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Compression::Gzip),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Compression::Zstd),
        ] {
            let expected = Layer { digest: Sha256::of(b"x"), size: 7, compression };
            assert_eq!(read(json!({"layers": [layer(kind)]})), Ok(expected));
        }
        for (value, expected) in [
            (json!({"manifests": []}), "an index of several images"),
            (json!({}), "no `layers`"),
            (json!({"layers": []}), "it has 0 layers"),
            (json!({"layers": [layer("tar"), layer("tar")]}), "it has 2 layers"),
            (json!({"layers": [layer("application/zip\u{1b}")]}), "`application/zip\\u{1b}`"),
            (json!({"layers": [{"mediaType": "tar", "digest": "md5:0", "size": 7}]}), "no digest"),
            (json!({"layers": [{"mediaType": "tar", "digest": digest, "size": -1}]}), "no size"),
        ] {
            let told = read(value.clone()).unwrap_err();
            assert!(told.contains(expected), "{value}: {told}");
        }
        assert!(read_manifest(b"<html>").unwrap_err().contains("is no JSON"));
    }

    #[test]
    fn a_token_is_asked_for_where_the_challenge_says() {
        let url = |text: &str| token_url(text).map(|url| url.as_str().to_owned());
        let good = "Bearer realm=\"https://auth.example.org/token\",service=\"reg\",scope=\"repository:a/b:pull\"";
        let expected = "https://auth.example.org/token?service=reg&scope=repository:a/b:pull";
        assert_eq!(url(good).as_deref(), Some(expected));
        for bad in [
            "Basic realm=\"x\"",
            "Bearer realm=\"file:///etc/passwd\"",
            "Bearer realm=\"https://a\",scope=\"x&y=z\"",
            "Bearer realm=\"https://a",
            "Bearer",
            "",
        ] {
            assert_eq!(url(bad), None, "{bad}");
        }
        assert_eq!(read_token(br#"{"token":"a.b"}"#).as_deref(), Some("a.b"));
        assert_eq!(read_token(br#"{"access_token":"c"}"#).as_deref(), Some("c"));
        assert_eq!(read_token(b"{\"token\":\"a\\r\\nX: y\"}"), None);
    }
}
