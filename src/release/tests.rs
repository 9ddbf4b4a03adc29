//! Two small images of which nearly everything differs.

use std::collections::BTreeMap;

use brc_contract::{Architecture, ImageName, well_known};

use super::*;
use crate::{
    artifact::{MANIFEST_VERSION, Manifest, ManifestComponent, ManifestFile, ManifestKind, ManifestPart, ManifestRoot},
    content::Sha256,
    image::boot_record::{self, BootRecord},
    inspect::{Contents, GROUP, KernelImage, Occupied, PASSWD},
};

fn component(name: &str, version: &str, purl: &str) -> ManifestComponent {
    ManifestComponent {
        name: name.to_owned(),
        role: "root".to_owned(),
        version: version.to_owned(),
        purl: purl.to_owned(),
        supplier: "debian".to_owned(),
        license: "MIT".to_owned(),
        source: None,
        sha256: Some(Sha256::of(version.as_bytes()).to_string()),
        development: false,
        files: 1,
        bytes: 10,
    }
}

fn manifest_file(path: &str, owner: &str, kind: ManifestKind, mode: &str) -> ManifestFile {
    ManifestFile {
        path: path.to_owned(),
        owner: Some(owner.to_owned()),
        kind,
        mode: mode.to_owned(),
        uid: 0,
        gid: 0,
        xattrs: BTreeMap::new(),
    }
}

fn file(path: &str, owner: &str, text: &str) -> ManifestFile {
    let sha256 = Sha256::of(text.as_bytes()).to_string();
    let kind = ManifestKind::File { size: text.len() as u64, blake3: sha256.clone(), sha256 };
    manifest_file(path, owner, kind, "0644")
}

fn link(path: &str, target: &str) -> ManifestFile {
    manifest_file(path, "finish", ManifestKind::Symlink { target: target.to_owned() }, "0777")
}

fn manifest(version: &str, components: Vec<ManifestComponent>, files: Vec<ManifestFile>) -> Manifest {
    let digest = |what: &str| Sha256::of(format!("{what} {version}").as_bytes()).to_string();
    Manifest {
        manifest_version: MANIFEST_VERSION,
        image: "node".to_owned(),
        version: version.to_owned(),
        architecture: "x86_64".to_owned(),
        root: ManifestRoot {
            root_hash: digest("hash"),
            data_blocks: 256,
            size: 256 * 4096,
            sha256: digest("root"),
            file_bytes: files.len() as u64 * 1000,
        },
        esp: ManifestPart { size: 64 << 20, sha256: digest("esp") },
        components,
        files,
    }
}

fn settings(defaults: &str, templates: &str) -> String {
    format!(
        r#"{{"version": 1, "unknown": "warn", "sources": ["file"], "defaults": {defaults}, "templates": [{templates}]}}"#
    )
}

fn contents(version: &str, line: &str, kernel: &str, texts: [(&'static str, &str); 3]) -> Contents {
    let kernel_image = boot_record::KernelImage {
        sha256: String::new(),
        command_line: line.to_owned(),
        sections: BTreeMap::from([
            (".linux".to_owned(), Sha256::of(kernel.as_bytes()).to_string()),
            (".osrel".to_owned(), Sha256::of(version.as_bytes()).to_string()),
        ]),
    };
    let files = BTreeMap::from([("EFI/BOOT/BOOTX64.EFI".to_owned(), Sha256::of(b"loader").to_string())]);
    Contents {
        name: ImageName::new("node", version),
        architecture: Architecture::X86_64,
        root_hash: Sha256::of(format!("hash {version}").as_bytes()),
        image_bytes: 600 << 20,
        partitions: [("ESP", 64 << 20, 40 << 20), ("hash tree A", 3 << 20, 1 << 20), ("root A", 256 << 20, 1 << 20)]
            .map(|(what, bytes, used)| Occupied { what: what.to_owned(), bytes, used })
            .into(),
        kernel_image: KernelImage {
            release: kernel.to_owned(),
            bytes: 12 << 20,
            sha256: Sha256::of(format!("{version} {line} {kernel}").as_bytes()),
            words: Vec::new(),
            sections: BTreeMap::from([(".linux".to_owned(), 11 << 20)]),
        },
        boot_record: Some(BootRecord { boot_version: 1, kernel_image, files }),
        stored: BTreeMap::new(),
        texts: texts.map(|(name, text)| (name, text.to_owned())).into(),
        built_in: vec!["ext4".to_owned(), "loop".to_owned()],
    }
}

fn old() -> (Manifest, Contents) {
    let components = vec![
        component("brc/runc", "1.2.5", "pkg:golang/github.com/opencontainers/runc@v1.2.5"),
        component("libc6", "2.41-12", "pkg:deb/debian/libc6@2.41-12?arch=amd64"),
        component("perl-base", "5.40.1-6", "pkg:deb/debian/perl-base@5.40.1-6?arch=amd64"),
    ];
    let files = vec![
        link("/etc/systemd/system/getty.target", "/dev/null"),
        link("/etc/systemd/system/multi-user.target.wants/a.service", "/usr/lib/systemd/system/a.service"),
        ManifestFile { mode: "4755".to_owned(), ..file("/usr/bin/mount", "mount", "mount") },
        file("/usr/bin/perl", "perl-base", "a long program"),
        file("/usr/lib/brc/settings/templates/etc/motd.j2", "brc/settings", "{{ settings.motd }}"),
        file("/usr/lib/libc.so.6", "libc6", "libc"),
    ];
    let template =
        r#"{"to": "/etc/motd", "from": "/usr/lib/brc/settings/templates/etc/motd.j2", "mode": 420, "restart": []}"#;
    let settings = settings(r#"{"motd": "hello", "updates": {"by-itself": false}}"#, template);
    let texts = [
        (PASSWD, "root:x:0:0:root:/root:/bin/bash\nold:!:7:7::/:/bin/false\n"),
        (GROUP, "root:x:0:\nwheel:x:10:a\n"),
        (well_known::IMAGE_SETTINGS, settings.as_str()),
    ];
    (manifest("1.0", components, files), contents("1.0", "ro panic=10 dm={root-hash}", "6.12.41", texts))
}

fn new() -> (Manifest, Contents) {
    let components = vec![
        ManifestComponent {
            sha256: Some(Sha256::of(b"patched").to_string()),
            license: "Apache-2.0".to_owned(),
            development: true,
            ..component("brc/runc", "1.2.5", "pkg:golang/github.com/opencontainers/runc@v1.2.5")
        },
        component("libc6", "2.41-13", "pkg:deb/debian/libc6@2.41-13?arch=amd64"),
        ManifestComponent {
            role: "boot-loader".to_owned(),
            ..component("systemd-boot-efi", "257.8-1", "pkg:deb/debian/systemd-boot-efi@257.8-1?arch=amd64")
        },
    ];
    let capable = BTreeMap::from([("security.capability".to_owned(), "0100".to_owned())]);
    let files = vec![
        link("/etc/systemd/system/getty.target", "/dev/null"),
        link("/etc/systemd/system/multi-user.target.wants/b.service", "/usr/lib/systemd/system/b.service"),
        ManifestFile { xattrs: capable, ..file("/usr/bin/<img src=x>|`a`", "brc/runc", "b") },
        ManifestFile { mode: "0755".to_owned(), ..file("/usr/bin/mount", "mount", "mount") },
        file("/usr/lib/brc/settings/templates/etc/motd.j2", "brc/settings", "{{ settings.motd }}!"),
        file("/usr/lib/libc.so.6", "libc6", "another libc"),
        file("/usr/lib/modules/6.12.42/kernel/fs/ext4.ko.xz", "brc/linux", "module"),
    ];
    let template = r#"{"to": "/etc/motd", "from": "/usr/lib/brc/settings/templates/etc/motd.j2", "mode": 420, "restart": ["motd.service"]}"#;
    let settings = settings(r#"{"motd": "hello", "updates": {"by-itself": true, "seed": 7}}"#, template);
    let texts = [
        (PASSWD, "root:x:0:0:root:/root:/usr/sbin/nologin\nnew:x:8:8::/:/bin/false\n"),
        (GROUP, "root:x:0:\nwheel:x:10:a,b\n"),
        (well_known::IMAGE_SETTINGS, settings.as_str()),
    ];
    let mut contents = contents("1.1", "ro quiet panic=20 dm={root-hash}", "6.12.42", texts);
    contents.built_in = vec!["loop".to_owned()];
    contents.partitions[0].used += 1 << 20;
    contents.partitions.push(Occupied { what: "root B".to_owned(), bytes: 256 << 20, used: 0 });
    (manifest("1.1", components, files), contents)
}

fn compared(old: &(Manifest, Contents), new: &(Manifest, Contents)) -> Comparison {
    let [old, new] = [old, new].map(|(manifest, contents)| Released { manifest, contents, options: None });
    compare(&old, &new)
}

#[test]
fn everything_that_differs_between_two_images_is_told() {
    let page = compared(&old(), &new()).page(FileList::Whole);
    insta::assert_snapshot!("comparison_text", text(&page));
    insta::assert_snapshot!("comparison_markdown", markdown(&page));
    insta::assert_snapshot!("comparison_html", html(&page));
}

#[test]
fn of_an_image_and_itself_nothing_differs_and_nothing_is_downloaded() {
    let same = compared(&new(), &new());
    assert!(same.is_equal());
    assert_eq!(same.download.as_ref().map(Download::bytes), Some(0));
    assert_eq!(text(&same.page(FileList::Whole)), "node 1.1 x86_64 → node 1.1 x86_64\nNothing differs.");
}

/// A way in which an image can be another one.
type Alter = fn(&mut Manifest, &mut Contents);

#[test]
fn whatever_is_not_the_same_makes_two_images_differ() {
    let cases: [(&str, Alter); 6] = [
        ("disk", |_, contents| contents.image_bytes += 1),
        ("partition", |_, contents| contents.partitions[2].bytes += 1),
        ("kernel image", |_, contents| contents.kernel_image.sha256 = Sha256::of(b"signed")),
        ("ESP", |manifest, _| manifest.esp.sha256 = Sha256::of(b"other").to_string()),
        ("owner", |manifest, _| manifest.files[0].uid = 7),
        ("licence", |manifest, _| manifest.components[0].license = "NOASSERTION".to_owned()),
    ];
    for (what, alter) in cases {
        let (mut manifest, mut contents) = new();
        alter(&mut manifest, &mut contents);
        let comparison = compared(&new(), &(manifest, contents));
        assert!(!comparison.is_equal(), "{what}");
    }
}

#[test]
fn options_of_kernels_are_compared_where_both_sides_know_them() {
    let options = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(option, value)| ((*option).to_owned(), (*value).to_owned())).collect()
    };
    let (left, right) = (options(&[("EROFS_FS", "y"), ("NET", "y")]), options(&[("EROFS_FS", "m"), ("NET", "y")]));
    let (manifest, contents) = new();
    let image = |options| Released { manifest: &manifest, contents: &contents, options };
    for (left, right, expected) in [(Some(&left), Some(&right), 1), (Some(&left), None, 0), (None, None, 0)] {
        let found = compare(&image(left), &image(right));
        let changes = found.changes.get(&Topic::Options).map_or(&[][..], Vec::as_slice);
        assert_eq!(changes.len(), expected);
        assert!(changes.iter().all(|change| change.what == "EROFS_FS" && change.new.as_deref() == Some("m")));
    }
}

#[test]
fn an_image_of_another_variant_or_architecture_is_no_update() {
    let cases: [Alter; 2] =
        [|manifest, _| manifest.image = "other".to_owned(), |manifest, _| manifest.architecture = "aarch64".to_owned()];
    for alter in cases {
        let (mut manifest, mut contents) = new();
        alter(&mut manifest, &mut contents);
        assert_eq!(compared(&old(), &(manifest, contents)).download, None);
    }
}

#[test]
fn only_the_parts_of_an_update_that_differ_are_downloaded() {
    let (manifest, mut contents) = new();
    contents.kernel_image.sha256 = Sha256::of(b"signed");
    let download = compared(&new(), &(manifest, contents)).download.unwrap();
    let parts: Vec<(&str, u64)> = download.parts.iter().map(|part| (part.what, part.bytes)).collect();
    assert_eq!(parts, [("root", 0), ("hash tree", 0), ("unified kernel image", 12 << 20)]);
}

/// The names of the elements that are open at the end of a page; what closes another one than the last stops the test.
fn left_open(page: &str) -> Vec<&str> {
    let mut open = Vec::new();
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.split(|letter: char| letter.is_whitespace()).next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if ["meta", "!DOCTYPE"].contains(&name) => {}
            None => open.push(name),
        }
    }
    open
}

/// The values of an attribute, wherever it stands.
fn values<'p>(page: &'p str, attribute: &str) -> Vec<&'p str> {
    page.split(&format!(" {attribute}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// A page that holds together and needs nothing from elsewhere.
fn is_whole(page: &str) {
    assert_eq!(left_open(page), Vec::<&str>::new());
    // Names of elements and attributes alone: what stands in texts and values is what an image says.
    let tags = page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
    let bare: Vec<String> = tags.map(|tag| tag.split('"').step_by(2).collect::<String>()).collect();
    for foreign in ["script", "link", "img", "iframe", "object", "form", " src=", " on", " action="] {
        let found =
            bare.iter().find(|tag| tag.starts_with(foreign) || foreign.starts_with(' ') && tag.contains(foreign));
        assert_eq!(found, None, "{foreign}");
    }
    for foreign in ["url(", "@import"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let ids = values(page, "id");
    for link in values(page, "href") {
        assert!(link.strip_prefix('#').is_some_and(|anchor| ids.contains(&anchor)), "{link}");
    }
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "{ids:?}");
}

#[test]
fn pages_hold_together_and_need_nothing_from_elsewhere() {
    is_whole(&html(&compared(&old(), &new()).page(FileList::Whole)));
    is_whole(&html(&compared(&old(), &old()).page(FileList::Whole)));
    let page = html(&room(Some(2 << 20)).page(Depth::Files));
    is_whole(&page);
    assert_eq!(values(&page, "href").len(), 4);
}

/// What takes the room in the new image, with sizes of files that are told apart.
fn room(budget: Option<u64>) -> Taken {
    let (manifest, mut contents) = new();
    let files = manifest.files.iter().filter(|file| matches!(file.kind, ManifestKind::File { .. }));
    let path = |file: &ManifestFile| crate::content::RelPath::from_absolute(&file.path).unwrap();
    let sizes = files.filter(|file| file.owner.as_deref() != Some("libc6")).zip(1..);
    contents.stored = sizes.map(|(file, blocks)| (path(file), blocks * 4096)).collect();
    taken(&Released { manifest: &manifest, contents: &contents, options: None }, budget)
}

#[test]
fn what_takes_the_room_is_told_the_largest_first() {
    insta::assert_snapshot!("room_text", text(&room(Some(2 << 20)).page(Depth::Tables)));
    insta::assert_snapshot!("room_html", html(&room(None).page(Depth::Files)));
}

#[test]
fn what_is_left_of_a_budget_is_told_and_what_is_over_it_too() {
    for (budget, said) in [
        (None, "The root has 1.0 MiB; its budget is not known without its recipe."),
        (Some(1 << 20), "The root has 1.0 MiB of a budget of 1.0 MiB: 0 bytes are left."),
        (Some(3 << 20), "The root has 1.0 MiB of a budget of 3.0 MiB: 2.0 MiB are left."),
        (Some(1 << 19), "The root has 1.0 MiB, 512.0 KiB more than its budget of 512.0 KiB."),
    ] {
        let page = room(budget).page(Depth::Tables);
        assert_eq!(page.lead[0], said);
    }
}
