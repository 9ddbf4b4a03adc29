//! Who asks: credentials as every tool of AWS finds them.
//!
//! In this order: a profile that is named by option, keys in the environment, a web identity (OIDC), the profile of the
//! shared files, the container's, the instance's. The first that is there counts; one that is there and broken is an
//! error and not passed over.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::Value;

use super::{
    Answer, Aws, AwsError, CredentialsError, Query, Service,
    ambient::read_file,
    call::Call,
    key::{Credentials, Found},
    profile::Sections,
};
use crate::content::parse_date;

/// How many profiles may stand behind each other.
const MAX_CHAIN: usize = 4;
const CONTAINER_HOST: &str = "http://169.254.170.2";
const INSTANCE_HOST: &str = "http://169.254.169.254";
/// How long the metadata of the instance is waited for, where there may be none.
const INSTANCE_PATIENCE: Duration = Duration::from_secs(2);

impl Aws<'_> {
    /// Finds credentials, those of the role that is wanted where there is one.
    pub(super) fn find_credentials(&self) -> Result<Found, AwsError> {
        let ambient = &self.ambient;
        let Some(role) = ambient.role.as_deref().filter(|role| ambient.variable("AWS_ROLE_ARN") != Some(role)) else {
            return self.find_own_credentials();
        };
        // A job of CI has a token and no keys: the token itself takes the role.
        let is_bare = ambient.profile.is_none() && ambient.variable("AWS_ROLE_ARN").is_none();
        if let Some(file) = ambient.variable("AWS_WEB_IDENTITY_TOKEN_FILE").filter(|_| is_bare)
            && ambient.keys()?.is_none()
        {
            return self.web_identity(role, Path::new(file), ambient.variable("AWS_ROLE_SESSION_NAME"));
        }
        let base = self.find_own_credentials()?;
        let from = format!("the role `{role}` by {}", base.from);
        self.assume(role, ambient.variable("AWS_ROLE_SESSION_NAME"), None, &base, from)
    }

    /// A role for credentials.
    fn assume(
        &self,
        role: &str,
        session: Option<&str>,
        external_id: Option<&str>,
        base: &Found,
        from: String,
    ) -> Result<Found, AwsError> {
        let mut call = Query::new(Service::Sts, "AssumeRole", role)
            .with("RoleArn", role)
            .with("RoleSessionName", session.unwrap_or("brc"));
        if let Some(word) = external_id {
            call = call.with("ExternalId", word);
        }
        let answer = self.send(&self.region, &call.call(), Some(base))?;
        of_sts(&answer, from)
    }

    fn find_own_credentials(&self) -> Result<Found, AwsError> {
        let ambient = &self.ambient;
        if ambient.profile.is_none() {
            if let Some(found) = ambient.keys()? {
                return Ok(found);
            }
            let role = ambient.variable("AWS_ROLE_ARN");
            if let (Some(file), Some(role)) = (ambient.variable("AWS_WEB_IDENTITY_TOKEN_FILE"), role) {
                return self.web_identity(role, Path::new(file), ambient.variable("AWS_ROLE_SESSION_NAME"));
            }
        }
        let profiles = ambient.profiles()?;
        let name = ambient.profile_name();
        if let Some(found) = self.of_profile(&profiles, name, MAX_CHAIN)? {
            return Ok(found);
        }
        let is_named = ambient.profile.is_some() || ambient.variable("AWS_PROFILE").is_some();
        if is_named {
            return Err(CredentialsError::NoProfile { name: name.to_owned() }.into());
        }
        if let Some(found) = self.of_container()? {
            return Ok(found);
        }
        if ambient.variable("AWS_EC2_METADATA_DISABLED").is_none_or(|text| !text.eq_ignore_ascii_case("true"))
            && let Some(found) = self.of_instance()?
        {
            return Ok(found);
        }
        Err(CredentialsError::None.into())
    }

    /// A role for a token that somebody else has signed.
    fn web_identity(&self, role: &str, file: &Path, session: Option<&str>) -> Result<Found, AwsError> {
        let token = read_file(file)?.ok_or_else(|| CredentialsError::NoFile { path: file.to_owned() })?;
        let call = Query::new(Service::Sts, "AssumeRoleWithWebIdentity", role)
            .with("RoleArn", role)
            .with("RoleSessionName", session.unwrap_or("brc"))
            .with("WebIdentityToken", token.trim());
        let from = format!("the role `{role}` by the token in `{}`", file.display());
        let answer = self.send(&self.region, &call.call(), None).map_err(|error| asked_by(error, &from))?;
        of_sts(&answer, from)
    }

    /// The credentials that a profile names.
    fn of_profile(&self, profiles: &Sections, name: &str, left: usize) -> Result<Option<Found>, AwsError> {
        let Some(section) = profiles.get(name) else { return Ok(None) };
        let of = |word: &str| section.get(word).map(String::as_str).filter(|text| !text.is_empty());
        let place = format!("the profile `{name}`");
        if let Some(role) = of("role_arn") {
            let session = of("role_session_name");
            if let Some(file) = of("web_identity_token_file") {
                return self.web_identity(role, Path::new(file), session).map(Some);
            }
            let source = of("source_profile").filter(|_| left > 0);
            let source = source.ok_or_else(|| CredentialsError::Profile { name: name.to_owned() })?;
            // A profile may name itself as the one that has the keys.
            let base = if source == name { self.keys_of(section, &place)? } else { None };
            let base = match base {
                Some(found) => Some(found),
                None => self.of_profile(profiles, source, left - 1)?,
            };
            let base = base.ok_or_else(|| CredentialsError::NoProfile { name: source.to_owned() })?;
            let from = format!("the role `{role}` by {place}");
            return self.assume(role, session, of("external_id"), &base, from).map(Some);
        }
        if let Some(found) = self.keys_of(section, &place)? {
            return Ok(Some(found));
        }
        let other = ["sso_session", "sso_start_url", "credential_process", "login_session", "credential_source"];
        match other.into_iter().find(|word| section.contains_key(*word)) {
            Some(word) => Err(CredentialsError::OtherWay { name: name.to_owned(), word }.into()),
            None => Ok(None),
        }
    }

    fn keys_of(&self, section: &BTreeMap<String, String>, place: &str) -> Result<Option<Found>, CredentialsError> {
        match (section.get("aws_access_key_id"), section.get("aws_secret_access_key")) {
            (Some(key), Some(secret)) => {
                let token = section.get("aws_session_token").cloned();
                let credentials = Credentials { key: key.clone(), secret: secret.clone(), token, until: None };
                Ok(Some(Found { credentials, from: place.to_owned() }))
            }
            (None, None) => Ok(None),
            _ => Err(CredentialsError::Half { place: place.to_owned() }),
        }
    }

    /// The credentials of a container (ECS, CodeBuild, Pod Identity of EKS).
    fn of_container(&self) -> Result<Option<Found>, AwsError> {
        let ambient = &self.ambient;
        let relative = ambient.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let full = ambient.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        let Some(url) = relative.map(|path| format!("{CONTAINER_HOST}{path}")).or(full.map(str::to_owned)) else {
            return Ok(None);
        };
        let token = match ambient.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(Path::new) {
            Some(file) => Some(read_file(file)?.ok_or_else(|| CredentialsError::NoFile { path: file.to_owned() })?),
            None => ambient.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::to_owned),
        };
        let mut call = Call::plain(Service::Sts, "credentials of the container", "GET", String::new());
        if let Some(token) = &token {
            call = call.header("authorization", token.trim());
        }
        let answer = self.ask_directly(&url, &call, Duration::from_secs(5))?;
        of_metadata(&answer, "the container".to_owned()).map(Some)
    }

    /// The credentials of the role of an instance; none where there is no instance or no role.
    fn of_instance(&self) -> Result<Option<Found>, AwsError> {
        let host = self.ambient.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(INSTANCE_HOST);
        let at = |path: &str| format!("{}/latest/{path}", host.trim_end_matches('/'));
        let call = |method| Call::plain(Service::Sts, "credentials of the instance", method, String::new());
        let token = call("PUT").header("x-aws-ec2-metadata-token-ttl-seconds", "300");
        let Ok(token) = self.ask_directly(&at("api/token"), &token, INSTANCE_PATIENCE) else { return Ok(None) };
        let token = String::from_utf8_lossy(token.bytes()).trim().to_owned();
        let ask = |path: &str| {
            let call = call("GET").header("x-aws-ec2-metadata-token", &token);
            self.ask_directly(&at(path), &call, INSTANCE_PATIENCE)
        };
        let roles = match ask("meta-data/iam/security-credentials/") {
            Ok(roles) => roles,
            Err(AwsError::Refused(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let role = String::from_utf8_lossy(roles.bytes()).lines().next().unwrap_or_default().trim().to_owned();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
        if role.is_empty() || !role.bytes().all(is_name) {
            return Ok(None);
        }
        let answer = ask(&format!("meta-data/iam/security-credentials/{role}"))?;
        of_metadata(&answer, format!("the instance's role `{role}`")).map(Some)
    }
}

fn asked_by(error: AwsError, from: &str) -> AwsError {
    match error {
        AwsError::Refused(refusal) => AwsError::Refused(Box::new(refusal.asked_by(from))),
        error => error,
    }
}

fn of_sts(answer: &Answer, from: String) -> Result<Found, AwsError> {
    let credentials = answer.xml(|root| {
        let found = root.find("Credentials")?;
        let of = |name| found.text(name).map(|text| text.trim().to_owned());
        let until = parse_time(&of("Expiration")?);
        Some(Credentials { key: of("AccessKeyId")?, secret: of("SecretAccessKey")?, token: of("SessionToken"), until })
    })?;
    Ok(Found { credentials, from })
}

fn of_metadata(answer: &Answer, from: String) -> Result<Found, AwsError> {
    let json = answer.json()?;
    let of = |name| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let missing = || answer.nonsense("it has no key");
    let credentials = Credentials {
        key: of("AccessKeyId").ok_or_else(missing)?,
        secret: of("SecretAccessKey").ok_or_else(missing)?,
        token: of("Token"),
        until: of("Expiration").and_then(|text| parse_time(&text)),
    };
    Ok(Found { credentials, from })
}

/// Seconds since 1970 of a date that may have fractions of a second.
pub(super) fn parse_time(text: &str) -> Option<u64> {
    let whole = text.split_once('.').map_or_else(|| text.to_owned(), |(whole, _)| format!("{whole}Z"));
    parse_date(&whole)
}
