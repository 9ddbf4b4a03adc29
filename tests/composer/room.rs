//! What takes the room in the quickstart image, by `brc size`.

use std::{fs, path::Path};

use brc::{
    content::{Digest, Entry, RelPath, Tree},
    store::Store,
};
use serde_json::Value;

use crate::{
    oracle::{oracles, run},
    support::project::{Ran, brc, copy_of_quickstart, folder, quickstart, text, user_store},
};

/// What `brc size` says of the image.
fn told(words: &[&Path]) -> Value {
    let ran = Ran::well(brc().arg("size").args(words));
    ran.events.into_iter().next().unwrap()
}

/// The sum of a field of a list.
fn sum(told: &Value, list: &str, field: &str) -> u64 {
    told[list].as_array().unwrap().iter().map(|share| share[field].as_u64().unwrap()).sum()
}

#[test]
fn components_and_folders_share_all_of_the_root_between_them() {
    let told = told(&[&quickstart().disk]);
    let manifest: Value = serde_json::from_slice(&fs::read(&quickstart().manifest).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap().iter().filter(|file| file["type"] == "file").count() as u64;
    for list in ["components", "folders"] {
        assert_eq!(sum(&told, list, "files"), files, "{list}");
        assert_eq!(sum(&told, list, "bytes"), manifest["root"]["file_bytes"], "{list}");
        let stored = sum(&told, list, "stored_bytes");
        assert_eq!(stored + told["metadata_bytes"].as_u64().unwrap(), told["root_bytes"].as_u64().unwrap(), "{list}");
        let sizes: Vec<u64> =
            told[list].as_array().unwrap().iter().map(|share| share["stored_bytes"].as_u64().unwrap()).collect();
        assert!(sizes.is_sorted_by(|one, other| one >= other), "{list}: {sizes:?}");
    }
    assert_eq!(told["root_bytes"], manifest["root"]["size"]);
    assert_eq!(told["budget_bytes"], Value::Null);
}

#[test]
fn dump_erofs_says_the_same_size_of_files() {
    let store = Store::open(&user_store()).unwrap();
    let told = told(&[&quickstart().disk]);
    let of = |name: &str| {
        let all = told["components"].as_array().unwrap();
        all.iter().find(|component| component["name"] == name).unwrap()["stored_bytes"].as_u64().unwrap()
    };
    let manifest: Value = serde_json::from_slice(&fs::read(&quickstart().manifest).unwrap()).unwrap();
    let root = root_image(&store);
    // One program that is compiled, and the many of a package: what is compressed.
    for (name, count) in [("brc/agent", 1), ("containernetworking-plugins", 8)] {
        let files = manifest["files"].as_array().unwrap().iter();
        let paths =
            files.filter(|file| file["owner"] == *name && file["type"] == "file").map(|file| text(file, "path"));
        let line = |path: &str| format!("dump.erofs --path={path} /image/root.erofs >>/out/said\n");
        let said = run(&store, oracles(&store), root, &paths.map(line).collect::<String>());
        let size = |line: &str| line.split("On-disk size: ").nth(1)?.split_whitespace().next()?.parse::<u64>().ok();
        let sizes: Vec<u64> = said.lines().filter_map(size).collect();
        assert_eq!((sizes.len(), sizes.iter().sum()), (count, of(name)), "{said}");
    }
}

/// The root file system of the image, cut out of its disk, as a tree of the store.
fn root_image(store: &Store) -> Digest {
    use std::os::unix::fs::FileExt as _;
    let parts = brc::inspect::parts(&quickstart().disk).unwrap().unwrap();
    let mut bytes = vec![0; (parts.root.end - parts.root.start) as usize];
    fs::File::open(&quickstart().disk).unwrap().read_exact_at(&mut bytes, parts.root.start).unwrap();
    let mut tree = Tree::new();
    let entry = Entry::File { blob: store.put(&bytes).unwrap(), size: bytes.len() as u64, executable: false };
    tree.insert(RelPath::new("root.erofs").unwrap(), entry).unwrap();
    store.put_tree(&tree).unwrap()
}

#[test]
fn of_a_recipe_the_last_compose_counts_with_its_budget_and_a_changed_one_is_refused() {
    let recipe = copy_of_quickstart(&folder("room-project"));
    fs::copy(&quickstart().lock, recipe.with_file_name("brc.lock")).unwrap();
    let mut of_recipe = told(&[&recipe, Path::new("--arch=x86_64")]);
    assert_eq!(of_recipe["budget_bytes"], 100 << 20);
    of_recipe["budget_bytes"] = Value::Null;
    assert_eq!(of_recipe, told(&[&quickstart().disk]), "the image and its recipe say the same");
    let stated = fs::read_to_string(&recipe).unwrap();
    fs::write(&recipe, stated.replace("budget root=\"100MiB\"", "file \"/etc/more\" text=\"more\"")).unwrap();
    let refused = Ran::new(brc().arg("size").arg(&recipe).arg("--arch=x86_64"));
    assert_eq!(refused.output.status.code(), Some(2));
    let message = text(refused.events.last().unwrap(), "error").to_owned();
    assert!(message.contains("`quickstart/quickstart` was not composed as its recipes are now"), "{message}");
}

#[test]
fn a_page_has_a_tile_and_a_section_for_each_component() {
    let at = folder("room-page");
    let page = at.join("room.html");
    let ran = Ran::well(brc().arg("size").arg(&quickstart().disk).arg("--html").arg(&page));
    assert_eq!(text(ran.of("written").next().unwrap(), "file"), page.to_str().unwrap());
    let html = fs::read_to_string(&page).unwrap();
    let told = told(&[&quickstart().disk]);
    let shown = told["components"].as_array().unwrap().iter().filter(|component| component["stored_bytes"] != 0);
    let mut count = 0;
    for component in shown {
        let name = text(component, "name");
        let tile = html.lines().find(|line| line.contains(&format!("aria-label=\"{name}: ")) && line.contains("href"));
        let anchor = tile.unwrap().split("href=\"#").nth(1).unwrap().split('"').next().unwrap();
        assert!(html.contains(&format!(" id=\"{anchor}\"")), "{name}");
        count += 1;
    }
    assert!(count > 50, "{count} components");
    let again = folder("room-again").join("page.html");
    Ran::well(brc().arg("size").arg(&quickstart().disk).arg("--html").arg(&again));
    assert!(fs::read(&again).unwrap() == html.as_bytes(), "a page is another one from another place");
    let nowhere = Ran::new(brc().arg("size").arg(&quickstart().disk).arg("--html").arg(at.join("no/folder.html")));
    assert_eq!(nowhere.output.status.code(), Some(3));
}
