# Run by the image under test; /dev/vdb is an OCI archive, /dev/vdc an EROFS with tools.
each() { while IFS= read -r line; do echo "CHECK $1: $line"; done; }
tools=/run/tools
mkdir -p $tools && mount -t erofs -o ro /dev/vdc $tools
loader=$(echo $tools/usr/lib/*-linux-gnu/ld-linux-*.so.*)
dmsetup() { $loader --library-path "${loader%/*}" $tools/usr/sbin/dmsetup "$@"; }

while read -r device folder kind options rest; do
    case $folder in / | /var) echo "CHECK mount: $folder $kind ${options%%,*}" ;; esac
done < /proc/mounts
dmsetup table 2>&1 | each table
dmsetup status 2>&1 | each status
brc-agent status --json 2>&1 | each agent
echo "CHECK runc: $(runc --version | head -n 1)"
echo "CHECK machine-id: $(systemd-id128 machine-id)"
echo "CHECK containerd: $(systemctl is-active containerd.service)"
systemctl list-units --failed --no-legend --plain | each failed
while read -r name is value; do
    case $name in '' | '#'*) continue ;; esac
    place=/proc/sys/${name//.//}
    for file in $place; do echo "CHECK setting: $name $(cat "$file" 2> /dev/null)"; done
done < /usr/lib/sysctl.d/60-brc.conf
echo "CHECK entries: $(echo $(ls /efi/EFI/Linux))"
echo "CHECK marker: $(cat /var/marker 2> /dev/null)"
echo "left by an earlier boot" > /var/marker
ctr images import /dev/vdb 2>&1 | each import
ctr run --rm localhost/probe:1 probe /bin/busybox sh -c 'echo hello from process $$ of $(/bin/busybox ls /)' 2>&1 | each container
echo "CHECK container status: ${PIPESTATUS[0]}"
systemctl list-units --failed --no-legend --plain | each failed
sync
echo CHECK-END
