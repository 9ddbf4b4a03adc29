//! A node of Kubernetes as it is published, judged by the cluster that it joins.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    bench::{BENCH, folder, must},
    cluster::Cluster,
    oci, project,
    update::serve,
};

/// What `brc boot --as ec2` calls the machine.
const NODE: &str = "ip-169-254-0-15.eu-central-1.compute.internal";
const PROVIDER: &str = "aws:///eu-central-1a/i-0b8f842520e04f3b9";
/// Under TCG a node is ready in a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(900);

const PROJECT: &str = r#"
project "acme"
recipes "brc" { path "BRC" }
read "acme.kdl"
"#;
/// A few lines of one's own, where updates come from, and a network for pods, which a cluster brings by itself.
const RECIPES: &str = r#"
variant "acme-node" {
    version "1.0.0"
    extends "brc/aws-k8s-1.37"
    arch "x86_64"
    include "our-updates"
    embed-image "app.tar"
    file "/etc/cni/net.d/10-pods.conflist" text="""
        {"cniVersion": "1.0.0", "name": "pods", "plugins": [
          {"type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": false,
           "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.200.0.0/24"}]]}},
          {"type": "portmap", "capabilities": {"portMappings": true}}]}
        """
}
component "our-updates" {
    needs "brc/updates"
    file "/usr/lib/brc/update/url" text="http://169.254.0.100/"
    file "/usr/lib/brc/update/root.json" from="root.json"
}
"#;

/// In the form in which Karpenter's Bottlerocket family writes it.
fn user_data(cluster: &Cluster) -> String {
    let certificate = STANDARD.encode(cluster.certificate());
    format!(
        "[settings]\n[settings.kubernetes]\napi-server = 'https://169.254.0.100:443'\ncluster-certificate = '{certificate}'\n\
         cluster-name = 'prod'\ncluster-dns-ip = '10.100.0.10'\nmax-pods = 58\nserver-tls-bootstrap = false\n\
         image-gc-high-threshold-percent = '85'\nimage-gc-low-threshold-percent = '80'\n\n\
         [settings.kubernetes.node-labels]\n'karpenter.sh/capacity-type' = 'on-demand'\n'karpenter.sh/nodepool' = 'default'\n\n\
         [settings.kubernetes.node-taints]\ndedicated = ['experimental:NoSchedule']\n'karpenter.sh/unregistered' = [':NoExecute']\n\n\
         [settings.kubernetes.system-reserved]\ncpu = '50m'\nmemory = '100Mi'\n\n\
         [settings.kubernetes.eviction-hard]\n'memory.available' = '5%'\n'nodefs.available' = '5%'\n\n\
         [settings.kubernetes.eviction-soft]\n'memory.available' = '10%'\n\n\
         [settings.kubernetes.eviction-soft-grace-period]\n'memory.available' = '1m30s'\n\n\
         [settings.bootstrap-commands]\n[settings.bootstrap-commands.000-mount-instance-storage]\n\
         commands = [['apiclient', 'ephemeral-storage', 'init'], ['apiclient', 'ephemeral-storage', 'bind', '--dirs', \
         '/var/lib/containerd', '/var/lib/kubelet', '/var/log/pods']]\nmode = 'always'\nessential = true\n"
    )
}

/// A pod of the image that came with the machine; it is ready once it answers.
fn pod() -> Value {
    let probe = json!({"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 2, "timeoutSeconds": 10});
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "namespace": "default"},
        "spec": {
            "nodeName": NODE, "automountServiceAccountToken": false, "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "app", "image": "localhost/app:1", "imagePullPolicy": "Never", "readinessProbe": probe,
                // What agents of partners mount, and one folder of the instance's own disks.
                "volumeMounts": [
                    {"name": "proc", "mountPath": "/host/proc", "readOnly": true},
                    {"name": "sys", "mountPath": "/host/sys", "readOnly": true},
                    {"name": "containerd", "mountPath": "/host/containerd"},
                    {"name": "log", "mountPath": "/host/log", "readOnly": true},
                ],
            }],
            "volumes": [
                {"name": "proc", "hostPath": {"path": "/proc"}},
                {"name": "sys", "hostPath": {"path": "/sys"}},
                {"name": "containerd", "hostPath": {"path": "/run/containerd"}},
                {"name": "log", "hostPath": {"path": "/var/log"}},
            ],
        },
    })
}

/// It answers only when it sees what an agent of a partner needs, and its data on the array of the instance's disks.
const APP: &str = "set -e
    cd /tmp 2>/dev/null || { /bin/busybox mkdir -p /tmp; cd /tmp; }
    [ -S /host/containerd/containerd.sock ] && [ -d /host/log/pods ] && [ -e /host/sys/kernel/btf/vmlinux ]
    /bin/busybox grep -q ' /var/lib/kubelet ' /host/proc/1/mounts
    /bin/busybox grep -q '^md127 : active raid0' /host/proc/mdstat
    echo it is there > index.html
    exec /bin/busybox httpd -f -p 8080 -h /tmp";

/// What takes an update, as an operator of a cluster does: a pod that is given the machine's socket and program.
fn updater() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "updater", "namespace": "default"},
        "spec": {
            "nodeName": NODE, "automountServiceAccountToken": false, "restartPolicy": "Never",
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "updater", "image": "localhost/app:1", "imagePullPolicy": "Never",
                "command": ["/host/apiclient", "update", "apply", "--check", "--reboot"],
                "volumeMounts": [
                    {"name": "program", "mountPath": "/host/apiclient", "readOnly": true},
                    {"name": "socket", "mountPath": "/run/api.sock"},
                ],
            }],
            "volumes": [
                {"name": "program", "hostPath": {"path": "/usr/bin/apiclient", "type": "File"}},
                {"name": "socket", "hostPath": {"path": "/run/api.sock", "type": "Socket"}},
            ],
        },
    })
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The trees of programs that only tests run, copied to `to`.
fn programs(to: &Path) {
    let set = concat!(env!("CARGO_MANIFEST_DIR"), "/brc.kdl");
    for component in ["kube-apiserver-1.37", "etcd"] {
        let out = to.to_str().unwrap();
        must(&["build", set, component, "--variant", "everything", "--arch", "x86_64", "--out", out]);
    }
}

fn found(folder: &Path, name: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with(name) {
                return path;
            }
        }
    }
    panic!("there is no {name} below {folder:?}");
}

#[test]
fn a_node_joins_a_cluster_and_runs_a_pod_through_an_absent_control_plane_and_an_update() {
    let folder = folder("kubernetes");
    let built = folder.join("programs");
    programs(&built);
    let bin = folder.join("usr/bin");
    fs::create_dir_all(&bin).unwrap();
    for name in ["usr/bin/kube-apiserver", "usr/bin/kubectl", "usr/bin/etcd"] {
        let name = Path::new(name);
        fs::rename(found(&built, name.to_str().unwrap()), bin.join(name.file_name().unwrap())).unwrap();
    }
    fs::write(folder.join("brc.kdl"), PROJECT.replace("BRC", env!("CARGO_MANIFEST_DIR"))).unwrap();
    fs::write(folder.join("acme.kdl"), RECIPES).unwrap();
    let busybox = BENCH.file("probe", "usr/bin/busybox");
    let app = oci::archive_of_script("localhost/app:1", BENCH.architecture.debian(), &busybox, APP);
    fs::write(folder.join("app.tar"), app).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (keys, repository) = (path("keys"), path("repository"));
    must(&["keys", "new", &keys]);
    must(&["repo", "init", &repository, "--keys", &keys]);
    fs::copy(path("repository/metadata/1.root.json"), path("root.json")).unwrap();
    let (recipe, out) = (path("acme.kdl"), folder.join("out"));
    let [image, update] = ["1.0.0", "1.1.0"].map(|version| {
        must(&["compose", &recipe, "--image-version", version, "--out", out.to_str().unwrap()]);
        out.join(format!("acme-node_{version}_x86_64.raw"))
    });
    must(&["repo", "add", &repository, update.to_str().unwrap(), "--keys", &keys]);
    let (server, updates) = serve(&repository);
    let _server = Running(server);

    let key = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/signing/modules.pkcs1.key"));
    let mut cluster = Cluster::start(&folder, &folder, key, NODE);
    fs::write(folder.join("user-data"), user_data(&cluster)).unwrap();
    let started = Instant::now();
    let serial = fs::File::create(folder.join("serial")).unwrap();
    let _machine = Running(
        project::brc()
            .args(["boot", image.to_str().unwrap(), "--as", "ec2", "--user-data", &path("user-data")])
            .args(["--reach", &format!("{}:443", cluster.port), "--reach", &format!("{updates}:80")])
            .args(["--persist", &path("disk.raw")])
            .args(["--instance-disk", "1024", "--instance-disk", "1024", "--memory", "3072"])
            .stdout(Stdio::from(serial))
            .spawn()
            .unwrap(),
    );
    let node = cluster.wait_for("node", NODE, "Ready", PATIENCE);
    println!("QEMU start to Ready: {:.0} s", started.elapsed().as_secs_f64());
    assert_eq!(node["spec"]["providerID"], PROVIDER);
    assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "v1.37.2");
    assert_eq!(node["metadata"]["labels"]["karpenter.sh/nodepool"], "default");
    assert_eq!(node["status"]["capacity"]["pods"], "58");
    let taints: Vec<String> = node["spec"]["taints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|taint| format!("{}={}:{}", taint["key"], taint["value"], taint["effect"]).replace('"', ""))
        .collect();
    for taint in ["dedicated=experimental:NoSchedule", "karpenter.sh/unregistered=null:NoExecute"] {
        assert!(taints.iter().any(|found| found == taint), "{taint}: {taints:?}");
    }

    cluster.apply("pod.json", &pod());
    let running = cluster.wait_for("pod", "app", "Ready", PATIENCE);
    println!("QEMU start to a pod that answers: {:.0} s", started.elapsed().as_secs_f64());
    let container = |pod: &Value| pod["status"]["containerStatuses"][0]["containerID"].clone();

    // The control plane goes for longer than a node is judged in, and comes back: nothing was punished for it.
    let away = Duration::from_secs(if cfg!(feature = "suite-full") { 660 } else { 120 });
    cluster.end();
    std::thread::sleep(away);
    cluster.begin();
    let again = cluster.wait_for("node", NODE, "Ready", PATIENCE);
    assert_eq!(
        again["status"]["nodeInfo"]["bootID"], node["status"]["nodeInfo"]["bootID"],
        "the machine has restarted"
    );
    let still = cluster.wait_for("pod", "app", "Ready", PATIENCE);
    assert_eq!(container(&still), container(&running), "the pod has restarted");

    // An operator has the machine take an update and start again; the node is the same one, and so is its pod.
    cluster.apply("updater.json", &updater());
    let runs = |version: &str| {
        let node = cluster.get("node", NODE).unwrap_or_default();
        node["status"]["nodeInfo"]["osImage"].as_str().is_some_and(|said| said.ends_with(version))
    };
    let begun = Instant::now();
    while !runs(" 1.1.0") {
        assert!(begun.elapsed() < PATIENCE * 2, "the update does not run: {:#?}", cluster.get("pod", "updater"));
        std::thread::sleep(Duration::from_secs(2));
    }
    let updated = cluster.wait_for("node", NODE, "Ready", PATIENCE);
    assert_ne!(updated["status"]["nodeInfo"]["bootID"], node["status"]["nodeInfo"]["bootID"]);
    assert_eq!(updated["metadata"]["uid"], node["metadata"]["uid"], "it is another node");
    assert_eq!(updated["status"]["nodeInfo"]["machineID"], node["status"]["nodeInfo"]["machineID"]);
    let begun = Instant::now();
    while cluster.get("pod", "app").is_none_or(|pod| {
        let status = &pod["status"]["containerStatuses"][0];
        status["ready"] != true || status["restartCount"] == running["status"]["containerStatuses"][0]["restartCount"]
    }) {
        assert!(
            begun.elapsed() < PATIENCE,
            "the pod does not answer after the update: {:#?}",
            cluster.get("pod", "app")
        );
        std::thread::sleep(Duration::from_secs(2));
    }
}
