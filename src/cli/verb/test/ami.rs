//! `brc test ami`: an AMI in an instance.

use std::{
    fs,
    path::Path,
    process::{self, ExitCode},
    time::{Duration, Instant},
};

use super::{bench::Failed, report::report};
use crate::{
    cli::{
        CliError,
        arguments::TestAmi,
        aws::told_ami,
        context::{Context, now},
        json::Event,
        output::{print_event, status},
        publish_target::PublishTarget,
    },
    content::bytes,
    publish::{
        ami::{AmiError, Trial, TrialStep},
        aws::AwsError,
    },
};

/// A small type with UEFI and NitroTPM.
const USUAL_TYPE: &str = "m7i.large";
/// The hop limit that instances of such an image have when nobody says one.
const USUAL_HOPS: u16 = 2;
/// EC2 takes no more user data.
const MAX_USER_DATA: usize = 16 << 10;

/// Tries an AMI.
pub fn run(context: &Context, arguments: &TestAmi) -> Result<ExitCode, CliError> {
    let image = &arguments.image;
    if !image.starts_with("ami-") {
        return Err(CliError::Usage(format!("`{image}` is no AMI: expected one like `ami-0123456789abcdef0`")));
    }
    let target = PublishTarget::find(context, arguments.recipe.as_deref(), arguments.target.as_deref())?;
    let stated = target.as_ref().and_then(|target| target.aws.instance.as_ref());
    let text = |text: &crate::recipe::Spanned<String>| text.value.clone();
    let trial = Trial {
        image: image.clone(),
        kind: arguments
            .instance_type
            .clone()
            .or_else(|| stated.map(|stated| text(&stated.kind)))
            .unwrap_or_else(|| USUAL_TYPE.to_owned()),
        subnet: stated.and_then(|stated| stated.subnet.as_ref()).map(text),
        security_group: stated.and_then(|stated| stated.security_group.as_ref()).map(text),
        profile: stated.and_then(|stated| stated.profile.as_ref()).map(text),
        hops: target.as_ref().and_then(|target| target.aws.hop_limit).map_or(USUAL_HOPS, |hops| hops.value),
        user_data: arguments.user_data.as_deref().map(user_data).transpose()?,
        token: format!("brc-{}-{}", now(), process::id()),
        until: arguments.until.clone(),
    };
    let first = target.as_ref().and_then(|target| target.regions().into_iter().next());
    let region = arguments.region.clone().or(first);
    let role = target.as_ref().and_then(PublishTarget::role);
    let aws = context.aws(&arguments.account, region.as_deref(), role)?;
    #[expect(clippy::disallowed_methods, reason = "a person is told how long each step took")]
    let start = Instant::now();
    let tell = |step: TrialStep| {
        let (seconds, step) = (start.elapsed().as_secs(), words(&step, &trial));
        if context.is_json() {
            print_event(Event::TestStep { seconds, step });
        } else {
            status(&format!("{seconds:>5} s  {step}"));
        }
    };
    match trial.run(&aws, Duration::from_secs(arguments.timeout), &tell) {
        Ok(tried) => {
            Ok(report(context, tried.failure.map_or(Ok(()), |failure| Err((Failed::Not(failure), tried.last)))))
        }
        Err(AmiError::Aws(AwsError::Stopped)) => Ok(report(context, Err((Failed::Cancelled, Vec::new())))),
        Err(error) => Err(told_ami(error)),
    }
}

fn words(step: &TrialStep, trial: &Trial) -> String {
    match step {
        TrialStep::Started { instance } => format!("{instance} is started, a {} of {}", trial.kind, trial.image),
        TrialStep::State { state } => format!("it is {state}"),
        TrialStep::Console { bytes: size } => format!("its console has {}", bytes(*size as u64)),
        TrialStep::Ended { instance } => format!("{instance} is ended"),
    }
}

fn user_data(path: &Path) -> Result<Vec<u8>, CliError> {
    let shown = path.display();
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_USER_DATA as u64);
    if !is_file {
        return Err(CliError::Usage(format!("`{shown}` cannot be user data: expected a file of at most 16 KiB")));
    }
    fs::read(path).map_err(|error| CliError::Usage(format!("`{shown}` cannot be read: {error}")))
}
