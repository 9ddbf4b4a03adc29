//! An image tried: an instance is started, its console read until it says how the boot went, and ended whatever happens.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{console::Verdict, failure::AmiError};
use crate::publish::aws::{Aws, AwsError, Node, Query, Service};

/// So many of the console's last lines are told.
const LAST_LINES: usize = 20;
/// States of an instance that does not run any more.
const ENDED: [&str; 4] = ["shutting-down", "terminated", "stopping", "stopped"];

/// An instance that tries an image.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The image.
    pub image: String,
    /// The type of the instance.
    pub kind: String,
    /// Where it stands.
    pub subnet: Option<String>,
    /// What it may be asked.
    pub security_group: Option<String>,
    /// The instance profile with its role.
    pub profile: Option<String>,
    /// How many hops answers of the metadata service go.
    pub hops: u16,
    /// What it is told.
    pub user_data: Option<Vec<u8>>,
    /// Another one for each trial: two requests with the same are one instance.
    pub token: String,
    /// What the console says once all is well.
    pub until: String,
}

/// What happens during a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialStep {
    /// The instance was started.
    Started { instance: String },
    /// It is in this state now.
    State { state: String },
    /// The console has so many bytes now.
    Console { bytes: usize },
    /// The instance was ended.
    Ended { instance: String },
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Why the boot was no good; none for one that was.
    pub failure: Option<String>,
    /// The console's last lines.
    pub last: Vec<String>,
}

impl Trial {
    /// Starts an instance, looks at its console for so long, and ends it: also when it is stopped or AWS refuses
    /// something meanwhile.
    ///
    /// # Errors
    /// AWS refuses, or the instance could not be ended.
    pub fn run(&self, aws: &Aws<'_>, limit: Duration, tell: &dyn Fn(TrialStep)) -> Result<Tried, AmiError> {
        // It is to end the instance after Ctrl-C too.
        let last_words = aws.unstoppable();
        let instance = match self.start(aws) {
            Ok(instance) => instance,
            Err(error @ AwsError::Refused(_)) => return Err(error.into()),
            Err(error) => {
                // The request may have arrived, and its answer not.
                for instance in self.started(&last_words)? {
                    end(&last_words, &instance, tell)?;
                }
                return Err(error.into());
            }
        };
        tell(TrialStep::Started { instance: instance.clone() });
        let tried = self.watch(aws, &instance, limit, tell);
        end(&last_words, &instance, tell)?;
        Ok(tried?)
    }

    fn request(&self) -> Query {
        let mut query = Query::new(Service::Ec2, "RunInstances", &self.image)
            .with("ImageId", &self.image)
            .with("InstanceType", &self.kind)
            .with("MinCount", 1)
            .with("MaxCount", 1)
            .with("ClientToken", &self.token)
            // One that turns itself off is gone, also when nobody could end it.
            .with("InstanceInitiatedShutdownBehavior", "terminate")
            .with("MetadataOptions.HttpTokens", "required")
            .with("MetadataOptions.HttpPutResponseHopLimit", self.hops)
            .tags(1, "instance", &[("Name".to_owned(), format!("brc test ami {}", self.image))]);
        let options = [
            ("SubnetId", &self.subnet),
            ("SecurityGroupId.1", &self.security_group),
            ("IamInstanceProfile.Name", &self.profile),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                query = query.with(name, value);
            }
        }
        match &self.user_data {
            Some(bytes) => query.with("UserData", BASE64.encode(bytes)),
            None => query,
        }
    }

    fn start(&self, aws: &Aws<'_>) -> Result<String, AwsError> {
        let answer = aws.ask(aws.region(), &self.request().call())?;
        let first = |root: Node<'_, '_>| Some(root.items("instancesSet").next()?.text("instanceId")?.to_owned());
        answer.xml(first)
    }

    /// The instances that this trial has started.
    fn started(&self, aws: &Aws<'_>) -> Result<Vec<String>, AwsError> {
        let query = Query::new(Service::Ec2, "DescribeInstances", &self.image).filter(1, "client-token", &self.token);
        let answer = aws.ask(aws.region(), &query.call())?;
        answer.xml(|root| {
            let instances = root.items("reservationSet").flat_map(|one| one.items("instancesSet"));
            Some(instances.filter_map(|one| one.text("instanceId")).map(str::to_owned).collect())
        })
    }

    /// Looks at the instance until its console says how the boot went, it ends, or the time is over.
    fn watch(
        &self,
        aws: &Aws<'_>,
        instance: &str,
        limit: Duration,
        tell: &dyn Fn(TrialStep),
    ) -> Result<Tried, AwsError> {
        let (mut last_state, mut text) = (String::new(), String::new());
        let mut left = limit;
        loop {
            let found = console(aws, instance)?;
            if found.len() != text.len() {
                tell(TrialStep::Console { bytes: found.len() });
            }
            // What a console has said is not always said again.
            if !found.is_empty() {
                text = found;
            }
            let ended = |failure| Ok(Tried { failure, last: last_lines(&text) });
            match Verdict::of(&text, &self.until) {
                Verdict::Good => return ended(None),
                Verdict::Bad(line) => return ended(Some(format!("the console says: {line}"))),
                Verdict::Open => {}
            }
            let (state, reason) = state(aws, instance)?;
            if ENDED.contains(&state.as_str()) {
                return ended(Some(format!("the instance is {state} by itself: {reason}")));
            }
            if state != last_state {
                tell(TrialStep::State { state: state.clone() });
                last_state = state;
            }
            if left.is_zero() {
                let seconds = limit.as_secs();
                return ended(Some(format!("{seconds} s went by and the console does not say `{}`", self.until)));
            }
            let pause = aws.patience().look.min(left);
            aws.pause(pause)?;
            left -= pause;
        }
    }
}

/// What the console has said last, up to 64 KiB.
fn console(aws: &Aws<'_>, instance: &str) -> Result<String, AwsError> {
    let query = Query::new(Service::Ec2, "GetConsoleOutput", instance).with("InstanceId", instance);
    let answer = aws.ask(aws.region(), &query.with("Latest", "true").call().wait_until_known())?;
    let text = answer.xml(|root| Some(root.text("output").unwrap_or_default().to_owned()))?;
    let packed: String = text.split_whitespace().collect();
    let bytes = BASE64.decode(packed).map_err(|_| answer.nonsense("the console is no base64"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The state of an instance, and why it is in it where AWS says so.
fn state(aws: &Aws<'_>, instance: &str) -> Result<(String, String), AwsError> {
    let query = Query::new(Service::Ec2, "DescribeInstances", instance).with("InstanceId.1", instance);
    aws.ask(aws.region(), &query.call().wait_until_known())?.xml(|root| {
        let found = root.items("reservationSet").flat_map(|one| one.items("instancesSet")).next()?;
        let reason = found.child("stateReason").and_then(|reason| reason.text("message"));
        Some((found.child("instanceState")?.text("name")?.to_owned(), reason.unwrap_or("no reason said").to_owned()))
    })
}

fn end(aws: &Aws<'_>, instance: &str, tell: &dyn Fn(TrialStep)) -> Result<(), AmiError> {
    let query = Query::new(Service::Ec2, "TerminateInstances", instance).with("InstanceId.1", instance);
    let ended = aws.ask(aws.region(), &query.call().wait_until_known());
    let left =
        |source| AmiError::LeftRunning { instance: instance.to_owned(), region: aws.region().to_owned(), source };
    ended.map_err(left)?;
    tell(TrialStep::Ended { instance: instance.to_owned() });
    Ok(())
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(LAST_LINES)).map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_started_like_this() {
        let trial = Trial {
            image: "ami-0123456789abcdef0".to_owned(),
            kind: "m7i.large".to_owned(),
            subnet: Some("subnet-0123456789abcdef0".to_owned()),
            security_group: Some("sg-0123456789abcdef0".to_owned()),
            profile: Some("node".to_owned()),
            hops: 2,
            user_data: Some(b"[settings]\n".to_vec()),
            token: "brc-1".to_owned(),
            until: String::new(),
        };
        let body = String::from_utf8(trial.request().call().body_for_tests()).unwrap();
        insta::assert_snapshot!(body.replace('&', "\n"));
    }
}
