//! Every setting there is. Their names are those that users of Bottlerocket know.

use super::{
    Form, Key, Kind, Need,
    container::{CONTAINER_RUNTIME, OCI_DEFAULTS},
    kubernetes::{AUTOSCALING, KUBERNETES},
};

/// The most bytes of a text that is shown to people.
const MAX_TEXT: usize = 64 << 10;

pub(super) const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about, need: Need::Optional }
}

pub(super) const fn required(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about, need: Need::Required }
}

/// The settings, sorted by name.
pub const KEYS: &[Key] = &[
    key("autoscaling", Kind::Group(AUTOSCALING), "what generators of nodes say of groups of machines"),
    key(
        "bootstrap-commands",
        Kind::Table(Form::Name, &Kind::Group(BOOTSTRAP_COMMAND)),
        "commands before the first workload, in the order of their names",
    ),
    key(
        "bootstrap-containers",
        Kind::Table(Form::Name, &Kind::Group(BOOTSTRAP_CONTAINER)),
        "containers that run to their end before the first workload, in the order of their names",
    ),
    key("container-registry", Kind::Group(CONTAINER_REGISTRY), "where images of containers come from"),
    key("container-runtime", Kind::Group(CONTAINER_RUNTIME), "how containers of pods are run"),
    key("dns", Kind::Group(DNS), "who is asked for names, besides whom the network names"),
    key("health", Kind::Group(HEALTH), "what becomes of versions that do not work"),
    key(
        "host-containers",
        Kind::Table(Form::Name, &Kind::Group(HOST_CONTAINER)),
        "containers beside the workload, as administrators need them",
    ),
    key("journal", Kind::Group(JOURNAL), "what the machine logs"),
    key("kernel", Kind::Group(KERNEL), "the running kernel"),
    key("kubernetes", Kind::Group(KUBERNETES), "the machine as a node of Kubernetes"),
    key("metrics", Kind::Group(METRICS), "who is told how the machine fares"),
    key("motd", Kind::Text(Form::Text(MAX_TEXT)), "what `/etc/motd` says"),
    key("network", Kind::Group(NETWORK), "the machine in its network"),
    key("ntp", Kind::Group(NTP), "the clock"),
    key("oci-defaults", Kind::Group(OCI_DEFAULTS), "what containers of pods may do, and use"),
    key("pki", Kind::Table(Form::Name, &Kind::Group(PKI)), "authorities that are trusted beside the image's"),
    key("updates", Kind::Group(UPDATES), "which updates are taken, when, and by whom"),
];

/// When something runs that prepares the machine.
const MODE: Kind = Kind::Text(Form::OneOf(&["always", "off", "once"]));
/// The most bytes of user data of a container: as EC2 has it, unpacked.
const MAX_USER_DATA: usize = 256 << 10;

const BOOTSTRAP_COMMAND: &[Key] = &[
    required(
        "commands",
        Kind::List(&Kind::List(&Kind::Text(Form::Line))),
        "calls of `apiclient` with `set`, `apply` or `ephemeral-storage`, each a list of words",
    ),
    key("essential", Kind::Flag, "`true`: without it no workload starts, and the boot is no good one"),
    key("mode", MODE, "`once` is the first start alone; `off` when it is not said"),
];

const BOOTSTRAP_CONTAINER: &[Key] = &[
    key("essential", Kind::Flag, "`true`: when it fails no workload starts, and the boot is no good one"),
    key("mode", MODE, "`once` is the first start alone; `off` when it is not said"),
    key("source", Kind::Text(Form::Image), "its image"),
    key(
        "timeout",
        Kind::Integer(1, 86_400),
        "the seconds that it may take, its image included; 600 when it is not said",
    ),
    key("user-data", Kind::Text(Form::Base64(MAX_USER_DATA)), "what it finds in its file `user-data`"),
];

const HEALTH: &[Key] = &[
    key(
        "after-blessing",
        Kind::Integer(0, 100),
        "after so many starts in a row that are not found healthy a version is given up that was found healthy before, \
         when there is another one; 0 is never, 3 when it is not said",
    ),
    key(
        "without-fallback",
        Kind::Text(Form::OneOf(&["go-on", "power-off", "restart"])),
        "what a machine does that is not found healthy and has nothing to fall back to; `go-on` when it is not said",
    ),
];

const HOST_CONTAINER: &[Key] = &[
    key("enabled", Kind::Flag, "`true`: it runs"),
    key("source", Kind::Text(Form::Image), "its image"),
    key("superpowered", Kind::Flag, "`true`: it may do all that root may, and has the root at `/.bottlerocket/rootfs`"),
    key("user-data", Kind::Text(Form::Base64(MAX_USER_DATA)), "what it finds in its file `user-data`"),
];

const CONTAINER_REGISTRY: &[Key] = &[
    key("credentials", Kind::List(&Kind::Group(CREDENTIALS)), "who says so to a registry, for images of pods"),
    key(
        "mirrors",
        Kind::List(&Kind::Group(&[
            required("endpoint", Kind::List(&Kind::Text(Form::Url)), "where its images are looked for, in this order"),
            required("registry", Kind::Text(Form::Registry), "the registry; `*` is every one that is not named"),
        ])),
        "other places for the images of a registry",
    ),
];

const CREDENTIALS: &[Key] = &[
    key("auth", Kind::Text(Form::Base64(MAX_USER_DATA)), "name and password, as base64 of `NAME:PASSWORD`"),
    key("identitytoken", Kind::Text(Form::Plain), "a token in the place of a password"),
    key("password", Kind::Text(Form::Line), "the password"),
    required("registry", Kind::Text(Form::Registry), "the registry"),
    key("username", Kind::Text(Form::Plain), "the name"),
];

const DNS: &[Key] = &[
    key("name-servers", Kind::List(&Kind::Text(Form::Address)), "the servers that are asked"),
    key("search-list", Kind::List(&Kind::Text(Form::HostName)), "the domains in which short names are looked for"),
];

const KERNEL: &[Key] = &[
    key(
        "lockdown",
        Kind::Text(Form::OneOf(&["none", "integrity", "confidentiality"])),
        "what even root may not do to the kernel; it is never less than the image says",
    ),
    key("modules", Kind::Table(Form::Module, &Kind::Group(MODULE)), "modules by name"),
    key("sysctl", Kind::Table(Form::Sysctl, &Kind::Text(Form::Line)), "values of `/proc/sys` by name, in quotes"),
];

const MODULE: &[Key] = &[
    key("allowed", Kind::Flag, "`false`: it is never loaded"),
    key("autoload", Kind::Flag, "`true`: it is loaded at boot"),
];

const JOURNAL: &[Key] = &[key(
    "upload-url",
    Kind::Text(Form::Url),
    "where the journal is sent as it grows, to what takes it as `systemd-journal-remote` does; what could not be sent is \
     sent later",
)];

const METRICS: &[Key] = &[
    key("metrics-url", Kind::Text(Form::Url), "who is told, by plain HTTP: a request a time, whose query says it all"),
    key("send-metrics", Kind::Flag, "`true`: it is told, a while after each start and every hour"),
    key(
        "service-checks",
        Kind::List(&Kind::Text(Form::Unit)),
        "the units of which those that failed are told; every one when none is said",
    ),
];

const NETWORK: &[Key] = &[
    key("hostname", Kind::Text(Form::HostName), "the machine's name, in place of the one that the network gives"),
    key("https-proxy", Kind::Text(Form::Url), "the proxy that containerd pulls through"),
    key(
        "interfaces",
        Kind::Table(Form::Interface, &Kind::Group(INTERFACE)),
        "network interfaces by name; one that is not named asks for addresses by DHCP",
    ),
    key("no-proxy", Kind::List(&Kind::Text(Form::Network)), "hosts and networks that are reached without it"),
];

const INTERFACE: &[Key] = &[
    key("addresses", Kind::List(&Kind::Text(Form::Prefix)), "its own addresses, each with the length of its network"),
    key("bond", Kind::Group(BOND), "it is made of several"),
    key(
        "dhcp",
        Kind::Text(Form::OneOf(&["no", "ipv4", "ipv6", "yes"])),
        "whether it asks for addresses; `no` when it is not said",
    ),
    key("gateway", Kind::List(&Kind::Text(Form::Address)), "where everything goes that has no other way"),
    key("mac", Kind::Text(Form::Mac), "it is the one with this address, whatever the kernel calls it"),
    key("mtu", Kind::Integer(576, 65535), "the largest packet, in bytes"),
    key("name-servers", Kind::List(&Kind::Text(Form::Address)), "whom it asks for names"),
    key("routes", Kind::List(&Kind::Group(ROUTE)), "ways to other networks"),
    key("vlan", Kind::Group(VLAN), "it is one of several on another interface"),
];

const BOND: &[Key] = &[
    required("interfaces", Kind::List(&Kind::Text(Form::Interface)), "those that it is made of"),
    required(
        "mode",
        Kind::Text(Form::OneOf(&[
            "active-backup",
            "802.3ad",
            "balance-rr",
            "balance-xor",
            "balance-tlb",
            "balance-alb",
            "broadcast",
        ])),
        "how they share the work",
    ),
];

const ROUTE: &[Key] = &[
    key("metric", Kind::Integer(0, u32::MAX as i64), "of several ways the one with the least is gone"),
    required("to", Kind::Text(Form::Prefix), "the network"),
    required("via", Kind::Text(Form::Address), "the way to it"),
];

const VLAN: &[Key] = &[
    required("device", Kind::Text(Form::Interface), "the interface that it is on"),
    required("id", Kind::Integer(1, 4094), "its number"),
];

/// The most bytes of an authority's certificates.
const MAX_CERTIFICATES: usize = 512 << 10;

const PKI: &[Key] = &[
    key("data", Kind::Text(Form::Base64(MAX_CERTIFICATES)), "the certificates, as base64 of PEM"),
    key("trusted", Kind::Flag, "`true`: they are trusted"),
];

const NTP: &[Key] =
    &[key("time-servers", Kind::List(&Kind::Text(Form::Host)), "the servers that are asked for the time")];

const DAYS: Form = Form::OneOf(&["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]);

const UPDATES: &[Key] = &[
    key(
        "by-itself",
        Kind::Text(Form::OneOf(&["no", "written", "started"])),
        "what the machine does without being asked: `written` puts an update into the other slot and leaves the reboot to \
         others (`/run/reboot-required`), `started` reboots too",
    ),
    key("ignore-waves", Kind::Flag, "`true`: an update is taken before its wave opens"),
    key("metadata-base-url", Kind::Text(Form::Url), "where the metadata is, in place of what the image says"),
    key(
        "reboot-days",
        Kind::List(&Kind::Text(DAYS)),
        "the days on which `started` reboots; every one when none is said",
    ),
    key(
        "reboot-time",
        Kind::Text(Form::Time),
        "the time of day (UTC) at which `started` reboots; at once when it is not said",
    ),
    key("seed", Kind::Integer(0, 2047), "the machine's place in every wave, in place of that which its identity gives"),
    key("targets-base-url", Kind::Text(Form::Url), "where the targets are, in place of what the image says"),
    key("version-lock", Kind::Text(Form::Version), "the one version that is taken; `latest` is any"),
];

/// A setting that Bottlerocket has and this system has not.
#[derive(Debug, Clone, Copy)]
pub struct Later {
    /// The setting or table, without `settings`.
    pub path: &'static str,
    /// What is to be said of it.
    pub why: &'static str,
}

const fn later(path: &'static str, why: &'static str) -> Later {
    Later { path, why }
}

const NOT_YET: &str = "Bottlerocket has it, and this version of brc does not do it yet";

/// Settings of Bottlerocket that are known by name, so that user data written for it is told what counts.
pub const LATER: &[Later] = &[
    later("aws", NOT_YET),
    later("boot", "the command line is a part of the signed image: write `kernel-arg` in the recipe"),
    later("cloudformation", NOT_YET),
    later("container-runtime-plugins", NOT_YET),
    later("ecs", "it is of ECS, which brc does not have"),
    later("network.hosts", NOT_YET),
    later("nvidia-container-runtime", NOT_YET),
    later("oci-hooks", NOT_YET),
];

#[cfg(test)]
mod tests {
    use super::{super::find, *};

    fn sorted(keys: &[Key]) {
        assert!(keys.windows(2).all(|pair| pair[0].name < pair[1].name), "{keys:?}");
        for key in keys {
            below(key.kind);
        }
    }

    fn below(kind: Kind) {
        match kind {
            Kind::Group(keys) => sorted(keys),
            Kind::List(of) | Kind::ListOrOne(of) | Kind::Table(_, of) => below(*of),
            _ => {}
        }
    }

    #[test]
    fn keys_are_sorted_and_none_is_said_to_come_later() {
        sorted(KEYS);
        assert!(LATER.windows(2).all(|pair| pair[0].path < pair[1].path));
        for later in LATER {
            assert!(find(KEYS, later.path.split('.')).is_none(), "{}", later.path);
        }
    }
}
