//! Targets of recipes: `brc publish ami --target`, `brc ami promote`, `brc ami prune --target`.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    ami::{CHANGING, REGION, answer, asking, disk, forty, publishing, refused, same_bytes, talk},
    support::{
        aws::{Asked, Cloud, Trouble},
        oci,
        project::{Ran, brc, copy_of_quickstart, folder, sha256, user_store},
    },
};

const STAGE: &str = "111122223333";
const PRODUCTION: &str = "444455556666";

/// A project with these targets.
fn project(folder: &Path, targets: &str) {
    fs::write(folder.join("brc.kdl"), "project \"acme\"\nread \"targets.kdl\"\n").unwrap();
    fs::write(folder.join("targets.kdl"), targets).unwrap();
}

fn two_accounts() -> String {
    format!(
        "target \"stage\" {{
            aws {{
                regions \"{REGION}\" \"us-east-1\"
                role \"arn:aws:iam::{STAGE}:role/stage\"
                share account=\"{PRODUCTION}\"
                encrypt kms-key=\"alias/images\"
                ssm \"/acme/{{variant}}/{{architecture}}/{{version}}/image_id\"
                keep 1
                deprecate-after days=90
            }}
        }}
        target \"production\" {{
            aws {{
                regions \"us-east-1\" \"eu-west-1\"
                role \"arn:aws:iam::{PRODUCTION}:role/production\"
                share organization=\"arn:aws:organizations::{PRODUCTION}:organization/o-abcdefghij\"
                encrypt kms-key=\"alias/images\"
                ssm \"/acme/{{variant}}/{{architecture}}/{{version}}/image_id\"
                hop-limit 1
            }}
        }}"
    )
}

fn in_project(command: &mut Command, folder: &Path) -> Command {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args()).current_dir(folder);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => again.env(name, value),
            None => again.env_remove(name),
        };
    }
    again
}

fn to_stage(cloud: &Cloud, folder: &Path, image: &Path) -> Command {
    in_project(&mut publishing(cloud, folder, image, &["--target", "stage"]), folder)
}

fn ami(cloud: &Cloud, folder: &Path, words: &[&str]) -> Command {
    in_project(&mut asking(cloud, folder, &[&["ami"], words].concat()), folder)
}

/// The requests of an operation that were made, as pairs.
fn pairs(cloud: &Cloud, operation: &str) -> Vec<(Asked, Vec<String>)> {
    let made = cloud.asked().into_iter().filter(|asked| asked.operation == operation);
    made.map(|asked| {
        let text = String::from_utf8(asked.body.clone()).unwrap();
        let pairs = text.split('&').map(str::to_owned).collect();
        (asked, pairs)
    })
    .collect()
}

#[test]
fn a_target_says_where_an_image_goes_and_another_is_given_the_same_bytes() {
    let (cloud, here) = (Cloud::start(), folder("ami-target"));
    project(&here, &two_accounts());
    let image = disk(&here, "1.2.0", forty());
    let plan = answer(to_stage(&cloud, &here, &image).arg("--dry-run"));
    assert_eq!(plan["regions"], serde_json::json!([REGION, "us-east-1"]));
    let done = answer(&mut to_stage(&cloud, &here, &image));
    let planned: Vec<(&str, u64)> = plan["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["operation"].as_str().unwrap(), call["count"].as_u64().unwrap()))
        .collect();
    for (operation, count) in &planned {
        assert_eq!(cloud.taken(operation) as u64, *count, "{operation}");
    }
    assert_eq!(planned.len(), CHANGING.len(), "{planned:?}");
    let asked = cloud.asked();
    assert_eq!(asked[0].operation, "AssumeRole");
    assert!(
        asked[1..].iter().all(|one| one.operation == "AssumeRole" || one.headers.contains_key("x-amz-security-token"))
    );
    let start = asked.iter().find(|one| one.operation == "StartSnapshot").unwrap();
    let start: Value = serde_json::from_slice(&start.body).unwrap();
    let key = start["KmsKeyArn"].as_str().unwrap();
    assert!(key.starts_with(&format!("arn:aws:kms:{REGION}:{STAGE}:key/")), "{key}");
    let (_, copy) = &pairs(&cloud, "CopyImage")[0];
    assert!(copy.contains(&"KmsKeyId=alias%2Fimages".to_owned()), "{copy:?}");
    let (_, snapshot) = &pairs(&cloud, "ModifySnapshotAttribute")[0];
    assert!(snapshot.contains(&format!("CreateVolumePermission.Add.1.UserId={PRODUCTION}")), "{snapshot:?}");
    let version = "/acme/node/x86_64/1.2.0/image_id";
    let latest = "/acme/node/x86_64/latest/image_id";
    assert_eq!(done["parameters"], serde_json::json!([version, latest, version, latest]));

    // All of it again, and then a newer one.
    cloud.forget();
    answer(&mut to_stage(&cloud, &here, &image));
    let changed: Vec<&str> = CHANGING.into_iter().filter(|operation| cloud.taken(operation) > 0).collect();
    assert_eq!(changed, ["ModifyImageAttribute", "ModifySnapshotAttribute"]);
    let old = done["images"][0]["image"].as_str().unwrap().to_owned();
    let newer = disk(&here, "1.3.0", [(3, 3), (9, 9)]);
    let ran = Ran::well(&mut to_stage(&cloud, &here, &newer));
    let new = ran.events.last().unwrap()["images"][0]["image"].as_str().unwrap().to_owned();
    let said = talk(&ran.output);
    assert!(said.contains(&format!("{latest} named {old} and names {new} in {REGION} now")), "{said}");
    assert_eq!(cloud.wrong(), Vec::<String>::new());

    // The newest for production: no block is sent, each region has its own.
    cloud.forget();
    let ran = Ran::well(&mut ami(&cloud, &here, &["promote", "--from", "stage", "--to", "production"]));
    let given = ran.events.last().unwrap();
    assert!(talk(&ran.output).contains("an AMI cannot carry `hop-limit 1`"), "{}", talk(&ran.output));
    assert_eq!((cloud.taken("PutSnapshotBlock"), cloud.taken("StartSnapshot")), (0, 0));
    let copies = pairs(&cloud, "CopyImage");
    let of = |at: usize| {
        let source = copies[at].1.iter().find_map(|pair| pair.strip_prefix("SourceRegion=")).unwrap();
        (copies[at].0.region.as_str(), source)
    };
    assert_eq!((of(0), of(1)), (("us-east-1", "us-east-1"), ("eu-west-1", REGION)));
    assert_eq!(given["sha256"], sha256(&newer));
    assert_eq!(given["images"].as_array().unwrap().len(), 2);
    cloud.forget();
    let again = answer(&mut ami(&cloud, &here, &["promote", "--from", "stage", "--to", "production"]));
    assert_eq!((cloud.taken("CopyImage"), &again["images"][0]["new"]), (0, &Value::Bool(false)));
    let list = Ran::well(&mut ami(&cloud, &here, &["list", "--target", "production"])).events;
    assert_eq!(list.len(), 2, "{list:?}");
    assert!(
        list.iter().all(|one| one["targets"] == serde_json::json!(["production"]) && one["sha256"] == given["sha256"])
    );

    // What is not there, and what is not of that disk.
    let promote = ["promote", "--from", "stage", "--to", "production"];
    let told = refused(&mut ami(&cloud, &here, &[&promote[..], &["--image-version", "9"]].concat()), 2);
    assert!(told.contains("there is no AMI of version 9 for the target `stage` in `eu-central-1`"), "{told}");
    let told = refused(&mut ami(&cloud, &here, &[&promote[..], &["--sha256", &"0".repeat(64)]].concat()), 2);
    assert!(told.contains("is of another disk: SHA-256"), "{told}");
    let mistyped = ami(&cloud, &here, &[&promote[..], &["--sha256", "00"]].concat()).output().unwrap();
    assert_eq!(mistyped.status.code(), Some(2));
    assert!(talk(&mistyped).contains("64 hexadecimal digits"), "{}", talk(&mistyped));
    let told = refused(&mut ami(&cloud, &here, &["promote", "--from", "stag", "--to", "production"]), 2);
    assert!(told.contains("there is no target `stag` in these recipes: did you mean `stage`?"), "{told}");

    // The target keeps one.
    let removed = Ran::well(&mut ami(&cloud, &here, &["prune", "--target", "stage"])).events;
    assert_eq!(removed.len(), 2, "a line for each region");
    assert!(removed[0]["removed"].as_array().unwrap().contains(&Value::from(old)), "{removed:?}");
    assert_eq!(removed[0]["removed"].as_array().unwrap().len(), 2);
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}

#[test]
fn in_one_account_promoting_copies_nothing_and_pruning_leaves_what_the_other_target_has() {
    let (cloud, here) = (Cloud::start(), folder("ami-one-account"));
    let targets = format!(
        "target \"stage\" {{ aws {{ regions \"{REGION}\"; keep 1 }} }}
         target \"production\" {{ aws {{ regions \"{REGION}\"; ssm \"/acme/{{version}}\" }} }}
         target \"sealed\" {{ aws {{ regions \"{REGION}\"; encrypt }} }}"
    );
    project(&here, &targets);
    let first = answer(&mut to_stage(&cloud, &here, &disk(&here, "1.0.0", [(1, 1)])));
    let first = first["images"][0]["image"].as_str().unwrap();
    let given = answer(&mut ami(&cloud, &here, &["promote", "--from", "stage", "--to", "production"]));
    assert_eq!((given["images"][0]["image"].as_str(), cloud.taken("CopyImage")), (Some(first), 0));
    assert_eq!(given["parameters"], serde_json::json!(["/acme/1.0.0", "/acme/latest"]));
    // A dry run is refused as the real one is.
    for words in [&["--dry-run"][..], &[]] {
        let words = [&["promote", "--from", "stage", "--to", "sealed"], words].concat();
        let told = refused(&mut ami(&cloud, &here, &words), 2);
        assert!(
            told.contains(&format!("`{first}` in `{REGION}` is not encrypted, and the target wants that")),
            "{told}"
        );
    }

    answer(&mut to_stage(&cloud, &here, &disk(&here, "1.1.0", [(1, 2)])));
    let pruned = answer(&mut ami(&cloud, &here, &["prune", "--target", "stage"]));
    assert_eq!((&pruned["removed"], &pruned["released"]), (&serde_json::json!([]), &serde_json::json!([first])));
    let listed = |target: &str| Ran::well(&mut ami(&cloud, &here, &["list", "--target", target])).events;
    assert_eq!(listed("stage").iter().map(|one| one["image_version"].clone()).collect::<Vec<_>>(), ["1.1.0"]);
    assert_eq!(listed("production")[0]["id"], first);
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}

#[test]
fn what_was_made_before_a_failure_is_told_with_what_removes_it() {
    let (cloud, here) = (Cloud::start(), folder("ami-half"));
    project(&here, &format!("target \"stage\" {{ aws {{ regions \"{REGION}\" \"us-east-1\" }} }}"));
    let image = disk(&here, "1.0.0", forty());
    cloud.misbehave(|asked, _| {
        let text = "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>";
        (asked.operation == "CopyImage").then_some(Trouble::Refuse(403, text))
    });
    let ran = Ran::new(&mut to_stage(&cloud, &here, &image));
    let said = talk(&ran.output);
    assert_eq!(ran.output.status.code(), Some(4), "{said}");
    let told = ran.events.last().unwrap()["error"].as_str().unwrap();
    assert!(told.contains("its policy has to allow `ec2:CopyImage`"), "{told}");
    let made = Ran::well(&mut ami(&cloud, &here, &["list"])).events[0]["id"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("help: {made} in {REGION} is there; the same command goes on with it")), "{said}");
    assert!(said.contains(&format!("ami remove {made} --region {REGION}")), "{said}");

    cloud.behave();
    cloud.forget();
    let told = refused(&mut ami(&cloud, &here, &["remove", "ami-00000000"]), 2);
    assert!(told.contains(&format!("brc has made no `ami-00000000` in {REGION}")), "{told}");
    let gone = answer(&mut ami(&cloud, &here, &["remove", &made, "--region", REGION]));
    assert_eq!(gone["removed"].as_array().unwrap().len(), 2, "with its snapshot");
    assert!(Ran::well(&mut ami(&cloud, &here, &["list"])).events.is_empty());
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}

#[test]
fn a_target_in_another_account_that_nothing_is_shared_with_is_told_so() {
    let (cloud, here) = (Cloud::start(), folder("ami-unshared"));
    project(&here, &two_accounts().replace(&format!("share account=\"{PRODUCTION}\""), ""));
    answer(&mut to_stage(&cloud, &here, &disk(&here, "1.0.0", [(1, 1)])));
    let told = refused(&mut ami(&cloud, &here, &["promote", "--from", "stage", "--to", "production"]), 4);
    assert!(told.contains("has to be among those that `stage` is shared with, `share account="), "{told}");
}

#[test]
fn an_image_whose_root_says_that_data_lies_on_a_disk_of_its_own_has_a_volume_for_it() {
    let (cloud, here) = (Cloud::start(), folder("ami-data"));
    let recipe = copy_of_quickstart(&here);
    let text = fs::read_to_string(&recipe).unwrap();
    let said = "layout \"ab\" { data disk=\"separate\" size=\"30GiB\" }\n    \
                embed-image \"app.tar\" on=\"data\"\n    include \"brc/containerd-debian\"";
    let program: Vec<u8> = (0..2 << 20).map(|at: u32| (at >> 7) as u8).collect();
    let archive = oci::archive("localhost/app:1", "amd64", &program);
    fs::write(here.join("app.tar"), &archive).unwrap();
    let changed = text.replace("include \"brc/containerd-debian\"", said);
    assert_ne!(changed, text);
    let target = |name: &str, more: &str| format!("target \"{name}\" {{ aws {{ regions \"{REGION}\"; {more} }} }}\n");
    let targets = target("stage", "") + &target("large", "encrypt; data-volume size=\"80GiB\"");
    fs::write(&recipe, changed + &targets).unwrap();
    // A recipe file is composed; what is only planned leaves nothing in the user's store.
    let recipe = recipe.to_str().unwrap();
    let words = ["publish", "ami", recipe, "--arch", "x86_64", "--target", "stage", "--dry-run"];
    let plan = answer(asking(&cloud, &here, &words).env("BRC_STORE", user_store()));
    let out = here.join("out");
    let mut compose = brc();
    Ran::well(compose.args(["compose", "--arch", "x86_64", recipe, "--out"]).arg(&out));
    let image = out.join("quickstart_0.1.0_x86_64.raw");
    assert_eq!(plan["sha256"], sha256(&image));
    let publishing = |more: &[&str]| {
        let words = ["publish", "ami", image.to_str().unwrap(), "--recipe", recipe, "--target"];
        asking(&cloud, &here, &[&words[..], more].concat())
    };
    // What came on the disk for data is a partition of it, and takes no room in the root.
    let data = out.join("quickstart_0.1.0_x86_64.data.raw");
    let bytes = fs::read(&data).unwrap();
    assert!(bytes[1 << 20..].starts_with(&archive));
    let listed = brc().arg("verify").arg(&image).output().unwrap();
    assert!(listed.status.success(), "{}", talk(&listed));
    // Without it, or with another one, nothing is sent.
    let elsewhere = out.join("elsewhere");
    fs::rename(&data, &elsewhere).unwrap();
    let told = refused(&mut publishing(&["stage"]), 2);
    assert!(told.contains("on a disk for data, which is not beside it"), "{told}");
    let alone = brc().arg("verify").arg(&image).output().unwrap();
    assert!(alone.status.success() && talk(&alone).contains("not checked: the images of containers"), "{alone:?}");
    let mut torn = bytes.clone();
    torn[(1 << 20) + archive.len() / 2] ^= 1;
    fs::write(&data, torn).unwrap();
    let told = refused(&mut publishing(&["stage"]), 1);
    assert!(told.contains("it does not hold `app.tar` as the image names it"), "{told}");
    let torn = brc().arg("verify").arg(&image).output().unwrap();
    assert_eq!(torn.status.code(), Some(1));
    assert!(talk(&torn).contains("error: disk for data: "), "{}", talk(&torn));
    assert_eq!(cloud.taken("StartSnapshot"), 0);
    fs::rename(&elsewhere, &data).unwrap();

    let done = answer(&mut publishing(&["stage"]));
    let snapshot = done["data_snapshot"].as_str().unwrap();
    assert_ne!(done["snapshot"], snapshot);
    same_bytes(&cloud, &data, snapshot);
    let again = answer(&mut publishing(&["stage"]));
    assert_eq!((&again["images"][0]["new"], &again["sent_blocks"]), (&false.into(), &0.into()));
    answer(&mut publishing(&["large", "--name", "large"]));
    assert_eq!(cloud.taken("StartSnapshot"), 4, "encrypted ones are others");
    let sizes = |at: usize| {
        let (_, pairs) = &pairs(&cloud, "RegisterImage")[at];
        let of = |field: &str| {
            let field = format!("BlockDeviceMapping.{field}=");
            pairs.iter().find_map(|pair| pair.strip_prefix(field.as_str())).unwrap_or("none").to_owned()
        };
        let snapshot = of("2.Ebs.SnapshotId");
        assert!(snapshot.starts_with("snap-") && snapshot != of("1.Ebs.SnapshotId"), "{pairs:?}");
        [of("1.Ebs.VolumeSize"), of("2.DeviceName"), of("2.Ebs.VolumeSize"), of("2.Ebs.Encrypted")]
    };
    assert_eq!(sizes(0), ["4", "%2Fdev%2Fxvdb", "30", "none"]);
    assert_eq!(sizes(1), ["4", "%2Fdev%2Fxvdb", "80", "none"], "a volume of a snapshot is as the snapshot is");
    let first = done["images"][0]["image"].as_str().unwrap();
    let gone = answer(&mut asking(&cloud, &here, &["ami", "remove", first]));
    assert_eq!(gone["removed"].as_array().unwrap().len(), 3, "with both snapshots: {gone}");
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}
