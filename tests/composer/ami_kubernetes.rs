//! The example of a node of Kubernetes as a set of AMIs, one for each architecture. What the store does not have of it is
//! compiled, which takes half an hour.

use std::fs;

use crate::{
    ami::{REGION, asking, same_bytes, talk},
    support::{
        aws::Cloud,
        project::{Ran, brc, folder, repository, sha256, text, user_store},
    },
};

#[test]
fn the_example_is_composed_and_published_for_both_architectures() {
    let (cloud, here) = (Cloud::start(), folder("ami-kubernetes"));
    let recipe = repository().join("examples/aws-k8s/aws-k8s.kdl");
    let out = here.join("out");
    Ran::well(brc().args(["compose", "--arch=x86_64,aarch64", "--out"]).arg(&out).arg(&recipe));
    for (architecture, called) in [("x86_64", "x86_64"), ("aarch64", "arm64")] {
        let image = out.join(format!("acme-node_1.0.0_{architecture}.raw"));
        let verified = brc().arg("verify").arg(&image).output().unwrap();
        assert!(verified.status.success(), "{}", talk(&verified));
        let mut publish = asking(&cloud, &here, &["publish", "ami"]);
        let ran = Ran::well(publish.arg(&recipe).arg(format!("--arch={architecture}")).env("BRC_STORE", user_store()));
        let done = ran.events.last().unwrap();
        assert_eq!(done["sha256"], sha256(&image));
        assert!(text(done, "name").starts_with(&format!("brc-acme-node-{architecture}-v1.0.0-")), "{done}");
        same_bytes(&cloud, &image, text(done, "snapshot"));
        let asked = cloud.asked().into_iter().rfind(|asked| asked.operation == "RegisterImage").unwrap();
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        for said in [format!("Architecture={called}"), "BootMode=uefi".to_owned(), "%2Fdev%2Fxvdb".to_owned()] {
            assert!(body.contains(&said), "{said} in {body}");
        }
        println!("{REGION}: {} blocks of {}", done["sent_blocks"], image.file_name().unwrap().display());
        fs::remove_file(&image).unwrap();
    }
    assert_eq!(cloud.wrong(), Vec::<String>::new());
}
