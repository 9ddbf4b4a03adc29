//! `brc publish ami` and `brc ami`, against moto's server of AWS behind a proxy that checks and misbehaves.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    aws::{BLOCK, Cloud, SECRET, Trouble},
    process::wait_until,
    project::{Ran, brc, folder, sha256},
};

pub const REGION: &str = "eu-central-1";

/// A disk of 300 MiB and a bit, whose blocks of these numbers hold something of this byte.
pub fn disk(folder: &Path, version: &str, blocks: impl IntoIterator<Item = (u32, u8)>) -> PathBuf {
    let path = folder.join(format!("node_{version}_x86_64.raw"));
    let file = File::create(&path).unwrap();
    file.set_len((600 * BLOCK + 512) as u64).unwrap();
    for (number, byte) in blocks {
        file.write_all_at(&[byte; 256], u64::from(number) * BLOCK as u64 + 4096 * u64::from(byte % 64)).unwrap();
    }
    path
}

/// Forty blocks all over the disk.
pub fn forty() -> BTreeMap<u32, u8> {
    (0..40).map(|index| (index * 15, 1 + index as u8)).collect()
}

/// brc as somebody calls it who has a key and a store of their own.
pub fn asking(cloud: &Cloud, folder: &Path, words: &[&str]) -> Command {
    let mut command = brc();
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.args(words).env("HOME", folder).env("BRC_STORE", folder.join("store"));
    command
        .env("AWS_ENDPOINT_URL", cloud.url())
        .env("no_proxy", "127.0.0.1")
        .env("AWS_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", "AKIDTESTS").env("AWS_SECRET_ACCESS_KEY", SECRET);
    command
}

pub fn publishing(cloud: &Cloud, folder: &Path, image: &Path, more: &[&str]) -> Command {
    let mut command = asking(cloud, folder, &["publish", "ami", "--no-verify"]);
    command.arg(image).args(more);
    command
}

/// What was answered last.
pub fn answer(command: &mut Command) -> Value {
    Ran::well(command).events.last().unwrap().clone()
}

pub fn refused(command: &mut Command, code: i32) -> String {
    let ran = Ran::new(command);
    assert_eq!(ran.output.status.code(), Some(code), "{:?} {}", ran.events, talk(&ran.output));
    ran.events.last().unwrap()["error"].as_str().unwrap().to_owned()
}

pub fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a disk holds must be what a snapshot holds, and nothing else.
pub fn same_bytes(cloud: &Cloud, image: &Path, snapshot: &str) {
    let bytes = fs::read(image).unwrap();
    let mut behind = 0;
    for (number, block) in (0..).zip(bytes.chunks(BLOCK)) {
        behind = number + 1;
        let mut expected = block.to_vec();
        expected.resize(BLOCK, 0);
        let found = cloud.block(REGION, snapshot, number).unwrap_or_else(|| vec![0; BLOCK]);
        assert!(found == expected, "block {number}");
    }
    assert_eq!(cloud.block(REGION, snapshot, behind), None);
}

pub const CHANGING: [&str; 9] = [
    "StartSnapshot",
    "PutSnapshotBlock",
    "CompleteSnapshot",
    "RegisterImage",
    "CopyImage",
    "ModifyImageAttribute",
    "ModifySnapshotAttribute",
    "EnableImageDeprecation",
    "PutParameter",
];

#[test]
fn an_image_is_sent_registered_copied_shared_and_named_once() {
    let (cloud, folder) = (Cloud::start(), folder("ami"));
    let image = disk(&folder, "1.2.0", forty().into_iter().chain([(600, 9)]));
    let organization = "arn:aws:organizations::111122223333:organization/o-abcdefghij";
    let more = [
        ["--region", REGION, "--region", "eu-west-1", "--share", "111122223333", "--share", organization].as_slice(),
        &["--ssm", "/brc/{variant}/{arch}/{version}/image_id", "--ssm", "/brc/{variant}/{arch}/latest/image_id"],
    ]
    .concat();
    let plan = answer(&mut publishing(&cloud, &folder, &image, &[&more[..], &["--dry-run"]].concat()));
    let asked: Vec<String> = cloud.asked().into_iter().map(|asked| asked.operation).collect();
    assert!(asked.iter().all(|asked| !CHANGING.contains(&asked.as_str())) && !asked.is_empty(), "{asked:?}");
    let calls: BTreeMap<&str, u64> = plan["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["operation"].as_str().unwrap(), call["count"].as_u64().unwrap()))
        .collect();

    let done = answer(&mut publishing(&cloud, &folder, &image, &more));
    for operation in CHANGING {
        let planned = calls.get(operation).copied().unwrap_or(0);
        assert_eq!(cloud.taken(operation) as u64, planned, "{operation} was planned so often");
    }
    let digest = sha256(&image);
    let name = format!("brc-node-x86_64-v1.2.0-{}", &digest[..12]);
    assert_eq!((done["name"].as_str(), done["sha256"].as_str()), (Some(name.as_str()), Some(digest.as_str())));
    assert_eq!(done["images"][0]["region"], REGION);
    assert_eq!(done["images"][1]["region"], "eu-west-1");
    assert_eq!(done["sent_blocks"], 41);
    assert_eq!(cloud.blocks().keys().copied().collect::<Vec<_>>(), (0..41).map(|index| index * 15).collect::<Vec<_>>());
    assert!(cloud.blocks().values().all(|count| *count == 1));
    same_bytes(&cloud, &image, done["snapshot"].as_str().unwrap());
    let parameter = cloud.asked().into_iter().rev().find(|asked| asked.operation == "PutParameter").unwrap();
    let parameter: Value = serde_json::from_slice(&parameter.body).unwrap();
    assert_eq!(parameter["Name"], "/brc/node/x86_64/latest/image_id");
    assert_eq!(parameter["Value"], done["images"][1]["image"], "each region names its own");

    // All of it again: it is there.
    cloud.forget();
    let again = answer(&mut publishing(&cloud, &folder, &image, &more));
    for (before, now) in done["images"].as_array().unwrap().iter().zip(again["images"].as_array().unwrap()) {
        assert_eq!((&before["image"], &now["new"]), (&now["image"], &Value::Bool(false)));
    }
    let changed = CHANGING.into_iter().filter(|operation| cloud.taken(operation) > 0).collect::<Vec<_>>();
    assert_eq!(changed, ["ModifyImageAttribute", "ModifySnapshotAttribute"], "to share it again changes nothing");
    assert_eq!(cloud.wrong(), Vec::<String>::new());

    // Another disk of that name.
    let other = disk(&folder, "1.3.0", [(3, 3)]);
    let told = refused(&mut publishing(&cloud, &folder, &other, &["--name", &name]), 2);
    let there = done["images"][0]["image"].as_str().unwrap();
    assert!(told.contains(&format!("`{name}` is `{there}` in `{REGION}` and of another disk")), "{told}");
}

#[test]
fn a_parent_gets_exactly_the_blocks_that_changed_and_old_images_go_when_they_are_pruned() {
    let (cloud, here) = (Cloud::start(), folder("ami-parent"));
    let first = disk(&here, "1.0.0", forty());
    let parent = answer(&mut publishing(&cloud, &here, &first, &[]))["snapshot"].as_str().unwrap().to_owned();
    let mut blocks = forty();
    // One that becomes zeros, one that becomes another, one that is new.
    blocks.remove(&15);
    blocks.insert(30, 77);
    blocks.insert(31, 78);
    let second = disk(&here, "1.1.0", blocks.clone());
    cloud.forget();
    let done = answer(&mut publishing(&cloud, &here, &second, &[]));
    assert_eq!(cloud.blocks(), BTreeMap::from([(15, 1), (30, 1), (31, 1)]));
    same_bytes(&cloud, &second, done["snapshot"].as_str().unwrap());

    // On a machine that knows nothing of it all blocks are sent, or the parent is read back where it is named.
    let elsewhere = folder("ami-elsewhere");
    blocks.insert(47, 4);
    let third = disk(&elsewhere, "1.2.0", blocks.clone());
    cloud.forget();
    let plan = answer(&mut publishing(&cloud, &elsewhere, &third, &["--dry-run"]));
    assert_eq!((&plan["parent"], &plan["blocks"]), (&Value::Null, &Value::from(41)));
    let snapshot = done["snapshot"].as_str().unwrap();
    let done = answer(&mut publishing(&cloud, &elsewhere, &third, &["--parent", snapshot]));
    assert_eq!(cloud.blocks(), BTreeMap::from([(47, 1)]));
    assert_eq!(cloud.taken("GetSnapshotBlock"), 41, "a block of zeros that was sent is one of them");
    same_bytes(&cloud, &third, done["snapshot"].as_str().unwrap());

    // Encryption and a parent are refused together by AWS: all blocks are sent.
    cloud.forget();
    let fourth = disk(&here, "1.3.0", forty());
    answer(&mut publishing(&cloud, &here, &fourth, &["--encrypt", "--name", "encrypted"]));
    assert_eq!(cloud.taken("PutSnapshotBlock"), 40);
    let start = cloud.asked().into_iter().find(|asked| asked.operation == "StartSnapshot").unwrap();
    let start: Value = serde_json::from_slice(&start.body).unwrap();
    assert_eq!((&start["Encrypted"], start.get("ParentSnapshotId")), (&Value::Bool(true), None));

    let list = || Ran::well(&mut asking(&cloud, &here, &["ami", "list"])).events;
    let versions = |list: &[Value]| -> Vec<String> {
        let images = list.iter().filter(|one| one["id"].as_str().unwrap().starts_with("ami-"));
        images.map(|one| one["image_version"].as_str().unwrap().to_owned()).collect()
    };
    let all = list();
    assert_eq!(all.len(), 4, "{all:?}");
    let dry = answer(&mut asking(&cloud, &here, &["ami", "prune", "--keep", "2", "--dry-run"]));
    assert_eq!(list(), all);
    let removed = answer(&mut asking(&cloud, &here, &["ami", "prune", "--keep", "2"]));
    assert_eq!(removed["removed"], dry["removed"]);
    assert_eq!(removed["removed"].as_array().unwrap().len(), 4, "two images with their snapshots");
    assert!(removed["removed"].as_array().unwrap().contains(&Value::from(parent)));
    assert_eq!(versions(&list()), ["1.3.0", "1.2.0"]);
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}

#[test]
fn an_upload_that_is_cut_off_is_listed_and_gone_on_with_and_no_block_is_sent_twice() {
    let (cloud, here) = (Cloud::start(), folder("ami-resumed"));
    let image = disk(&here, "1.0.0", forty());
    let count = AtomicUsize::new(0);
    cloud.misbehave(move |asked, _| {
        let is_late = asked.operation == "PutSnapshotBlock" && count.fetch_add(1, Ordering::SeqCst) >= 10;
        is_late.then_some(Trouble::Refuse(403, "{\"code\":\"AccessDeniedException\",\"Message\":\"no, 500\"}"))
    });
    let told = refused(&mut publishing(&cloud, &here, &image, &["--connections", "1"]), 4);
    assert!(
        told.contains("`AccessDeniedException`: no, 500; its policy has to allow `ebs:PutSnapshotBlock`"),
        "{told}"
    );
    let puts = cloud.asked().iter().filter(|asked| asked.operation == "PutSnapshotBlock").count();
    assert_eq!(puts, 11, "what is forbidden is not tried again");

    let output = asking(&cloud, &here, &["ami", "list"]).output().unwrap();
    let line = String::from_utf8(output.stdout.clone()).unwrap();
    let snapshot = line.split(' ').nth(1).unwrap().to_owned();
    assert!(line.starts_with(&format!("{REGION} {snapshot} begun ")) && snapshot.starts_with("snap-"), "{line}");
    let told = talk(&output);
    let command = told.lines().find(|line| line.contains(" ami remove snap-"));
    assert!(command.is_some_and(|line| line.contains(&format!(" --region {REGION}"))), "{told}");

    // Ctrl-C after some more.
    let (sent, more) = (cloud.taken("PutSnapshotBlock"), AtomicUsize::new(0));
    cloud.misbehave(move |asked, _| {
        if asked.operation == "PutSnapshotBlock" && more.fetch_add(1, Ordering::SeqCst) > 6 {
            std::thread::sleep(Duration::from_millis(300));
        }
        None
    });
    let mut child = publishing(&cloud, &here, &image, &["--connections", "2"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("some blocks", || cloud.taken("PutSnapshotBlock") >= sent + 6);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains(&format!("stopped: `{snapshot}` in `{REGION}` has what was sent")), "{said}");
    assert!(cloud.taken("PutSnapshotBlock") < 40 && cloud.taken("CompleteSnapshot") == 0);

    cloud.behave();
    let done = answer(&mut publishing(&cloud, &here, &image, &[]));
    assert_eq!(done["snapshot"], snapshot.as_str());
    assert_eq!(cloud.taken("StartSnapshot"), 1);
    assert_eq!(cloud.blocks().len(), 40);
    assert!(cloud.blocks().values().all(|count| *count == 1), "{:?}", cloud.blocks());
    same_bytes(&cloud, &image, &snapshot);
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}

#[test]
fn what_was_begun_on_another_machine_is_gone_on_with_and_goes_when_that_is_asked() {
    let (cloud, here) = (Cloud::start(), folder("ami-begun"));
    let image = disk(&here, "1.0.0", forty());
    let count = AtomicUsize::new(0);
    cloud.misbehave(move |asked, _| {
        let is_late = asked.operation == "PutSnapshotBlock" && count.fetch_add(1, Ordering::SeqCst) >= 5;
        is_late.then_some(Trouble::Refuse(403, ""))
    });
    refused(&mut publishing(&cloud, &here, &image, &[]), 4);
    cloud.behave();
    let elsewhere = folder("ami-begun-elsewhere");
    let done = answer(&mut publishing(&cloud, &elsewhere, &image, &[]));
    assert_eq!((cloud.taken("StartSnapshot"), &done["sent_blocks"]), (1, &Value::from(40)));
    same_bytes(&cloud, &image, done["snapshot"].as_str().unwrap());

    let other = disk(&here, "2.0.0", [(1, 1), (2, 2)]);
    cloud.misbehave(|asked, _| (asked.operation == "PutSnapshotBlock").then_some(Trouble::Refuse(403, "")));
    refused(&mut publishing(&cloud, &here, &other, &["--no-parent"]), 4);
    cloud.behave();
    let kept = answer(&mut asking(&cloud, &here, &["ami", "prune"]));
    assert_eq!(kept["removed"], serde_json::json!([]), "it may be going on");
    let gone = answer(&mut asking(&cloud, &here, &["ami", "prune", "--unfinished"]));
    assert_eq!(gone["removed"].as_array().unwrap().len(), 1, "{gone}");
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}

#[test]
fn what_passes_is_tried_again_wherever_it_happens() {
    let (cloud, here) = (Cloud::start(), folder("ami-passing"));
    let image = disk(&here, "1.0.0", forty());
    let counts: [AtomicUsize; 2] = Default::default();
    cloud.misbehave(move |asked, before| {
        let throttled = "{\"code\":\"RequestThrottledException\"}";
        match asked.operation.as_str() {
            "PutSnapshotBlock" => match counts[0].fetch_add(1, Ordering::SeqCst) {
                3 => Some(Trouble::Refuse(429, "")),
                7 => Some(Trouble::Refuse(500, "<html>")),
                11 => Some(Trouble::Cut),
                15 => Some(Trouble::Refuse(400, throttled)),
                _ => None,
            },
            // What was registered and not told is found by its name.
            "RegisterImage" if counts[1].fetch_add(1, Ordering::SeqCst) == 0 => Some(Trouble::Cut),
            "StartSnapshot" | "CompleteSnapshot" | "DescribeImages" if before == 0 => Some(Trouble::Refuse(503, "")),
            _ => None,
        }
    });
    let done = answer(&mut publishing(&cloud, &here, &image, &[]));
    same_bytes(&cloud, &image, done["snapshot"].as_str().unwrap());
    let puts = cloud.asked().iter().filter(|asked| asked.operation == "PutSnapshotBlock").count();
    assert_eq!(puts, 44, "four failed");
    let twice = cloud.blocks().values().filter(|count| **count == 2).count();
    assert_eq!((cloud.blocks().len(), twice), (40, 1), "only the one whose answer was cut off");
    let images = Ran::well(&mut asking(&cloud, &here, &["ami", "list"])).events;
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}
