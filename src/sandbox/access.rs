//! What a run that fetches is given of the host: its network, and what it takes to use it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::linux::{Access, Bind};

/// Where the certificates of the authorities that are trusted lie inside.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where distributions keep them.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The variables by which programs are told of them.
const CERTIFICATE_VARIABLES: [&str; 4] = ["SSL_CERT_FILE", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "CURL_CA_BUNDLE"];
/// How names of hosts are found.
const RESOLUTION: [&str; 2] = ["etc/resolv.conf", "etc/hosts"];

/// What the host has for runs that fetch. No key covers it: what they give is checked instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkAccess {
    variables: BTreeMap<String, String>,
    certificates: Option<PathBuf>,
}

impl NetworkAccess {
    /// The host's network with these variables: proxies, registries. `certificates` is the file of trusted
    /// authorities; where it is not said, distributions' usual places are looked at.
    pub fn new(variables: BTreeMap<String, String>, certificates: Option<PathBuf>) -> Self {
        let usual = || BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file());
        NetworkAccess { variables, certificates: certificates.or_else(usual) }
    }

    /// The variables that a run is given where it does not set them itself.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = self.variables.clone();
        if self.certificates.is_some() {
            for name in CERTIFICATE_VARIABLES {
                variables.insert(name.to_owned(), format!("/{CERTIFICATES}"));
            }
        }
        variables
    }

    /// The files of the host that a run sees, none of which it can change.
    pub(super) fn binds(&self) -> Vec<Bind> {
        let bind = |from: &Path, to: &str| Bind { from: from.to_owned(), to: to.to_owned(), access: Access::Read };
        let mut binds = Vec::new();
        for to in RESOLUTION {
            let from = Path::new("/").join(to);
            binds.extend(from.is_file().then(|| bind(&from, to)));
        }
        binds.extend(self.certificates.as_deref().map(|from| bind(from, CERTIFICATES)));
        binds
    }
}
