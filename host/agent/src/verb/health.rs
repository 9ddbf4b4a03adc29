//! `brc-agent health`: waits until something is as it should be, for so long.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{NOT_SO, Said, ends_well};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest that one answer of a URL may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A unit is active.
    Unit(String),
    /// A URL answers with 2xx.
    Http(String),
    /// A program ends well.
    Command(Vec<String>),
}

/// Tries until it is so, or the time is over.
#[expect(clippy::disallowed_methods, reason = "it waits with a limit")]
pub fn run(check: &Check, within: Duration) -> Said {
    let start = Instant::now();
    loop {
        let left = within.saturating_sub(start.elapsed());
        let why = match look(check, left.min(ANSWER)) {
            Ok(()) => return Said { text: String::new(), told: Vec::new(), code: 0 },
            Err(why) => why,
        };
        if left <= PAUSE {
            let told = vec![format!("error: not healthy after {} seconds: {why}", within.as_secs())];
            return Said { text: String::new(), told, code: NOT_SO };
        }
        thread::sleep(PAUSE);
    }
}

/// Looks once; why it is not so.
fn look(check: &Check, limit: Duration) -> Result<(), String> {
    match check {
        Check::Unit(unit) => {
            ends_well(&["systemctl", "is-active", "--quiet", unit]).map_err(|_| format!("unit `{unit}` is not active"))
        }
        Check::Http(url) => {
            let configuration =
                ureq::Agent::config_builder().timeout_global(Some(limit)).proxy(None).max_redirects(0).build();
            match ureq::Agent::from(configuration).get(url).call() {
                Ok(response) if response.status().is_success() => Ok(()),
                Ok(response) => Err(format!("`{url}` answers with {}", response.status().as_u16())),
                Err(error) => Err(format!("`{url}`: {error}")),
            }
        }
        Check::Command(words) => ends_well(words),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    use super::*;

    const SHORT: Duration = Duration::from_millis(1200);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "something comes late")]
    fn what_becomes_so_in_time_is_healthy_and_what_does_not_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("there").display().to_string();
        let test = |file: &str| Check::Command(["test", "-e", file].map(str::to_owned).to_vec());
        let later = file.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(700));
            std::fs::write(later, "").unwrap();
        });
        assert_eq!(run(&test(&file), Duration::from_secs(20)).code, 0);
        let said = run(&test("/nowhere"), SHORT);
        assert_eq!((said.code, said.told.len()), (NOT_SO, 1));
        assert!(said.told[0].contains("`test -e /nowhere` ended with exit status: 1"), "{:?}", said.told);
        let said = run(&Check::Command(vec!["/no/program".to_owned()]), SHORT);
        assert!(said.told[0].contains("`/no/program` cannot be started"), "{:?}", said.told);
    }

    #[test]
    fn a_url_is_healthy_once_it_answers_well() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/healthz", listener.local_addr().unwrap());
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let status = if number < 2 { "503 x" } else { "204 x" };
                let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        assert_eq!(run(&Check::Http(url), Duration::from_secs(20)).code, 0);
        let said = run(&Check::Http("http://127.0.0.1:9/".to_owned()), SHORT);
        assert!(said.code == NOT_SO && said.told[0].contains("`http://127.0.0.1:9/`"), "{:?}", said.told);
    }
}
