//! The settings of an image: what is set at first, what files settings make, where user data comes from.

use std::collections::BTreeMap;

use brc_contract::{
    settings::{
        Checked, IMAGE_SETTINGS_VERSION, ImageSettings, KEYS, Kind, Mistake, OnUnknown, Source, TemplateEntry, Value,
        check, find,
    },
    well_known,
};

use super::flat::Flat;
use crate::{
    content::RelPath,
    recipe::{Brace, Code, Diagnostic, Item, MadeFile, Setting, SettingValue, Spanned, Switch, Template},
};

/// The mode of what settings make, where no recipe says one.
const MODE: u32 = 0o644;

/// Whether the first program of the image's root is that of the agent, which gives the machine an `/etc` of its own.
pub fn has_first_program(flat: &Flat) -> bool {
    let is_first = |to: &Template| to.as_plain() == Some(&format!("/{}", well_known::FIRST_PROGRAM));
    flat.components.iter().flat_map(|component| &component.items).any(|(item, _)| match item {
        Item::Link(link) => is_first(&link.at.value),
        Item::File(file) => is_first(&file.to.value),
        _ => false,
    })
}

/// What is wrong with what recipes state of settings.
pub(super) fn wrong_settings(flat: &Flat) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if !has_first_program(flat) {
        let templates = made_files(flat).map(|(_, made)| made.to.span);
        let settings = flat.settings.values().filter_map(|setting| setting.values.first()).map(|value| value.span);
        let unread = |span| {
            let message = "nothing in this image reads settings";
            Diagnostic::error(Code::UnreadSettings, span, message)
                .help("write `needs \"brc/settings\"`, or `include` it")
        };
        found.extend(templates.chain(settings).map(unread));
    }
    found.extend(flat.settings.values().flat_map(wrong_setting));
    found
}

fn wrong_setting(setting: &Setting) -> Vec<Diagnostic> {
    let Some(first) = setting.values.first() else { return Vec::new() };
    let Checked { mistakes, unknown, .. } = check(KEYS, &value(setting));
    let unknown = unknown.iter().map(|key| Diagnostic::error(Code::UnknownSetting, first.span, key.to_string()));
    let wrong = |mistake: Mistake| {
        let message = format!("`{}` is {}", mistake.path, mistake.found);
        Diagnostic::error(Code::BadSetting, first.span, message).help(format!("expected {}", mistake.expected))
    };
    unknown.chain(mistakes.into_iter().map(wrong)).collect()
}

/// A setting as the table that it stands in.
fn value(setting: &Setting) -> Value {
    let one = |value: &Spanned<SettingValue>| match &value.value {
        SettingValue::Text(text) => Value::Text(text.clone()),
        SettingValue::Number(number) => Value::Integer(*number),
        SettingValue::Switch(switch) => Value::Flag(*switch == Switch::On),
    };
    let path = || setting.path.iter().map(String::as_str);
    let is_list = matches!(find(KEYS, path()), Some(Kind::List(_) | Kind::ListOrOne(_)));
    let value = match setting.values.as_slice() {
        [single] if !is_list => one(single),
        values => Value::List(values.iter().map(one).collect()),
    };
    value.nested(path())
}

/// The files that settings make, each with the version of the component that states it.
pub fn made_files(flat: &Flat) -> impl Iterator<Item = (Option<&str>, &MadeFile)> {
    flat.components.iter().flat_map(|component| {
        let version = component.version.as_ref().map(|version| version.value.as_str());
        component.items.iter().filter_map(move |(item, _)| match item {
            Item::Template(made) => Some((version, made)),
            _ => None,
        })
    })
}

/// Where the template of what is made at `to` lies in the image.
pub(super) fn template_path(to: &str) -> Option<RelPath> {
    RelPath::new(&format!("{}{to}.j2", well_known::TEMPLATES)).ok()
}

/// What the image says of settings; nothing when nothing in it reads them.
pub(super) fn image_settings(flat: &Flat) -> Option<ImageSettings> {
    if !has_first_program(flat) {
        return None;
    }
    let stated = flat.settings.values().fold(Value::none(), |all, setting| all.overlaid(value(setting)));
    let entry = |(version, made): (Option<&str>, &MadeFile)| {
        let to = made.to.value.fill(|brace: Brace| flat.brace(version, brace))?;
        Some(TemplateEntry {
            from: format!("/{}", template_path(&to)?.as_str()),
            to,
            mode: made.mode.map_or(MODE, |mode| u32::from(mode.value)),
            restart: made.restart.iter().map(|unit| unit.value.clone()).collect(),
        })
    };
    let templates: BTreeMap<String, TemplateEntry> =
        made_files(flat).filter_map(entry).map(|entry| (entry.to.clone(), entry)).collect();
    Some(ImageSettings {
        version: IMAGE_SETTINGS_VERSION,
        unknown: flat.unknown_settings.map_or(OnUnknown::Warn, |unknown| unknown.value),
        sources: sources(&flat.situation.platform),
        defaults: check(KEYS, &stated).values,
        templates: templates.into_values().collect(),
    })
}

/// Where user data comes from on a platform; what a later one says counts. On `qemu` it is the user of `brc boot` who plays
/// whatever platform there is.
fn sources(platform: &str) -> Vec<Source> {
    match platform {
        "aws" => vec![Source::Ec2],
        "qemu" => vec![Source::File, Source::ConfigDrive, Source::Ec2, Source::Url, Source::Credential],
        "metal" => vec![Source::File, Source::ConfigDrive, Source::Url],
        "vmware" => vec![Source::File, Source::ConfigDrive, Source::Vmware],
        _ => vec![Source::File],
    }
}
