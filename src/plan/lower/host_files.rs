//! The files of a root that brc itself states: which image it is, where its data and its ESP are, which units run.

use brc_contract::{partition, settings::ImageSettings, well_known};

use super::Lowering;
use crate::{
    content::{Entry, Metadata, RelPath, Tree, rel_path},
    graph::{Growth, Image, StatedUnit, UnitVerb, template_of},
    plan::{RootLayer, Source},
};

/// Who owns what brc itself states.
pub const HOST_FILES_OWNER: &str = "brc";
/// Which units run: what recipes enable and nothing else (systemd.preset(5)).
const PRESET: &str = "usr/lib/systemd/system-preset/10-brc.preset";
/// Which partitions are ours (udev(7)).
const DISK_RULES: &str = "usr/lib/udev/rules.d/90-brc-disk.rules";
/// How large the data partition is at least, and at most where it does not grow.
const DATA_MIN: &str = "64M";
const DATA_MAX: &str = "1G";

impl Lowering<'_> {
    /// The layer of brc's own files. Of what packages brought it replaces only who the image is.
    pub(super) fn host_files(&mut self, image: &Image) -> RootLayer<Source> {
        let texts = [
            (rel_path!(well_known::OS_RELEASE), os_release(image)),
            // Empty, not `uninitialized`, which would make every boot a first one.
            (rel_path!("etc/machine-id"), String::new()),
            (rel_path!(well_known::DATA_DEFINITION), data_definition(image)),
            (rel_path!("usr/lib/systemd/system/var.mount"), data_mount(&image.layout.data_file_system)),
            (rel_path!("usr/lib/systemd/system/efi.mount"), esp_mount()),
            (rel_path!("usr/lib/systemd/system/efi.automount"), ESP_AUTOMOUNT.to_owned()),
            (rel_path!(DISK_RULES), disk_rules(image.layout.data_disk.is_some())),
            (rel_path!(PRESET), preset(&image.stated.units)),
        ];
        let settings =
            image.settings.iter().map(|settings| (rel_path!(well_known::IMAGE_SETTINGS), settings_text(settings)));
        let data_disk = image.layout.data_disk.into_iter().flat_map(|bytes| {
            let repart = rel_path!("usr/lib/systemd/system/systemd-repart.service.d/10-brc-data-disk.conf");
            [(rel_path!(well_known::DATA_DISK), data_disk_text(bytes)), (repart, data_disk_repart())]
        });
        // Filled once the archives are known.
        let data_images = image.has_data_images().then(|| (rel_path!(well_known::DATA_IMAGES), String::new()));
        let mut tree = Tree::new();
        for (at, text) in texts.into_iter().chain(settings).chain(data_disk).chain(data_images) {
            let entry = self.text_entry(&text);
            self.place(&mut tree, &at, entry, None);
        }
        for (wants, unit) in [("requires", "var.mount"), ("wants", "efi.automount")] {
            if let Ok(at) = RelPath::new(&format!("usr/lib/systemd/system/local-fs.target.{wants}/{unit}")) {
                self.place(&mut tree, &at, Entry::Symlink { target: format!("../{unit}") }, None);
            }
        }
        // Only root may look at boot entries, mounted or not.
        for (folder, mode) in [(well_known::ESP_MOUNT, 0o700), (well_known::DATA_MOUNT, 0o755)] {
            if let Ok(at) = RelPath::from_absolute(folder) {
                self.place(&mut tree, &at, Entry::Directory, Some(Metadata::with_mode(mode)));
            }
        }
        let replaces = vec![rel_path!(well_known::OS_RELEASE), rel_path!("etc/machine-id")];
        let tree = self.tree(tree);
        RootLayer { replaces, ..RootLayer::plain(HOST_FILES_OWNER, tree) }
    }
}

/// What the image says of settings, as the machine reads it.
fn settings_text(settings: &ImageSettings) -> String {
    // Tables of texts and numbers are always JSON.
    serde_json::to_string_pretty(settings).map(|text| text + "\n").unwrap_or_default()
}

/// Makes the data partition on the disk that the machine's first program has named, not on the root's. When nothing of a
/// disk is in use, udev has the kernel read its table again once somebody has had it open for writing: the partition goes
/// and comes back, which has to be over before it is mounted.
fn data_disk_repart() -> String {
    let disk = well_known::DATA_DISK_DEVICE;
    format!(
        "[Unit]\nRequires=dev-brc-data\\x2ddisk.device\nAfter=dev-brc-data\\x2ddisk.device\n\n[Service]\nExecStart=\n\
         ExecStart=systemd-repart --dry-run=no --empty=allow {disk}\n\
         ExecStartPost=-/usr/bin/udevadm settle --timeout=30\n"
    )
}

/// How large the disk of the data is where nobody says more.
fn data_disk_text(bytes: u64) -> String {
    format!("{bytes}\n")
}

/// os-release(5) of the image; also what the loader shows.
pub(super) fn os_release(image: &Image) -> String {
    let (variant, version) = (&image.variant, &image.version);
    format!(
        "NAME=\"brc\"\nID=brc\nID_LIKE=debian\nPRETTY_NAME=\"{variant} {version}\"\nVERSION_ID=\"{version}\"\n\
         IMAGE_ID=\"{variant}\"\nIMAGE_VERSION=\"{version}\"\n"
    )
}

/// The first line that fits a unit counts. Instances of a template stand on the template's line (systemd.preset(5)).
fn preset(units: &[StatedUnit]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for unit in units {
        let (line, instance) = match (unit.verb, template_of(&unit.name)) {
            (UnitVerb::Enabled, Some((template, instance))) => (format!("enable {template}"), Some(instance)),
            (UnitVerb::Enabled, None) => (format!("enable {}", unit.name), None),
            (UnitVerb::Disabled, _) => (format!("disable {}", unit.name), None),
            (UnitVerb::Masked | UnitVerb::DroppedInto | UnitVerb::Restarted | UnitVerb::Checked, _) => continue,
        };
        let more = format!("{line} ");
        let index = lines.iter().position(|known| *known == line || known.starts_with(&more));
        let index = index.unwrap_or(lines.len());
        if index == lines.len() {
            lines.push(line);
        }
        if let (Some(known), Some(instance)) = (lines.get_mut(index), instance) {
            known.extend([" ", instance]);
        }
    }
    let lines: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
    format!("{lines}disable *\n")
}

fn data_definition(image: &Image) -> String {
    let (label, format) = (partition::DATA_LABEL, &image.layout.data_file_system);
    let mut text =
        format!("[Partition]\nType=linux-generic\nLabel={label}\nFormat={format}\nSizeMinBytes={DATA_MIN}\n");
    if image.layout.data_growth == Growth::Fixed {
        text.push_str(&format!("SizeMaxBytes={DATA_MAX}\n"));
    }
    text
}

/// It stays when its device goes and comes back, as it does while a table is read again.
fn data_mount(file_system: &str) -> String {
    format!(
        "[Unit]\nDescription=Data partition\nAfter=systemd-repart.service\nWants=systemd-growfs@var.service\n\n\
         [Mount]\nWhat={}\nWhere={}\nType={file_system}\nOptions=noatime,nodev,x-systemd.device-bound=no\n",
        well_known::DATA_DEVICE,
        well_known::DATA_MOUNT
    )
}

/// Names the data partition and the ESP of the disk that the root is on. Labels and identities do not: another disk,
/// say that of another machine with the same image, may have the same.
///
/// The root is the first device that the kernel maps, and what it is mapped to stands in its `slaves`: a partition is
/// on the same disk when it stands beside one of them. Data that lies `apart` is named by the machine's first program,
/// which knows the disk.
fn disk_rules(apart: bool) -> String {
    let rule = |property: &str, value: &str, device: &str| {
        let name = device.trim_start_matches("/dev/");
        format!(
            "SUBSYSTEM==\"block\", ENV{{DEVTYPE}}==\"partition\", ENV{{{property}}}==\"{value}\", \
             TEST==\"/sys/block/dm-0/slaves/*/../%k\", SYMLINK+=\"{name}\"\n"
        )
    };
    let esp = partition::ESP.to_string();
    let data = rule("ID_PART_ENTRY_NAME", partition::DATA_LABEL, well_known::DATA_DEVICE);
    let esp = rule("ID_PART_ENTRY_TYPE", &esp, well_known::ESP_DEVICE);
    if apart { esp } else { data + &esp }
}

fn esp_mount() -> String {
    format!(
        "[Unit]\nDescription=EFI system partition\n\n[Mount]\nWhat={}\nWhere={}\n\
         Type=vfat\nOptions=umask=0077,noatime,nodev,nosuid,noexec\n",
        well_known::ESP_DEVICE,
        well_known::ESP_MOUNT
    )
}

/// Mounted when it is looked at, so that it is seldom there to be damaged.
const ESP_AUTOMOUNT: &str = "[Unit]\nDescription=EFI system partition, when it is looked at\n\n[Automount]\n\
    Where=/efi\nTimeoutIdleSec=30s\n";

#[cfg(test)]
mod tests {
    use brc_contract::settings::{IMAGE_SETTINGS_VERSION, OnUnknown, Source, TemplateEntry, Value};

    use super::*;

    #[test]
    fn what_an_image_says_of_settings_is_written_like_this() {
        let settings = ImageSettings {
            version: IMAGE_SETTINGS_VERSION,
            unknown: OnUnknown::Warn,
            sources: vec![Source::File, Source::Ec2],
            defaults: Value::Text("hello".to_owned()).nested(["motd"].into_iter()),
            templates: vec![TemplateEntry {
                to: "/etc/motd".to_owned(),
                from: "/usr/lib/brc/settings/templates/etc/motd.j2".to_owned(),
                mode: 0o644,
                restart: vec!["a.service".to_owned()],
            }],
        };
        let text = settings_text(&settings);
        let lines: String = text.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            r#"{"version": 1,"unknown": "warn","sources": ["file","ec2"],"defaults": {"motd": "hello"},"templates": [{"#
                .to_owned()
                + r#""to": "/etc/motd","from": "/usr/lib/brc/settings/templates/etc/motd.j2","mode": 420,"#
                + r#""restart": ["a.service"]}]}"#
        );
        assert_eq!(serde_json::from_str::<ImageSettings>(&text).unwrap(), settings);
    }

    #[test]
    fn a_preset_has_the_instances_of_a_template_on_its_line() {
        let unit = |(name, verb): (&str, UnitVerb)| StatedUnit { name: name.to_owned(), verb, origin: String::new() };
        let units = [
            ("a.service", UnitVerb::Enabled),
            ("tick@one.service", UnitVerb::Enabled),
            ("b.service", UnitVerb::Disabled),
            ("c.service", UnitVerb::Masked),
            ("tick@two.service", UnitVerb::Enabled),
            ("a.service", UnitVerb::DroppedInto),
            ("a.service", UnitVerb::Enabled),
        ];
        let expected = "enable a.service\nenable tick@.service one two\ndisable b.service\ndisable *\n";
        assert_eq!(preset(&units.map(unit)), expected);
    }
}
