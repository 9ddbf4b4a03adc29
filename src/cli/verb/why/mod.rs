//! `brc why`: how something came into an image, or why it was built again.

mod rebuilt;

use std::process::ExitCode;

use crate::{
    build::AfterFailure,
    cli::{
        CliError,
        arguments::{self, Target},
        context::Context,
        json::{self, Object},
        output::{print, print_json},
    },
    compose::{Locked, Owner, Project},
    content::RelPath,
    graph::{Flat, FlatComponent, image_closure, origin},
    recipe::{Item, Name},
};

/// Says how something came into the image.
pub fn run(context: &Context, arguments: &arguments::Why) -> Result<ExitCode, CliError> {
    if let Some(component) = &arguments.rebuilt {
        let file = match arguments.words.as_slice() {
            [] => None,
            [file] => Some(file.into()),
            _ => {
                return Err(CliError::Usage(
                    "`--rebuilt` names the component: expected only `[FILE]` besides".to_owned(),
                ));
            }
        };
        return rebuilt::run(context, &Target { file, choice: arguments.choice.clone() }, component);
    }
    let (file, what) = arguments::last_word(&arguments.words, "WHAT")?;
    let what = what.to_str().ok_or_else(|| CliError::Usage(format!("`{}` is no name", what.display())))?;
    let (project, order) = context.order(&Target { file, choice: arguments.choice.clone() }, Locked::AsItIs)?;
    let mut found = Vec::new();
    for flat in project.flats(&order.variant, &order.architectures)? {
        let chain = if what.starts_with('/') {
            let path = RelPath::from_absolute(what).map_err(|error| CliError::Usage(error.to_string()))?;
            let session = context.session(&project, AfterFailure::Stop)?;
            let owner = session.owner_of(&project, &order, &flat, &path)?;
            owner.map(|(owner, path)| path_chain(&project, &flat, &owner, &path.to_string()))
        } else {
            chain(&project, &flat, what)
        };
        found.extend(chain.map(|chain| (flat.title(), chain)));
    }
    if found.is_empty() {
        return Err(CliError::Found(format!("`{what}` is not in the image")));
    }
    for (title, chain) in found {
        if context.is_json() {
            print_json(&Object::Provenance(json::Provenance { image: title, chain }));
        } else {
            print(&chain.join("\n  -> "));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// From the variant to a component or package, each link with file and line.
fn chain(project: &Project, flat: &Flat, what: &str) -> Option<Vec<String>> {
    let at = |span| origin(&project.sources, span);
    let fits = |name: &Name| name.to_string() == what || name.name == what;
    if fits(&flat.kernel.name) {
        let head = format!("{} ({})", flat.name.value, at(flat.name.span));
        return Some(vec![head, format!("{} ({})", flat.kernel.name, at(flat.kernel.span))]);
    }
    if let Some(component) = flat.components.iter().find(|component| fits(&component.name)) {
        return Some(component_chain(project, flat, component));
    }
    package_chain(project, flat, what)
}

/// From the variant to a path, over who brings it.
fn path_chain(project: &Project, flat: &Flat, owner: &Owner, path: &str) -> Vec<String> {
    let at = |span| origin(&project.sources, span);
    let head = || vec![format!("{} ({})", flat.name.value, at(flat.name.span))];
    let mut chain = match owner {
        Owner::Named(name) => {
            let mut components = flat.components.iter().map(|component| &component.name).chain([&flat.kernel.name]);
            let is_component = components.any(|component| component.to_string() == *name);
            let found = if is_component { chain(project, flat, name) } else { package_chain(project, flat, name) };
            found.unwrap_or_else(|| [head(), vec![name.clone()]].concat())
        }
        Owner::Brc => [head(), vec!["brc itself: what every image has".to_owned()]].concat(),
        Owner::Finish => {
            let finish = |(item, span): &(Item, _)| match item {
                Item::Finish(finish) => Some(format!("{} ({})", finish.name.value, at(*span))),
                _ => None,
            };
            let steps: Vec<String> =
                flat.components.iter().flat_map(|component| &component.items).filter_map(finish).collect();
            [head(), vec![format!("finish steps: {}", steps.join(", "))]].concat()
        }
    };
    chain.push(path.to_owned());
    chain
}

/// From the variant to a package: over the one that a recipe names down to this one.
fn package_chain(project: &Project, flat: &Flat, what: &str) -> Option<Vec<String>> {
    let at = |span| origin(&project.sources, span);
    let lock = project.lock().ok()?;
    let closure = lock.closure(&image_closure(flat), flat.situation.architecture)?;
    let packages = closure.chain(what);
    let named = packages.first()?;
    let component = flat
        .components
        .iter()
        .find(|component| component.packages.iter().any(|package| package.package.name.value == *named))?;
    let place = component.packages.iter().find(|package| package.package.name.value == *named)?;
    let mut chain = component_chain(project, flat, component);
    chain.push(format!("package {named} ({})", at(place.package.name.span)));
    chain.extend(packages.iter().skip(1).map(|package| format!("package {package}, on which it depends")));
    Some(chain)
}

fn component_chain(project: &Project, flat: &Flat, component: &FlatComponent) -> Vec<String> {
    let at = |span| origin(&project.sources, span);
    let mut chain = vec![format!("{} ({})", component.name, at(component.span))];
    let mut current = component.name.clone();
    while current != flat.name.value {
        let user = flat.components.iter().find_map(|user| {
            let need = user.needs.iter().find(|need| need.value == current)?;
            Some((user.name.clone(), need.span))
        });
        let Some((name, span)) = user else { break };
        chain.push(format!("{name} ({})", at(span)));
        current = name;
    }
    chain.reverse();
    chain
}
