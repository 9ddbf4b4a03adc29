//! A URL that the image names, and that says by the machine's serial number, identity or network card which machine asks:
//! for metal, where nothing else brings user data.

use std::{
    io::Read as _,
    thread,
    time::{Duration, Instant},
};

use brc_contract::settings::MAX_SETTINGS;
use brc_linux::{FileError, Files};
use ureq::http::StatusCode;

/// Where the image names it.
const NAMED: &str = "/usr/lib/brc/settings/user-data-url";
const MAX_URL: usize = 2048;
/// So long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(2);
/// The most network cards that are gone through.
const MAX_CARDS: usize = 64;
/// What stands for the serial number that the maker gave the machine.
const SERIAL: &str = "{serial}";
/// What stands for the identity that firmware gives.
const UUID: &str = "{uuid}";
/// What stands for the address of a network card, as in `52-54-00-12-34-56`: each is asked for in turn.
const MAC: &str = "{mac}";

/// The URLs that are asked in turn; none where the image names none.
///
/// # Errors
/// A file that cannot be read, a URL that is not of plain HTTP, or one for which the machine has no name.
pub fn named_urls(files: &Files) -> Result<Vec<String>, NamedUrlError> {
    let text = match files.text(NAMED, MAX_URL) {
        Ok(text) => text,
        Err(error) if error.is_absence() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut url = text.trim().to_owned();
    if !url.starts_with("http://") {
        return Err(NamedUrlError::Scheme { url });
    }
    for (word, file) in [(SERIAL, "product_serial"), (UUID, "product_uuid")] {
        if url.contains(word) {
            let path = format!("/sys/class/dmi/id/{file}");
            let name = files.text(&path, 256)?.trim().to_ascii_lowercase();
            if !is_name(&name) {
                return Err(NamedUrlError::NoName { word, found: name });
            }
            url = url.replace(word, &name);
        }
    }
    if !url.contains(MAC) {
        return Ok(vec![url]);
    }
    let cards = cards(files)?;
    if cards.is_empty() {
        return Err(NamedUrlError::NoName { word: MAC, found: String::new() });
    }
    Ok(cards.iter().map(|card| url.replace(MAC, card)).collect())
}

/// The addresses of the network cards, by the names of their interfaces; what is no card of its own has no device.
fn cards(files: &Files) -> Result<Vec<String>, FileError> {
    const NET: &str = "/sys/class/net";
    let mut found = Vec::new();
    for name in files.names(NET, MAX_CARDS)? {
        let is_card = files.names(&format!("{NET}/{name}/device"), MAX_CARDS * MAX_CARDS).is_ok();
        if let (true, Ok(text)) = (is_card, files.text(&format!("{NET}/{name}/address"), 64)) {
            found.push(text.trim().to_ascii_lowercase().replace(':', "-"));
        }
    }
    found.retain(|card| is_name(card));
    Ok(found)
}

/// Whether it can stand in a URL as it is.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The user data of the first URL that has some, and which that was; nothing when none has.
///
/// # Errors
/// A server that does not answer within `patience`, or with something else than a file or that there is none.
#[expect(clippy::disallowed_methods, reason = "it waits with a limit")]
pub fn user_data(urls: &[String], patience: Duration) -> Result<Option<(String, Vec<u8>)>, NamedUrlError> {
    let configuration = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0);
    let agent = ureq::Agent::from(configuration.build());
    let start = Instant::now();
    for url in urls {
        loop {
            match ask(&agent, url) {
                Ok(None) => break,
                Ok(Some(bytes)) => return Ok(Some((url.clone(), bytes))),
                // A network that is coming up.
                Err(NamedUrlError::Ask { .. }) if start.elapsed() < patience => thread::sleep(PAUSE),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

fn ask(agent: &ureq::Agent, url: &str) -> Result<Option<Vec<u8>>, NamedUrlError> {
    let failed = |source: ureq::Error| NamedUrlError::Ask { url: url.to_owned(), source: Box::new(source) };
    let mut response = agent.get(url).call().map_err(failed)?;
    match response.status() {
        StatusCode::OK => {
            let mut bytes = Vec::new();
            let body = response.body_mut().as_reader();
            body.take(MAX_SETTINGS as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed(error.into()))?;
            Ok(Some(bytes))
        }
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(NamedUrlError::Status { url: url.to_owned(), status: status.as_u16() }),
    }
}

/// The URL that the image names gives no user data.
#[derive(Debug, thiserror::Error)]
pub enum NamedUrlError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nobody is asked that way.
    #[error("`{NAMED}` names `{url}`: expected a URL that begins with `http://`")]
    Scheme { url: String },
    /// The machine has nothing that could stand in the URL.
    #[error("`{NAMED}` has `{word}`, and what this machine has for it is `{}`", found.escape_debug())]
    NoName { word: &'static str, found: String },
    /// It cannot be reached, or does not answer in time.
    #[error("`{url}` does not answer")]
    Ask { url: String, source: Box<ureq::Error> },
    /// It answers something else.
    #[error("`{url}` answers with {status}: expected 200, or 404 when there is nothing")]
    Status { url: String, status: u16 },
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
    };

    use super::*;

    fn machine(url: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("usr/lib/brc/settings/user-data-url", url);
        write("sys/class/dmi/id/product_serial", "SN-4711\n");
        write("sys/class/dmi/id/product_uuid", "A B\n");
        for (name, address, is_card) in
            [("eno1", "52:54:00:AA:00:01", true), ("eno2", "52:54:00:aa:00:02", true), ("lo", "00:00", false)]
        {
            write(&format!("sys/class/net/{name}/address"), address);
            if is_card {
                write(&format!("sys/class/net/{name}/device/vendor"), "");
            }
        }
        folder
    }

    #[test]
    fn a_url_has_the_names_of_the_machine() {
        let urls = |url: &str| named_urls(&Files::below(machine(url).path()));
        assert_eq!(urls("http://a.example/{serial}.toml\n").unwrap(), ["http://a.example/sn-4711.toml"]);
        let both = ["http://a.example/52-54-00-aa-00-01", "http://a.example/52-54-00-aa-00-02"];
        assert_eq!(urls("http://a.example/{mac}").unwrap(), both);
        assert!(matches!(urls("https://a.example/"), Err(NamedUrlError::Scheme { .. })));
        assert!(matches!(urls("http://a.example/{uuid}"), Err(NamedUrlError::NoName { word: UUID, .. })));
        let none = tempfile::tempdir().unwrap();
        assert_eq!(named_urls(&Files::below(none.path())).unwrap(), [""; 0]);
    }

    #[test]
    fn the_first_that_has_some_counts_and_a_server_that_fails_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
                let first = lines.next().unwrap();
                let _ = lines.take_while(|line| !line.is_empty()).count();
                let (status, body) = match first.split(' ').nth(1) {
                    Some("/b") => ("200 OK", "[settings]"),
                    Some("/c") => ("500 Broken", ""),
                    _ => ("404 None", ""),
                };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        let urls = |names: &[&str]| names.iter().map(|name| format!("{at}/{name}")).collect::<Vec<_>>();
        let short = Duration::from_secs(1);
        assert_eq!(user_data(&urls(&["a", "b"]), short).unwrap(), Some((format!("{at}/b"), b"[settings]".to_vec())));
        assert_eq!(user_data(&urls(&["a"]), short).unwrap(), None);
        assert!(matches!(user_data(&urls(&["c"]), short), Err(NamedUrlError::Status { status: 500, .. })));
        let nobody = ["http://127.0.0.1:9/".to_owned()];
        assert!(matches!(user_data(&nobody, Duration::ZERO), Err(NamedUrlError::Ask { .. })));
    }
}
