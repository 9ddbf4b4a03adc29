//! How the machine fares, told to whom settings name.
//!
//! One GET request, whose query says everything, so that the log of any server of files is enough to look after a fleet. The
//! names are those of Bottlerocket's reports, and `last-failure` beside them.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    time::Duration,
};

use brc_agent::Status;
use brc_contract::update::seed;
use brc_linux::{Files, device_mapper};
use url::Url;

use crate::{CheckError, machine::said};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of the reason of a failure.
const MAX_REASON: usize = 1024;

/// Tells how the machine fares; whom it told, or nothing when settings name nobody.
///
/// # Errors
/// A machine that does not say what it is, or a server that does not take it.
pub fn report() -> Result<Option<Url>, CheckError> {
    let files = Files::below("/");
    let said = said(&files)?;
    let Some(to) = said.report else { return Ok(None) };
    let status = Status::of(&files, std::env::consts::ARCH, &device_mapper::ask);
    let failed = failed_units().map_err(ReportError::Units)?;
    let facts = Facts {
        variant: status.variant?,
        version: status.version?,
        architecture: status.architecture?.name().to_owned(),
        seed: said.wishes.seed.unwrap_or(seed(&status.machine_id?)),
        version_lock: said.wishes.version.unwrap_or_else(|| "latest".to_owned()),
        ignores_waves: said.wishes.ignores_waves,
        is_complete: is_active("boot-complete.target"),
        failed: of_interest(failed, &said.report_units),
        last_failure: status.last_failure.unwrap_or_default(),
    };
    let url = facts.told_to(&to)?;
    let configuration =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).max_redirects(0).max_redirects_will_error(false);
    let answer = ureq::Agent::from(configuration.build()).get(url.as_str()).call();
    answer.map_err(|source| ReportError::Send { to, source: Box::new(source) })?;
    Ok(Some(url))
}

/// What is told.
struct Facts {
    variant: String,
    version: String,
    architecture: String,
    seed: u32,
    version_lock: String,
    ignores_waves: bool,
    is_complete: bool,
    failed: BTreeSet<String>,
    last_failure: Option<String>,
}

impl Facts {
    fn told_to(&self, to: &str) -> Result<Url, ReportError> {
        let wrong = |why: String| ReportError::Address { to: to.to_owned(), why };
        let mut url = Url::parse(to).map_err(|error| wrong(error.to_string()))?;
        if url.scheme() != "http" {
            return Err(wrong(
                "expected `http://`: what is told is no secret, and this program knows no TLS".to_owned(),
            ));
        }
        let is_healthy = self.is_complete && self.failed.is_empty();
        let failed: Vec<&str> = self.failed.iter().map(String::as_str).collect();
        url.query_pairs_mut()
            .append_pair("sender", "brc-update")
            .append_pair("event", "health-ping")
            .append_pair("version", &self.version)
            .append_pair("variant", &self.variant)
            .append_pair("arch", &self.architecture)
            .append_pair("seed", &self.seed.to_string())
            .append_pair("version-lock", &self.version_lock)
            .append_pair("ignore-waves", if self.ignores_waves { "true" } else { "false" })
            .append_pair("is_healthy", if is_healthy { "true" } else { "false" })
            .append_pair("failed_services", &failed.join(";"));
        if let Some(reason) = &self.last_failure {
            let longest = reason.len().min(MAX_REASON);
            let end = (0..=longest).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
            url.query_pairs_mut().append_pair("last-failure", &reason[..end]);
        }
        Ok(url)
    }
}

/// Of the units that failed those that are asked for, be it without their ending; all of them when none is.
fn of_interest(failed: BTreeSet<String>, units: &[String]) -> BTreeSet<String> {
    let is_asked = |unit: &String| {
        units.is_empty() || units.iter().any(|asked| unit == asked || unit.strip_suffix(".service") == Some(asked))
    };
    failed.into_iter().filter(is_asked).collect()
}

#[expect(clippy::disallowed_methods, reason = "systemd is asked by its own program")]
fn systemctl(words: &[&str]) -> std::io::Result<std::process::Output> {
    Command::new("/usr/bin/systemctl").args(words).stdin(Stdio::null()).output()
}

fn failed_units() -> std::io::Result<BTreeSet<String>> {
    let found = systemctl(&["list-units", "--failed", "--plain", "--no-legend", "--full"])?;
    let text = String::from_utf8_lossy(&found.stdout);
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

fn is_active(unit: &str) -> bool {
    systemctl(&["is-active", "--quiet", unit]).is_ok_and(|ended| ended.status.success())
}

/// The report does not come to anybody.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Nobody can be told there.
    #[error("`{to}`, which settings name as `metrics.metrics-url`, is no address that is told anything: {why}")]
    Address { to: String, why: String },
    /// systemd does not say what failed.
    #[error("systemd does not say which units failed")]
    Units(#[source] std::io::Error),
    /// It is not taken.
    #[error("`{to}` does not take the report")]
    Send { to: String, source: Box<ureq::Error> },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            variant: "fleet".to_owned(),
            version: "1.10.0".to_owned(),
            architecture: "x86_64".to_owned(),
            seed: 7,
            version_lock: "latest".to_owned(),
            ignores_waves: false,
            is_complete: true,
            failed: BTreeSet::new(),
            last_failure: None,
        }
    }

    #[test]
    fn what_is_told_is_a_query_whose_words_are_those_of_bottlerocket() {
        let url = facts().told_to("http://fleet.example/ping?cluster=a").unwrap();
        assert_eq!(
            url.as_str(),
            "http://fleet.example/ping?cluster=a&sender=brc-update&event=health-ping&version=1.10.0&variant=fleet\
             &arch=x86_64&seed=7&version-lock=latest&ignore-waves=false&is_healthy=true&failed_services="
        );
        let failed: BTreeSet<String> = ["a.service", "b.mount"].map(str::to_owned).into();
        let reason = format!("1.11.0: x & y{}", "é".repeat(2000));
        let sick = Facts { failed, last_failure: Some(reason), ..facts() }.told_to("http://a.example/").unwrap();
        let told: Vec<(String, String)> = sick.query_pairs().into_owned().collect();
        let value = |name: &str| told.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap();
        assert_eq!(
            (value("is_healthy"), value("failed_services")),
            ("false".to_owned(), "a.service;b.mount".to_owned())
        );
        assert!(value("last-failure").starts_with("1.11.0: x & yé") && value("last-failure").len() <= MAX_REASON);
    }

    #[test]
    fn an_address_without_a_way_is_refused_by_its_setting() {
        for to in ["https://a.example/", "nonsense", "file:///etc/shadow"] {
            let why = facts().told_to(to).unwrap_err().to_string();
            assert!(why.contains(to) && why.contains("`metrics.metrics-url`"), "{why}");
        }
    }

    #[test]
    fn only_the_units_that_are_asked_for_count() {
        let failed: BTreeSet<String> = ["a.service", "b.mount"].map(str::to_owned).into();
        assert_eq!(of_interest(failed.clone(), &[]), failed);
        assert_eq!(of_interest(failed, &["a".to_owned(), "c".to_owned()]), ["a.service".to_owned()].into());
    }
}
