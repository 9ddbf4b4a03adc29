//! The settings of containers of pods, with the names of Bottlerocket: what each may do at most, and how containerd runs
//! them.

use super::{
    Form, Key, Kind,
    keys::{key, required},
};

/// What the kernel lets a process do beside its user's rights (capabilities(7)), as settings write it.
const CAPABILITY: Form = Form::OneOf(&[
    "audit-control",
    "audit-read",
    "audit-write",
    "block-suspend",
    "bpf",
    "checkpoint-restore",
    "chown",
    "dac-override",
    "dac-read-search",
    "fowner",
    "fsetid",
    "ipc-lock",
    "ipc-owner",
    "kill",
    "lease",
    "linux-immutable",
    "mac-admin",
    "mac-override",
    "mknod",
    "net-admin",
    "net-bind-service",
    "net-broadcast",
    "net-raw",
    "perfmon",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys-admin",
    "sys-boot",
    "sys-chroot",
    "sys-module",
    "sys-nice",
    "sys-pacct",
    "sys-ptrace",
    "sys-rawio",
    "sys-resource",
    "sys-time",
    "sys-tty-config",
    "syslog",
    "wake-alarm",
]);

/// What a process may use of something (getrlimit(2)), as settings write it.
const LIMIT: Form = Form::OneOf(&[
    "max-address-space",
    "max-core-file-size",
    "max-cpu-time",
    "max-data-size",
    "max-file-locks",
    "max-file-size",
    "max-locked-memory",
    "max-msgqueue-size",
    "max-nice-priority",
    "max-open-files",
    "max-pending-signals",
    "max-processes",
    "max-realtime-priority",
    "max-realtime-timeout",
    "max-resident-set",
    "max-stack-size",
]);

/// The most of it; -1 is without a limit.
const MOST: Kind = Kind::Integer(-1, i64::MAX);

pub(super) const OCI_DEFAULTS: &[Key] = &[
    key(
        "capabilities",
        Kind::Table(CAPABILITY, &Kind::Flag),
        "what a container may do beyond its user's rights, in place of what containerd gives; a pod can ask for others",
    ),
    key("resource-limits", Kind::Table(LIMIT, &Kind::Group(LIMITS)), "how much of something a process may use"),
];

const LIMITS: &[Key] = &[
    required("hard-limit", MOST, "so much at most; -1 is any"),
    required("soft-limit", MOST, "so much as long as it does not ask for more"),
];

pub(super) const CONTAINER_RUNTIME: &[Key] = &[
    key("enable-unprivileged-icmp", Kind::Flag, "`true`: a container may send pings without any right"),
    key("enable-unprivileged-ports", Kind::Flag, "`true`: a container may listen below port 1024 without any right"),
    key(
        "max-concurrent-downloads",
        Kind::Integer(1, 1000),
        "so many layers of an image are fetched at once; 3 when it is not said",
    ),
    key(
        "max-container-log-line-size",
        Kind::Integer(-1, i32::MAX as i64),
        "the bytes after which a line of a log is broken; -1 is never, 16384 when it is not said",
    ),
];
