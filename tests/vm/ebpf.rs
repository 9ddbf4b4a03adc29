//! A program of eBPF that was compiled once, without the headers of the kernel that runs it (CO-RE): what agents that watch
//! nodes bring.

use std::fs;

use super::{
    bench::{self, BENCH, folder, must},
    quickstart::{answers, probe},
};

const RECIPES: &str = r#"
variant "watched" {
    version "1.0.0"
    extends "brc/base"
    arch "x86_64"
    include "watcher" "loads-programs"
}
packages "loads-programs" archive="debian" suite="trixie" { bpftool }
component "watcher" {
    version "1.0.0"
    license "MIT"
    upstream { folder "watcher" }
    build-with "clang"
    step "clang -O2 -g -target bpf -fdebug-prefix-map=$PWD=. -I/usr/include/x86_64-linux-gnu -c watcher.bpf.c -o watcher.bpf.o"
    install "watcher.bpf.o" to="/usr/lib/watcher.bpf.o"
}
component "clang" {
    needs "clang-packages"
    link "/usr/bin/sh" to="dash"
}
packages "clang-packages" archive="debian" suite="trixie" {
    clang
    libbpf-dev
    libc6-dev
    dash
    coreutils
    maintainer-scripts "dash" reason="/usr/bin/sh: a link of the component"
}
"#;

/// It keeps the process that the last new program was started by, which it finds by two steps through types of the kernel.
const PROGRAM: &str = r#"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
    int tgid;
    struct task_struct *real_parent;
} __attribute__((preserve_access_index));

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} parents SEC(".maps");

SEC("tracepoint/sched/sched_process_exec")
int note(void *context)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    __u32 zero = 0, parent = BPF_CORE_READ(task, real_parent, tgid);
    bpf_map_update_elem(&parents, &zero, &parent, BPF_ANY);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

const SCRIPT: &str = r#"
say() { while IFS= read -r line; do echo "CHECK $1: $line"; done; }
[ -d /sys/fs/bpf ] && mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
bpftool prog loadall /usr/lib/watcher.bpf.o /sys/fs/bpf/watcher autoattach 2>&1 | say load
echo "CHECK shell: $$"
bpftool --json map dump name parents | say parents
echo "CHECK lockdown: $(cat /sys/kernel/security/lockdown)"
echo CHECK-END
"#;

#[test]
fn a_program_that_was_compiled_once_is_loaded_by_the_types_of_the_kernel_that_runs() {
    let folder = folder("ebpf");
    bench::project(&folder, "watched", RECIPES);
    fs::create_dir(folder.join("watcher")).unwrap();
    fs::write(folder.join("watcher/watcher.bpf.c"), PROGRAM).unwrap();
    let (recipe, out) = (folder.join("watched.kdl"), folder.join("out"));
    must(&["compose", recipe.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let serial = BENCH.boot(&out.join("watched_1.0.0_x86_64.raw"), "CHECK-END", &probe(&folder, SCRIPT));
    println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
    assert_eq!(answers(&serial, "load"), [""; 0]);
    // The program that reads it was started by the shell, or by the shell's child before the pipe.
    let shell: u32 = answers(&serial, "shell")[0].parse().unwrap();
    let parents: serde_json::Value = serde_json::from_str(answers(&serial, "parents")[0]).unwrap();
    assert_eq!(parents[0]["formatted"]["value"], shell, "{parents}");
    assert_eq!(answers(&serial, "lockdown"), ["none [integrity] confidentiality"]);
}
