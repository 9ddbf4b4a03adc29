use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value as Json;

use super::*;

/// The schema of all lines, and the page for people.
const SCHEMA: &str = "docs/reference/events.schema.json";
const PAGE: &str = "docs/reference/events.md";

fn text(value: &str) -> String {
    value.to_owned()
}

fn some(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn action() -> Action {
    Action { component: text("brc/runc"), stage: text("build"), key: "1f".repeat(32) }
}

fn option(value: &str) -> KernelOption {
    let wanted = vec![WantedValue { value: text(value), at: text("kernel-configs/base.config:7") }];
    KernelOption { option: text("VSOCKETS"), value: text(value), wanted }
}

fn report(details: Option<Vec<String>>) -> ActionReport {
    let change = Change { what: text("variable `CC`"), old: some("gcc"), new: some("clang"), details };
    ActionReport {
        action: action(),
        state: text("ran"),
        reason: text("variable `CC` changed from `gcc` to `clang`"),
        changes: vec![change, Change { what: text("input `patch`"), old: None, new: some("ab"), details: None }],
        r#where: text("this machine"),
        seconds: 1.5,
        log: some("/store/logs/1f"),
        reproduce: some("brc build brc/runc"),
    }
}

fn surroundings() -> Surroundings {
    Surroundings { jobs: 1, umask: text("077"), locale: text("C"), time_zone: text("Pacific/Kiritimati") }
}

fn events() -> Vec<Event> {
    vec![
        Event::Planned { wanted: 12, known: 9 },
        Event::Reused(action()),
        Event::Started { action: action(), last_seconds: None },
        Event::Started { action: action(), last_seconds: Some(2.25) },
        Event::Waiting { r#for: text("another process that downloads `runc`") },
        Event::Finished { action: action(), seconds: 0.5 },
        Event::Failed(action()),
        Event::Ended { seconds: 3.0, processor_seconds: 5.5 },
        Event::Checked { files: 3, variants: 1, components: 2, not_followed: 1 },
        Event::Pruned { packages: text("perl, ucf"), reason: text("nothing is configured here") },
        Event::Formatted { file: text("variants/node.kdl"), written: true },
        Event::Written { file: text("brc.kdl") },
        Event::Composed {
            image: text("quickstart x86_64"),
            disk: text("out/quickstart_0.1.0_x86_64.raw"),
            manifest: text("out/quickstart_0.1.0_x86_64.manifest.json"),
            artifacts: vec![text("out/quickstart_0.1.0_x86_64.raw")],
            root_bytes: 65536,
        },
        Event::KernelConfig { image: text("brc/linux-6.12 (quickstart x86_64)"), options: vec![option("y")] },
        Event::KernelDiff {
            left: text("a"),
            right: text("b"),
            options: vec![OptionDifference { option: text("VSOCKETS"), left: option("y"), right: option("n") }],
        },
        Event::Built {
            step: text("brc/runc build"),
            output: text("out"),
            digest: "2e".repeat(32),
            entries: 4,
            bytes: 1024,
            path: text("/store/checkouts/2e"),
        },
        Event::Change { package: text("runc"), architecture: text("amd64"), from: some("1.1.14-1"), to: None },
        Event::Damaged { object: "3d".repeat(32) },
        Event::Forgotten { key: "4c".repeat(32), object: some("3d") },
        Event::Forgotten { key: "4c".repeat(32), object: None },
        Event::Serial { line: text("[    0.000000] Linux version 6.12 \u{1b}[0m") },
        Event::TestStep { seconds: 12, step: text("1.9.0 is healthy") },
        Event::TestEnded { failure: Some(text("the machine ended")), last: vec![text("login:")] },
        Event::BootEnded { how: text("timed-out"), last: Some(vec![text("login:")]) },
        Event::Diagnostic {
            severity: text("error"),
            code: text("unknown-word"),
            file: some("variants/node.kdl"),
            line: 2,
            column: 5,
            message: text("`versio` is no word of a variant"),
            help: some("did you mean `version`?"),
        },
        Event::Failure { action: action(), error: text("the command ended with 1"), log: text("/store/logs/1f") },
        Event::Error { error: text("there is no `brc.kdl` in `/src` or above it") },
    ]
}

fn repository() -> Repository {
    Repository {
        roles: vec![RepositoryRole {
            role: text("root"),
            version: 1,
            expires: text("2027-11-29T08:00:00Z"),
            threshold: 1,
            keys: vec!["6a".repeat(32)],
        }],
        max_version: some("1"),
        images: vec![text("node_1 x86_64")],
        halted: vec![text("node_1 x86_64")],
        bytes: 1 << 20,
        waiting: vec![RepositoryDraft {
            role: text("targets"),
            version: 2,
            expires: text("2027-02-28T08:00:00Z"),
            changes: vec![text("removes node_0 x86_64")],
            tallies: vec![RepositoryTally {
                root: 1,
                threshold: 2,
                signed: vec!["6a".repeat(32)],
                missing: vec!["7b".repeat(32)],
            }],
        }],
    }
}

fn key() -> RepositoryKey {
    RepositoryKey {
        role: text("targets"),
        key: "6a".repeat(32),
        file: text("keys/targets.toml"),
        signs: true,
        command: Some(vec![text("our-signer"), text("targets")]),
    }
}

fn difference() -> ImageDifference {
    let label =
        |version: &str| ImageLabel { image: text("node"), version: text(version), architecture: text("x86_64") };
    let tally = |name: &str| Tally { name: text(name), added: 0, removed: 1, changed: 2, grown_bytes: -512 };
    ImageDifference {
        equal: false,
        left: label("1"),
        right: label("2"),
        changes: vec![TopicChange {
            topic: text("components"),
            what: text("runc (amd64)"),
            old: None,
            new: some("1.2.5"),
        }],
        sizes: vec![SizeChange { what: text("disk"), old_bytes: 1024, new_bytes: 2048 }],
        partitions: vec![PartitionChange {
            what: text("root B"),
            old_bytes: None,
            old_used_bytes: None,
            new_bytes: Some(4096),
            new_used_bytes: Some(0),
        }],
        download: Some(Download { bytes: 4096, parts: vec![DownloadPart { what: text("root"), bytes: 4096 }] }),
        by_component: vec![tally("brc/runc")],
        by_folder: vec![tally("/usr/bin")],
        files: vec![FileDifference {
            path: text("/usr/bin/runc"),
            component: text("brc/runc"),
            differs: vec![text("content")],
            old_bytes: Some(1024),
            new_bytes: None,
        }],
    }
}

fn size() -> ImageSize {
    ImageSize {
        of: ImageLabel { image: text("node"), version: text("1"), architecture: text("x86_64") },
        root_bytes: 65536,
        metadata_bytes: 4096,
        budget_bytes: None,
        kernel_image_bytes: 1 << 20,
        components: vec![SizeShare { name: text("brc/runc"), files: 1, bytes: 9000, stored_bytes: 4096 }],
        folders: vec![SizeShare { name: text("/usr/bin"), files: 1, bytes: 9000, stored_bytes: 4096 }],
        partitions: vec![PartitionRoom { what: text("root A"), bytes: 1 << 20, used_bytes: 65536 }],
    }
}

fn answers() -> Vec<Object> {
    let value = Value { what: text("version"), value: text("\"1\""), at: text("variants/node.kdl:2") };
    vec![
        Object::Resolved(Resolved { image: text("node x86_64"), values: vec![value] }),
        Object::Planned(PlannedAction {
            step: 3,
            component: text("brc/runc"),
            stage: text("build"),
            needs: vec![0, 2],
            state: text("ready"),
            last_seconds: None,
        }),
        Object::Graph(Graph {
            image: text("node x86_64"),
            nodes: vec![text("brc/containerd"), text("brc/runc")],
            edges: vec![Edge { from: text("brc/containerd"), to: text("brc/runc"), kind: text("needs") }],
        }),
        Object::Provenance(Provenance { image: text("node x86_64"), chain: vec![text("node"), text("brc/runc")] }),
        Object::Rebuilt(report(Some(vec![text("- gcc"), text("+ clang")]))),
        Object::WhatRan(WhatRan {
            command: text("compose"),
            began: text("2026-11-29 10:47:18"),
            end: text("done"),
            seconds: 3.0,
            processor_seconds: 5.5,
            reused: 9,
            actions: vec![report(None)],
            critical_path: CriticalPath { seconds: 1.5, steps: vec![text("brc/runc build")] },
        }),
        Object::Log(Log { action: action(), began: None, text: text("make: done\n") }),
        Object::Reproduction(Reproduction::Same {
            same: true,
            component: text("brc/runc"),
            digest: "2e".repeat(32),
            files: 1,
            actions: vec![text("brc/runc build")],
            surroundings: vec![surroundings()],
        }),
        Object::Reproduction(Reproduction::Different {
            same: false,
            step: text("brc/runc build"),
            output: text("out"),
            path: some("usr/bin/runc"),
            difference: some("usr/bin/runc has other bytes"),
            byte: Some(40),
            before: some("00 01"),
            again: some("00 02"),
            surroundings: surroundings(),
        }),
        Object::Check(ImageCheck {
            good: false,
            findings: vec![ImageFinding {
                part: text("root partition"),
                offset: Some(8192),
                block: Some(1),
                problem: text("its hash is another one"),
            }],
            unchecked: vec![text("root hash")],
            manifest: None,
            image_bytes: 1 << 30,
            architecture: some("x86_64"),
            entry: some("node_1+3.efi"),
            verity: Verity { root_hash: Some("5b".repeat(32)), data_blocks: 16, hash_blocks: 1 },
            root: Root { partition_bytes: 65536, paths: 12, file_bytes: 4096 },
            esp: Esp { bytes: 1 << 20, needed_bytes: 1 << 19 },
        }),
        Object::ImageDifference(difference()),
        Object::ImageSize(size()),
        Object::Repository(repository()),
        Object::RepositoryKey(key()),
        Object::Usage(Usage { kind: text("objects"), files: 7, bytes: 4096 }),
        Object::Removal(Removal { dry_run: true, files: 7, bytes: 4096 }),
        Object::Finding(Finding { what: text("kvm"), state: text("note"), text: text("`/dev/kvm` can be opened") }),
    ]
}

fn published() -> Vec<Object> {
    vec![
        Object::AmiPlan(AmiPlan {
            name: text("brc-node-x86_64-v1.0.0-5b5b5b5b5b5b"),
            sha256: "5b".repeat(32),
            regions: vec![text("eu-central-1"), text("eu-west-1")],
            image: None,
            snapshot: None,
            data_snapshot: None,
            parent: some("snap-0123456789abcdef0"),
            blocks: 12,
            sent_bytes: 12 << 19,
            calls: vec![AmiCall { operation: text("PutSnapshotBlock"), count: 12 }],
        }),
        Object::Published(Published {
            name: text("brc-node-x86_64-v1.0.0-5b5b5b5b5b5b"),
            sha256: "5b".repeat(32),
            snapshot: some("snap-0123456789abcdef0"),
            data_snapshot: some("snap-0123456789abcdef1"),
            images: vec![PublishedAmi { region: text("eu-central-1"), image: text("ami-0123"), new: true }],
            sent_blocks: 12,
            parameters: vec![text("/brc/node/x86_64/latest/image_id")],
        }),
        Object::Ami(Ami {
            region: text("eu-central-1"),
            id: text("snap-0123456789abcdef0"),
            name: None,
            state: text("begun"),
            since: text("2026-11-29T08:00:00.000Z"),
            variant: text("node"),
            image_version: text("1.0.0"),
            architecture: text("x86_64"),
            sha256: "5b".repeat(32),
            snapshots: Vec::new(),
            targets: vec![text("stage")],
        }),
        Object::AmiRemoval(AmiRemoval {
            region: text("eu-central-1"),
            dry_run: true,
            removed: vec![text("ami-0123")],
            released: Vec::new(),
        }),
    ]
}

/// One line of each kind, and two where a field may be null or missing.
fn lines() -> Vec<String> {
    events().into_iter().map(Object::Event).chain(answers()).chain(published()).map(|object| object.line()).collect()
}

#[test]
fn the_lines_are_as_they_were_last_agreed() {
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("lines", lines().join("\n"));
    });
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn schema() -> Json {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Line<'_>>().to_value()
}

#[test]
fn the_schema_is_that_of_the_types() {
    let text = format!("{:#}\n", schema());
    if std::env::var_os("BRC_BLESS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA), text).unwrap();
        return;
    }
    assert!(file(SCHEMA) == text, "`BRC_BLESS=1 cargo test --lib cli::json` writes {SCHEMA}; read its diff");
}

/// Whether a value is what a part of the schema says; a word of the schema that is not known here stops the test.
fn is_valid(root: &Json, part: &Json, value: &Json) -> bool {
    let list = |rule: &Json| rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
    let is_of = |kind: &Json| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("a type `{other}`"),
    };
    part.as_object().unwrap().iter().all(|(word, rule)| match word.as_str() {
        "$ref" => is_valid(root, root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
        "anyOf" | "oneOf" => list(rule).iter().any(|part| is_valid(root, part, value)),
        "const" => rule == value,
        "type" => list(rule).iter().any(is_of),
        "minimum" => value.as_f64().is_none_or(|value| value >= rule.as_f64().unwrap()),
        "required" => list(rule).iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
        "properties" => {
            let known =
                |(name, part): (&String, &Json)| value.get(name).is_none_or(|value| is_valid(root, part, value));
            rule.as_object().unwrap().iter().all(known)
        }
        "items" => list(value).iter().all(|value| is_valid(root, rule, value)),
        "$schema" | "$defs" | "title" | "description" | "format" => true,
        other => panic!("`{other}`"),
    })
}

#[test]
fn every_line_is_as_the_schema_says_and_of_this_version() {
    let schema = schema();
    for line in lines() {
        let mut value: Json = serde_json::from_str(&line).unwrap();
        assert!(is_valid(&schema, &schema, &value), "{line}");
        value["version"] = Json::from(VERSION + 1);
        assert!(!is_valid(&schema, &schema, &value), "{line}");
    }
    let strange = serde_json::json!({"version": VERSION, "event": "strange"});
    assert!(!is_valid(&schema, &schema, &strange));
}

/// Hands over every property of the schema, with what may be in it.
fn each_property(part: &Json, see: &mut impl FnMut(&str, &Json)) {
    match part {
        Json::Object(words) => {
            let properties = words.get("properties").and_then(Json::as_object);
            properties.into_iter().flatten().for_each(|(name, part)| see(name, part));
            words.values().for_each(|part| each_property(part, see));
        }
        Json::Array(parts) => parts.iter().for_each(|part| each_property(part, see)),
        _ => {}
    }
}

#[test]
fn the_schema_the_examples_and_the_page_have_the_same_events_and_fields() {
    let schema = schema();
    let (mut names, mut fields) = (BTreeSet::new(), BTreeSet::new());
    each_property(&schema, &mut |name, part| {
        fields.insert(name.to_owned());
        names.extend(part["const"].as_str().filter(|_| name == "event").map(str::to_owned));
    });
    let event = |line: String| Some(serde_json::from_str::<Json>(&line).ok()?["event"].as_str()?.to_owned());
    assert_eq!(names, lines().into_iter().filter_map(event).collect());
    let kinds: Vec<_> =
        answers().into_iter().chain(published()).collect::<Vec<_>>().iter().map(std::mem::discriminant).collect();
    let kinds = kinds.iter().enumerate().filter(|(at, kind)| !kinds[..*at].contains(kind)).count();
    let objects = schema["anyOf"].as_array().or(schema["$defs"]["Object"]["anyOf"].as_array()).unwrap();
    assert_eq!(objects.len(), kinds + 1, "an object has no example");
    let page = file(PAGE);
    let missing: Vec<&String> =
        names.iter().chain(&fields).filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{PAGE} does not name {missing:?}");
}
