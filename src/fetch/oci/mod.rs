//! A recipe set as an artifact of a registry of containers: one manifest, one layer with the files.

mod failure;
mod manifest;

pub use self::failure::OciError;
use self::manifest::{Layer, MANIFEST_TYPE, read_manifest, read_tags, read_token, token_url};
use super::{
    Client, Network, Watch,
    archive::{Ownership, Unpacker},
    exchange::{ExchangeError, Question, Reply},
    near::nearest,
};
use crate::{
    content::{Sha256, Tree, Url, tar_reader::Limits},
    store::Blobs,
};

/// The most bytes of a manifest (OCI Distribution), a list of tags, or a token.
const MAX_JSON_BYTES: u64 = 4 << 20;
/// The most bytes of a layer as it comes.
const MAX_LAYER_BYTES: u64 = 128 << 20;
/// What a recipe set may be when it is unpacked; as much as by git.
const LIMITS: Limits =
    Limits { total_bytes: 256 << 20, entries: 50_000, extension_bytes: 1 << 16, kept_bytes: 16 << 20 };

/// An artifact as its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciArtifact {
    /// The digest of its manifest, which names it whatever its tag is.
    pub manifest: Sha256,
    layer: Layer,
}

impl Client {
    /// What a tag, or a digest `sha256:…`, is at a place: `https://registry.example.org/brc/set`.
    ///
    /// # Errors
    /// No connection, nothing there, or no artifact with one layer of files.
    pub fn oci_artifact(&self, place: &Url, reference: &str, watch: &Watch<'_>) -> Result<OciArtifact, OciError> {
        let path = format!("manifests/{reference}");
        let reply = self.ask_registry(place, &path, MAX_JSON_BYTES, watch)?;
        match reply.status {
            200 => {}
            status => {
                let list = self.ask_registry(place, "tags/list", MAX_JSON_BYTES, watch);
                let tags = list.map(|list| read_tags(&list.body)).unwrap_or_default();
                let near = nearest(reference, tags.iter().map(String::as_str).collect());
                return Err(OciError::Missing { place: place.clone(), what: reference.to_owned(), status, near });
            }
        }
        let manifest = Sha256::of(&reply.body);
        if let Some(digest) = reference.strip_prefix("sha256:") {
            check(place, Sha256::parse(digest).ok(), manifest)?;
        }
        let layer = read_manifest(&reply.body);
        let layer = layer.map_err(|reason| OciError::Manifest { place: place.clone(), reason })?;
        Ok(OciArtifact { manifest, layer })
    }

    /// The files of an artifact, their bytes in the store. Of modes only whether a file may be executed is there.
    ///
    /// # Errors
    /// Other bytes than the manifest states, or an archive that is not unpacked.
    pub fn oci_tree(
        &self,
        place: &Url,
        artifact: &OciArtifact,
        blobs: &dyn Blobs,
        watch: &Watch<'_>,
    ) -> Result<Tree, OciError> {
        let Layer { digest, size, compression } = artifact.layer;
        if size > MAX_LAYER_BYTES {
            let reason = format!("its layer has {size} bytes, expected at most {MAX_LAYER_BYTES}");
            return Err(OciError::Manifest { place: place.clone(), reason });
        }
        let reply = self.ask_registry(place, &format!("blobs/sha256:{digest}"), size, watch)?;
        if reply.status != 200 {
            let (what, near) = (format!("sha256:{digest}"), Vec::new());
            return Err(OciError::Missing { place: place.clone(), what, status: reply.status, near });
        }
        check(place, Some(digest), Sha256::of(&reply.body))?;
        let unpacker = Unpacker { blobs, limits: &LIMITS, ownership: Ownership::Dropped, cancelled: watch.cancelled };
        let unpacked = unpacker.unpack(compression, reply.body.as_slice());
        let unpacked = unpacked.map_err(|source| OciError::Unpack { place: place.clone(), source })?;
        // Modes of whoever packed it are nobody's; a commit of the same files is the same tree.
        let mut tree = Tree::new();
        for (path, entry) in unpacked.entries() {
            let wrong = |error: crate::content::TreeError| OciError::Manifest {
                place: place.clone(),
                reason: error.to_string(),
            };
            tree.insert(path.clone(), entry.clone()).map_err(wrong)?;
        }
        Ok(tree)
    }

    /// Asks a registry about a repository; once more with a token when it wants one, which it gives to everybody or to
    /// the user that stands in the URL.
    fn ask_registry(&self, place: &Url, path: &str, limit: u64, watch: &Watch<'_>) -> Result<Reply, OciError> {
        if self.config.network == Network::Offline {
            return Err(OciError::Offline { place: place.clone() });
        }
        let whole = place.as_str().trim_end_matches('/');
        let host = whole.find("://").map_or(0, |at| at + 3);
        let name = whole[host..].find('/').map_or(whole.len(), |at| host + at);
        let (host, name) = whole.split_at(name);
        let mut question = Question {
            url: Url::new(format!("{host}/v2{name}/{path}")),
            headers: vec![("Accept", MANIFEST_TYPE.to_owned())],
            body: None,
            limit,
        };
        let mut reply = self.put(&question, place, watch)?;
        if reply.status == 401
            && let Some(url) = reply.challenge.as_deref().and_then(token_url)
        {
            // To a realm of another host the password goes only as the registry's own operators have it: over TLS.
            let user = place.split_user().0.filter(|_| url.as_str().starts_with("https:"));
            let url = match (user, url.as_str().split_once("://")) {
                (Some(user), Some((scheme, rest))) => Url::new(format!("{scheme}://{user}@{rest}")),
                _ => url,
            };
            let asked = Question { url, headers: Vec::new(), body: None, limit: MAX_JSON_BYTES };
            let token = self.put(&asked, place, watch)?;
            if let Some(token) = read_token(&token.body).filter(|_| token.status == 200) {
                question.headers.push(("Authorization", format!("Bearer {token}")));
                reply = self.put(&question, place, watch)?;
            }
        }
        match reply.status {
            401 | 403 => Err(OciError::Forbidden { place: place.clone(), status: reply.status }),
            _ => Ok(reply),
        }
    }

    fn put(&self, question: &Question, place: &Url, watch: &Watch<'_>) -> Result<Reply, OciError> {
        self.exchange(question, watch).map_err(|error| match error {
            ExchangeError::Cancelled => OciError::Cancelled,
            ExchangeError::Transfer(source) => OciError::Transfer { place: place.clone(), source },
        })
    }
}

fn check(place: &Url, expected: Option<Sha256>, found: Sha256) -> Result<(), OciError> {
    match expected {
        Some(expected) if expected != found => Err(OciError::OtherBytes { place: place.clone(), expected, found }),
        Some(_) => Ok(()),
        None => {
            let reason = "it is named by what is no digest `sha256:…`".to_owned();
            Err(OciError::Manifest { place: place.clone(), reason })
        }
    }
}
