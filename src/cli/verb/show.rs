//! `brc show`: a variant with nothing left open, and where each value is written.

use std::process::ExitCode;

use crate::{
    cli::{
        CliError, arguments,
        context::Context,
        json::{self, Object},
        output::{print, print_json},
    },
    compose::{Locked, Project},
    graph::{Flat, origin},
    recipe::{Item, Spanned},
};

/// Prints a variant with nothing left open.
pub fn run(context: &Context, arguments: &arguments::Show) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(&arguments.target, Locked::AsItIs)?;
    for flat in project.flats(&order.variant, &order.architectures)? {
        let lines = flat_lines(&project, &flat);
        if context.is_json() {
            let values = lines.into_iter().map(|(what, value, at)| json::Value { what, value, at }).collect();
            print_json(&Object::Resolved(json::Resolved { image: flat.title(), values }));
            continue;
        }
        print(&format!("// {}", flat.title()));
        let width = lines.iter().map(|(what, value, _)| what.len() + value.len() + 1).max().unwrap_or(0).min(72);
        for (what, value, place) in lines {
            print(&format!("{:<width$}  // {place}", format!("{what} {value}")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Every value of a flat variant, with its place, and what it replaced.
fn flat_lines(project: &Project, flat: &Flat) -> Vec<(String, String, String)> {
    let at = |span| origin(&project.sources, span);
    let mut lines = Vec::new();
    let mut line = |what: &str, value: String, place: String| {
        let replaced = flat.replaced.iter().filter(|old| old.what == what);
        let replaced: Vec<String> = replaced.map(|old| format!("replaces {} of {}", old.value, at(old.old))).collect();
        let place = if replaced.is_empty() { place } else { format!("{place}, {}", replaced.join(", ")) };
        lines.push((what.to_owned(), value, place));
    };
    let text = |value: &Spanned<String>| format!("{:?}", value.value);
    line("variant", format!("{:?}", flat.name.value.to_string()), at(flat.name.span));
    line("version", text(&flat.version), at(flat.version.span));
    line("arch", format!("{:?}", flat.situation.architecture.name()), at(flat.name.span));
    line("platform", format!("{:?}", flat.situation.platform), at(flat.name.span));
    for feature in &flat.situation.features {
        line("feature", format!("{feature:?} on=#true"), at(flat.name.span));
    }
    line("layout slot", format!("max={}", flat.slot.value.0), at(flat.slot.span));
    if let Some(esp) = &flat.esp {
        line("layout esp", format!("size={}", esp.value.0), at(esp.span));
    }
    if let Some(budget) = &flat.budget {
        line("budget", format!("root={}", budget.value.0), at(budget.span));
    }
    line("kernel", format!("{:?}", flat.kernel.name.to_string()), at(flat.kernel.span));
    for (role, name) in &flat.roles {
        line(&format!("tool {}", role.name()), format!("{:?}", name.value.to_string()), at(name.span));
    }
    for setting in flat.settings.values() {
        let values: Vec<String> = setting.values.iter().map(|value| value.value.to_string()).collect();
        let place = setting.values.first().map(|value| at(value.span)).unwrap_or_default();
        line(&format!("settings {}", setting.path.join(" ")), values.join(" "), place);
    }
    for word in &flat.kernel_arguments {
        line("kernel-arg", text(word), at(word.span));
    }
    for component in &flat.components {
        line("component", format!("{:?}", component.name.to_string()), at(component.span));
        if let Some(version) = &component.version {
            line("  version", text(version), at(version.span));
        }
        if let Some(local) = project.checkouts.get(&component.name) {
            line("  source", format!("{:?}", local.folder.display().to_string()), "a local checkout".to_owned());
        }
        for package in &component.packages {
            line("  package", text(&package.package.name), at(package.package.name.span));
        }
        for (item, span) in &component.items {
            line(&format!("  {}", item_name(item)), item_value(item), at(*span));
        }
    }
    lines
}

const fn item_name(item: &Item) -> &'static str {
    match item {
        Item::File(_) => "file",
        Item::Tree(_) => "tree",
        Item::Link(_) => "link",
        Item::Directory(_) => "dir",
        Item::User(_) => "user",
        Item::Group(_) => "group",
        Item::Setuid(_) => "setuid",
        Item::Template(_) => "template",
        Item::EmbedImage(_) => "embed-image",
        Item::Health(_) => "health",
        Item::Unit(_) => "unit",
        Item::Mask(_) => "mask",
        Item::KernelArgument(_) => "kernel-arg",
        Item::KernelModule(_) => "kernel-module",
        Item::Finish(_) => "finish",
    }
}

fn item_value(item: &Item) -> String {
    match item {
        Item::File(file) => format!("{:?}", file.to.value.to_string()),
        Item::Tree(tree) => format!("{:?} to={:?}", tree.from.path.to_string(), tree.to.value.to_string()),
        Item::Link(link) => format!("{:?} to={:?}", link.at.value.to_string(), link.to.value.to_string()),
        Item::Directory(folder) => format!("{:?}", folder.at.value.to_string()),
        Item::User(user) => format!("{:?}", user.name.value),
        Item::EmbedImage(image) => format!("{:?}", image.file.path.to_string()),
        Item::Health(check) => format!("{:?}", check.name.value),
        Item::Template(made) => format!("{:?}", made.to.value.to_string()),
        Item::Unit(unit) => format!("{:?}", unit.name.value),
        Item::Setuid(setuid) => {
            let paths: Vec<String> = setuid.paths.iter().map(|path| format!("{:?}", path.value.to_string())).collect();
            format!("{} reason={:?}", paths.join(" "), setuid.reason.value)
        }
        Item::Group(name) | Item::Mask(name) | Item::KernelArgument(name) | Item::KernelModule(name) => {
            format!("{:?}", name.value)
        }
        Item::Finish(finish) => format!("{:?}", finish.name.value),
    }
}
