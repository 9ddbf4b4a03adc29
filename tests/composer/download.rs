//! Downloads from real servers on loopback, good ones and bad ones.

use std::{
    fs,
    io::Read,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use brc::{
    content::{Sha256, Url},
    fetch::{
        Client, ClientConfig, Downloaded, Expect, FetchError, Mirrors, Network, Patience, Place, Proxies, WantedFile,
        Watch,
    },
    plan::{Fault, Located, Progress},
};
use brc_contract::error_chain;
use tempfile::TempDir;

use crate::support::server::{Answer, Page, Server};

const PATH: &str = "/debian/pool/a.deb";

/// A client with its folders, and a server.
struct Setting {
    server: Server,
    folder: TempDir,
    config: ClientConfig,
}

impl Setting {
    fn new() -> Setting {
        let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
        let mut mirrors = Mirrors::new();
        mirrors.offer("debian", &[server.url("/debian")]).unwrap();
        let config = ClientConfig {
            network: Network::Online,
            mirrors,
            vendored: Vec::new(),
            downloads: folder.path().join("downloads"),
            proxies: Proxies::default(),
            patience: Patience {
                connect: Duration::from_secs(5),
                stall: Duration::from_millis(400),
                retries: 3,
                pause: Duration::from_millis(10),
            },
        };
        Setting { server, folder, config }
    }

    fn client(&self) -> Client {
        Client::new(self.config.clone()).unwrap()
    }

    fn download(&self, wanted: &WantedFile) -> Result<Vec<u8>, FetchError> {
        download(&self.client(), wanted)
    }

    /// What lies in `downloads`.
    fn begun(&self) -> Vec<String> {
        let listed = fs::read_dir(&self.config.downloads).unwrap();
        let mut names: Vec<String> = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn ranges(&self) -> Vec<Option<String>> {
        self.server.seen().into_iter().map(|seen| seen.range).collect()
    }
}

fn read(mut downloaded: Downloaded) -> Vec<u8> {
    let mut bytes = Vec::new();
    downloaded.file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn download(client: &Client, wanted: &WantedFile) -> Result<Vec<u8>, FetchError> {
    let cancelled = AtomicBool::new(false);
    client.download(wanted, Watch { cancelled: &cancelled, progress: &|_| () }).map(read)
}

/// Bytes that differ everywhere.
fn content(size: usize) -> Vec<u8> {
    (0..size as u64).flat_map(|number| (number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes()).take(size).collect()
}

fn wanted(bytes: &[u8]) -> WantedFile {
    WantedFile {
        name: "a".to_owned(),
        place: Place::Mirror(Located { mirror: "debian".to_owned(), path: "pool/a.deb".to_owned() }),
        expect: Expect { sha256: Some(Sha256::of(bytes)), size: Some(bytes.len() as u64), limit: bytes.len() as u64 },
    }
}

#[test]
fn a_file_is_fetched_with_progress_and_leaves_nothing_behind() {
    let setting = Setting::new();
    let bytes = content(700_000);
    setting.server.put_bytes(PATH, &bytes);
    let told = Mutex::new(Vec::new());
    let cancelled = AtomicBool::new(false);
    let progress = |progress| told.lock().unwrap().push(progress);
    let watch = Watch { cancelled: &cancelled, progress: &progress };
    let downloaded = setting.client().download(&wanted(&bytes), watch).unwrap();
    assert_eq!((downloaded.size, downloaded.sha256), (700_000, Sha256::of(&bytes)));
    assert_eq!(read(downloaded), bytes);
    assert_eq!(told.lock().unwrap().last(), Some(&Progress::Bytes { done: 700_000, total: Some(700_000) }));
    assert!(setting.begun().is_empty());
}

#[test]
fn many_files_come_over_few_connections_and_in_order() {
    let setting = Setting::new();
    let files: Vec<Vec<u8>> = (0..40).map(|number| content(1000 + number)).collect();
    let wanted: Vec<WantedFile> = files
        .iter()
        .enumerate()
        .map(|(number, bytes)| {
            setting.server.put_bytes(&format!("/debian/pool/{number}.deb"), bytes);
            let place = Place::Mirror(Located { mirror: "debian".into(), path: format!("pool/{number}.deb") });
            WantedFile { name: number.to_string(), place, ..wanted(bytes) }
        })
        .collect();
    let cancelled = AtomicBool::new(false);
    let results =
        setting
            .client()
            .download_all(&wanted, 4, Watch { cancelled: &cancelled, progress: &|_| () }, |_, file| read(file));
    let fetched: Vec<Vec<u8>> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(fetched, files);
    let connections = setting.server.seen().iter().map(|seen| seen.connection).max().unwrap() + 1;
    assert!(connections <= 4, "{connections} connections");
}

#[test]
fn one_content_wanted_twice_is_no_reason_to_wait_for_ever() {
    let setting = Setting::new();
    let bytes = content(10);
    setting.server.put_bytes(PATH, &bytes);
    let cancelled = AtomicBool::new(false);
    // Whoever waits says so; here nobody else is there to be waited for.
    let progress = |progress| {
        if matches!(progress, Progress::Waiting(_)) {
            cancelled.store(true, Ordering::Relaxed);
        }
    };
    let watch = Watch { cancelled: &cancelled, progress: &progress };
    let results = setting.client().download_all(&[wanted(&bytes), wanted(&bytes)], 1, watch, |_, file| read(file));
    assert_eq!(results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [bytes.clone(), bytes]);
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let setting = Setting::new();
    let bytes = content(500_000);
    setting.server.put_with(PATH, &bytes, [Answer::BreakAfter(200_000), Answer::BreakAfter(100_000)]);
    assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes);
    assert_eq!(setting.ranges(), [None, Some("bytes=200000-".into()), Some("bytes=300000-".into())]);
    assert_eq!(setting.server.seen()[1].if_range.as_deref(), Some("\"version-0\""));
}

#[test]
fn a_download_that_broke_off_in_one_run_goes_on_in_the_next() {
    let mut setting = Setting::new();
    let bytes = content(300_000);
    setting.config.patience.retries = 0;
    setting.server.put_with(PATH, &bytes, [Answer::BreakAfter(123_456), Answer::Status(503)]);
    setting.download(&wanted(&bytes)).unwrap_err();
    assert_eq!(setting.begun().len(), 2);
    assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes);
    assert_eq!(setting.ranges().last(), Some(&Some("bytes=123456-".into())));
    assert!(setting.begun().is_empty());
}

#[test]
fn a_whole_file_that_an_earlier_run_left_is_not_fetched_again() {
    let setting = Setting::new();
    let bytes = content(1000);
    fs::create_dir_all(&setting.config.downloads).unwrap();
    fs::write(setting.config.downloads.join(Sha256::of(&bytes).to_string()), &bytes).unwrap();
    assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes);
    assert!(setting.server.seen().is_empty());
}

#[test]
fn damaged_beginnings_are_mended() {
    let bytes = content(50_000);
    let other = content(60_000).split_off(10_000);
    for begun in [&other[..20_000], &other[..], &content(70_000)[..]] {
        let setting = Setting::new();
        setting.server.put_bytes(PATH, &bytes);
        fs::create_dir_all(&setting.config.downloads).unwrap();
        fs::write(setting.config.downloads.join(Sha256::of(&bytes).to_string()), begun).unwrap();
        assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes, "{} bytes", begun.len());
    }
}

#[test]
fn a_file_that_changed_on_the_server_is_fetched_from_its_start() {
    let setting = Setting::new();
    let bytes = content(300_000);
    let old = content(300_001).split_off(1);
    setting.server.put_with(PATH, &old, [Answer::BreakAfter(100_000)]);
    let server = &setting.server;
    thread::scope(|scope| {
        scope.spawn(|| {
            while server.seen().is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
            server.put(PATH, Page { bytes: bytes.clone(), version: 1, ..Page::default() });
        });
        assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes);
    });
}

#[test]
fn a_server_that_knows_no_ranges_is_good_enough() {
    let setting = Setting::new();
    let bytes = content(300_000);
    setting.server.put_with(PATH, &bytes, [Answer::BreakAfter(100_000), Answer::WholeAnyway]);
    assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes);
}

#[test]
fn what_passes_is_tried_again() {
    for answers in [
        vec![Answer::Status(500), Answer::Status(502), Answer::Status(503)],
        vec![Answer::Status(429), Answer::Status(504)],
        vec![Answer::BreakAfter(0), Answer::HangAfter(0)],
        vec![Answer::RetryAfter(429, 0)],
    ] {
        let setting = Setting::new();
        let bytes = content(5000);
        let tries = answers.len() + 1;
        setting.server.put_with(PATH, &bytes, answers.clone());
        assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes, "{answers:?}");
        assert_eq!(setting.server.seen().len(), tries, "{answers:?}");
    }
}

#[test]
fn what_no_digest_names_comes_past_caches_that_may_be_old() {
    let setting = Setting::new();
    let bytes = content(10);
    setting.server.put_bytes(PATH, &bytes);
    let named = wanted(&bytes);
    let expect = Expect { sha256: None, size: None, limit: 10 };
    setting.download(&WantedFile { expect, ..named.clone() }).unwrap();
    setting.download(&named).unwrap();
    let asked: Vec<_> = setting.server.seen().into_iter().map(|seen| seen.cache_control).collect();
    assert_eq!(asked, [Some("max-age=0".to_owned()), None]);
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let setting = Setting::new();
    let bytes = content(10);
    setting.server.put_with(PATH, &bytes, [Answer::RetryAfter(503, 1)]);
    let start = Instant::now();
    setting.download(&wanted(&bytes)).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn what_stays_wrong_is_given_up() {
    let other = content(5001).split_off(1);
    let longer = content(5001);
    for (bytes, answer, requests, expected) in [
        (&content(5000), Answer::Status(500), 4, "the server answered 500"),
        (&content(5000), Answer::Status(403), 1, "the server answered 403"),
        (&content(5000), Answer::Status(404), 1, "is gone"),
        (&content(5000), Answer::Status(410), 1, "is gone"),
        (&content(5000), Answer::HangAfter(0), 4, "timeout"),
        (&content(5000), Answer::BreakAfter(0), 4, "the connection broke off"),
        (&content(5000), Answer::Redirect(PATH.into()), 11, "redirected more than 10 times"),
        (&content(5000), Answer::Redirect("file:///etc/passwd".into()), 1, "may not redirect to a file"),
        (&content(5000), Answer::Redirect("gopher://example.org".into()), 1, "`gopher://example.org`"),
        (&other, Answer::Good, 1, "expected SHA-256 "),
        (&longer, Answer::Good, 1, "expected 5000 bytes, found 5001"),
        (&longer, Answer::Unsized, 1, "expected 5000 bytes, found"),
        (&content(4999), Answer::Good, 1, "expected 5000 bytes, found 4999"),
        (&content(4999), Answer::Unsized, 5, "it ended after 4999 of 5000 bytes"),
    ] {
        let setting = Setting::new();
        setting.server.put_always(PATH, bytes, answer.clone());
        let error = setting.download(&wanted(&content(5000))).unwrap_err();
        assert_eq!(error.fault(), Fault::Outside, "{answer:?}");
        let text = error_chain(&error);
        assert!(text.contains(expected) && text.contains("`a`"), "{answer:?}: {text}");
        assert_eq!(setting.server.seen().len(), requests, "{answer:?}: {text}");
    }
}

#[test]
fn a_file_without_stated_size_is_limited() {
    let setting = Setting::new();
    setting.server.put_always(PATH, &content(5000), Answer::Unsized);
    let expect = Expect { sha256: None, size: None, limit: 4999 };
    let limited = WantedFile { expect, ..wanted(&[]) };
    assert!(error_chain(&setting.download(&limited).unwrap_err()).contains("at most 4999 bytes"));
    let expect = Expect { limit: 5000, ..expect };
    assert_eq!(setting.download(&WantedFile { expect, ..limited }).unwrap(), content(5000));
    assert!(setting.begun().is_empty());
}

#[test]
fn redirects_are_followed() {
    let setting = Setting::new();
    let bytes = content(100);
    let other = Server::start();
    other.put_bytes("/b", &bytes);
    setting.server.put_with(PATH, &[], [Answer::Redirect("../x".into())]);
    setting.server.put_with("/debian/x", &[], [Answer::Redirect(other.url("/b"))]);
    // `..` stays as it is: a server resolves it, or does not.
    setting.server.put_with("/debian/pool/../x", &[], [Answer::Redirect(other.url("/b"))]);
    assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes);
}

#[test]
fn the_second_mirror_helps_out() {
    for answer in [Answer::Status(404), Answer::Status(500), Answer::Good] {
        let mut setting = Setting::new();
        let bytes = content(1000);
        setting.server.put_always(PATH, &content(1001).split_off(1), answer.clone());
        let second = Server::start();
        second.put_bytes(PATH, &bytes);
        setting.config.mirrors = Mirrors::new();
        setting.config.mirrors.offer("debian", &[setting.server.url("/debian"), second.url("/debian")]).unwrap();
        assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes, "{answer:?}");
    }
}

#[test]
fn what_is_gone_is_told_for_every_file() {
    let setting = Setting::new();
    let bytes = content(10);
    setting.server.put_bytes(PATH, &bytes);
    let gone = |name: &str| {
        let place = Place::Mirror(Located { mirror: "debian".into(), path: format!("pool/{name}.deb") });
        WantedFile { name: name.into(), place, ..wanted(&bytes) }
    };
    let cancelled = AtomicBool::new(false);
    let all = [gone("b"), wanted(&bytes), gone("c")];
    let watch = Watch { cancelled: &cancelled, progress: &|_| () };
    let results = setting.client().download_all(&all, 2, watch, |_, file| read(file));
    let told: Vec<String> = results.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].contains("`b` (debian: pool/b.deb) is gone"), "{}", told[0]);
    assert!(told[1].contains("`c` (debian: pool/c.deb) is gone"), "{}", told[1]);
}

#[test]
fn a_cancelled_download_stops_within_a_second() {
    for answer in [Answer::HangAfter(0), Answer::HangAfter(1000), Answer::RetryAfter(503, 60)] {
        let mut setting = Setting::new();
        setting.config.patience.stall = Duration::from_secs(60);
        let bytes = content(5000);
        setting.server.put_always(PATH, &bytes, answer.clone());
        let cancelled = AtomicBool::new(false);
        let start = Instant::now();
        let error = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                cancelled.store(true, Ordering::Relaxed);
            });
            let watch = Watch { cancelled: &cancelled, progress: &|_| () };
            setting.client().download(&wanted(&bytes), watch).unwrap_err()
        });
        assert!(matches!(error, FetchError::Cancelled), "{answer:?}: {error}");
        assert!(start.elapsed() < Duration::from_millis(1300), "{answer:?}: {:?}", start.elapsed());
    }
}

#[test]
fn two_fetches_of_one_file_do_not_mix() {
    let setting = Setting::new();
    let bytes = content(2_000_000);
    setting.server.put_with(PATH, &bytes, [Answer::BreakAfter(1_000_000)]);
    thread::scope(|scope| {
        let fetches: Vec<_> = (0..4).map(|_| scope.spawn(|| setting.download(&wanted(&bytes)).unwrap())).collect();
        for fetch in fetches {
            assert_eq!(fetch.join().unwrap(), bytes);
        }
    });
    assert!(setting.begun().is_empty());
}

#[test]
fn offline_asks_nobody_and_says_what_is_missing() {
    let mut setting = Setting::new();
    let bytes = content(1000);
    setting.server.put_bytes(PATH, &bytes);
    setting.config.network = Network::Offline;
    let error = setting.download(&wanted(&bytes)).unwrap_err();
    assert_eq!(error.fault(), Fault::Machine);
    let url = setting.server.url(PATH);
    assert!(error.to_string().contains("`a`") && error.to_string().contains(&url), "{error}");
    assert!(setting.server.seen().is_empty());
}

#[test]
fn vendored_files_are_used_first_and_checked_too() {
    let bytes = content(1000);
    let mut setting = Setting::new();
    let vendored = setting.folder.path().join("vendored");
    let file = vendored.join("sha256").join(Sha256::of(&bytes).to_string());
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, &bytes).unwrap();
    setting.config.network = Network::Offline;
    setting.config.mirrors = Mirrors::new();
    setting.config.vendored = vec![vendored];
    assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes);
    assert!(file.is_file());

    fs::write(&file, content(1001).split_off(1)).unwrap();
    let error = setting.download(&wanted(&bytes)).unwrap_err();
    assert!(matches!(error, FetchError::Mismatch { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Outside);
}

#[test]
fn what_was_vendored_is_enough_without_network_and_mirror() {
    let mut setting = Setting::new();
    let (package, file) = (content(1000), content(2000));
    setting.server.put_bytes(PATH, &package);
    setting.server.put_bytes("/file", &file);
    let place = Place::Urls(vec![Url::new(setting.server.url("/file"))]);
    let all = [wanted(&package), WantedFile { place, ..wanted(&file) }];
    let cancelled = AtomicBool::new(false);
    let watch = Watch { cancelled: &cancelled, progress: &|_| () };
    let folder = setting.folder.path().join("vendored");
    let vendor =
        || -> Vec<_> { setting.client().vendor(&all, &folder, 2, watch).into_iter().map(Result::unwrap).collect() };
    let by_digest = |bytes: &[u8]| folder.join("sha256").join(Sha256::of(bytes).to_string());
    assert_eq!(vendor(), [by_digest(&package), by_digest(&file)]);
    // What is there is not fetched again, and what is there with another size is.
    fs::write(by_digest(&file), b"half").unwrap();
    assert_eq!(vendor().len(), 2);
    assert_eq!(setting.server.seen().len(), 3);
    assert_eq!(fs::read(by_digest(&file)).unwrap(), file);

    setting.config.network = Network::Offline;
    setting.config.mirrors = Mirrors::new();
    setting.config.vendored = vec![folder];
    let asked = setting.server.seen().len();
    assert_eq!(setting.download(&all[0]).unwrap(), package);
    assert_eq!(setting.download(&all[1]).unwrap(), file);
    assert_eq!(setting.server.seen().len(), asked);
}

#[test]
fn folders_and_file_urls_are_mirrors_too() {
    let mut setting = Setting::new();
    let bytes = content(1000);
    let folder = setting.folder.path().join("a mirror");
    fs::create_dir_all(folder.join("pool")).unwrap();
    fs::write(folder.join("pool/a.deb"), &bytes).unwrap();
    let shown = folder.to_str().unwrap().replace(' ', "%20");
    setting.config.mirrors = Mirrors::new();
    setting.config.mirrors.offer("debian", &[format!("file://{shown}")]).unwrap();
    assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes);
    assert!(folder.join("pool/a.deb").is_file());

    let place =
        Place::Urls(vec![Url::new(format!("file://{shown}/nothing")), Url::new(format!("file://{shown}/pool/a.deb"))]);
    assert_eq!(setting.download(&WantedFile { place, ..wanted(&bytes) }).unwrap(), bytes);
    let place = Place::Urls(vec![Url::new(format!("file://{shown}/pool"))]);
    let error = setting.download(&WantedFile { place, ..wanted(&bytes) }).unwrap_err();
    assert!(error_chain(&error).contains("not a regular file"), "{}", error_chain(&error));
}

#[test]
fn without_a_mirror_the_next_step_is_told() {
    let setting = Setting::new();
    let place = Place::Mirror(Located { mirror: "debian-security".into(), path: "pool/a.deb".into() });
    let error = setting.download(&WantedFile { place, ..wanted(b"a") }).unwrap_err();
    assert_eq!(error.fault(), Fault::Machine);
    let text = error.to_string();
    assert!(text.contains("--mirror debian-security=URL") && text.contains("BRC_MIRROR_DEBIAN_SECURITY"), "{text}");
}

#[test]
fn a_path_that_leaves_its_mirror_is_refused() {
    let setting = Setting::new();
    for path in ["../secret", "/etc/passwd", "pool//a", ""] {
        let place = Place::Mirror(Located { mirror: "debian".into(), path: path.into() });
        let outcome = setting.download(&WantedFile { place, ..wanted(b"a") });
        assert!(outcome.is_err(), "{path}");
    }
    assert!(setting.server.seen().iter().all(|seen| seen.path.starts_with("/debian/")));
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_name() {
    let mut setting = Setting::new();
    setting.config.patience.retries = 1;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::Urls(vec![Url::new(format!("http://{port}/a"))]);
    let error = setting.download(&WantedFile { place, ..wanted(b"a") }).unwrap_err();
    assert_eq!(error.fault(), Fault::Outside);
    assert!(error.to_string().contains(&format!("http://{port}/a (tries: 2)")), "{error}");
}

#[test]
fn proxies_are_used_unless_the_host_is_excepted() {
    for (bypass, used) in [("", true), ("127.0.0.1", false), ("example.org, 127.0.0.1", false), (".example.org", true)]
    {
        let mut setting = Setting::new();
        let (proxy, bytes) = (Server::start(), content(1000));
        setting.server.put_bytes(PATH, &bytes);
        setting.config.proxies = Proxies { http: Some(proxy.url("")), https: None, bypass: bypass.to_owned() };
        assert_eq!(setting.download(&wanted(&bytes)).unwrap(), bytes, "{bypass}");
        assert_eq!(proxy.seen().len(), usize::from(used), "{bypass}");
    }
}

#[test]
fn a_proxy_that_cannot_be_read_is_told() {
    let mut setting = Setting::new();
    setting.config.proxies.https = Some("gopher://proxy".into());
    assert!(Client::new(setting.config).is_err());
}
