//! Machines that are told what they need where they wake up: user data of EC2, kept, changed, late and wrong.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use brc::content::RelPath;
use flate2::{Compression, write::GzEncoder};

use super::{
    bench::{self, BENCH, folder, must},
    oci,
    quickstart::{answers, probe},
    registry::Registry,
};

const RECIPES: &str = r#"
variant "acme" {
    version "1.0.0"
    extends "brc/base"
    arch "x86_64"
    include "brc/containerd-debian" "brc/network"
    settings {
        motd "of the image"
        ntp { time-servers "image.example" }
    }
    embed-image "images/embedded.tar"
    health "containers" command="/usr/bin/ctr version" within="90s"
}
"#;

/// What a generator of nodes gives its machines (it quotes so), and what its user adds.
const USER_DATA: &str = r#"
[settings]
motd = 'of the user'
[settings.kubernetes]
api-server = 'https://cluster.example'
cluster-name = 'prod'
cluster-dns-ip = '10.100.0.10'
max-pods = 58
image-gc-high-threshold-percent = '85'
[settings.kubernetes.node-labels]
'karpenter.sh/nodepool' = 'default'
[settings.kubernetes.node-taints]
dedicated = ['experimental:NoSchedule']
[settings.ecs]
cluster = 'prod'
[settings.network]
hostname = 'node-1.example'
https-proxy = 'http://proxy.example:3128/%41'
no-proxy = ['10.0.0.0/8', '.example']
[settings.network.interfaces.nic]
mac = '0e:1a:25:a7:6f:98'
dhcp = 'ipv4'
mtu = 1400
[settings.network.interfaces.vlan7]
vlan = { device = 'nic', id = 7 }
addresses = ['10.7.0.2/24', 'fd07::2/64']
routes = [{ to = '10.8.0.0/16', via = '10.7.0.1', metric = 20 }]
[settings.ntp]
time-servers = ['time.example', '10.0.0.5']
[settings.dns]
name-servers = ['10.0.0.6']
search-list = ['cluster.example']
[settings.kernel.sysctl]
'net.core.somaxconn' = '1234'
[settings.kernel.modules.tun]
autoload = true
[settings.kernel.modules.dummy]
allowed = false
[[settings.container-registry.mirrors]]
registry = 'registry.example:5000'
endpoint = ['https://mirror.example', 'http://second.example:5000']
[[settings.container-registry.mirrors]]
registry = 'registry.example'
endpoint = ['http://169.254.0.100']
[[settings.container-registry.mirrors]]
registry = '*'
endpoint = ['https://all.example']
"#;

const SCRIPT: &str = r#"
say() { while IFS= read -r line; do echo "CHECK $1: $line"; done; }
for unit in brc-settings brc-user-data containerd; do echo "CHECK unit: $unit $(systemctl is-active $unit)"; done
journalctl -b -u brc-settings -u brc-user-data -o cat --no-pager | say journal
systemd-id128 machine-id | say machine-id
systemd-detect-virt | say virt
cat /etc/motd | say motd
cat /proc/sys/kernel/hostname | say hostname
cat /proc/sys/net/core/somaxconn | say somaxconn
for name in tun dummy; do [ ! -e /sys/module/$name ] || echo $name; done | say module
modprobe dummy 2> /dev/null; echo $? | say dummy
cat /etc/systemd/timesyncd.conf.d/90-settings.conf | say ntp
resolvectl dns 2> /dev/null | say dns
resolvectl domain 2> /dev/null | say domain
systemctl show -P Environment containerd | say proxy
cat /etc/containerd/certs.d/*/hosts.toml | say hosts
echo /etc/containerd/certs.d/* | say registries
for second in {1..30}; do case "$(ip -br address show vlan7 2> /dev/null)" in *fd07::2*) break ;; esac; sleep 1; done
ip -br address | say address
ip -br link | say link
ip route show 10.8.0.0/16 | say route
cat /sys/class/net/en*/mtu | say mtu
systemctl list-units --failed --plain --no-legend --full | say failed
journalctl -b -o cat --no-pager --grep 'ordering cycle' | say cycle
brc-agent settings get motd | say get
MORE
echo "CHECK entries: $(echo $(ls /efi/EFI/Linux))"
sync
echo CHECK-END
"#;

/// Containers: of an image that came with the machine, before any network is asked, and of one from the registry that the
/// settings name.
const CONTAINERS: &str = r#"
ctr --namespace k8s.io images ls -q 'labels."io.cri-containerd.pinned"==pinned' | say pinned
ctr run --rm localhost/embedded:1 one /bin/busybox echo from the image that came with the machine 2>&1 | say embedded
ctr images pull --hosts-dir /etc/containerd/certs.d registry.example/app:1 2>&1 | tail -n 3 | say pull
ctr run --rm registry.example/app:1 two /bin/busybox echo from the registry 2>&1 | say pulled
systemctl is-active brc-health-containers | say health
"#;

struct Acme {
    folder: PathBuf,
    image: PathBuf,
}

impl Acme {
    fn new() -> Acme {
        let folder = folder("settings");
        bench::project(&folder, "acme", RECIPES);
        fs::create_dir(folder.join("images")).unwrap();
        fs::write(folder.join("images/embedded.tar"), container("localhost/embedded:1")).unwrap();
        let (recipe, out) = (folder.join("acme.kdl"), folder.join("out"));
        must(&["compose", recipe.to_str().unwrap(), "--out", out.to_str().unwrap()]);
        let image = out.join("acme_1.0.0_x86_64.raw");
        Acme { folder, image }
    }

    /// Boots as in EC2, with user data; `more` are options and what else the machine does.
    fn boot(&self, disk: &str, user_data: &[u8], more: &[&str], script: &str) -> String {
        let mut options = probe(&self.folder, &SCRIPT.replace("MORE", script));
        let given = self.folder.join("user-data");
        fs::write(&given, user_data).unwrap();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        options.extend(["--as", "ec2", "--user-data"].map(str::to_owned));
        options.extend([path(&given), "--persist".to_owned(), path(&self.folder.join(disk))]);
        options.extend(more.iter().map(|option| (*option).to_owned()));
        let serial = BENCH.boot(&self.image, "CHECK-END", &options);
        println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
        serial
    }
}

/// The OCI archive of an image with busybox in it.
fn container(name: &str) -> Vec<u8> {
    oci::archive(name, BENCH.architecture.debian(), &BENCH.file("probe", "usr/bin/busybox"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn user_data_written_for_bottlerocket_configures_a_machine_of_ec2_and_stays_with_it() {
    let acme = Acme::new();
    let tools = BENCH.store.checkout(&[(RelPath::ROOT, BENCH.trees["oracle"])]).unwrap();
    let registry = Registry::start(tools.path(), &acme.folder);
    let layout = acme.folder.join("layout");
    tar::Archive::new(&container("registry.example/app:1")[..]).unpack(&layout).unwrap();
    registry.push(&layout, "app", "1");
    let reach = format!("{}:80", registry.port);
    let serial = acme.boot("a.raw", &gzip(USER_DATA.as_bytes()), &["--reach", &reach], CONTAINERS);
    let all = |name: &str| answers(&serial, name).join(" | ");
    assert_eq!(all("virt"), "amazon");
    assert_eq!(all("unit"), "brc-settings active | brc-user-data active | containerd active");
    // Each key that does nothing is told, once, by name.
    let journal = all("journal");
    assert!(journal.contains("settings taken from EC2's user data"), "{journal}");
    assert_eq!(journal.matches("`settings.ecs` is no setting: ").count(), 1, "{journal}");
    assert_eq!(all("motd"), "of the user");
    assert_eq!(all("hostname"), "node-1.example");
    assert_eq!(all("somaxconn"), "1234");
    assert_eq!((all("module"), all("dummy")), ("tun".to_owned(), "1".to_owned()));
    assert_eq!(all("ntp"), "[Time] | NTP=time.example 10.0.0.5");
    assert!(all("dns").contains("Global: 10.0.0.6"), "{}", all("dns"));
    assert!(all("domain").contains("Global: cluster.example"), "{}", all("domain"));
    let proxy = "HTTPS_PROXY=http://proxy.example:3128/%41 NO_PROXY=10.0.0.0/8,.example";
    assert_eq!(all("proxy"), proxy);
    let registries = ["_default", "registry.example", "registry.example:5000"];
    assert_eq!(all("registries"), registries.map(|name| format!("/etc/containerd/certs.d/{name}")).join(" "));
    assert_eq!(all("pinned"), "localhost/embedded:1");
    assert_eq!(all("embedded"), "from the image that came with the machine");
    assert_eq!(all("pulled"), "from the registry", "{}", all("pull"));
    assert_eq!(all("health"), "active");
    for host in ["https://all.example", "https://mirror.example", "http://second.example:5000"] {
        assert!(all("hosts").contains(&format!("[host.\"{host}\"]")), "{}", all("hosts"));
    }
    let address = all("address");
    assert!(address.contains("169.254.0.15/16") && address.contains("10.7.0.2/24 fd07::2/64"), "{address}");
    assert!(all("link").contains("vlan7@"), "{}", all("link"));
    assert_eq!(all("route"), "10.8.0.0/16 via 10.7.0.1 dev vlan7 proto static metric 20");
    assert_eq!(all("mtu"), "1400");
    assert_eq!((all("failed"), all("cycle")), (String::new(), String::new()));
    assert_eq!(all("entries"), "acme_1.0.0.efi");

    // It was heard once: another user data changes nothing. What is changed on the machine counts, and is whole or not at
    // all.
    let script = "brc-agent settings set 'kernel.sysctl.\"net.core.somaxconn\"=99' motd=changed; echo $? | say set\n\
        brc-agent settings set motd=half network.hostname=_ 2>&1 | say wrong\n\
        brc-agent settings set kubernetes.max-pod=1 2>&1 | say wrong\n\
        sleep 2; cat /etc/motd /proc/sys/net/core/somaxconn | say changed\n";
    let serial = acme.boot("a.raw", b"[settings]\nmotd = 'another'\n", &[], script);
    assert_eq!(answers(&serial, "motd"), ["of the user"]);
    assert_eq!(answers(&serial, "set"), ["0"]);
    let wrong = answers(&serial, "wrong");
    assert!(wrong[0].starts_with("error: changes: `settings.network.hostname` is the text `_`"), "{wrong:?}");
    assert!(wrong[1].starts_with("error: there is no setting `kubernetes.max-pod`"), "{wrong:?}");
    assert_eq!(answers(&serial, "changed"), ["changed", "99"]);
    let serial = acme.boot("a.raw", b"", &[], "");
    assert_eq!((answers(&serial, "motd"), answers(&serial, "somaxconn")), (vec!["changed"], vec!["99"]));
    assert_eq!(answers(&serial, "get"), ["\"changed\""]);

    // A service that is slow, fails for a while, or has nothing yet is waited for.
    for fault in ["500", "slow", "empty"] {
        let disk = format!("{fault}.raw");
        let serial = acme.boot(&disk, USER_DATA.as_bytes(), &["--metadata-fault", fault], "");
        assert_eq!(answers(&serial, "motd"), ["of the user"], "{fault}");
        assert_eq!(answers(&serial, "failed"), [""; 0], "{fault}");
    }

    // What is wrong is told as a whole, and nothing of it counts; the image's own settings do.
    let wrong =
        b"[settings]\nmotd = 'of the user'\n[settings.ntp]\ntime-servers = 'a b'\n[settings.network]\nhostname = 5\n";
    let serial = acme.boot("wrong.raw", wrong, &[], "");
    assert_eq!(answers(&serial, "motd"), ["of the image"]);
    assert_eq!(answers(&serial, "ntp"), ["[Time]", "NTP=image.example"]);
    let journal = answers(&serial, "journal").join("\n");
    for told in [
        "error: ec2: `settings.network.hostname` is the number 5: expected a host name",
        "error: ec2: `settings.ntp.time-servers` is the text `a b`: expected a list",
    ] {
        assert!(journal.contains(told), "{told}: {journal}");
    }
    assert!(answers(&serial, "failed")[0].starts_with("brc-user-data.service "), "{serial}");
    // Nobody calls that a good boot.
    assert!(answers(&serial, "entries")[0].starts_with("acme_1.0.0+2-1"), "{serial}");
}
