//! What a component's build may not leave behind, and that each way out that is named is one.

use brc::plan::{Output, Product};

use super::bench::{Bench, chain, path};

/// What is said of what a script leaves; nothing when it is taken.
fn said(bench: &Bench, script: &str) -> Option<String> {
    let mut run = bench.script(script);
    run.directory = path("brc-build");
    run.outputs.insert("out".into(), Output::Folder(path("out")));
    run.product = Some(Product { built_at: path("brc-build"), glibc: None });
    bench.perform(&run).err().map(|failure| chain(&failure))
}

#[test]
fn each_way_out_that_is_named_is_one() {
    let bench = Bench::new();
    let place = "echo $PWD/a.c > /out/a";
    let stray = "echo a > /a";
    let day = "touch new; stat -c %y new > /out/a";
    let cases = [
        (place, "remove the file from `$out` in a step", format!("{place}; rm /out/a")),
        (day, "the time from `$SOURCE_DATE_EPOCH`", day.replace("touch", "touch -d @$SOURCE_DATE_EPOCH")),
        (day, "remove the file from `$out` in a step", format!("{day}; rm /out/a")),
        (stray, "below `$out`", "echo a > /out/a".to_owned()),
        (stray, "in the source's folder", "echo a > a".to_owned()),
        (stray, "or `$TMPDIR`", "echo a > $TMPDIR/a".to_owned()),
    ];
    for (wrong, named, mended) in cases {
        let refused = said(&bench, wrong).unwrap();
        assert!(refused.contains(named), "{named} is not in: {refused}");
        assert_eq!(said(&bench, &mended), None, "{mended}");
    }
}
