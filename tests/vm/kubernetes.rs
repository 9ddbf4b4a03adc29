//! A node of Kubernetes as it is published, judged by the cluster that it joins.

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    bench::{self, BENCH, folder, must},
    cluster::{Cluster, free_port},
    oci, project,
    update::serve,
};

/// What `brc boot --as ec2` calls the machine.
const NODE: &str = "ip-169-254-0-15.eu-central-1.compute.internal";
const PROVIDER: &str = "aws:///eu-central-1a/i-0b8f842520e04f3b9";
/// AWS's own stand-in for the metadata service, as a component, and what it calls an instance.
const MOCK: &str = "amazon-ec2-metadata-mock";
const MOCK_PROVIDER: &str = "aws:///us-east-1a/i-1234567890abcdef0";
/// Under TCG a node is ready in a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// A few lines of one's own, where updates come from, and a network for pods, which a cluster brings by itself.
const RECIPES: &str = r#"
variant "acme-node" {
    version "1.0.0"
    extends "brc/aws-k8s-1.37"
    arch "x86_64"
    include "our-updates"
    embed-image "app.tar" on="data"
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
         [settings.oci-defaults.capabilities]\nnet-raw = false\nsys-ptrace = true\n\n\
         [settings.oci-defaults.resource-limits.max-open-files]\nhard-limit = 4096\nsoft-limit = 2048\n\n\
         [settings.container-runtime]\nmax-container-log-line-size = 20000\n\n\
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

/// What the user adds for the machine that AWS's own stand-in tells who it is: a pod that no cluster knows of before, and
/// where the journal goes.
fn more_user_data() -> String {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fixed", "namespace": "default"},
        "spec": {
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "fixed", "image": "localhost/app:1", "imagePullPolicy": "Never",
                "command": ["/bin/busybox", "sleep", "100000"],
            }],
        },
    });
    let manifest = STANDARD.encode(pod.to_string());
    format!(
        "[settings.kubernetes.static-pods.fixed]\nenabled = true\nmanifest = '{manifest}'\n\n\
         [settings.journal]\nupload-url = 'http://169.254.0.100:19532'\n"
    )
}

/// Takes what is sent to a port of the loopback, and says nothing.
fn taker() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let shared = taken.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            // A sender that goes away comes back.
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                shared.lock().unwrap().extend_from_slice(&bytes[..length]);
            }
        }
    });
    (port, taken)
}

/// It answers only when it sees what an agent of a partner needs, its data on the array of the instance's disks, and the
/// rights and limits that settings say.
const APP: &str = "set -e
    cd /tmp 2>/dev/null || { /bin/busybox mkdir -p /tmp; cd /tmp; }
    [ -S /host/containerd/containerd.sock ] && [ -d /host/log/pods ] && [ -e /host/sys/kernel/btf/vmlinux ]
    /bin/busybox grep -q ' /var/lib/kubelet ' /host/proc/1/mounts
    /bin/busybox grep -q '^md127 : active raid0' /host/proc/mdstat
    /bin/busybox grep -q '^CapBnd:.00000000a80c05fb' /proc/self/status
    [ \"$(ulimit -S -n) $(ulimit -H -n)\" = '2048 4096' ]
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
    for component in ["kube-apiserver-1.37", "etcd", MOCK] {
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

/// A node's two versions, the repository that offers the second, and the cluster that the node is to join.
struct World {
    folder: PathBuf,
    image: PathBuf,
    cluster: Cluster,
    /// What serves the repository, and its port.
    _server: Running,
    updates: String,
}

impl World {
    fn new() -> World {
        let folder = folder("kubernetes");
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (built, bin) = (folder.join("programs"), folder.join("usr/bin"));
        programs(&built);
        fs::create_dir_all(&bin).unwrap();
        for name in ["kube-apiserver", "kubectl", "etcd", "ec2-metadata-mock"] {
            fs::rename(found(&built, &format!("usr/bin/{name}")), bin.join(name)).unwrap();
        }
        bench::project(&folder, "acme", RECIPES);
        let busybox = BENCH.file("probe", "usr/bin/busybox");
        let app = oci::archive_of_script("localhost/app:1", BENCH.architecture.debian(), &busybox, APP);
        fs::write(path("app.tar"), app).unwrap();
        let (keys, repository) = (path("keys"), path("repository"));
        must(&["keys", "new", &keys]);
        must(&["repo", "init", &repository, "--keys", &keys]);
        fs::copy(path("repository/metadata/1.root.json"), path("root.json")).unwrap();
        let [image, update] = ["1.0.0", "1.1.0"].map(|version| {
            must(&["compose", &path("acme.kdl"), "--image-version", version, "--out", &path("out")]);
            folder.join(format!("out/acme-node_{version}_x86_64.raw"))
        });
        must(&["repo", "add", &repository, update.to_str().unwrap(), "--keys", &keys]);
        let (server, updates) = serve(&repository);
        let key = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/signing/modules.pkcs1.key"));
        let cluster = Cluster::start(&folder, &folder, key, NODE);
        World { folder, image, cluster, _server: Running(server), updates }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Boots the node as an instance of EC2 with two disks of its own, which `disk` and its serial line are called after.
    fn boot(&self, disk: &str, more: &[&str]) -> Running {
        let serial = fs::File::create(self.path(&format!("{disk}.serial"))).unwrap();
        let mut boot = project::brc();
        boot.args(["boot", self.image.to_str().unwrap(), "--as", "ec2"])
            .args(more)
            .args(["--reach", &format!("{}:443", self.cluster.port), "--reach", &format!("{}:80", self.updates)])
            .args(["--persist", &self.path(disk), "--memory", "3072"])
            .args(["--instance-disk", "1024", "--instance-disk", "1024"]);
        Running(boot.stdout(Stdio::from(serial)).spawn().unwrap())
    }

    /// Starts AWS's own stand-in for the metadata service, and gives its port.
    fn mock(&self) -> (Running, String) {
        const MAC: &str = "0e:1a:25:a7:6f:98";
        const KEYS: &str = "/latest/meta-data/iam/security-credentials/brc-boot";
        let port = free_port().to_string();
        let configuration = json!({
            "imdsv2": true,
            "server": {"hostname": "127.0.0.1", "port": port},
            "metadata": {
                "paths": {"iam-security-credentials": KEYS},
                "values": {
                    "mac": MAC, "local-hostname": NODE, "local-ipv4": "169.254.0.15",
                    "iam-security-credentials-role": "brc-boot",
                    "iam-security-credentials": {
                        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
                        "AccessKeyId": "ASIABRCBOOTEXAMPLE00", "SecretAccessKey": "opens/nothing", "Token": "none",
                        "Expiration": "2099-12-31T23:59:59Z",
                    },
                },
            },
            "userdata": {"values": {"userdata": STANDARD.encode(user_data(&self.cluster) + &more_user_data())}},
        });
        fs::write(self.path("mock.json"), configuration.to_string()).unwrap();
        let log = fs::File::create(self.path("mock.log")).unwrap();
        let mut mock = Command::new(self.path("usr/bin/ec2-metadata-mock"));
        mock.args(["--config-file", &self.path("mock.json")]).env("HOME", &self.folder);
        (Running(mock.stdout(Stdio::null()).stderr(log).spawn().unwrap()), port)
    }

    /// A machine that has never run joins as the instance that AWS's own stand-in tells it to be.
    fn joins_as_the_stand_in_of_aws_says(&self) {
        self.cluster.ask(&["delete", "node", NODE]).unwrap();
        let ((_mock, port), (logs, taken)) = (self.mock(), taker());
        let _machine = self.boot("mocked.raw", &["--metadata-service", &port, "--reach", &format!("{logs}:19532")]);
        let node = self.cluster.wait_for("node", NODE, "Ready", PATIENCE);
        assert_eq!(node["spec"]["providerID"], MOCK_PROVIDER);
        assert_eq!(node["status"]["capacity"]["pods"], "58");
        self.cluster.wait_for("pod", &format!("fixed-{NODE}"), "Ready", PATIENCE);
        self.cluster.wait_until("the journal is not sent", PATIENCE, || {
            let sent = String::from_utf8_lossy(&taken.lock().unwrap()).into_owned();
            sent.starts_with("POST /upload ") && sent.contains("_SYSTEMD_UNIT=kubelet.service")
        });
    }

    /// The node has the names, labels and taints that it was given.
    fn is_as_told(node: &Value) {
        assert_eq!(node["spec"]["providerID"], PROVIDER);
        assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "v1.37.2");
        assert_eq!(node["metadata"]["labels"]["karpenter.sh/nodepool"], "default");
        assert_eq!(node["status"]["capacity"]["pods"], "58");
        let text = |taint: &Value| format!("{}={}:{}", taint["key"], taint["value"], taint["effect"]).replace('"', "");
        let taints: Vec<String> = node["spec"]["taints"].as_array().unwrap().iter().map(text).collect();
        for taint in ["dedicated=experimental:NoSchedule", "karpenter.sh/unregistered=null:NoExecute"] {
            assert!(taints.iter().any(|found| found == taint), "{taint}: {taints:?}");
        }
    }

    /// The control plane goes for longer than a node is judged in, and comes back: nothing was punished for it.
    fn outlives_its_control_plane(&mut self, node: &Value, running: &Value) {
        self.cluster.end();
        thread::sleep(Duration::from_secs(if cfg!(feature = "suite-full") { 660 } else { 120 }));
        self.cluster.begin();
        let again = self.cluster.wait_for("node", NODE, "Ready", PATIENCE);
        let boot = |node: &Value| node["status"]["nodeInfo"]["bootID"].clone();
        assert_eq!(boot(&again), boot(node), "the machine has restarted");
        let still = self.cluster.wait_for("pod", "app", "Ready", PATIENCE);
        let container = |pod: &Value| pod["status"]["containerStatuses"][0]["containerID"].clone();
        assert_eq!(container(&still), container(running), "the pod has restarted");
    }

    /// An operator has the machine take an update and start again; the node is the same one, and so is its pod.
    fn takes_an_update(&self, node: &Value, running: &Value) {
        let cluster = &self.cluster;
        cluster.apply("updater.json", &updater());
        cluster.wait_until("the update does not run", PATIENCE * 2, || {
            let node = cluster.get("node", NODE).unwrap_or_default();
            node["status"]["nodeInfo"]["osImage"].as_str().is_some_and(|said| said.ends_with(" 1.1.0"))
        });
        let updated = cluster.wait_for("node", NODE, "Ready", PATIENCE);
        let info = |node: &Value, member: &str| node["status"]["nodeInfo"][member].clone();
        assert_ne!(info(&updated, "bootID"), info(node, "bootID"));
        assert_eq!(info(&updated, "machineID"), info(node, "machineID"));
        assert_eq!(updated["metadata"]["uid"], node["metadata"]["uid"], "it is another node");
        let count = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].clone();
        cluster.wait_until("the pod does not answer after the update", PATIENCE, || {
            let pod = cluster.get("pod", "app").unwrap_or_default();
            pod["status"]["containerStatuses"][0]["ready"] == true && count(&pod) != count(running)
        });
    }
}

#[test]
fn a_node_joins_a_cluster_and_runs_a_pod_through_an_absent_control_plane_and_an_update() {
    let mut world = World::new();
    let started = Instant::now();
    fs::write(world.path("user-data"), user_data(&world.cluster)).unwrap();
    let machine = world.boot("disk.raw", &["--user-data", &world.path("user-data")]);
    let node = world.cluster.wait_for("node", NODE, "Ready", PATIENCE);
    println!("QEMU start to Ready: {:.0} s", started.elapsed().as_secs_f64());
    World::is_as_told(&node);
    world.cluster.apply("pod.json", &pod());
    let running = world.cluster.wait_for("pod", "app", "Ready", PATIENCE);
    println!("QEMU start to a pod that answers: {:.0} s", started.elapsed().as_secs_f64());
    world.outlives_its_control_plane(&node, &running);
    world.takes_an_update(&node, &running);
    drop(machine);
    world.joins_as_the_stand_in_of_aws_says();
}
