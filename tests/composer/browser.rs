//! The pages of `brc diff` and `brc size` in a real browser, a locked component that runs in a sandbox without a network.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use brc::{
    content::{Digest, Entry, RelPath, Tree},
    plan::{Input, Output, Performer as _, Request, Run},
    sandbox::Sandbox,
    store::Store,
};

use crate::{
    compare::changed,
    support::{
        self,
        project::{Ran, brc, folder, quickstart, repository, text, user_store},
        run::path,
    },
};

/// Looks at a page from inside.
const LOOK: &str = include_str!("../data/browser/look.js");
/// What keeps every program out of a page, ours that looks at it too.
const POLICY: &str = "http-equiv=\"Content-Security-Policy\"";
/// The caches of fonts go where a sandbox lets them.
const FONTS: &str = "<fontconfig><dir>/usr/share/fonts</dir><cachedir>/tmp/fonts</cachedir></fontconfig>";

/// The tree of the tool set with the browser.
fn browser(store: &Store) -> Digest {
    let at = folder("browser-project");
    let data = repository().join("tests/data/browser");
    for name in ["brc.kdl", "brc.lock", "browser.kdl", "none.config"] {
        let text = fs::read_to_string(data.join(name)).unwrap();
        let import = format!("path {:?}", repository().to_str().unwrap());
        fs::write(at.join(name), text.replace("path \"../../..\"", &import)).unwrap();
    }
    let ran = Ran::well(brc().args(["build", "--arch=x86_64"]).arg(at.join("browser.kdl")).arg("chromium"));
    let known = ran.of("reused").chain(ran.of("finished"));
    let tools = known.filter(|event| text(event, "stage") == "tools").last().unwrap();
    store.recall(Digest::parse(text(tools, "key")).unwrap()).unwrap().unwrap()["root"]
}

/// What the browser makes of a page, and what it says meanwhile.
fn looked_at(store: &Store, browser: Digest, page: &str) -> (String, String) {
    let mut tree = Tree::new();
    for (name, text) in [("page.html", page), ("fonts.conf", FONTS)] {
        let entry =
            Entry::File { blob: store.put(text.as_bytes()).unwrap(), size: text.len() as u64, executable: false };
        tree.insert(RelPath::new(name).unwrap(), entry).unwrap();
    }
    let command = "/usr/lib/chromium/chromium-headless-shell --no-sandbox --no-zygote --disable-gpu \
         --disable-dev-shm-usage --user-data-dir=/tmp/profile --virtual-time-budget=30000 --enable-logging=stderr \
         --dump-dom file:///page/page.html >/out/page 2>/out/said";
    let variables =
        [("PATH", "/usr/bin"), ("LC_ALL", "C.UTF-8"), ("HOME", "/tmp"), ("FONTCONFIG_FILE", "/page/fonts.conf")];
    let run = Run {
        inputs: vec![
            Input { owner: "browser".into(), tree: browser, at: RelPath::ROOT },
            Input { owner: "page".into(), tree: store.put_tree(&tree).unwrap(), at: path("page") },
        ],
        environment: variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect::<BTreeMap<_, _>>()
            .into(),
        directory: path("out"),
        outputs: BTreeMap::from([("out".into(), Output::Folder(path("out")))]),
        ..support::run::run(&["/usr/bin/sh", "-euc", command])
    };
    let log = tempfile::NamedTempFile::new().unwrap();
    let request = Request { log: log.path(), cancelled: &AtomicBool::new(false), job_server: None, progress: &|_| {} };
    let outcome = Sandbox::new(store.clone(), PathBuf::from(env!("CARGO_BIN_EXE_brc"))).perform(&run, &request);
    let outcome = outcome
        .unwrap_or_else(|failure| panic!("{}\n{}", failure.error, fs::read_to_string(log.path()).unwrap_or_default()));
    let file = |name: &str| {
        let (blob, _) = store.file_in(outcome["out"], &path(name)).unwrap();
        String::from_utf8_lossy(&store.read(blob).unwrap()).into_owned()
    };
    (file("page"), file("said"))
}

/// What is wrong with a page, by a browser that looks at it as it is, and from inside.
fn wrong(store: &Store, browser: Digest, page: &str) -> String {
    let (shown, said) = looked_at(store, browser, page);
    let title = page.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap();
    assert!(shown.contains(&format!("<h1>{title}</h1>")), "{shown}");
    // What a page may not do or has not got is said there.
    assert!(!said.contains("CONSOLE"), "{said}");
    assert!(page.contains(POLICY));
    let open = page.replace(POLICY, "name=\"policy\"").replace("</body>", &format!("<script>{LOOK}</script></body>"));
    let (shown, said) = looked_at(store, browser, &open);
    let found = shown.split("<pre>").nth(1).unwrap_or_else(|| panic!("{shown}\n{said}"));
    found.split("</pre>").next().unwrap().to_owned()
}

/// The page of a command.
fn page(words: &[&str], images: &[&Path]) -> String {
    String::from_utf8(brc().args(words).args(images).output().unwrap().stdout).unwrap()
}

#[test]
fn in_a_browser_pages_hold_together_open_by_the_keyboard_and_can_be_read_in_light_and_dark() {
    let store = Store::open(&user_store()).unwrap();
    let browser = browser(&store);
    let room = folder("browser-room").join("room.html");
    page(&["size", "--html", room.to_str().unwrap()], &[&quickstart().disk]);
    let room = fs::read_to_string(&room).unwrap();
    let difference = page(&["diff", "--verbose", "--format=html"], &[&quickstart().disk, changed()]);
    for page in [&room, &difference] {
        assert_eq!(wrong(&store, browser, page), "nothing is wrong");
    }
    // Whoever looks is not blind.
    let tile = room.split("<li style=\"").nth(1).unwrap().split('"').next().unwrap();
    for (from, to, expected) in [
        ("id=\"component-2\"", "", "leads nowhere"),
        (tile, "left:90%;top:90%;width:50%;height:50%;--hue:0", "a tile is not inside its map"),
        ("--quiet: light-dark(#57606a, #a3acb6)", "--quiet: #57606a", "dark: contrast"),
    ] {
        assert!(room.contains(from), "{from}");
        let found = wrong(&store, browser, &room.replacen(from, to, 1));
        assert!(found.contains(expected), "{expected}: {found}");
    }
}
