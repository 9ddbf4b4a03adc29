//! The settings of a node of Kubernetes. Names and forms are those that Karpenter, managed node groups and users of
//! Bottlerocket write; what generators write as texts or as one value is taken so for those keys alone.

use super::{
    Form, Key, Kind,
    keys::{key, required},
};

/// The most bytes of a certificate, a key or a manifest.
const MAX_FILE: usize = 64 << 10;

const QUANTITY: Kind = Kind::Text(Form::Quantity);
const DURATION: Kind = Kind::Text(Form::Duration);
const PERCENT: Kind = Kind::IntegerOrText(0, 100);
const COUNT: Kind = Kind::Integer(0, i32::MAX as i64);
const FILE: Kind = Kind::Text(Form::Base64(MAX_FILE));
/// What can be set aside of a machine.
const RESOURCE: Form = Form::OneOf(&["cpu", "ephemeral-storage", "memory", "pid"]);
/// What kubelet evicts pods for.
const SIGNAL: Form = Form::OneOf(&[
    "imagefs.available",
    "imagefs.inodesFree",
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "pid.available",
]);

pub(super) const KUBERNETES: &[Key] = &[
    key(
        "allowed-unsafe-sysctls",
        Kind::List(&Kind::Text(Form::Sysctl)),
        "sysctls that pods may set beyond the safe ones",
    ),
    key(
        "api-server",
        Kind::Text(Form::Url),
        "the cluster's API server; kubelet runs where this is set, or `standalone-mode`",
    ),
    key(
        "authentication-mode",
        Kind::Text(Form::OneOf(&["aws", "tls"])),
        "how the node says who it is: `aws` by its role (when nothing is said), `tls` by a certificate that `bootstrap-token` asks for",
    ),
    key("bootstrap-token", Kind::Text(Form::Token), "the token with which a node asks for its first certificate"),
    key(
        "cloud-provider",
        Kind::Text(Form::OneOf(&["", "aws", "external"])),
        "`external` or `aws`: the cluster says what cloud the node is in; nothing: nobody does",
    ),
    key("cluster-certificate", FILE, "the certificate of the cluster's authority, as base64 of PEM"),
    key("cluster-dns-ip", Kind::ListOrOne(&Kind::Text(Form::Address)), "whom pods ask for names"),
    key("cluster-domain", Kind::Text(Form::HostName), "the domain of the cluster; `cluster.local` when it is not said"),
    key("cluster-name", Kind::Text(Form::Cluster), "the cluster's name, by which a role of AWS says who it is"),
    key("container-log-max-files", Kind::Integer(2, 1000), "so many files a container's log has"),
    key("container-log-max-size", QUANTITY, "so large is one of them"),
    key("container-log-max-workers", Kind::Integer(1, 1000), "so many logs are rotated at once"),
    key("container-log-monitor-interval", DURATION, "how often logs are looked at"),
    key("cpu-cfs-quota-enforced", Kind::Flag, "`false`: limits of processor time are not enforced"),
    key(
        "cpu-manager-policy",
        Kind::Text(Form::OneOf(&["none", "static"])),
        "`static`: pods may have processors of their own",
    ),
    key("cpu-manager-policy-options", Kind::List(&Kind::Text(Form::Name)), "options of that policy that are on"),
    key("cpu-manager-reconcile-period", DURATION, "how often that is looked at"),
    key(
        "credential-providers",
        Kind::Table(Form::Name, &Kind::Group(CREDENTIAL_PROVIDER)),
        "programs that know passwords of registries",
    ),
    key("device-ownership-from-security-context", Kind::Flag, "`true`: devices of a pod belong to its user"),
    key("event-burst", COUNT, "so many events at once"),
    key("event-qps", COUNT, "so many events a second; 0 is any number"),
    key("eviction-hard", Kind::Table(SIGNAL, &Kind::Text(Form::Threshold)), "below these pods are evicted at once"),
    key("eviction-max-pod-grace-period", COUNT, "the seconds that a pod has which is evicted softly"),
    key(
        "eviction-soft",
        Kind::Table(SIGNAL, &Kind::Text(Form::Threshold)),
        "below these pods are evicted after a while",
    ),
    key("eviction-soft-grace-period", Kind::Table(SIGNAL, &DURATION), "that while"),
    key("hostname-override", Kind::Text(Form::HostName), "the name of the node, in place of the machine's"),
    key(
        "hostname-override-source",
        Kind::Text(Form::OneOf(&["instance-id", "private-dns-name"])),
        "what of EC2 is the name of the node; `private-dns-name` when it is not said",
    ),
    key("ids-per-pod", Kind::Integer(65_536, u32::MAX as i64), "so many user numbers a pod with its own has"),
    key("image-gc-high-threshold-percent", PERCENT, "when a disk is so full, images are removed"),
    key("image-gc-low-threshold-percent", PERCENT, "until it is so full"),
    key("kube-api-burst", COUNT, "so many calls of the API server at once"),
    key("kube-api-qps", COUNT, "so many calls of the API server a second"),
    key(
        "kube-reserved",
        Kind::Table(RESOURCE, &Kind::Text(Form::Quantity)),
        "what is set aside for kubelet and containerd",
    ),
    key("log-level", Kind::Integer(0, 10), "how much kubelet says"),
    key("max-pods", Kind::Integer(1, 65_535), "so many pods at most; 110 when it is not said"),
    key(
        "memory-manager-policy",
        Kind::Text(Form::OneOf(&["None", "Static"])),
        "`Static`: pods may have memory of one node of NUMA",
    ),
    key(
        "memory-manager-reserved-memory",
        Kind::Table(Form::Name, &Kind::Group(RESERVED_MEMORY)),
        "what is set aside of each node of NUMA, by its number",
    ),
    key("node-ip", Kind::Text(Form::Address), "the address of the node, in place of the one it finds"),
    key("node-labels", Kind::Table(Form::Label, &Kind::Text(Form::LabelValue)), "labels that the node registers with"),
    key(
        "node-taints",
        Kind::Table(Form::Label, &Kind::ListOrOne(&Kind::Text(Form::Taint))),
        "taints that the node registers with, each `VALUE:EFFECT`",
    ),
    key("pod-pids-limit", Kind::Integer(-1, i32::MAX as i64), "so many processes a pod has; -1 is any number"),
    key("provider-id", Kind::Text(Form::Provider), "what the cloud calls the node; of EC2 the machine finds it"),
    key("registry-burst", COUNT, "so many pulls at once"),
    key("registry-qps", COUNT, "so many pulls a second; 0 is any number"),
    key("seccomp-default", Kind::Flag, "`true`: pods have the profile of the runtime when they say none"),
    key("server-certificate", FILE, "kubelet's own certificate, as base64 of PEM"),
    key("server-key", FILE, "the key of that, as base64 of PEM"),
    key(
        "server-tls-bootstrap",
        Kind::Flag,
        "`false`: kubelet does not ask the cluster for the certificate of its port",
    ),
    key("shutdown-grace-period", DURATION, "so long pods have when the machine goes down"),
    key("shutdown-grace-period-for-critical-pods", DURATION, "of that so long critical ones have at the end"),
    key("single-process-oom-kill", Kind::Flag, "`true`: out of memory ends one process and not its container"),
    key("standalone-mode", Kind::Flag, "`true`: kubelet runs static pods alone and asks no API server"),
    key("static-pods", Kind::Table(Form::Name, &Kind::Group(STATIC_POD)), "pods that kubelet runs by itself"),
    key("system-reserved", Kind::Table(RESOURCE, &Kind::Text(Form::Quantity)), "what is set aside for the system"),
    key(
        "topology-manager-policy",
        Kind::Text(Form::OneOf(&["none", "best-effort", "restricted", "single-numa-node"])),
        "how processors, memory and devices are brought together",
    ),
    key("topology-manager-policy-options", Kind::Table(Form::Name, &Kind::Text(Form::Name)), "options of that policy"),
    key("topology-manager-scope", Kind::Text(Form::OneOf(&["container", "pod"])), "for what"),
];

const CREDENTIAL_PROVIDER: &[Key] = &[
    key("cache-duration", DURATION, "so long its answers count; 12 hours when it is not said"),
    key("enabled", Kind::Flag, "`true`: it is asked"),
    key("environment", Kind::Table(Form::Name, &Kind::Text(Form::Plain)), "its environment"),
    key("image-patterns", Kind::List(&Kind::Text(Form::ImagePattern)), "the images that it is asked for"),
];

const RESERVED_MEMORY: &[Key] =
    &[key("enabled", Kind::Flag, "`true`: it counts"), required("memory", QUANTITY, "how much")];

const STATIC_POD: &[Key] =
    &[key("enabled", Kind::Flag, "`true`: it runs"), key("manifest", FILE, "its manifest, as base64 of YAML or JSON")];

pub(super) const AUTOSCALING: &[Key] = &[key(
    "should-wait",
    Kind::Flag,
    "taken, and without effect: no machine waits in a warm pool to be told that it may join",
)];
