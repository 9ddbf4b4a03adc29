use std::collections::BTreeSet;

use super::*;
use crate::fetch::{AptSource, Mirrors};

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, text)| (OsString::from(name), OsString::from(text))))
}

fn global() -> Global {
    Global {
        json: false,
        offline: false,
        store: None,
        jobs: None,
        mirror: Vec::new(),
        source: Vec::new(),
        signing_key: Vec::new(),
    }
}

fn config(variables: &[(&str, &str)]) -> Config {
    Config::load(global(), environment(variables), 4)
}

fn file(text: &str, archives: Option<&[&str]>) -> MirrorsFile {
    let archives = archives.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>());
    MirrorsFile { path: PathBuf::from("p/mirrors.toml"), text: text.to_owned(), archives }
}

/// The names of mirrors and how many places each has.
fn shown(mirrors: &Mirrors) -> Vec<String> {
    let place = |(name, bases): (&str, &[_])| format!("{name} {bases:?}");
    mirrors.iter().map(place).collect()
}

#[test]
fn folders_are_those_of_the_user_unless_something_else_is_said() {
    let home = ("HOME", "/home/u");
    for (variables, store, machines, own) in [
        (vec![], None, None, None),
        (vec![("HOME", "")], None, None, None),
        (vec![("HOME", "u")], None, None, None),
        (
            vec![home],
            Some("/home/u/.cache/brc"),
            Some("/home/u/.local/state/brc/machines"),
            Some("/home/u/.config/brc"),
        ),
        (
            vec![home, ("XDG_CACHE_HOME", "/c"), ("XDG_STATE_HOME", "/s"), ("XDG_CONFIG_HOME", "/o")],
            Some("/c/brc"),
            Some("/s/brc/machines"),
            Some("/o/brc"),
        ),
        (
            vec![home, ("XDG_CACHE_HOME", "c"), ("XDG_STATE_HOME", "")],
            Some("/home/u/.cache/brc"),
            Some("/home/u/.local/state/brc/machines"),
            Some("/home/u/.config/brc"),
        ),
    ] {
        let config = config(&variables);
        assert_eq!(config.store_path().ok(), store.map(PathBuf::from), "{variables:?}");
        assert_eq!(config.machines_path().ok(), machines.map(PathBuf::from), "{variables:?}");
        assert_eq!(config.user_folder(), own.map(PathBuf::from), "{variables:?}");
    }
    let named = Global { store: Some("here".into()), ..global() };
    assert_eq!(Config::load(named, environment(&[home]), 4).store_path(), Ok("here".into()));
}

#[test]
fn an_option_that_is_empty_says_nothing() {
    let empty = Global { store: Some("".into()), jobs: Some(0), signing_key: vec!["".into(), "k".into()], ..global() };
    let config = Config::load(empty, environment(&[("TERM", "")]), 4);
    assert_eq!(config.store_path(), Err(ConfigError::NoStore));
    assert_eq!((config.jobs, config.signing_keys.as_slice()), (4, [PathBuf::from("k")].as_slice()));
    assert_eq!(config.terminal(), "dumb");
    let config = Config::load(Global { jobs: Some(2), ..global() }, environment(&[("TERM", "xterm")]), 4);
    assert_eq!((config.jobs, config.terminal()), (2, "xterm"));
}

#[test]
fn proxies_have_the_names_that_programs_know() {
    for (variables, http, https, bypass) in [
        (vec![], None, None, ""),
        (vec![("http_proxy", "h")], Some("h"), None, ""),
        // What a server may set from a header of a request is no proxy (httpoxy).
        (vec![("HTTP_PROXY", "h")], None, None, ""),
        (vec![("https_proxy", "s"), ("HTTPS_PROXY", "S")], None, Some("s"), ""),
        (vec![("HTTPS_PROXY", "S"), ("NO_PROXY", "n")], None, Some("S"), "n"),
        (vec![("all_proxy", "a"), ("http_proxy", ""), ("no_proxy", "x")], Some("a"), Some("a"), "x"),
        (vec![("ALL_PROXY", "A"), ("https_proxy", "s")], Some("A"), Some("s"), ""),
    ] {
        let proxies = config(&variables).proxies();
        let found = (proxies.http.as_deref(), proxies.https.as_deref(), proxies.bypass.as_str());
        assert_eq!(found, (http, https, bypass), "{variables:?}");
    }
}

#[test]
fn programs_that_fetch_are_told_where_and_never_a_secret() {
    let told = ["https_proxy", "GOPROXY", "CARGO_NET_RETRY", "CARGO_HTTP_PROXY", "CARGO_REGISTRIES_OUR_OWN_INDEX"];
    let secret = [
        "CARGO_REGISTRIES_OUR_OWN_TOKEN",
        "CARGO_REGISTRIES_OUR_OWN_CREDENTIAL_PROVIDER",
        "CARGO_REGISTRY_TOKEN",
        "CARGO_NET_OFFLINE",
        "GOAUTH",
        "GOFLAGS",
        "HOME",
    ];
    let all: Vec<(&str, &str)> = told.iter().chain(&secret).map(|name| (*name, "x")).collect();
    let variables = config(&all).fetching_variables();
    assert_eq!(variables.keys().map(String::as_str).collect::<BTreeSet<_>>(), told.into());
}

#[test]
fn the_strongest_says_which_mirror() {
    let sources = [("debian", "file:///apt"), ("debian-security", "file:///apt-security"), ("debian", "nonsense")];
    let apt = sources.map(|(mirror, uri)| AptSource { mirror: mirror.to_owned(), uri: uri.to_owned() });
    let project = file("debian = \"file:///project\"\nother = \"file:///project-other\"\n", None);
    let user = file("debian = \"file:///user\"\nlast = \"file:///user-last\"\n", None);
    let mirrors = |options: &[&str], variables: &[(&str, &str)], files: &[MirrorsFile]| {
        let mirror = options.iter().map(|option| (*option).to_owned()).collect();
        let config = Config::load(Global { mirror, ..global() }, environment(variables), 4);
        shown(&config.mirrors(files, &apt[..2]).unwrap()).join("\n")
    };
    let files = [project, user];
    let all = mirrors(&["debian=file:///option"], &[("BRC_MIRROR_DEBIAN", "file:///variable")], &files);
    for (name, place) in [
        ("debian", "/option"),
        ("debian-security", "/apt-security"),
        ("other", "/project-other"),
        ("last", "/user-last"),
    ] {
        let line = all.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(line.contains(place), "{line}");
    }
    let variables = [("BRC_MIRROR_DEBIAN", ""), ("BRC_MIRROR_DEBIAN_SECURITY", "file:///variable")];
    let all = mirrors(&[], &variables, &files);
    assert!(all.contains("/project\"") && all.contains("/variable\"") && !all.contains("/user\""), "{all}");
    assert!(mirrors(&[], &[], &[]).contains("/apt\""));
    // What apt has and nobody can read is passed over.
    assert_eq!(config(&[]).mirrors(&[], &apt[2..]), Ok(Mirrors::new()));
}

#[test]
fn a_mirror_that_makes_no_sense_is_named() {
    for (text, archives, expected) in [
        ("debian = 1", None, "`debian` in `p/mirrors.toml` is no URL: expected `debian = \"URL\"`"),
        ("# a\n\ndebian = ", None, "`p/mirrors.toml` is no TOML: line 3: "),
        ("debian = \"gopher://x\"", None, "the mirror for `debian` cannot be used"),
        (
            "debain = \"file:///d\"",
            Some(&["debian", "debian-security"][..]),
            "`debain` in `p/mirrors.toml` is the mirror of no archive of this project: expected one of debian, \
             debian-security",
        ),
        (
            "debian = \"file:///d\"",
            Some(&[][..]),
            "`debian` in `p/mirrors.toml` is the mirror of no archive of this project: expected none, since recipes \
             name no archive",
        ),
    ] {
        let error = config(&[]).mirrors(&[file(text, archives)], &[]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    assert!(config(&[]).mirrors(&[file("debian = \"file:///d\"", Some(&["debian"]))], &[]).is_ok());
    let mirror = vec!["https://u:secret@a.test".to_owned()];
    let error = Config::load(Global { mirror, ..global() }, environment(&[]), 4).mirrors(&[], &[]).unwrap_err();
    assert!(error.to_string().contains("names no URL") && !error.to_string().contains("secret"), "{error}");
}

#[test]
fn a_vendored_folder_is_an_absolute_path_and_a_source_has_a_folder() {
    for (value, expected) in [("", Ok(None)), ("/v", Ok(Some(PathBuf::from("/v"))))] {
        assert_eq!(config(&[("BRC_VENDOR", value)]).vendored(), expected);
    }
    assert!(config(&[("BRC_VENDOR", "v")]).vendored().is_err());
    let source = |text: &str| Config::load(Global { source: vec![text.to_owned()], ..global() }, environment(&[]), 4);
    assert_eq!(source("runc=../runc=2").sources(), Ok(vec![("runc", Path::new("../runc=2"))]));
    assert_eq!(source("runc").sources(), Err(ConfigError::SourceOption { option: "runc".to_owned() }));
}

#[test]
fn a_suggested_command_repeats_what_makes_it_the_same_and_no_password() {
    let all = Global {
        store: Some("s".into()),
        signing_key: vec!["k".into()],
        source: vec!["a=b".to_owned()],
        mirror: vec!["debian=https://u:secret@a.test".to_owned(), "debian=https://a.test".to_owned()],
        ..global()
    };
    let words = Config::load(all, environment(&[]), 4).repeated_options();
    let expected = ["--store", "s", "--signing-key", "k", "--source", "a=b", "--mirror", "debian=https://a.test"];
    assert_eq!(words, expected.map(OsString::from));
}
