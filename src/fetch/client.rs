//! The client: where things are looked for, and how patiently.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ureq::{
    Agent, Proxy,
    tls::{RootCerts, TlsConfig},
};

use super::{Mirrors, transfer::Web};

/// Everything a client is told by its caller; it finds out nothing by itself.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Whether servers may be asked.
    pub network: Network,
    /// The mirrors of archives.
    pub mirrors: Mirrors,
    /// Folders that `brc vendor` wrote; looked into first.
    pub vendored: Vec<PathBuf>,
    /// Where downloads lie until they are done; on the store's file system.
    pub downloads: PathBuf,
    /// The proxies to use.
    pub proxies: Proxies,
    /// How long and how often is tried.
    pub patience: Patience,
}

/// Whether servers may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// They may.
    Online,
    /// Whatever would need one fails and says what it needed.
    Offline,
}

/// The proxies that the standard variables name. HTTP proxies are used with `CONNECT` only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http:` URLs: `http_proxy`, else `all_proxy`.
    pub http: Option<String>,
    /// For `https:` URLs: `https_proxy`, else `all_proxy`.
    pub https: Option<String>,
    /// Hosts that are reached without proxy, separated by commas: `no_proxy`.
    pub bypass: String,
}

/// Connections for rooms that ask servers for other things than files: with the same proxies and certificates.
#[derive(Debug, Clone)]
pub struct Connections {
    /// For `http:`.
    pub http: Agent,
    /// For `https:`.
    pub https: Agent,
    /// For what no proxy reaches: addresses of the machine itself.
    pub direct: Agent,
}

/// Makes connections; nothing is connected yet.
///
/// # Errors
/// A proxy that cannot be read.
pub fn connections(proxies: &Proxies, patience: &Patience) -> Result<Connections, ClientError> {
    let by = |proxy: &Option<String>| -> Result<Agent, ClientError> {
        let proxy = proxy.as_deref().filter(|text| !text.is_empty());
        let proxy = proxy.map(|text| read_proxy(text, &proxies.bypass)).transpose()?;
        Ok(agent(proxy, patience))
    };
    Ok(Connections { http: by(&proxies.http)?, https: by(&proxies.https)?, direct: agent(None, patience) })
}

/// How long and how often is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest time for finding and connecting to a server.
    pub connect: Duration,
    /// The longest time without a byte.
    pub stall: Duration,
    /// How often a request is repeated that failed for a passing reason and brought nothing new.
    pub retries: u32,
    /// The pause before the first repetition; it doubles with each.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(30),
            retries: 4,
            pause: Duration::from_millis(500),
        }
    }
}

/// Fetches files. Cheap to clone; connections are kept and shared by all clones.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) config: Arc<ClientConfig>,
    pub(super) web: Web,
}

impl Client {
    /// Makes a client; nothing is connected yet.
    ///
    /// # Errors
    /// A proxy that cannot be read.
    pub fn new(config: ClientConfig) -> Result<Client, ClientError> {
        let Connections { http, https, .. } = connections(&config.proxies, &config.patience)?;
        let web = Web { http, https };
        Ok(Client { config: Arc::new(config), web })
    }

    /// What the client was told.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }
}

fn agent(proxy: Option<Proxy>, patience: &Patience) -> Agent {
    // The platform verifier reads SSL_CERT_FILE and SSL_CERT_DIR, else the host's certificates.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .proxy(proxy)
        .user_agent(concat!("brc/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        // Redirects are followed by `transfer`, which decides where they may lead.
        .max_redirects(0)
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_recv_response(Some(patience.stall))
        .timeout_per_read(Some(patience.stall))
        .timeout_per_write(Some(patience.stall))
        .max_idle_connections(32)
        .max_idle_connections_per_host(16);
    Agent::new_with_config(config.build())
}

fn read_proxy(text: &str, bypass: &str) -> Result<Proxy, ClientError> {
    let wrong = |source| ClientError { source };
    let read = Proxy::new(text).map_err(wrong)?;
    let mut builder = Proxy::builder(read.protocol()).host(read.host()).port(read.port());
    builder = read.username().into_iter().fold(builder, |builder, name| builder.username(name));
    builder = read.password().into_iter().fold(builder, |builder, word| builder.password(word));
    for host in bypass.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        builder = builder.no_proxy(host);
        // By custom `example.org` and `.example.org` both mean the domain with all below it.
        if !host.starts_with(['.', '*']) && host.parse::<std::net::IpAddr>().is_err() {
            builder = builder.no_proxy(&format!(".{host}"));
        }
    }
    builder.build().map_err(wrong)
}

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the proxy cannot be used: expected `http://HOST:PORT` in http_proxy, https_proxy or all_proxy")]
pub struct ClientError {
    source: ureq::Error,
}
