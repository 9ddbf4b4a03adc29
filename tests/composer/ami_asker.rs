//! Who asks AWS and how patiently: credentials, regions, servers that do not answer.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use brc::{
    fetch::{self, Proxies},
    publish::{
        ami::{AmiError, AmiOrder, Disk, Disks, ParentChoice, Placement, Records, Target, plan, publish},
        aws::{Ambient, Aws, AwsError, Connections, Patience},
    },
};
use brc_contract::Architecture;

use crate::support::{
    aws::{BLOCK, Cloud, SECRET, Trouble},
    project::{Ran, brc, folder},
};

const GONE: &str = "{\"Message\":\"The snapshot does not exist.\",\"Reason\":\"SNAPSHOT_NOT_FOUND\",\
                    \"__type\":\"ResourceNotFoundException\"}";

/// Publishes a small disk with short patience; what became of it.
fn impatient(cloud: &Cloud, name: &str) -> Result<(), AmiError> {
    let folder = folder(name);
    let path = folder.join("disk.raw");
    let file = File::create(&path).unwrap();
    file.set_len(20 * BLOCK as u64).unwrap();
    (0..5).for_each(|number| file.write_all_at(b"something", number * 3 * BLOCK as u64).unwrap());
    let short = fetch::Patience { stall: Duration::from_secs(3), ..fetch::Patience::default() };
    let web = fetch::connections(&Proxies::default(), &short).unwrap();
    let connections = Connections { http: web.http, https: web.https, direct: web.direct };
    let variables = [("AWS_ACCESS_KEY_ID", "AKIDTESTS"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let ambient = Ambient { variables, home: None, profile: None, role: None };
    let patience = Patience {
        call: Duration::from_secs(8),
        retries: 2,
        pause: Duration::from_millis(10),
        until_known: Duration::from_millis(500),
        look: Duration::from_millis(10),
        looks: 10,
    };
    let (clock, cancelled) = (|| std::time::UNIX_EPOCH.elapsed().unwrap().as_secs(), AtomicBool::new(false));
    let url = cloud.url();
    let aws = Aws::new(connections, ambient, (Some("eu-central-1"), Some(&url)), patience, &clock, &cancelled).unwrap();
    let order = AmiOrder {
        target: Target { variant: "node".into(), version: "1".into(), architecture: Architecture::X86_64 },
        name: "node".to_owned(),
        parent: ParentChoice::Newest,
        data_gib: None,
        place: Placement::default(),
        connections: 4,
    };
    let disk = Disk::read(&path, &cancelled).unwrap();
    let records = Records::new(folder.clone());
    let disks = Disks { system: &disk, data: None };
    let found = plan(&aws, disks, &order, &records, &|_| {})?;
    publish(&aws, disks, &order, &found, &records, &|_| {}).map(drop)
}

#[test]
fn a_snapshot_that_is_not_known_yet_is_waited_for_and_not_for_ever() {
    let cloud = Cloud::start();
    let count = AtomicUsize::new(0);
    cloud.misbehave(move |asked, _| {
        let is_early = asked.operation == "PutSnapshotBlock" && count.fetch_add(1, Ordering::SeqCst) < 12;
        is_early.then_some(Trouble::Refuse(404, GONE))
    });
    impatient(&cloud, "ami-unknown").unwrap();
    assert_eq!(cloud.taken("PutSnapshotBlock"), 5);
    assert_eq!((cloud.taken("StartSnapshot"), cloud.taken("RegisterImage")), (1, 1));
    assert_eq!(cloud.wrong(), Vec::<String>::new());

    let cloud = Cloud::start();
    cloud.misbehave(|asked, _| (asked.operation == "PutSnapshotBlock").then_some(Trouble::Refuse(404, GONE)));
    let started = Instant::now();
    let error = impatient(&cloud, "ami-never-known").unwrap_err();
    assert!(error.to_string().contains("404 `ResourceNotFoundException`: The snapshot does not exist."), "{error}");
    assert!(started.elapsed() < Duration::from_secs(60));
    // What an equal request has begun before may be gone: it is begun anew, a few times.
    assert_eq!(cloud.taken("StartSnapshot"), 3);
}

#[test]
fn a_snapshot_that_aws_gives_up_is_named_and_the_next_run_begins_another() {
    const GIVEN_UP: &str = "<DescribeSnapshotsResponse><snapshotSet><item><snapshotId>snap-0123456789abcdef0</snapshotId>\
                            <volumeSize>1</volumeSize><status>error</status></item></snapshotSet></DescribeSnapshotsResponse>";
    let cloud = Cloud::start();
    cloud.misbehave(|asked, _| {
        let is_look =
            asked.operation == "DescribeSnapshots" && asked.body.windows(10).any(|text| text == b"SnapshotId");
        is_look.then_some(Trouble::Refuse(200, GIVEN_UP))
    });
    let error = impatient(&cloud, "ami-given-up").unwrap_err().to_string();
    assert!(error.contains("in `eu-central-1` up: its state is `error`"), "{error}");
    assert!(error.contains("`brc ami prune --region eu-central-1` removes what was given up"), "{error}");
    assert_eq!(cloud.taken("RegisterImage"), 0, "nothing is registered of it");
    cloud.behave();
    impatient(&cloud, "ami-given-up").unwrap();
    assert_eq!(cloud.taken("RegisterImage"), 1);
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}

#[test]
fn a_server_that_does_not_answer_is_given_up_with_its_name() {
    for (operation, is_started) in [("PutSnapshotBlock", true), ("DescribeImages", false)] {
        let cloud = Cloud::start();
        cloud.misbehave(move |asked, _| (asked.operation == operation).then_some(Trouble::BlackHole));
        let started = Instant::now();
        let error = impatient(&cloud, "ami-black-hole").unwrap_err();
        let AmiError::Aws(AwsError::Transport { host, tries, .. }) = &error else { panic!("{error:?}") };
        assert_eq!((format!("http://{host}"), *tries), (cloud.url(), 3), "{error}");
        assert!(error.to_string().starts_with(operation), "{error}");
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        assert_eq!(cloud.taken("StartSnapshot"), usize::from(is_started));
    }
}

/// `brc ami list` of somebody without anything.
fn stranger(folder: &Path, cloud: &Cloud) -> Command {
    strange(folder, cloud, &["ami", "list"])
}

fn strange(folder: &Path, cloud: &Cloud, words: &[&str]) -> Command {
    let mut command = brc();
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.args(words).env("HOME", folder).env("BRC_STORE", folder.join("store"));
    command.env("no_proxy", "127.0.0.1").env("AWS_ENDPOINT_URL", cloud.url()).env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn told(command: &mut Command, code: i32) -> String {
    let ran = Ran::new(command);
    assert_eq!(ran.output.status.code(), Some(code), "{:?}", ran.events);
    let text = ran.events.last().unwrap()["error"].as_str().unwrap().to_owned();
    assert!(!text.contains(SECRET) && !String::from_utf8_lossy(&ran.output.stderr).contains(SECRET), "{text}");
    text
}

#[test]
fn who_cannot_ask_is_told_what_is_missing_and_where() {
    let (cloud, folder) = (Cloud::start(), folder("ami-stranger"));
    let asked = || stranger(&folder, &cloud);
    let said = told(&mut asked(), 2);
    assert!(said.contains("no region is named: give `--region REGION`"), "{said}");
    let said = told(asked().args(["--region", "eu-central1"]), 2);
    assert!(said.contains("`eu-central1` is no region: expected one like `eu-central-1`"), "{said}");
    let in_region = || {
        let mut command = asked();
        command.args(["--region", "eu-central-1"]);
        command
    };
    let said = told(&mut in_region(), 3);
    assert!(said.contains("there are no credentials for AWS: set `AWS_ACCESS_KEY_ID`"), "{said}");
    let said = told(in_region().env("AWS_SECRET_ACCESS_KEY", SECRET), 3);
    assert!(said.contains("the environment has an access key without its secret"), "{said}");
    let said = told(in_region().args(["--profile", "ci"]), 3);
    assert!(said.contains("there is no profile `ci`"), "{said}");
    let said = told(in_region().env("AWS_ROLE_ARN", "arn:x").env("AWS_WEB_IDENTITY_TOKEN_FILE", "/none/token"), 3);
    assert!(said.contains("`/none/token` is not there"), "{said}");
    let said = told(in_region().arg("--offline"), 2);
    assert!(said.contains("cannot be asked with `--offline`"), "{said}");

    fs::create_dir(folder.join(".aws")).unwrap();
    fs::write(folder.join(".aws/config"), "[profile sso]\nsso_session = x\n").unwrap();
    let said = told(in_region().args(["--profile", "sso"]), 3);
    assert!(said.contains("`sso_session`, which brc does not follow"), "{said}");

    cloud.misbehave(|_, _| {
        let text = "<Response><Errors><Error><Code>RequestExpired</Code><Message>Request has expired.</Message></Error></Errors></Response>";
        Some(Trouble::Refuse(400, text))
    });
    let keyed = || {
        let mut command = in_region();
        command.env("AWS_ACCESS_KEY_ID", "AKIDTESTS").env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    };
    let said = told(&mut keyed(), 4);
    assert!(
        said.contains("refused by ec2 of `eu-central-1` with 400 `RequestExpired`") && said.contains("clock"),
        "{said}"
    );
    cloud.misbehave(|_, _| {
        let text = "<Response><Errors><Error><Code>AuthFailure</Code></Error></Errors></Response>";
        Some(Trouble::Refuse(401, text))
    });
    let said = told(&mut keyed(), 4);
    assert!(said.contains("credentials came from the environment (`AWS_ACCESS_KEY_ID`): renew them"), "{said}");
    for (code, help) in [
        ("ExpiredToken", "credentials came from the environment (`AWS_ACCESS_KEY_ID`): renew them"),
        ("OptInRequired", "turn the region on for the account, or name another with `--region`"),
    ] {
        let text = format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>").leak();
        cloud.misbehave(|_, _| Some(Trouble::Refuse(400, text)));
        let said = told(&mut keyed(), 4);
        assert!(said.contains(&format!("`{code}`")) && said.contains(help), "{said}");
    }
    let said = told(keyed().args(["--endpoint", "http://nowhere.invalid"]), 4);
    assert!(
        said.contains("there is no server `nowhere.invalid`; is `eu-central-1` the region that is meant?"),
        "{said}"
    );
}

#[test]
fn credentials_that_end_during_an_upload_are_had_anew() {
    let (cloud, folder) = (Cloud::start(), folder("ami-expired"));
    let token = folder.join("token");
    fs::write(&token, "a.b.c").unwrap();
    let image = folder.join("node_1.0.0_x86_64.raw");
    let file = File::create(&image).unwrap();
    (0..8_u64).for_each(|number| file.write_all_at(b"something", number * BLOCK as u64).unwrap());
    let count = AtomicUsize::new(0);
    cloud.misbehave(move |asked, _| {
        let is_fifth = asked.operation == "PutSnapshotBlock" && count.fetch_add(1, Ordering::SeqCst) == 4;
        is_fifth.then_some(Trouble::Refuse(403, "{\"__type\":\"ExpiredTokenException\",\"message\":\"ended\"}"))
    });
    let words = ["publish", "ami", "--no-verify", "--connections", "1", image.to_str().unwrap()];
    let mut command = strange(&folder, &cloud, &words);
    command.env("AWS_REGION", "eu-central-1").env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/publisher");
    command.env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    Ran::well(&mut command);
    assert_eq!((cloud.taken("AssumeRoleWithWebIdentity"), cloud.taken("PutSnapshotBlock")), (2, 8));
}

#[test]
fn credentials_come_from_a_web_identity_a_role_of_a_profile_a_container_and_an_instance() {
    let (cloud, folder) = (Cloud::start(), folder("ami-credentials"));
    let token = folder.join("token");
    fs::write(&token, "a.b.c\n").unwrap();
    let role = "arn:aws:iam::123456789012:role/publisher";
    let mut command = stranger(&folder, &cloud);
    command.env("AWS_REGION", "eu-central-1").env("AWS_ROLE_ARN", role).env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    Ran::well(&mut command);
    let asked = cloud.asked();
    assert_eq!(asked[0].operation, "AssumeRoleWithWebIdentity");
    assert!(
        String::from_utf8_lossy(&asked[0].body).contains("WebIdentityToken=a.b.c&")
            || asked[0].body.ends_with(b"=a.b.c")
    );
    assert!(asked.len() > 1 && asked[1..].iter().all(|one| one.headers.contains_key("x-amz-security-token")));

    fs::create_dir(folder.join(".aws")).unwrap();
    let config = format!("[profile ci]\nregion = eu-west-3\nrole_arn = {role}\nsource_profile = base\n");
    fs::write(folder.join(".aws/config"), config).unwrap();
    let keys = format!("[base]\naws_access_key_id = AKIDTESTS\naws_secret_access_key = {SECRET}\n");
    fs::write(folder.join(".aws/credentials"), keys).unwrap();
    cloud.forget();
    Ran::well(stranger(&folder, &cloud).env("AWS_PROFILE", "ci"));
    let asked = cloud.asked();
    assert_eq!((asked[0].operation.as_str(), asked[0].region.as_str()), ("AssumeRole", "eu-west-3"));
    assert_eq!(asked[1].region, "eu-west-3");
    assert_ne!(asked[1].headers["authorization"], asked[0].headers["authorization"]);
    cloud.forget();
    Ran::well(stranger(&folder, &cloud).args(["--profile", "base", "--region", "eu-west-1"]));
    assert!(cloud.asked().iter().all(|one| one.headers["authorization"].contains("Credential=AKIDTESTS/")));
    assert_eq!(cloud.wrong(), Vec::<String>::new());

    let server = crate::support::server::Server::start();
    let keys = format!(
        "{{\"AccessKeyId\":\"AKIDCONTAINER\",\"SecretAccessKey\":\"{SECRET}\",\"Token\":\"t\",\"Expiration\":\"2099-01-01T00:00:00Z\"}}"
    );
    server.put_bytes("/keys", keys.as_bytes());
    fs::remove_dir_all(folder.join(".aws")).unwrap();
    cloud.forget();
    let mut command = stranger(&folder, &cloud);
    command.env("AWS_REGION", "eu-central-1").env("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/keys"));
    Ran::well(&mut command);
    assert!(cloud.asked().iter().all(|one| one.headers["authorization"].contains("Credential=AKIDCONTAINER/")));
    assert_eq!(cloud.wrong(), Vec::<String>::new());

    let metadata = "/latest/meta-data/iam/security-credentials/";
    server.put_bytes("/latest/api/token", b"a-token");
    server.put_bytes(metadata, b"node-role\n");
    server.put_bytes(&format!("{metadata}node-role"), keys.replace("CONTAINER", "INSTANCE").as_bytes());
    cloud.forget();
    let mut command = stranger(&folder, &cloud);
    command.env("AWS_REGION", "eu-central-1").env_remove("AWS_EC2_METADATA_DISABLED");
    Ran::well(command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url("")));
    assert!(cloud.asked().iter().all(|one| one.headers["authorization"].contains("Credential=AKIDINSTANCE/")));
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}
