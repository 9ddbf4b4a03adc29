//! A variant and its parents become one, then the components it needs.

use std::collections::{BTreeMap, BTreeSet};

use brc_contract::{Architecture, settings::OnUnknown};

use super::{
    Role, Situation,
    execution::asked_in_image,
    fetched,
    find::Finder,
    flat::{Flat, FlatComponent, FlatKernel, Replaced},
    impossible::impossible,
    kernel::flat_kernel,
};
use crate::recipe::{
    Artifact, Bytes, Change, Code, Data, Diagnostic, Item, Kernel, Layout, Name, Override, Recipes, Setting, Span,
    Spanned, Switch, Variant, VariantItem, nearest,
};

/// The size of a slot when no recipe says one.
const DEFAULT_SLOT: Bytes = Bytes(1 << 30);

/// Merges `variant` with its parents for `architecture` and finds everything that it needs. `execution` is the
/// architecture of the machine that composes.
///
/// # Errors
/// Everything that does not fit: parents that disagree, no kernel or two, a removed component that is needed.
pub fn flatten(
    recipes: &Recipes,
    variant: &Name,
    architecture: Architecture,
    execution: Architecture,
) -> Result<Flat, Vec<Diagnostic>> {
    flatten_with(recipes, variant, architecture, execution, None)
}

/// The same, with one more component that is to be built, whether the variant has it or not.
///
/// # Errors
/// As [`flatten`].
pub fn flatten_with(
    recipes: &Recipes,
    variant: &Name,
    architecture: Architecture,
    execution: Architecture,
    beside: Option<&Name>,
) -> Result<Flat, Vec<Diagnostic>> {
    let Some(wanted) = recipes.variants.get(variant) else { return Err(Vec::new()) };
    let line = ancestry(recipes, wanted);
    let mut merged = Merged::default();
    for ancestor in &line {
        merged.take_head(ancestor, wanted);
    }
    let situation = Situation {
        architecture,
        execution,
        platform: merged.platform.as_ref().map_or("qemu".to_owned(), |platform| platform.value.clone()),
        features: features(recipes, &line),
        variant: variant.name.clone(),
    };
    for ancestor in &line {
        for guarded in situation.decide(&ancestor.items) {
            merged.take(guarded.item.clone(), guarded.span, ancestor, wanted);
        }
    }
    merged.beside = beside.cloned();
    let flat = merged.flat(recipes, &line, wanted, situation)?;
    let impossible = impossible(&flat);
    if impossible.is_empty() { Ok(flat) } else { Err(impossible) }
}

/// A variant after all its parents, each once, in the order in which they are named.
fn ancestry<'a>(recipes: &'a Recipes, variant: &'a Variant) -> Vec<&'a Variant> {
    let mut line = Vec::new();
    let mut seen = BTreeSet::from([&variant.name.value]);
    // A stack of our own, since a line may be longer than a thread's.
    let mut open = vec![(variant, variant.extends.iter())];
    while let Some((variant, parents)) = open.last_mut() {
        let Some(parent) = parents.next() else {
            line.push(*variant);
            open.pop();
            continue;
        };
        if let Some(parent) = recipes.variants.get(&parent.value).filter(|_| seen.insert(&parent.value)) {
            open.push((parent, parent.extends.iter()));
        }
    }
    line
}

fn features(recipes: &Recipes, line: &[&Variant]) -> BTreeSet<String> {
    let stated = recipes.features.values().map(|feature| (feature.name.value.clone(), feature.default));
    let mut switches: BTreeMap<String, Switch> = stated.collect();
    for setting in line.iter().flat_map(|variant| &variant.features) {
        switches.insert(setting.name.value.clone(), setting.switch.value);
    }
    switches.into_iter().filter(|(_, switch)| *switch == Switch::On).map(|(name, _)| name).collect()
}

/// What the variants of one line say together.
#[derive(Default)]
struct Merged {
    platform: Option<Spanned<String>>,
    includes: Vec<Spanned<Name>>,
    removes: Vec<Spanned<Name>>,
    arguments: Vec<Spanned<String>>,
    argument_removes: Vec<Spanned<String>>,
    roles: BTreeMap<Role, Spanned<Name>>,
    slot: Option<Spanned<Bytes>>,
    esp: Option<Spanned<Bytes>>,
    data: Option<Data>,
    settings: BTreeMap<Vec<String>, Setting>,
    unknown_settings: Option<Spanned<OnUnknown>>,
    budget: Option<Spanned<Bytes>>,
    artifacts: Vec<Artifact>,
    overrides: Vec<Override>,
    /// The kernels that the variant itself changes.
    changed_kernels: Vec<Spanned<Name>>,
    items: Vec<(Item, Span)>,
    replaced: Vec<Replaced>,
    beside: Option<Name>,
    /// Who said each scalar, to notice parents that disagree.
    sayers: BTreeMap<String, (Name, Span, String)>,
    /// What parents disagree about, as long as the variant itself does not say it.
    disagreements: BTreeMap<String, Diagnostic>,
    diagnostics: Vec<Diagnostic>,
}

impl Merged {
    fn take_head(&mut self, variant: &Variant, wanted: &Variant) {
        if let Some(platform) = &variant.platform {
            self.say("platform", &platform.value, platform.span, variant, wanted);
            self.platform = Some(platform.clone());
        }
    }

    /// Notes who says a scalar: what was said before is replaced; two parents may not say different things unless
    /// the variant itself says one.
    fn say(&mut self, what: &str, value: &str, span: Span, variant: &Variant, wanted: &Variant) {
        if variant.name == wanted.name {
            self.disagreements.remove(what);
        }
        let sayer = (variant.name.value.clone(), span, value.to_owned());
        let Some((name, old, old_value)) = self.sayers.insert(what.to_owned(), sayer) else { return };
        if old_value != value {
            self.replaced.push(Replaced { what: what.to_owned(), value: old_value.clone(), old, new: span });
        }
        let related = variant.name == wanted.name || variant.extends.iter().any(|parent| parent.value == name);
        if old_value != value && !related {
            let message = format!("`{}` and `{name}` disagree about `{what}`", variant.name.value);
            let diagnostic = Diagnostic::error(Code::ParentsDisagree, span, message)
                .label(format!("`{value}` here"))
                .also(old, format!("`{old_value}` here"))
                .help(format!("say `{what}` in `{}` itself", wanted.name.value));
            self.disagreements.insert(what.to_owned(), diagnostic);
        }
    }

    fn take(&mut self, item: VariantItem, span: Span, variant: &Variant, wanted: &Variant) {
        match item {
            VariantItem::Include(names) => self.includes.extend(names),
            VariantItem::Remove(names) => self.removes.extend(names),
            VariantItem::KernelArgumentRemove(word) => self.argument_removes.push(word),
            VariantItem::Tool(tool) => match Role::from_name(&tool.role.value) {
                Some(role) => {
                    let what = format!("tool {}", role.name());
                    self.say(&what, &tool.component.value.to_string(), tool.component.span, variant, wanted);
                    self.roles.insert(role, tool.component);
                }
                None => {
                    let known: Vec<String> = Role::ALL.iter().map(|role| format!("`{}`", role.name())).collect();
                    let message = format!("`{}` is no part that a tool plays", tool.role.value);
                    let diagnostic = Diagnostic::error(Code::UnknownRole, tool.role.span, message);
                    let help = match nearest(&tool.role.value, Role::ALL.map(Role::name)) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("known are {}", known.join(", ")),
                    };
                    self.diagnostics.push(diagnostic.help(help));
                }
            },
            VariantItem::Layout(layout) => self.take_layout(layout, variant, wanted),
            VariantItem::Setting(setting) => {
                self.settings.insert(setting.path.clone(), setting);
            }
            VariantItem::UnknownSettings(unknown) => {
                let value = if unknown.value == OnUnknown::Warn { "warn" } else { "refuse" };
                self.say("settings unknown", value, unknown.span, variant, wanted);
                self.unknown_settings = Some(unknown);
            }
            VariantItem::Budget(budget) => {
                self.say("budget", &budget.value.to_string(), budget.span, variant, wanted);
                self.budget = Some(budget);
            }
            VariantItem::Artifact(artifact) => self.artifacts.push(artifact),
            VariantItem::Override(change) => {
                if variant.name == wanted.name && matches!(change.change, Change::Kernel(_)) {
                    self.changed_kernels.push(change.target.clone());
                }
                self.overrides.push(change);
            }
            VariantItem::Common(Item::KernelArgument(word)) => self.arguments.push(word),
            VariantItem::Common(item) => self.items.push((item, span)),
        }
    }

    fn take_layout(&mut self, layout: Layout, variant: &Variant, wanted: &Variant) {
        if let Some(slot) = layout.slot {
            self.say("layout slot", &slot.value.to_string(), slot.span, variant, wanted);
            self.slot = Some(slot);
        }
        if let Some(esp) = layout.esp {
            self.say("layout esp", &esp.value.to_string(), esp.span, variant, wanted);
            self.esp = Some(esp);
        }
        if let Some(data) = layout.data {
            let old = self.data.take();
            self.data = Some(Data {
                file_system: data.file_system.or_else(|| old.as_ref().and_then(|old| old.file_system)),
                grow: data.grow.or_else(|| old.as_ref().and_then(|old| old.grow)),
                disk: data.disk.or_else(|| old.as_ref().and_then(|old| old.disk)),
                size: data.size.or_else(|| old.as_ref().and_then(|old| old.size)),
                span: data.span,
            });
        }
    }

    fn flat(
        mut self,
        recipes: &Recipes,
        line: &[&Variant],
        wanted: &Variant,
        situation: Situation,
    ) -> Result<Flat, Vec<Diagnostic>> {
        self.diagnostics.extend(std::mem::take(&mut self.disagreements).into_values());
        let everywhere = recipes.overrides.iter();
        let overrides = std::mem::take(&mut self.overrides);
        let overrides: Vec<&Override> = everywhere.chain(&overrides).collect();
        let removed = std::mem::take(&mut self.removes);
        let finder = Finder { recipes, overrides: &overrides, situation: &situation, removed: &removed };
        let (mut components, kernels) = finder.in_image(&self.includes, &mut self.diagnostics);
        let Some(version) = wanted.version.clone() else {
            let message = format!("variant `{}` has no version: it is only there to be extended", wanted.name.value);
            self.diagnostics.push(Diagnostic::error(Code::NoVersion, wanted.name.span, message));
            return Err(self.diagnostics);
        };
        let kernel = self.kernel(&kernels, wanted, &overrides, &situation);
        let Some((kernel, kernel_items)) = kernel else { return Err(self.diagnostics) };
        for other in self.changed_kernels.iter().filter(|changed| changed.value != kernel.name) {
            let message = format!("the kernel of this image is `{}`: nothing of this comes into it", kernel.name);
            let problem = Diagnostic::error(Code::OtherKernel, other.span, message);
            self.diagnostics.push(problem.help(format!("leave it out, or have `{}` as the kernel", other.value)));
        }
        for (item, _) in components.iter().flat_map(|component| &component.items).chain(&kernel_items) {
            if let Item::KernelArgument(word) = item {
                self.arguments.push(word.clone());
            }
        }
        let mut own = FlatComponent::new(wanted.name.value.clone(), wanted.span);
        own.version = Some(version.clone());
        own.needs = self.includes.clone();
        own.items = self.items.drain(..).chain(kernel_items).collect();
        components.push(own);
        let is_there = |name: &&Name| components.iter().any(|component| component.name == **name);
        let beside = Finder { removed: &[], ..finder }.alone(self.beside.as_ref().filter(|name| !is_there(name)));
        let linked_kernel = kernel.as_linked();
        let sysroots = finder.sysroots(components.iter().chain(&beside).chain(&linked_kernel));
        let toolsets = {
            let built = components.iter().chain(&beside).chain(sysroots.values().flatten());
            let fetching = fetched::tools(recipes, built.clone(), &mut self.diagnostics);
            let named = built.flat_map(|component| &component.build_with).chain(&kernel.build_with).chain(&fetching);
            finder.toolsets(named, &self.roles)
        };
        let removes = self.argument_removes;
        self.arguments.retain(|word| !removes.iter().any(|remove| is_argument(&word.value, &remove.value)));
        self.diagnostics.extend(components.iter().chain(sysroots.values().flatten()).flat_map(not_yet));
        if self.diagnostics.iter().any(Diagnostic::is_error) {
            return Err(self.diagnostics);
        }
        let flat = Flat {
            name: wanted.name.clone(),
            version,
            execution: situation.execution,
            situation,
            components,
            beside,
            toolsets,
            sysroots,
            roles: self.roles,
            kernel,
            kernel_arguments: self.arguments,
            slot: self.slot.unwrap_or(Spanned::new(DEFAULT_SLOT, wanted.span)),
            esp: self.esp,
            data: self.data,
            budget: self.budget,
            settings: self.settings,
            unknown_settings: self.unknown_settings,
            artifacts: self.artifacts,
            replaced: self.replaced,
        };
        let asked = asked_in_image(recipes, &overrides, line, &flat);
        if asked.is_empty() { Ok(flat) } else { Err(asked) }
    }

    fn kernel(
        &mut self,
        kernels: &[(&Kernel, Span)],
        wanted: &Variant,
        overrides: &[&Override],
        situation: &Situation,
    ) -> Option<(FlatKernel, Vec<(Item, Span)>)> {
        let (kernel, _) = match kernels {
            [kernel] => *kernel,
            [] => {
                let message = format!("variant `{}` includes no kernel", wanted.name.value);
                let diagnostic = Diagnostic::error(Code::NoKernel, wanted.name.span, message);
                self.diagnostics.push(diagnostic.help("write `include \"linux-6.12\"`, or the kernel you have"));
                return None;
            }
            [(first, first_span), .., (last, last_span)] => {
                let message = format!("variant `{}` includes more than one kernel", wanted.name.value);
                let diagnostic = Diagnostic::error(Code::TwoKernels, *last_span, message)
                    .label(format!("`{}`", last.name.value))
                    .also(*first_span, format!("`{}`", first.name.value))
                    .help(format!("write `remove \"{}\"`", first.name.value));
                self.diagnostics.push(diagnostic);
                return None;
            }
        };
        flat_kernel(kernel, overrides, situation).map_err(|problem| self.diagnostics.push(problem)).ok()
    }
}

/// What recipes may say and this version cannot do.
fn not_yet(component: &FlatComponent) -> Vec<Diagnostic> {
    let finishes = component.items.iter().filter_map(|(item, _)| match item {
        Item::Finish(finish) => finish.build_with.first().map(|name| later("build-with in a finish step", name.span)),
        _ => None,
    });
    finishes.collect()
}

fn later(what: &str, span: Span) -> Diagnostic {
    Diagnostic::error(Code::NotYet, span, format!("`{what}` is known, but this version of brc cannot do it yet"))
}

/// Whether `remove` names the argument `word`: all of it, or what stands before its `=`.
fn is_argument(word: &str, remove: &str) -> bool {
    word == remove || word.split_once('=').is_some_and(|(name, _)| name == remove)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{super::flat::Serves, *};
    use crate::recipe::{Presence, Reading, SourcePath, SourceSet, read};

    /// The recipes of one file that names no other.
    fn recipes(text: &str) -> Recipes {
        let path = SourcePath::new("a.kdl");
        let mut sources = SourceSet::new(None, Some(path.clone()));
        sources.add_file(path, text.as_bytes().to_vec());
        loop {
            match read(&sources) {
                Reading::Read(recipes, _) => return *recipes,
                Reading::Wanted(wanted, _) => {
                    wanted.presence.into_iter().for_each(|path| sources.add_presence(path, Presence::File));
                }
                Reading::Refused(found) => panic!("{found:?}"),
            }
        }
    }

    const KERNEL: &str = "kernel \"k\" { config \"k.config\"; version \"1\"; upstream { url \"https://example.org/k\" sha256=\"0000000000000000000000000000000000000000000000000000000000000000\" } }\n";

    /// The variant `v` of some recipes beside the kernel `k`, for x86_64.
    pub(in crate::graph) fn flat(text: &str) -> Result<Flat, Vec<Diagnostic>> {
        let (target, execution) = (Architecture::X86_64, Architecture::X86_64);
        flatten(&recipes(&format!("{KERNEL}{text}")), &Name::new("", "v"), target, execution)
    }

    fn names(flat: &Flat) -> Vec<String> {
        flat.components.iter().map(|component| component.name.to_string()).collect()
    }

    #[test]
    fn components_come_after_those_they_need_and_the_variant_last() {
        let text = r#"
            component "a" { needs "b" "c"; file "/a" text="a" }
            component "b" { needs "c"; file "/b" text="b" }
            component "c" { file "/c" text="c" }
            variant "v" { version "1"; arch "x86_64"; include "k" "a" }"#;
        assert_eq!(names(&flat(text).unwrap()), ["c", "b", "a", "v"]);
    }

    #[test]
    fn a_chain_of_needs_may_be_longer_than_a_stack() {
        let mut text = "component \"c0\" { file \"/0\" text=\"0\" }\n".to_owned();
        for number in 1..20_000 {
            text.push_str(&format!("component \"c{number}\" {{ needs \"c{}\" }}\n", number - 1));
        }
        text.push_str("variant \"v\" { version \"1\"; arch \"x86_64\"; include \"k\" \"c19999\" }");
        assert_eq!(flat(&text).unwrap().components.len(), 20_001);
    }

    #[test]
    fn children_win_over_parents_and_parents_that_disagree_are_told() {
        let parents = r#"
            variant "p" { arch "x86_64"; budget root="10MiB"; include "k" }
            variant "q" { arch "x86_64"; budget root="20MiB" }
            "#;
        let child = |more: &str| format!("{parents} variant \"v\" {{ version \"1\"; extends \"p\" \"q\"; {more} }}");
        assert_eq!(flat(&child("")).unwrap_err()[0].code, Code::ParentsDisagree);
        let flat = flat(&child("budget root=\"30MiB\"")).unwrap();
        assert_eq!(flat.budget.unwrap().value.0, 30 << 20);
    }

    #[test]
    fn a_variant_without_a_version_is_only_there_to_be_extended() {
        let found = flat(r#"variant "v" { arch "x86_64"; include "k" }"#).unwrap_err();
        assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), [Code::NoVersion]);
    }

    #[test]
    fn what_is_removed_and_still_needed_is_told() {
        let text = r#"
            component "a" { needs "b" }
            component "b" { file "/b" text="b" }
            variant "v" { version "1"; arch "x86_64"; include "k" "a"; remove "b" }"#;
        assert_eq!(flat(text).unwrap_err()[0].code, Code::RemovedButNeeded);
    }

    #[test]
    fn tool_sets_run_where_one_composes_and_loaders_belong_to_the_target() {
        let text = r#"
            archive "d" { suite "s"; keyring "k.asc" }
            packages "plain" archive="d" suite="s" { make }
            packages "cross" archive="d" suite="s" { gcc; when arch="aarch64" { gcc-arm } }
            packages "loader" archive="d" suite="s" { boot }
            component "a" { build-with "plain" "cross"; step "make" }
            variant "v" { version "1"; arch "aarch64"; include "k" "a"; tool "boot-loader" "loader" }"#;
        let (target, execution) = (Architecture::Aarch64, Architecture::X86_64);
        let flat = flatten(&recipes(&format!("{KERNEL}{text}")), &Name::new("", "v"), target, execution).unwrap();
        let of = |name| flat.toolsets.get(&Name::new("", name)).map(|set| (set.architecture, set.serves)).unwrap();
        assert_eq!(of("plain"), (execution, Serves::EveryTarget));
        assert_eq!(of("cross"), (execution, Serves::Only(target)));
        assert_eq!(of("loader"), (target, Serves::EveryTarget));
    }

    #[test]
    fn what_is_linked_with_comes_with_all_it_needs_and_is_not_in_the_image() {
        let text = r#"
            component "a" { link-with "b"; file "/a" text="a" }
            component "b" { needs "c"; link-with "d"; file "/b" text="b" }
            component "c" { file "/c" text="c" }
            component "d" { file "/d" text="d" }
            variant "v" { version "1"; arch "x86_64"; include "k" "a" }"#;
        let flat = flat(text).unwrap();
        assert_eq!(names(&flat), ["a", "v"]);
        let sysroots: Vec<(String, Vec<String>)> = flat
            .sysroots
            .iter()
            .map(|(name, members)| (name.to_string(), members.iter().map(|member| member.name.to_string()).collect()))
            .collect();
        let of =
            |name: &str, members: &[&str]| (name.to_owned(), members.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(sysroots, [of("a", &["c", "b"]), of("b", &["d"])]);
    }

    #[test]
    fn conditions_are_decided_for_the_architecture_and_platform() {
        let text = r#"
            component "a" {
                when arch="x86_64" { file "/x" text="x" }
                otherwise { file "/y" text="y" }
                when platform="aws" { file "/aws" text="aws" }
            }
            variant "v" { version "1"; arch "x86_64"; include "k" "a" }"#;
        let flat = flat(text).unwrap();
        assert_eq!(flat.components[0].items.len(), 1);
    }
}
