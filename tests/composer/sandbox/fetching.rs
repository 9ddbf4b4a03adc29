//! Runs that fetch: the only ones with network, and held to what was locked.

use std::collections::BTreeMap;

use brc::{
    content::{Digest, Entry, Tree},
    plan::{Fault, Network, Output, Run},
    sandbox::NetworkAccess,
};

use super::bench::{Bench, add, chain, libraries_of, path};
use crate::support::server::Server;

/// A run that asks a server of this machine for `/x` and keeps what it gets, by the pseudo device of bash.
fn asking(bench: &Bench, server: &Server, network: Network) -> Run<Digest> {
    let mut tree = Tree::clone(&bench.store.tree(bench.root).unwrap());
    add(&bench.store, &mut tree, "/bin/bash", "bin/bash");
    for library in libraries_of("/bin/bash") {
        if tree.entry(&path(library.trim_start_matches('/'))).is_none() {
            add(&bench.store, &mut tree, &library, library.trim_start_matches('/'));
        }
    }
    let address = server.url("");
    let (host, port) = address.strip_prefix("http://").unwrap().split_once(':').unwrap();
    let script = format!(
        "exec 3<> /dev/tcp/{host}/{port}; printf 'GET /x HTTP/1.1\\r\\n\\r\\n' >&3
         while read -r line <&3; test \"$line\" != $'\\r'; do :; done; read -r -N 5 text <&3; printf '%s' \"$text\" > /out/x"
    );
    let mut run = bench.script(&script);
    run.command = vec!["/bin/bash".into(), "-euc".into(), script];
    run.inputs[0].tree = bench.store.put_tree(&tree).unwrap();
    run.outputs = BTreeMap::from([("tree".into(), Output::Folder(path("out")))]);
    run.network = network;
    run
}

fn server() -> Server {
    let server = Server::start();
    server.put_bytes("/x", b"bytes");
    server
}

/// The tree of what the server has.
fn locked() -> Digest {
    let mut tree = Tree::new();
    tree.insert(path("x"), Entry::File { blob: Digest::of(b"bytes"), size: 5, executable: false }).unwrap();
    tree.digest()
}

fn access(variables: &[(&str, &str)]) -> NetworkAccess {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    NetworkAccess::new(variables.collect(), None)
}

#[test]
fn only_a_run_that_fetches_reaches_a_server() {
    let (bench, server) = (Bench::new(), server());
    let sandbox = bench.sandbox().with_network(access(&[]));
    let alone = asking(&bench, &server, Network::None);
    let failure = bench.perform_by(&sandbox, &alone, None).unwrap_err();
    assert!(chain(&failure).contains("Connection refused"), "{}", chain(&failure));
    assert_eq!(server.seen(), [], "an ordinary run has no network");
    for expected in [None, Some(locked())] {
        let fetching = asking(&bench, &server, Network::Fetching { expected });
        let outcome = bench.perform_by(&sandbox, &fetching, None).unwrap();
        assert_eq!(outcome["tree"], locked());
    }
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn what_is_not_what_was_locked_is_refused_with_both_digests() {
    let (bench, server) = (Bench::new(), server());
    let expected = Digest::of(b"another tree");
    let fetching = asking(&bench, &server, Network::Fetching { expected: Some(expected) });
    let failure = bench.perform_by(&bench.sandbox().with_network(access(&[])), &fetching, None).unwrap_err();
    assert_eq!(failure.fault, Fault::Outside);
    let text = failure.error.to_string();
    assert!(text.contains(&format!("expected the tree {expected}, found {}", locked())), "{text}");
    assert!(text.contains("`brc update`"), "{text}");
}

#[test]
fn a_server_that_is_gone_is_the_outsides_fault() {
    let bench = Bench::new();
    let gone = server();
    let fetching = asking(&bench, &gone, Network::Fetching { expected: None });
    drop(gone);
    let failure = bench.perform_by(&bench.sandbox().with_network(access(&[])), &fetching, None).unwrap_err();
    assert_eq!(failure.fault, Fault::Outside);
    assert!(
        failure.error.to_string().starts_with("nothing was fetched: `/bin/bash` exited with 1"),
        "{}",
        failure.error
    );
}

#[test]
fn offline_nothing_is_fetched() {
    let (bench, server) = (Bench::new(), server());
    let fetching = asking(&bench, &server, Network::Fetching { expected: Some(locked()) });
    let failure = bench.perform(&fetching).unwrap_err();
    assert_eq!(failure.fault, Fault::Machine);
    assert!(failure.error.to_string().contains("`--offline` forbids to fetch it"), "{}", failure.error);
    assert_eq!(server.seen(), []);
}

#[test]
fn a_run_that_fetches_is_given_names_certificates_and_proxies_and_nothing_more() {
    let bench = Bench::new();
    let sandbox = bench.sandbox().with_network(access(&[("GOPROXY", "https://proxy.example"), ("HOME", "/host")]));
    let mut run = bench.script(
        "echo $GOPROXY $HOME; cat /etc/resolv.conf > /dev/null; wc -c < $SSL_CERT_FILE; \
         (echo x >> /etc/hosts) 2> /dev/null || echo kept; ls /; ls /etc",
    );
    run.environment.insert("HOME".into(), "/own".into());
    run.network = Network::Fetching { expected: None };
    bench.perform_by(&sandbox, &run, None).unwrap();
    let lines = bench.lines.lock().unwrap().clone();
    let log = std::fs::read_to_string(bench.log()).unwrap();
    assert!(log.starts_with("https://proxy.example /own\n"), "{lines:?} {log}");
    assert!(log.contains("\nkept\n"), "{log}");
    assert!(!log.contains("shadow") && !log.contains("home"), "no other file of the host: {log}");
    run.network = Network::None;
    bench.perform_by(&sandbox, &run, None).unwrap_err();
    let log = std::fs::read_to_string(bench.log()).unwrap();
    assert!(!log.contains("proxy.example"), "an ordinary run has none of it: {log}");
}
