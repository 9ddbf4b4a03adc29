//! `brc kernel`: the configuration of a kernel, and how two of them differ. Neither compiles anything.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use crate::{
    build::AfterFailure,
    cli::{
        CliError,
        arguments::{self, Choice, KernelVerb, Target},
        context::Context,
        json::{self, Event},
        output::{print, print_event},
    },
    compose::{ComposeOrder, KernelOption, Locked, Project, Session, WantedValue},
    recipe::Name,
};

/// The options of one kernel.
struct Configured {
    title: String,
    options: BTreeMap<String, KernelOption>,
}

/// Looks at kernels.
pub fn run(context: &Context, arguments: &arguments::Kernel) -> Result<ExitCode, CliError> {
    match &arguments.verb {
        KernelVerb::Config { target, all } => config(context, target, *all),
        KernelVerb::Diff { first, second, variant, arch, all } => {
            let files = [first.as_deref(), second.as_deref().or(first.as_deref())];
            let sides = Sides { files, variants: variant, arch };
            diff(context, &sides, *all)
        }
    }
}

/// Prints each option with the line of the fragment that wants it.
fn config(context: &Context, target: &Target, all: bool) -> Result<ExitCode, CliError> {
    let (project, order) = context.order(target, Locked::Completed)?;
    let session = context.session(&project, AfterFailure::Stop)?;
    for configured in configure(&session, &project, &order)? {
        let shown = configured.options.iter().filter(|(_, option)| all || !option.wanted.is_empty());
        if context.is_json() {
            let options = shown.map(|(name, option)| option_object(name, option)).collect();
            print_event(Event::KernelConfig { image: configured.title.clone(), options });
            continue;
        }
        print(&format!("# {}", configured.title));
        for (name, option) in shown {
            print(&format!("{:<47} # {}", format!("CONFIG_{name}={}", option.value), place(option)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the options that two kernels have with different values.
fn diff(context: &Context, sides: &Sides<'_>, all: bool) -> Result<ExitCode, CliError> {
    let [left, right] = sides.orders(context)?;
    let session = context.session(&left.0, AfterFailure::Stop)?;
    let one = |(project, order): &(Project, ComposeOrder)| -> Result<Configured, CliError> {
        let mut configured = configure(&session, project, order)?;
        configured.pop().ok_or_else(|| CliError::Usage("there is no image to look at".to_owned()))
    };
    let (left, right) = (one(&left)?, one(&right)?);
    let not_set = KernelOption { value: "n".to_owned(), wanted: Vec::new() };
    let names: std::collections::BTreeSet<&String> = left.options.keys().chain(right.options.keys()).collect();
    let pairs = names.into_iter().map(|name| {
        let of = |side: &'_ Configured| side.options.get(name).cloned().unwrap_or_else(|| not_set.clone());
        (name, of(&left), of(&right))
    });
    let differing = pairs.filter(|(_, left, right)| {
        left.value != right.value && (all || !left.wanted.is_empty() || !right.wanted.is_empty())
    });
    if context.is_json() {
        let difference = |(name, left, right): (&String, KernelOption, KernelOption)| json::OptionDifference {
            option: name.clone(),
            left: option_object(name, &left),
            right: option_object(name, &right),
        };
        let options = differing.map(difference).collect();
        print_event(Event::KernelDiff { left: left.title.clone(), right: right.title.clone(), options });
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!("--- {}\n+++ {}", left.title, right.title));
    for (name, left, right) in differing {
        for (sign, option) in [('-', left), ('+', right)] {
            print(&format!("{sign}{:<46} # {}", format!("CONFIG_{name}={}", option.value), place(&option)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The kernels of an order, one for each architecture.
fn configure(session: &Session<'_>, project: &Project, order: &ComposeOrder) -> Result<Vec<Configured>, CliError> {
    let images = session.images(project, order, Locked::Completed)?;
    let configure = |image| -> Result<Configured, CliError> {
        let options = session.kernel_config(project, image)?;
        Ok(Configured { title: format!("{} ({})", image.kernel.name, image.title()), options })
    };
    images.iter().map(configure).collect()
}

/// Where an option's value comes from, and what it replaced.
fn place(option: &KernelOption) -> String {
    let Some((last, before)) = option.wanted.split_last() else { return "as Kconfig has it".to_owned() };
    let replaced = before.iter().filter(|before| before.value != last.value);
    let replaced: Vec<String> =
        replaced.map(|before| format!("replaces {} of {}", before.value, before.place)).collect();
    [vec![last.place.clone()], replaced].concat().join(", ")
}

fn option_object(name: &str, option: &KernelOption) -> json::KernelOption {
    let wanted = |wanted: &WantedValue| json::WantedValue { value: wanted.value.clone(), at: wanted.place.clone() };
    json::KernelOption {
        option: name.to_owned(),
        value: option.value.clone(),
        wanted: option.wanted.iter().map(wanted).collect(),
    }
}

/// What is compared: one or two files, variants and architectures.
struct Sides<'a> {
    files: [Option<&'a Path>; 2],
    variants: &'a [String],
    arch: &'a [String],
}

impl Sides<'_> {
    /// One image for each side.
    fn orders(&self, context: &Context) -> Result<[(Project, ComposeOrder); 2], CliError> {
        for (option, values) in [("--variant", self.variants), ("--arch", self.arch)] {
            if values.len() > 2 {
                let message = format!("`{option} {}`: expected one or two names", values.join(","));
                return Err(CliError::Usage(message));
            }
        }
        let order = |index: usize| -> Result<(Project, ComposeOrder), CliError> {
            let pick = |values: &[String]| values.get(index).or(values.first()).cloned();
            let choice = Choice { variant: pick(self.variants), arch: pick(self.arch).into_iter().collect() };
            let target = Target { file: self.files[index].map(Path::to_owned), choice };
            context.order(&target, Locked::Completed)
        };
        let mut sides = [order(0)?, order(1)?];
        let [(_, left), (project, right)] = &mut sides;
        left.architectures.truncate(1);
        right.architectures.truncate(1);
        // Nothing was said of architectures: those of one variant are compared with each other.
        let same_variant = self.files[0] == self.files[1] && left.variant == right.variant;
        if self.arch.is_empty() && same_variant {
            let mut others = project.stated_architectures(&right.variant);
            others.retain(|other| !left.architectures.contains(other));
            if let Some(other) = others.first() {
                right.architectures = vec![*other];
            }
        }
        if same_variant && left.architectures == right.architectures {
            return Err(CliError::Usage(alike(&left.variant)));
        }
        Ok(sides)
    }
}

fn alike(variant: &Name) -> String {
    format!(
        "both sides are `{variant}` for one architecture: name a second file, `--variant A,B` or `--arch x86_64,aarch64`"
    )
}
