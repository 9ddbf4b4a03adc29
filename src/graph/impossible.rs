//! What no image can have, as far as recipes alone show it: two things at one path, a command line that is too long.

use std::collections::BTreeMap;

use brc_contract::{command_line, well_known};

use super::{
    flat::{Flat, FlatComponent, FlatKernelSource},
    placing::{MASKS, UNITS},
    settings::{has_first_program, wrong_settings},
};
use crate::{
    content::RelPath,
    recipe::{
        Code, Content, DataDisk, Diagnostic, DirectoryItem, Item, Name, Span, Spanned, Template, UserItem,
        Versioned as _, no_version,
    },
};

/// What the kernel is told: what brc says, then what recipes add. Without a first program of the agent's systemd itself takes
/// the identity that the firmware gives.
pub fn kernel_command_line<'a>(has_first_program: bool, words: impl IntoIterator<Item = &'a str>) -> String {
    let own = match has_first_program {
        true => format!("init=/{}", well_known::FIRST_PROGRAM),
        false => "systemd.machine_id=firmware".to_owned(),
    };
    let mut line = format!("{} {own} systemd.firstboot=no", command_line::VERIFIED_ROOT);
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
    line
}

/// Everything that `flat` says and no image can have.
pub(super) fn impossible(flat: &Flat) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = clashes(flat, &flat.components);
    for members in flat.toolsets.values().map(|toolset| &toolset.members).chain(flat.sysroots.values()) {
        let new: Vec<Diagnostic> = clashes(flat, members).into_iter().filter(|new| !found.contains(new)).collect();
        found.extend(new);
    }
    found.extend(without_version(flat));
    found.extend(users_twice(&flat.components));
    found.extend(flat.components.iter().flat_map(|component| own_files(flat, component)));
    found.extend(long_command_line(flat));
    found.extend(wrong_settings(flat));
    found.extend(second_disk(flat));
    found.extend(images_without_disk(flat));
    found
}

/// Data on a disk of its own, which the agent finds when the machine starts, where there is no agent.
fn second_disk(flat: &Flat) -> Option<Diagnostic> {
    let disk = flat.data.as_ref()?.disk.filter(|disk| disk.value == DataDisk::Separate)?;
    if has_first_program(flat) {
        return None;
    }
    let message = "nothing in this image finds a second disk: that is what the agent does";
    Some(
        Diagnostic::error(Code::UnreadSettings, disk.span, message)
            .help("write `include \"brc/settings\"`, or leave it out"),
    )
}

/// Images of containers that are to lie on a disk for data which there is not.
fn images_without_disk(flat: &Flat) -> Vec<Diagnostic> {
    if flat.data.as_ref().is_some_and(|data| data.disk.is_some_and(|disk| disk.value == DataDisk::Separate)) {
        return Vec::new();
    }
    let items = flat.components.iter().flat_map(|component| &component.items);
    let images = items.filter_map(|(item, _)| match item {
        Item::EmbedImage(image) if image.is_on_data() => image.on,
        _ => None,
    });
    let message = "the data of this image lies on the system's disk, which brings no images of containers for it";
    let help = "write `layout \"ab\" { data disk=\"separate\" }` in the variant, or leave `on=` out";
    images.map(|on| Diagnostic::error(Code::NoDataDisk, on.span, message).help(help)).collect()
}

/// What brc or the finish steps write, whatever a recipe puts there, and what says it instead.
const OWN_FILES: [(&str, &str); 6] = [
    ("etc/machine-id", "the machine's own identity is in its place at boot: leave it out"),
    ("usr/lib/os-release", "it says `version` and name of the variant: leave it out"),
    ("etc/passwd", "write `user \"NAME\"`"),
    ("etc/shadow", "nobody logs in with a password; write `user \"NAME\"` for a user"),
    ("etc/group", "write `group \"NAME\"`"),
    ("etc/gshadow", "write `group \"NAME\"`"),
];

/// Every file that a component states where something else is written in the end.
fn own_files(flat: &Flat, component: &FlatComponent) -> Vec<Diagnostic> {
    let own = |path: &RelPath| OWN_FILES.iter().find(|(own, _)| path.as_str() == *own);
    let found = placed(flat, component).into_iter().filter_map(|(path, place)| {
        let (_, help) = own(&path)?;
        let message = format!("`{path}` is brc's own, and nothing of this would be in the image");
        Some(Diagnostic::error(Code::OwnFile, place.span, message).help(*help))
    });
    found.collect()
}

/// Every user of which two things are said: only the first would count.
fn users_twice(components: &[FlatComponent]) -> Vec<Diagnostic> {
    let said = |user: &UserItem| {
        let path = |path: &Option<Spanned<RelPath>>| path.as_ref().map(|path| path.value.clone());
        (user.comment.as_ref().map(|text| text.value.clone()), path(&user.home), path(&user.shell))
    };
    let mut known: BTreeMap<&str, &UserItem> = BTreeMap::new();
    let mut found = Vec::new();
    for user in components.iter().flat_map(|component| &component.items).filter_map(|(item, _)| match item {
        Item::User(user) => Some(user),
        _ => None,
    }) {
        let name = &user.name;
        match known.get(name.value.as_str()) {
            Some(first) if said(first) != said(user) => {
                let message = format!("two things are said of the user `{}`", name.value);
                let problem = Diagnostic::error(Code::UserTwice, name.span, message);
                found
                    .push(problem.also(first.name.span, "first here").help("say comment, home and shell in one place"));
            }
            Some(_) => {}
            None => drop(known.insert(&name.value, user)),
        }
    }
    found
}

/// Every `{version}` of what has none under these conditions: what it is part of would silently be left out.
fn without_version(flat: &Flat) -> Vec<Diagnostic> {
    let members = flat.toolsets.values().flat_map(|toolset| &toolset.members).chain(flat.sysroots.values().flatten());
    let components = flat.components.iter().chain(&flat.beside).chain(members);
    let of_components = components.filter(|component| component.version.is_none()).map(|component| {
        let spans = [
            component.upstream.versioned(),
            component.patches.versioned(),
            component.installs.versioned(),
            component.items.iter().flat_map(|(item, _)| item.versioned()).collect(),
        ];
        (&component.name, spans.concat())
    });
    let kernel = &flat.kernel;
    let of_kernel = kernel.version.is_none().then(|| {
        let upstream = match &kernel.source {
            FlatKernelSource::Upstream(upstream) => upstream.versioned(),
            FlatKernelSource::Debian(_) | FlatKernelSource::Package(_) => Vec::new(),
        };
        let spans =
            [upstream, kernel.fragments.versioned(), kernel.patches.versioned(), kernel.module_certificate.versioned()];
        (&kernel.name, spans.concat())
    });
    let mut found = Vec::new();
    for (name, spans) in of_components.chain(of_kernel) {
        let new = spans.into_iter().map(|span| no_version(&name.to_string(), span));
        // A component can be a member of many sets.
        found.extend(new.filter(|new| !found.contains(new)).collect::<Vec<_>>());
    }
    found
}

/// The first word with which a command line gets longer than any kernel takes, with a root that fills its slot.
fn long_command_line(flat: &Flat) -> Option<Diagnostic> {
    // `PARTUUID=` and a GUID, decimal numbers, 32 bytes as hexadecimal digits.
    let (sectors, blocks) = (flat.slot.value.0 / 512, flat.slot.value.0 / 4096);
    let lengths = [
        (command_line::ROOT_PARTITION, 45),
        (command_line::HASH_PARTITION, 45),
        (command_line::SECTORS, sectors.to_string().len()),
        (command_line::BLOCKS, blocks.to_string().len()),
        (command_line::ROOT_HASH, 64),
        (command_line::SALT, 64),
    ];
    let own = kernel_command_line(has_first_program(flat), []);
    let own = lengths.iter().fold(own, |line, (word, length)| line.replace(word, &"x".repeat(*length)));
    let mut length = own.len();
    let mut first = None;
    for word in &flat.kernel_arguments {
        length += 1 + word.value.len();
        if length > command_line::MAX_BYTES {
            first = first.or(Some(word.span));
        }
    }
    let message =
        format!("the kernel's command line gets {length} bytes here, and a kernel takes {}", command_line::MAX_BYTES);
    Some(Diagnostic::error(Code::LongCommandLine, first?, message).help("leave words out, this one or earlier ones"))
}

/// What a recipe puts at a path.
struct Place<'a> {
    what: What<'a>,
    owner: &'a Name,
    span: Span,
    /// Whether it may take the path from another owner.
    replaces: bool,
    /// Whether its word has a `replaces=` at all.
    can_replace: bool,
}

#[derive(PartialEq)]
enum What<'a> {
    File(Option<(&'a str, Option<u16>)>),
    Link(String),
    Folder(&'a DirectoryItem),
}

/// Every path that `components` put two things at, or put something below that is no folder.
fn clashes(flat: &Flat, components: &[FlatComponent]) -> Vec<Diagnostic> {
    let mut places: BTreeMap<RelPath, Place<'_>> = BTreeMap::new();
    let mut found = Vec::new();
    for component in components {
        for (path, place) in placed(flat, component) {
            if let Some(earlier) = places.get(&path) {
                found.extend(twice(&path, earlier, &place));
            }
            places.insert(path, place);
        }
    }
    for (path, place) in &places {
        let above = path.ancestors().find_map(|above| places.get(&above).map(|place| (above, place)));
        let Some((above, earlier)) = above else { continue };
        let is_in_the_way = match earlier.what {
            What::File(_) => !place.replaces,
            // Another component's link may lead to a folder.
            What::Link(_) => earlier.owner == place.owner,
            What::Folder(_) => false,
        };
        if is_in_the_way {
            let message = format!("`{path}` cannot stand below `{above}`, which is no folder");
            let diagnostic = Diagnostic::error(Code::BelowAFile, place.span, message);
            found.push(diagnostic.also(earlier.span, "stated here").help("leave one out"));
        }
    }
    found
}

/// Two things at one path, where it is certain that they differ.
fn twice(path: &RelPath, earlier: &Place<'_>, place: &Place<'_>) -> Option<Diagnostic> {
    let same_owner = earlier.owner == place.owner;
    let (message, help) = match (&earlier.what, &place.what) {
        _ if (place.replaces || earlier.replaces) && !same_owner => return None,
        (What::Folder(one), What::Folder(other)) => {
            let is_stated = |folder: &DirectoryItem| folder.mode.is_some() || folder.owner.is_some();
            let said = |folder: &DirectoryItem| {
                let owner = folder.owner.as_ref().map(|owner| owner.value.clone());
                (folder.mode.map_or(0o755, |mode| mode.value), owner)
            };
            if !is_stated(one) || !is_stated(other) || said(one) == said(other) {
                return None;
            }
            let help = if same_owner { "leave one out" } else { "say `replaces=` with that path where this is meant" };
            (format!("`{path}` has two modes or owners"), help)
        }
        (one, other) if !same_owner && (one == other || is_unknown(one) || is_unknown(other)) => return None,
        _ if same_owner => (format!("`{path}` is stated twice"), "leave one out"),
        _ => {
            let (one, other) = (earlier.owner, place.owner);
            let help = match place.can_replace {
                true => "say `replaces=` with that path where this is meant",
                false => "leave one out; a `drop-in` changes a unit that another brings",
            };
            (format!("`{path}` is brought by both `{one}` and `{other}`"), help)
        }
    };
    let diagnostic = Diagnostic::error(Code::PlacedTwice, place.span, message);
    Some(diagnostic.also(earlier.span, "first here").help(help))
}

/// Whether only the content on the disk says if it is the same as another.
fn is_unknown(what: &What<'_>) -> bool {
    *what == What::File(None)
}

/// The paths that a component states, but for what is in the folders that it lays down.
fn placed<'a>(flat: &'a Flat, component: &'a FlatComponent) -> Vec<(RelPath, Place<'a>)> {
    let version = component.version.as_ref().map(|version| version.value.as_str());
    let fill = |template: &Template| template.fill(|brace| flat.brace(version, brace));
    let at = |template: &Spanned<Template>| RelPath::from_absolute(&fill(&template.value)?).ok();
    let mut found = Vec::new();
    let mut place = |path: Option<RelPath>, what, span, replaces: Option<&[Spanned<RelPath>]>| {
        let Some(path) = path else { return };
        let can_replace = replaces.is_some();
        let replaces = replaces.unwrap_or_default().iter().any(|replaced| replaced.value == path);
        found.push((path, Place { what, owner: &component.name, span, replaces, can_replace }));
    };
    for install in &component.installs {
        place(at(&install.to), What::File(None), install.to.span, Some(&install.replaces));
    }
    for (item, span) in &component.items {
        match item {
            Item::File(file) => {
                let mode = file.mode.map(|mode| mode.value);
                place(at(&file.to), What::File(known(&file.content, mode)), file.to.span, Some(&file.replaces));
            }
            Item::Link(link) => {
                let Some(to) = fill(&link.to.value) else { continue };
                place(at(&link.at), What::Link(to), link.at.span, Some(&link.replaces));
            }
            Item::Directory(folder) => {
                place(at(&folder.at), What::Folder(folder), folder.at.span, Some(&folder.replaces));
            }
            Item::Mask(unit) => {
                let path = RelPath::new(&format!("{MASKS}/{}", unit.value)).ok();
                place(path, What::Link("/dev/null".to_owned()), *span, None);
            }
            Item::Unit(unit) => {
                let folder = format!("{UNITS}/{}", unit.name.value);
                if let Some(content) = &unit.content {
                    place(RelPath::new(&folder).ok(), What::File(known(content, None)), unit.name.span, None);
                }
                for drop_in in &unit.drop_ins {
                    let path = RelPath::new(&format!("{folder}.d/{}", drop_in.name.value)).ok();
                    place(path, What::File(known(&drop_in.content, None)), drop_in.name.span, None);
                }
            }
            _ => {}
        }
    }
    found
}

fn known(content: &Content, mode: Option<u16>) -> Option<(&str, Option<u16>)> {
    match content {
        Content::Text(text) => Some((text.value.trim_end_matches('\n'), mode)),
        Content::From(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::flatten::tests::flat, Code};

    fn told(own: &str, other: &str, variant: &str) -> Vec<(Code, String)> {
        let text = format!(
            "component \"a\" {{ {own} }}\ncomponent \"b\" {{ {other} }}\n\
             variant \"v\" {{ version \"1\"; arch \"x86_64\"; include \"k\" \"a\" \"b\"; {variant} }}"
        );
        let found = flat(&text).err().unwrap_or_default();
        found.into_iter().map(|found| (found.code, found.message)).collect()
    }

    #[test]
    fn data_on_a_disk_of_its_own_needs_the_agent_that_finds_it() {
        let apart = r#"layout "ab" { data disk="separate" size="30GiB" }"#;
        let found = told("", "", apart);
        assert_eq!(found.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [Code::UnreadSettings], "{found:?}");
        let agent = r#"link "/usr/lib/brc/init" to="../../bin/brc-agent""#;
        assert_eq!(told(agent, "", apart), []);
        assert_eq!(told("", "", r#"layout "ab" { data disk="same" }"#), []);
        let image = format!(r#"{agent}; embed-image "a.tar" on="data""#);
        assert_eq!(told(&image, "", apart), []);
        for layout in ["", r#"layout "ab" { data disk="same" }"#] {
            let found = told(&image, "", layout);
            assert_eq!(found.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [Code::NoDataDisk], "{found:?}");
        }
        assert_eq!(told(r#"embed-image "a.tar" on="root""#, "", ""), []);
    }

    #[test]
    fn two_things_at_a_path_or_one_below_no_folder_are_told_before_anything_is_built() {
        let (twice, below) = (Code::PlacedTwice, Code::BelowAFile);
        for (own, other, expected) in [
            (r#"file "/etc/a" text="a"; file "/etc/a/b" text="b""#, "", Some(below)),
            (r#"file "/etc/a/b" text="b"; file "/etc/a" text="a""#, "", Some(below)),
            (r#"file "/etc/a" text="a"; file "/etc/a" text="a""#, "", Some(twice)),
            (r#"dir "/etc/a" mode=0o700; dir "/etc/a" mode=0o750; file "/etc/a/x" text="1""#, "", Some(twice)),
            (r#"dir "/etc/a" mode=0o700; dir "/etc/a""#, "", None),
            (r#"dir "/etc/a" mode=0o700"#, r#"dir "/etc/a" mode=0o750"#, Some(twice)),
            (r#"dir "/etc/a" mode=0o700"#, r#"dir "/etc/a" mode=0o750 replaces="/etc/a""#, None),
            (r#"dir "/etc/a"; file "/etc/a/{arch}" text="1""#, "", None),
            (r#"link "/etc/a" to="b"; file "/etc/a/c" text="c""#, "", Some(below)),
            (r#"link "/etc/a" to="b""#, r#"file "/etc/a/c" text="c""#, None),
            (r#"file "/etc/a" text="a""#, r#"file "/etc/a/b" text="b""#, Some(below)),
            (r#"file "/etc/a" text="1""#, r#"file "/etc/a" text="2""#, Some(twice)),
            (r#"file "/etc/a" text="1""#, r#"file "/etc/a" text="1""#, None),
            (r#"file "/etc/a" text="1""#, r#"file "/etc/a" text="1" mode=0o600"#, Some(twice)),
            (r#"file "/etc/a" text="1""#, r#"file "/etc/a" text="2" replaces="/etc/a""#, None),
            (r#"file "/etc/a" text="1""#, r#"link "/etc/a" to="b""#, Some(twice)),
            (r#"mask "a.service""#, r#"mask "a.service""#, None),
            (r#"user "u" home="/a""#, r#"user "u" home="/b""#, Some(Code::UserTwice)),
            (r#"user "u"; user "u" home="/b""#, "", Some(Code::UserTwice)),
            (r#"user "u" home="/a""#, r#"user "u" home="/a" { group "kvm" }; group "kvm""#, None),
            (r#"file "/etc/passwd" text="a""#, "", Some(Code::OwnFile)),
            (r#"link "/etc/machine-id" to="a""#, "", Some(Code::OwnFile)),
            (r#"version "1"; link "/etc/a" to="{version}""#, "", None),
            (r#"when arch="aarch64" { version "1" }; link "/etc/a" to="{version}""#, "", Some(Code::MissingNode)),
            (r#"when arch="aarch64" { version "1" }; file "/etc/a" from="{version}""#, "", Some(Code::MissingNode)),
            (r#"mask "a.service"; mask "a.service""#, "", Some(twice)),
            (r#"unit "a.service" text="1" { drop-in "a.conf" text="" }"#, r#"unit "a.service" text="2""#, Some(twice)),
        ] {
            let codes: Vec<Code> = told(own, other, "").into_iter().map(|(code, _)| code).collect();
            assert_eq!(codes, expected.into_iter().collect::<Vec<_>>(), "{own} | {other}");
        }
    }

    #[test]
    fn a_command_line_that_no_kernel_takes_is_told_at_the_word_that_is_too_much() {
        let words =
            |count: usize| (0..count).map(|at| format!("kernel-arg \"a{at:03}=0123456789\"; ")).collect::<String>();
        assert_eq!(told("", "", &words(60)), []);
        let found = told("", "", &words(120));
        assert!(
            matches!(&found[..], [(Code::LongCommandLine, message)] if message.contains("a kernel takes 2047")),
            "{found:?}"
        );
    }
}
