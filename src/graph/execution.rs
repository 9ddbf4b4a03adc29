//! Who may ask about the machine that composes: an image is the same whoever composes it, its tools are not.

use super::{component::changes, flat::Flat};
use crate::recipe::{
    Change, Code, ComponentItem, Diagnostic, Guarded, InitramfsItem, KernelItem, Key, Override, PackagesItem, Recipes,
    Variant, VariantItem,
};

/// Every `when execution=` around a thing that would be in the image, or in what it is linked with, on one machine and
/// not on another.
pub(super) fn asked_in_image(
    recipes: &Recipes,
    overrides: &[&Override],
    line: &[&Variant],
    flat: &Flat,
) -> Vec<Diagnostic> {
    let is_tool = |item: &VariantItem| matches!(item, VariantItem::Tool(_));
    let mut found: Vec<Diagnostic> = line.iter().flat_map(|variant| asked(&variant.items, is_tool)).collect();
    let kernel = recipes.kernels.get(&flat.kernel.name);
    found.extend(kernel.into_iter().flat_map(|kernel| of_kernel(&kernel.items)));
    for change in changes(&flat.kernel.name, overrides) {
        if let Change::Kernel(items) = change {
            found.extend(of_kernel(items));
        }
    }
    let builds = |item: &ComponentItem| matches!(item, ComponentItem::BuildWith(_) | ComponentItem::Command(_));
    let is_alike = |item: &ComponentItem| !matches!(item, ComponentItem::LinkWith(_));
    let built = flat.components.iter().chain(&flat.beside).chain(flat.sysroots.values().flatten());
    let built = built.map(|component| (&component.name, Part::Image));
    let tools = flat.toolsets.values().flat_map(|toolset| &toolset.members);
    for (name, part) in built.chain(tools.map(|member| (&member.name, Part::Tool))) {
        let of_component = |items: &[Guarded<ComponentItem>]| match part {
            Part::Image => asked(items, builds),
            // What is linked with what they build comes into that.
            Part::Tool => asked(items, is_alike),
        };
        let of_packages = |items: &[Guarded<PackagesItem>]| asked(items, |_| part == Part::Tool);
        found.extend(recipes.components.get(name).into_iter().flat_map(|one| of_component(&one.items)));
        found.extend(recipes.packages.get(name).into_iter().flat_map(|one| of_packages(&one.items)));
        for change in changes(name, overrides) {
            match change {
                Change::Component(items) => found.extend(of_component(items)),
                Change::Packages(items) => found.extend(of_packages(items)),
                Change::Kernel(_) => {}
            }
        }
    }
    let mut told = Vec::new();
    found.into_iter().for_each(|one| told.extend((!told.contains(&one)).then_some(one)));
    told
}

/// What a component is a part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Image,
    Tool,
}

fn of_kernel(items: &[Guarded<KernelItem>]) -> Vec<Diagnostic> {
    let mut found = asked(items, |item| matches!(item, KernelItem::BuildWith(_)));
    let nested = items.iter().filter_map(|guarded| match &guarded.item {
        KernelItem::Initramfs(items) => Some(items),
        _ => None,
    });
    found.extend(nested.flat_map(|items| asked::<InitramfsItem>(items, |_| false)));
    found
}

fn asked<T>(items: &[Guarded<T>], may_ask: impl Fn(&T) -> bool) -> Vec<Diagnostic> {
    let others = items.iter().filter(|guarded| !may_ask(&guarded.item));
    let conditions = others.flat_map(|guarded| guarded.when.iter().flat_map(|clause| &clause.any));
    let asking = conditions.filter(|condition| condition.key == Key::Execution);
    let told = asking.map(|condition| {
        let message = "an image is the same whichever machine composes it, so nothing in it can ask about that machine";
        let help =
            "tool sets, `build-with` and steps may ask `execution`; for the architecture of the image ask `arch`";
        Diagnostic::error(Code::ExecutionInImage, condition.span, message).help(help)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::{super::flatten::tests::flat, *};

    const REST: &str = r#"
        archive "d" { suite "s"; keyring "k.asc" }
        packages "tools" archive="d" suite="s" { make; when execution="x86_64" { gcc } }
        packages "library" archive="d" suite="s" { libc }
        component "set" { needs "tools"; when execution="x86_64" { link "/usr/bin/cc" to="gcc" } }
        "#;

    fn codes(component: &str, variant: &str) -> Vec<Code> {
        let text = format!(
            "{REST}\ncomponent \"a\" {{ build-with \"set\"; step \"make\"; {component} }}\n\
             variant \"v\" {{ version \"1\"; arch \"x86_64\"; include \"k\" \"a\"; {variant} }}"
        );
        flat(&text).err().unwrap_or_default().iter().map(|found| found.code).collect()
    }

    #[test]
    fn only_what_builds_asks_about_the_machine_that_composes() {
        for may in ["build-with \"tools\"", "step \"true\"", "meson"] {
            assert_eq!(codes(&format!("when execution=\"x86_64\" {{ {may} }}"), ""), [] as [Code; 0], "{may}");
        }
        let not = ["needs \"library\"", "file \"/a\" text=\"a\"", "link-with \"library\"", "license \"MIT\""];
        for not in not.map(|item| format!("when execution=\"x86_64\" {{ {item} }}")) {
            assert_eq!(codes(&not, ""), [Code::ExecutionInImage], "{not}");
            // Whether it is in on this machine says nothing of another.
            assert_eq!(codes(&not.replace("x86_64", "aarch64"), ""), [Code::ExecutionInImage], "{not}");
        }
        assert_eq!(codes("", "when execution=\"x86_64\" { tool \"finish\" \"tools\" }"), [] as [Code; 0]);
        assert_eq!(codes("", "when execution=\"x86_64\" { kernel-arg \"quiet\" }"), [Code::ExecutionInImage]);
        assert_eq!(codes("", "include \"tools\""), [Code::ExecutionInImage]);
        assert_eq!(
            codes("", "override \"k\" { when execution=\"x86_64\" { license \"MIT\" } }"),
            [Code::ExecutionInImage]
        );
        let linked = "override \"set\" { when execution=\"x86_64\" { link-with \"library\" } }";
        assert_eq!(codes("", linked), [Code::ExecutionInImage]);
    }
}
