//! The settings of this machine: where they come from, what they make, and how they change.
//!
//! *Takes* what the image says, what this machine was given, and what is asked for. *Gives* the values that count and
//! the files that follow from them. *Promises*: every mistake is told at once and nothing of it counts; what was given is
//! kept before anything follows from it; files are made whole, and only units whose files changed are started anew.
//! *Does not know* what the settings mean: templates do.

mod given;
pub mod guestinfo;
mod imds;
mod instance;
mod made;
pub mod named_url;
mod set;
mod source;
mod user_data;

pub(crate) use given::firmware;
pub use given::{CHANGES, Given, GivenError, Kept, Layer};
pub use imds::{Imds, ImdsError, Patience};
pub use instance::{INSTANCE, Instance};
pub use made::{Files, Made, MakeError};
pub use set::{SetError, assignment, key};
pub use source::at_hand;
pub use user_data::{UserDataError, parse};

use brc_contract::{
    settings::{IMAGE_SETTINGS_VERSION, ImageSettings, KEYS, Mistake, OnUnknown, UnknownKey, Value, check, incomplete},
    well_known,
};

/// The largest list of what an image says, in bytes.
const MAX_IMAGE: usize = 4 << 20;

/// What the image says of settings.
///
/// # Errors
/// When it says nothing, or nothing that this version reads.
pub fn image(files: &brc_linux::Files) -> Result<ImageSettings, ImageError> {
    let text = files.text(&format!("/{}", well_known::IMAGE_SETTINGS), MAX_IMAGE)?;
    let said: ImageSettings = serde_json::from_str(&text)?;
    if said.version != IMAGE_SETTINGS_VERSION {
        return Err(ImageError::Version { found: said.version });
    }
    Ok(said)
}

/// The values that count, and what is to be said of those that were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The values.
    pub values: Value,
    /// What is wrong with values, each with who gave it. Of a layer with a mistake nothing counts.
    pub mistakes: Vec<(String, Mistake)>,
    /// The keys that there are not, each with who gave it.
    pub unknown: Vec<(String, UnknownKey)>,
    /// Whether every layer counts.
    pub is_whole: bool,
}

/// The values that count: those of the image, with every layer over them in turn that has no mistake.
pub fn effective(image: &ImageSettings, layers: &[Layer]) -> Effective {
    let values = check(KEYS, &image.defaults).values;
    let mut found = Effective { values, mistakes: Vec::new(), unknown: Vec::new(), is_whole: true };
    for layer in layers {
        let checked = check(KEYS, &layer.values);
        let refused = !checked.unknown.is_empty() && image.unknown == OnUnknown::Refuse;
        if refused || !checked.mistakes.is_empty() {
            found.is_whole = false;
        } else {
            let values = found.values.clone().overlaid(checked.values);
            let missing = incomplete(KEYS, &values);
            if missing.is_empty() {
                found.values = values;
            } else {
                found.is_whole = false;
            }
            found.mistakes.extend(missing.into_iter().map(|mistake| (layer.name.clone(), mistake)));
        }
        found.mistakes.extend(checked.mistakes.into_iter().map(|mistake| (layer.name.clone(), mistake)));
        found.unknown.extend(checked.unknown.into_iter().map(|key| (layer.name.clone(), key)));
    }
    found
}

impl Effective {
    /// Why what somebody gave does not count, a line each; none when it does.
    pub fn refused(&self, name: &str, on_unknown: OnUnknown) -> Vec<String> {
        let mistakes = self.mistakes.iter().filter(|(from, _)| from == name);
        let unknown = self.unknown.iter().filter(|(from, _)| from == name && on_unknown == OnUnknown::Refuse);
        let mistakes = mistakes.map(|(_, mistake)| format!("{name}: {mistake}"));
        mistakes.chain(unknown.map(|(_, key)| format!("{name}: {key}"))).collect()
    }

    /// What is to be said, a line each.
    pub fn told(&self) -> Vec<String> {
        let mistakes = self.mistakes.iter().map(|(from, mistake)| format!("{from}: {mistake}"));
        mistakes.chain(self.unknown.iter().map(|(from, key)| format!("{from}: {key}"))).collect()
    }
}

/// What the image says of settings is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Its file cannot be read.
    #[error(transparent)]
    File(#[from] brc_linux::FileError),
    /// It is not what brc writes.
    #[error("`/{}` is not what brc writes", well_known::IMAGE_SETTINGS)]
    Format(#[from] serde_json::Error),
    /// It is of another version.
    #[error(
        "`/{}` is of version {found}: expected {IMAGE_SETTINGS_VERSION}; agent and image must be of one release",
        well_known::IMAGE_SETTINGS
    )]
    Version { found: u32 },
}

#[cfg(test)]
mod tests {
    use brc_contract::settings::OnUnknown;

    use super::*;

    fn layer(name: &str, path: &str, value: Value) -> Layer {
        Layer { name: name.to_owned(), values: value.nested(path.split('.')) }
    }

    #[test]
    fn a_later_layer_counts_and_of_one_with_a_mistake_nothing_does() {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut image = ImageSettings {
            version: IMAGE_SETTINGS_VERSION,
            unknown: OnUnknown::Warn,
            sources: Vec::new(),
            defaults: text("the image's").nested(["motd"].into_iter()),
            templates: Vec::new(),
        };
        let layers = [layer("ec2", "motd", text("given")), layer("changes", "network.hostname", text("a"))];
        let found = effective(&image, &layers);
        assert_eq!(found.values.at(["motd"]), Some(&text("given")));
        assert_eq!(found.values.at(["network", "hostname"]), Some(&text("a")));
        assert!(found.is_whole && found.told().is_empty());

        let mut wrong = layer("ec2", "motd", text("given"));
        wrong.values = wrong.values.overlaid(text("_").nested(["network", "hostname"].into_iter()));
        let found = effective(&image, &[wrong]);
        assert_eq!(found.values.at(["motd"]), Some(&text("the image's")));
        assert!(!found.is_whole);
        assert!(found.told()[0].starts_with("ec2: `settings.network.hostname` is the text `_`"), "{:?}", found.told());

        let mut unknown = layer("ec2", "motd", text("given"));
        unknown.values = unknown.values.overlaid(text("b").nested(["ecs", "cluster"].into_iter()));
        let found = effective(&image, &[unknown.clone()]);
        assert_eq!((found.values.at(["motd"]), found.is_whole, found.told().len()), (Some(&text("given")), true, 1));
        image.unknown = OnUnknown::Refuse;
        let found = effective(&image, &[unknown]);
        assert_eq!((found.values.at(["motd"]), found.is_whole), (Some(&text("the image's")), false));
    }

    #[test]
    fn a_layer_may_say_a_part_of_what_another_has_said_whole() {
        let image = ImageSettings {
            version: IMAGE_SETTINGS_VERSION,
            unknown: OnUnknown::Warn,
            sources: Vec::new(),
            defaults: Value::none(),
            templates: Vec::new(),
        };
        let vlan =
            |name: &str, key: &str, value: Value| layer(name, &format!("network.interfaces.a.vlan.{key}"), value);
        let mut whole = vlan("file", "device", Value::Text("eth0".to_owned()));
        whole.values = whole.values.overlaid(vlan("file", "id", Value::Integer(7)).values);
        let part = vlan(CHANGES, "id", Value::Integer(8));
        let found = effective(&image, &[whole, part.clone()]);
        assert!(found.is_whole && found.refused(CHANGES, OnUnknown::Refuse).is_empty(), "{:?}", found.told());
        let alone = effective(&image, &[part]);
        let told = "changes: `settings.network.interfaces.a.vlan` is a table without: expected one with `device`";
        assert_eq!(alone.refused(CHANGES, OnUnknown::Warn), [told]);
        assert_eq!(alone.refused("file", OnUnknown::Warn), [""; 0]);
    }

    /// As Karpenter's Bottlerocket family writes it: quotes, texts for numbers, one address for several, disks by commands.
    const KARPENTER: &str = r#"[settings]
[settings.kubernetes]
api-server = 'https://169.254.0.100:443'
cluster-certificate = 'LS0tLS1CRUdJTi0='
cluster-name = 'prod'
cluster-dns-ip = '10.100.0.10'
max-pods = 58
server-tls-bootstrap = false
image-gc-high-threshold-percent = '85'
image-gc-low-threshold-percent = '80'

[settings.kubernetes.node-labels]
'karpenter.sh/capacity-type' = 'on-demand'
'karpenter.sh/nodepool' = 'default'

[settings.kubernetes.node-taints]
dedicated = ['experimental:NoSchedule']
'karpenter.sh/unregistered' = [':NoExecute']

[settings.kubernetes.system-reserved]
cpu = '50m'
memory = '100Mi'

[settings.kubernetes.eviction-hard]
'memory.available' = '5%'
'nodefs.available' = '5%'

[settings.kubernetes.eviction-soft]
'memory.available' = '10%'

[settings.kubernetes.eviction-soft-grace-period]
'memory.available' = '1m30s'

[settings.bootstrap-commands]
[settings.bootstrap-commands.000-mount-instance-storage]
commands = [['apiclient', 'ephemeral-storage', 'init'], ['apiclient', 'ephemeral-storage', 'bind', '--dirs', '/var/lib/containerd', '/var/lib/kubelet', '/var/log/pods']]
mode = 'always'
essential = true
"#;

    #[test]
    fn user_data_that_karpenter_writes_counts_as_a_whole() {
        let values = parse(KARPENTER.as_bytes()).unwrap();
        let checked = check(KEYS, &values);
        assert_eq!((checked.mistakes, checked.unknown), (vec![], vec![]));
        assert_eq!(checked.values.at(["kubernetes", "image-gc-high-threshold-percent"]), Some(&Value::Integer(85)));
        let address = Value::List(vec![Value::Text("10.100.0.10".to_owned())]);
        assert_eq!(checked.values.at(["kubernetes", "cluster-dns-ip"]), Some(&address));
    }
}
