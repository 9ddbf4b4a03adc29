//! Containers beside the workload, commands and containers before it, and what both may ask of the machine.

use std::fs;

use super::{
    bench::{self, BENCH, folder, must},
    oci,
    quickstart::{answers, probe},
};

const RECIPES: &str = r#"
variant "acme" {
    version "1.0.0"
    extends "brc/base"
    arch "x86_64"
    include "brc/host-containers" "brc/bootstrap-commands" "brc/ephemeral-storage" "brc/network"
    embed-image "tools.tar"
    settings { host-containers { tools { source "localhost/tools:1" } } }
}
"#;
/// What the one image does follows from the user data that its container is given.
const TOOLS: &str = "data=$(/bin/busybox cat /.bottlerocket/host-containers/current/user-data)
    case $data in
        wait) exec /bin/busybox sleep 100000 ;;
        fail) exit 3 ;;
        *) exec /usr/bin/apiclient set \"motd=$data\" ;;
    esac";

/// `aGVsbG8=`, `ZmFpbA==` and `d2FpdA==` are `hello`, `fail` and `wait`.
const USER_DATA: &str = r#"
[settings.host-containers.tools]
enabled = true
superpowered = true
user-data = 'd2FpdA=='
[settings.bootstrap-containers.a-first]
source = 'localhost/tools:1'
mode = 'once'
essential = true
user-data = 'aGVsbG8='
[settings.bootstrap-containers.b-fails]
source = 'localhost/tools:1'
mode = 'always'
user-data = 'ZmFpbA=='
[settings.bootstrap-containers.c-hangs]
source = 'localhost/tools:1'
mode = 'always'
timeout = 5
user-data = 'd2FpdA=='
[settings.bootstrap-containers.d-off]
source = 'localhost/none:1'
essential = true
[settings.bootstrap-commands.000-mount-instance-storage]
commands = [['apiclient', 'ephemeral-storage', 'init'], ['apiclient', 'ephemeral-storage', 'bind', '--dirs', '/var/lib/containerd']]
essential = true
mode = 'always'
[settings.bootstrap-commands.set]
commands = [['apiclient', 'set', 'kernel.sysctl."net.core.somaxconn"=1234']]
mode = 'once'
[settings.bootstrap-commands.other]
commands = [['rm', '-rf', '/']]
mode = 'always'
"#;

const SCRIPT: &str = r#"
say() { while IFS= read -r line; do echo "CHECK $1: $line"; done; }
until systemctl is-active --quiet brc-host-container@tools; do sleep 1; done
journalctl -b -u brc-bootstrap-containers -u brc-bootstrap-commands -u brc-user-data -o cat --no-pager | say journal
cat /etc/motd | say motd
cat /proc/sys/net/core/somaxconn | say somaxconn
apiclient get settings.bootstrap-containers.a-first.mode settings.bootstrap-commands.set.mode | say mode
for second in {1..60}; do apiclient exec tools /bin/busybox true < /dev/null 2> /dev/null && break; sleep 1; done
apiclient exec tools /bin/busybox cat /.bottlerocket/rootfs/usr/lib/os-release < /dev/null | say root
seq 1 50000 | apiclient exec tools /bin/busybox md5sum | say input
seq 1 50000 | md5sum | say input
apiclient exec tools /bin/busybox sh -c 'echo out; echo errors >&2; exit 7' < /dev/null 2> /dev/null | say exec
apiclient exec tools /bin/busybox sh -c 'exit 7' < /dev/null; echo $? | say code
apiclient exec tools /usr/bin/apiclient get os.variant_id < /dev/null | say inside
mkdir -p /var/lib/brc/update; echo '1.1.0: broken.service failed' > /var/lib/brc/update/last-failure
systemctl restart brc-host-container@tools
for second in {1..60}; do apiclient exec tools /bin/busybox true < /dev/null 2> /dev/null && break; sleep 1; done
apiclient exec tools /bin/busybox cat /etc/motd < /dev/null | say told
rm /var/lib/brc/update/last-failure
apiclient exec 'x y' true < /dev/null 2>&1 | say refused
for number in 1 2 3 4 5 6; do apiclient raw -m PATCH -u "/settings?tx=$number" -d "{\"kernel\": {\"modules\": {\"m$number\": {\"autoload\": false}}}}" & done; wait
for number in 1 2 3 4 5 6; do apiclient raw -m POST -u "/tx/commit_and_apply?tx=$number" & done; wait
apiclient get settings.kernel.modules | say together
apiclient set motd=half network.hostname=_ 2>&1 | say refused
apiclient raw -m PATCH -u /settings -d '{"motd": 5}'; apiclient raw -m POST -u /tx/commit_and_apply 2>&1 | say refused
apiclient update check 2>&1 | say refused
setpriv --reuid=1000 --regid=1000 --clear-groups apiclient set motd=other 2>&1 | say refused
for second in {1..30}; do setpriv --reuid=1000 --regid=1000 --clear-groups apiclient get; done > /dev/null 2>&1
cat /etc/motd | say motd
apiclient set host-containers.tools.enabled=false; echo $? | say stopped
for second in {1..90}; do [ "$(systemctl is-active brc-host-container@tools)" != inactive ] || break; sleep 1; done
systemctl is-active brc-host-container@tools | say stopped
systemctl is-active containerd | say containerd
systemctl list-units --failed --plain --no-legend --full | say failed
journalctl -b -o cat --no-pager --grep 'ordering cycle' | say cycle
for second in {1..30}; do [ ! -e /efi/EFI/Linux/acme_1.0.0.efi ] || break; sleep 1; done
echo "CHECK entries: $(echo $(ls /efi/EFI/Linux))"
echo CHECK-END
"#;

/// What is essential and fails keeps the workload from starting.
const ESSENTIAL: &str = r#"
[settings.bootstrap-commands.essential]
commands = [['apiclient', 'set', 'mtod=a']]
essential = true
mode = 'always'
"#;
const ESSENTIAL_SCRIPT: &str = r#"
say() { while IFS= read -r line; do echo "CHECK $1: $line"; done; }
for second in {1..120}; do systemctl is-failed --quiet brc-bootstrap-commands && break; sleep 1; done
sleep 5
journalctl -b -u brc-bootstrap-commands -o cat --no-pager | say journal
systemctl is-active containerd | say containerd
echo "CHECK entries: $(echo $(ls /efi/EFI/Linux))"
echo CHECK-END
"#;

#[test]
fn containers_and_commands_prepare_the_machine_and_may_ask_of_it_what_its_api_has() {
    let folder = folder("api");
    bench::project(&folder, "acme", RECIPES);
    let busybox = BENCH.file("probe", "usr/bin/busybox");
    let tools = oci::archive_of_script("localhost/tools:1", BENCH.architecture.debian(), &busybox, TOOLS);
    fs::write(folder.join("tools.tar"), tools).unwrap();
    let (recipe, out) = (folder.join("acme.kdl"), folder.join("out"));
    must(&["compose", recipe.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let boot = |user_data: &str, script: &str| {
        let mut options = probe(&folder, script);
        let given = folder.join("user-data");
        fs::write(&given, user_data).unwrap();
        options.extend(["--as", "ec2", "--user-data", given.to_str().unwrap()].map(str::to_owned));
        let serial = BENCH.boot(&out.join("acme_1.0.0_x86_64.raw"), "CHECK-END", &options);
        println!("{}", serial.lines().filter(|line| line.starts_with("CHECK ")).collect::<Vec<_>>().join("\n"));
        serial
    };

    let serial = boot(USER_DATA, SCRIPT);
    let all = |name: &str| answers(&serial, name).join(" | ");
    let journal = all("journal");
    for told in [
        "b-fails: failed with 3",
        "c-hangs: not over after 5 seconds",
        "000-mount-instance-storage: apiclient ephemeral-storage bind --dirs /var/lib/containerd",
        "other: 'rm -rf /' is not run: expected 'apiclient' with 'set', 'apply' or 'ephemeral-storage'",
    ] {
        assert!(journal.contains(told), "{told}: {journal}");
    }
    assert_eq!(answers(&serial, "motd"), ["hello", "hello"]);
    assert_eq!(all("somaxconn"), "1234");
    assert_eq!(all("mode").matches("\"mode\": \"off\"").count(), 2, "{}", all("mode"));
    assert!(all("root").contains("IMAGE_ID=\"acme\"") || all("root").contains("IMAGE_ID=acme"), "{}", all("root"));
    let input = answers(&serial, "input");
    assert!(input.len() == 2 && input[0] == input[1], "{input:?}");
    assert_eq!((all("exec"), all("code")), ("out".to_owned(), "7".to_owned()));
    assert!(all("inside").contains("\"variant_id\": \"acme\""), "{}", all("inside"));
    assert_eq!(answers(&serial, "told"), ["hello", "A version did not work here: 1.1.0: broken.service failed"]);
    assert_eq!(all("together").matches("\"autoload\": false").count(), 6, "{}", all("together"));
    let refused = answers(&serial, "refused");
    for (told, expected) in refused.iter().zip([
        "is answered with 400: `x y` is no name of a container",
        "is answered with 400: changes: `settings.network.hostname` is the text `_`: expected a host name",
        "is answered with 400: changes: `settings.motd` is the number 5: expected a text",
        "is answered with 404: this image takes no updates: its recipe does not include `brc/updates`",
        "`/run/api.sock` is for root and the group `api`: ask as one of them: Permission denied",
    ]) {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(refused.len(), 5, "{refused:?}");
    assert_eq!(answers(&serial, "stopped"), ["0", "inactive"]);
    assert_eq!((all("containerd"), all("failed"), all("cycle")), ("active".to_owned(), String::new(), String::new()));
    assert_eq!(all("entries"), "acme_1.0.0.efi");

    let serial = boot(ESSENTIAL, ESSENTIAL_SCRIPT);
    let journal = answers(&serial, "journal").join(" | ");
    assert!(
        journal.contains("there is no setting `mtod`") && journal.contains("essential: failed with 1"),
        "{journal}"
    );
    assert_eq!(answers(&serial, "containerd"), ["inactive"]);
    assert!(answers(&serial, "entries")[0].starts_with("acme_1.0.0+2-1"), "{serial}");
}
