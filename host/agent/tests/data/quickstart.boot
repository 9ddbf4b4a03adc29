A quickstart image, version 0.1.0, as `brc boot` ran it after its entry was blessed: files as `cat` gave them, links,
and what device-mapper answered. Linux 6.12.117, systemd 257.13, x86_64. `text PATH` and its lines, indented by a tab;
`hex PATH`; `link PATH TARGET`; `folder PATH`. The link in /dev/brc is the one that images have got since.

text /proc/cmdline
	root=/dev/dm-0 rootfstype=erofs ro rootwait gpt panic=10 dm-mod.create="root,,,ro,0 149912 verity 1 PARTUUID=26d9487a-b546-dd4c-9f4f-3cdb9a011e34 PARTUUID=9f4128cf-85eb-cc38-0e5c-87865705f216 4096 4096 18739 1 sha256 26d9487ab546dd4c9f4f3cdb9a011e349f4128cf85ebcc380e5c87865705f216 1cca1ef7102b9ee06d542396598df12be7f7e2e7643c6583287a837f3316b6b8 1 restart_on_corruption" dm-mod.waitfor=PARTUUID=26d9487a-b546-dd4c-9f4f-3cdb9a011e34,PARTUUID=9f4128cf-85eb-cc38-0e5c-87865705f216 systemd.machine_id=firmware systemd.firstboot=no console=ttyS0,115200n8 no_timer_check loglevel=4
text /proc/self/mountinfo
	16 1 253:0 / / ro,relatime shared:1 - erofs /dev/root ro,user_xattr,acl,cache_strategy=readaround
	17 16 0:6 / /dev rw,relatime shared:2 - devtmpfs devtmpfs rw,size=996912k,nr_inodes=249228,mode=755
	18 16 0:15 / /proc rw,nosuid,nodev,noexec,relatime shared:5 - proc proc rw
	19 16 0:16 / /sys rw,nosuid,nodev,noexec,relatime shared:6 - sysfs sysfs rw
	20 19 0:7 / /sys/kernel/security rw,nosuid,nodev,noexec,relatime shared:7 - securityfs securityfs rw
	21 17 0:17 / /dev/shm rw,nosuid,nodev shared:3 - tmpfs tmpfs rw
	22 17 0:18 / /dev/pts rw,nosuid,noexec,relatime shared:4 - devpts devpts rw,gid=5,mode=600,ptmxmode=000
	23 16 0:19 / /run rw,nosuid,nodev shared:11 - tmpfs tmpfs rw,size=406912k,nr_inodes=819200,mode=755
	24 19 0:20 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:8 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
	25 19 0:21 / /sys/firmware/efi/efivars rw,nosuid,nodev,noexec,relatime shared:9 - efivarfs efivarfs rw
	26 19 0:22 / /sys/fs/bpf rw,nosuid,nodev,noexec,relatime shared:10 - bpf bpf rw,mode=700
	27 23 0:23 / /run/credentials/@system ro,nosuid,nodev,noexec,relatime,nosymfollow shared:12 - tmpfs tmpfs rw,size=1024k,nr_inodes=1024,mode=700,noswap
	28 16 0:19 /machine-id /etc/machine-id ro shared:11 - tmpfs tmpfs rw,size=406912k,nr_inodes=819200,mode=755
	29 16 0:24 / /efi rw,relatime shared:13 - autofs systemd-1 rw,fd=35,pgrp=1,timeout=30,minproto=5,maxproto=5,direct
	30 17 0:14 / /dev/mqueue rw,nosuid,nodev,noexec,relatime shared:14 - mqueue mqueue rw
	31 17 0:25 / /dev/hugepages rw,nosuid,nodev,relatime shared:15 - hugetlbfs hugetlbfs rw,pagesize=2M
	32 16 0:26 / /tmp rw,nosuid,nodev shared:16 - tmpfs tmpfs rw,nr_inodes=1048576
	54 23 0:28 / /run/credentials/systemd-journald.service ro,nosuid,nodev,noexec,relatime,nosymfollow shared:18 - tmpfs tmpfs rw,size=1024k,nr_inodes=1024,mode=700,noswap
	34 16 254:6 / /var rw,nodev,noatime shared:34 - ext4 /dev/vda6 rw
	37 29 254:1 / /efi rw,nosuid,nodev,noexec,noatime shared:54 - vfat /dev/vda1 rw,fmask=0077,dmask=0077,codepage=437,iocharset=iso8859-1,shortname=mixed,utf8,errors=remount-ro
	120 23 0:29 / /run/credentials/check.service ro,nosuid,nodev,noexec,relatime,nosymfollow shared:78 - tmpfs tmpfs rw,size=1024k,nr_inodes=1024,mode=700,noswap
text /proc/sys/kernel/osrelease
	6.12.117
text /usr/lib/os-release
	NAME="brc"
	ID=brc
	ID_LIKE=debian
	PRETTY_NAME="quickstart 0.1.0"
	VERSION_ID="0.1.0"
	IMAGE_ID="quickstart"
	IMAGE_VERSION="0.1.0"
text /etc/machine-id
	3b8f842520e04f3b907f1a25a76f98e8
text /sys/dev/block/253:0/uevent
	MAJOR=253
	MINOR=0
	DEVNAME=dm-0
	DEVTYPE=disk
	DISKSEQ=3
text /sys/dev/block/254:6/uevent
	MAJOR=254
	MINOR=6
	DEVNAME=vda6
	DEVTYPE=partition
	DISKSEQ=1
	PARTN=6
text /sys/dev/block/253:0/dm/name
	root
text /sys/class/block/vda2/uevent
	MAJOR=254
	MINOR=2
	DEVNAME=vda2
	DEVTYPE=partition
	DISKSEQ=1
	PARTN=2
	PARTNAME=quickstart_0.1.0
text /sys/class/block/vda3/uevent
	MAJOR=254
	MINOR=3
	DEVNAME=vda3
	DEVTYPE=partition
	DISKSEQ=1
	PARTN=3
	PARTNAME=quickstart_0.1.0
text /sys/class/block/vda4/uevent
	MAJOR=254
	MINOR=4
	DEVNAME=vda4
	DEVTYPE=partition
	DISKSEQ=1
	PARTN=4
	PARTNAME=_empty
text /sys/class/block/vda5/uevent
	MAJOR=254
	MINOR=5
	DEVNAME=vda5
	DEVTYPE=partition
	DISKSEQ=1
	PARTN=5
	PARTNAME=_empty
text /sys/class/block/vda6/uevent
	MAJOR=254
	MINOR=6
	DEVNAME=vda6
	DEVTYPE=partition
	DISKSEQ=1
	PARTN=6
link /sys/dev/block/253:0/slaves/vda2 ../../../../pci0000:00/0000:00:01.0/virtio0/block/vda/vda2
link /sys/dev/block/253:0/slaves/vda3 ../../../../pci0000:00/0000:00:01.0/virtio0/block/vda/vda3
link /dev/brc/data ../vda6
hex /sys/firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
	0600000071007500690063006b00730074006100720074005f0030002e0031002e0030002e006500660069000000
hex /sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
	060000005c004500460049005c004c0069006e00750078005c0071007500690063006b00730074006100720074005f0030002e0031002e00
	30002b0032002d0031002e006500660069000000
text /efi/EFI/Linux/quickstart_0.1.0.efi
hex table
	0400000030000000000000002102000038010000010000000100000031080000000000000000000000fd000000000000726f6f7400000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	00000000000000000000000000000000000000000000000000000000000000000000000000000000984902000000000000000000f0000000
	7665726974790000000000000000000031203235343a33203235343a32203430393620343039362031383733392031207368613235362032
	3664393438376162353436646434633966346633636462396130313165333439663431323863663835656263633338306535633837383635
	3730356632313620316363613165663731303262396565303664353432333936353938646631326265376637653265373634336336353833
	32383761383337663333313662366238203120726573746172745f6f6e5f636f7272757074696f6e00
hex status
	0400000030000000000000006201000038010000010000000100000021080000000000000000000000fd000000000000726f6f7400000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000098490200000000000000000030000000
	766572697479000000000000000000005600
hex short
	0400000030000000000000003101000038010000010000000100000031090000000000000000000000fd000000000000726f6f7400000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
	00000000000000000000000000000000000000000000000000
