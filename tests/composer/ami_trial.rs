//! `brc test ami`, against moto's instances; what their consoles say is played.

use std::process::Stdio;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use crate::{
    ami::{REGION, answer, asking, disk, publishing, refused, talk},
    support::{
        aws::{Cloud, Trouble},
        process::wait_until,
        project::{Ran, folder},
    },
};

const TARGET: &str = "target \"stage\" {
    aws { regions \"eu-central-1\"; hop-limit 1; instance \"m5.large\" }
}";

/// The answer with this console.
fn console(text: &str) -> Trouble {
    let packed = BASE64.encode(text);
    let answer = format!("<GetConsoleOutputResponse><output>{packed}</output></GetConsoleOutputResponse>");
    Trouble::Refuse(200, answer.leak())
}

#[test]
fn an_instance_is_ended_however_its_boot_went() {
    let (cloud, here) = (Cloud::start(), folder("ami-trial"));
    std::fs::write(here.join("targets.kdl"), TARGET).unwrap();
    let image = answer(&mut publishing(&cloud, &here, &disk(&here, "1.0.0", [(1, 1)]), &[]));
    let image = image["images"][0]["image"].as_str().unwrap().to_owned();
    let recipe = here.join("targets.kdl");
    let trying = |more: &[&str]| {
        let words = ["test", "ami", &image, "--target", "stage", "--recipe", recipe.to_str().unwrap()];
        asking(&cloud, &here, &[&words[..], more].concat())
    };
    cloud.forget();

    // A boot that says nothing at first, then that all is well.
    cloud.misbehave(|asked, before| {
        let good = "Linux version\n[  OK  ] Reached target \u{1b}[0;1;39mboot-complete.target\u{1b}[0m\n";
        (asked.operation == "GetConsoleOutput").then(|| console(if before == 0 { "" } else { good }))
    });
    let ran = Ran::well(&mut trying(&[]));
    let steps: Vec<&str> = ran.of("test-step").map(|step| step["step"].as_str().unwrap()).collect();
    assert!(steps[0].contains(&format!("is started, a m5.large of {image}")), "{steps:?}");
    assert!(steps.last().unwrap().ends_with("is ended"), "{steps:?}");
    let run = cloud.asked().into_iter().find(|asked| asked.operation == "RunInstances").unwrap();
    assert!(String::from_utf8_lossy(&run.body).contains("MetadataOptions.HttpPutResponseHopLimit=1&"));
    assert_eq!(cloud.taken("TerminateInstances"), 1);

    // One that is no good.
    cloud.misbehave(|asked, _| {
        let bad = "[FAILED] Failed to start kubelet.service - Kubelet.\n";
        (asked.operation == "GetConsoleOutput").then(|| console(bad))
    });
    let ran = Ran::new(&mut trying(&[]));
    assert_eq!(ran.output.status.code(), Some(1), "{}", talk(&ran.output));
    let told = ran.events.last().unwrap()["failure"].as_str().unwrap();
    assert_eq!(told, "the console says: [FAILED] Failed to start kubelet.service - Kubelet.");
    assert_eq!(cloud.taken("TerminateInstances"), 2);

    // One that never says anything, and a refusal in between.
    cloud.misbehave(|asked, _| (asked.operation == "GetConsoleOutput").then(|| console("")));
    let ran = Ran::new(&mut trying(&["--timeout", "1"]));
    let told = ran.events.last().unwrap()["failure"].as_str().unwrap();
    assert!(told.starts_with("1 s went by and the console does not say"), "{told}");
    cloud.misbehave(|asked, _| {
        let text = "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>";
        (asked.operation == "GetConsoleOutput").then_some(Trouble::Refuse(403, text))
    });
    let told = refused(&mut trying(&[]), 4);
    assert!(told.contains("its policy has to allow `ec2:GetConsoleOutput`"), "{told}");
    assert_eq!(cloud.taken("TerminateInstances"), 4);

    // Ctrl-C while it boots.
    cloud.misbehave(|asked, _| (asked.operation == "GetConsoleOutput").then(|| console("booting\n")));
    let looks = cloud.asked().iter().filter(|asked| asked.operation == "GetConsoleOutput").count();
    let child = trying(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a look at the console", || {
        cloud.asked().iter().filter(|asked| asked.operation == "GetConsoleOutput").count() > looks
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", talk(&output));
    assert_eq!(cloud.taken("TerminateInstances"), 5, "{}", talk(&output));

    // A start whose answer never comes is found by its token.
    cloud.misbehave(|asked, _| (asked.operation == "RunInstances").then_some(Trouble::Cut));
    let told = refused(&mut trying(&[]), 4);
    assert!(told.starts_with(&format!("RunInstances of `{image}`")), "{told}");
    assert_eq!(cloud.taken("TerminateInstances"), 6);
    assert_eq!(cloud.wrong(), Vec::<String>::new());

    // One that cannot be ended is told with what ends it.
    cloud.misbehave(|asked, _| match asked.operation.as_str() {
        "GetConsoleOutput" => Some(console("Reached target boot-complete.target")),
        "TerminateInstances" => Some(Trouble::Refuse(403, "")),
        _ => None,
    });
    let told = refused(&mut trying(&[]), 4);
    assert!(told.contains(&format!("aws ec2 terminate-instances --region {REGION} --instance-ids i-")), "{told}");
    let told = refused(&mut asking(&cloud, &here, &["test", "ami", "snap-1"]), 2);
    assert!(told.contains("`snap-1` is no AMI"), "{told}");
}
