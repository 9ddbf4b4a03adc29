# Compiles the kernel. In: $source, /config/config, $ARCH, $CROSS_COMPILE. Out: /out/boot/kernel, /out/boot/release,
# /out/modules, and in /out/devel what modules of others are built with; the last two are empty without modules.
# In memory: tens of thousands of files that live for minutes cost more on a disk than to compile.
# What no image needs of them stays packed.
mkdir -p /tmp/source /tmp/o
set -- $source
xz -T2 -dc "$1" | tar -x -C /tmp/source --strip-components=1 --exclude='*/Documentation/*/*' --exclude='*/tools/testing/*'
cd /tmp/source
for patch in /patches/*; do [ ! -e "$patch" ] || patch -p1 --fuzz=0 <"$patch"; done
cp /config/config /tmp/o/.config
has() { grep -q "^CONFIG_$1=y" /tmp/o/.config; }
case $ARCH in
x86_64) image=bzImage folder=arch/x86/boot sources=x86 ;;
arm64) image=Image folder=arch/arm64/boot sources=arm64 ;;
esac
# The image that EFI starts unpacks itself, on x86 always, elsewhere when it was asked for.
! has EFI_ZBOOT || image=vmlinuz.efi
modules=
! has MODULES || modules=modules
# How many processes run is the job server's matter, which MAKEFLAGS names; without one, one at a time.
# JOBS is how many threads write the BTF: their number decides the order of its types.
make -s O=/tmp/o JOBS=1 $image $modules
cp /tmp/o/$folder/$image /out/boot/kernel
make -s O=/tmp/o kernelrelease >/out/boot/release
if has MODULES; then
    # The index of the modules is made over the finished root, which may have modules of others.
    make -s O=/tmp/o INSTALL_MOD_PATH=/out/modules/usr INSTALL_MOD_STRIP=1 DEPMOD=true modules_install
    rm -f /out/modules/usr/lib/modules/*/build /out/modules/usr/lib/modules/*/source
    # Its programs run here, whatever the target is: the compiler of the target plays no part in them.
    (cd /tmp/o && srctree=/tmp/source SRCARCH=$sources CC=gcc HOSTCC=gcc MAKE=make \
        sh /tmp/source/scripts/package/install-extmod-build /out/devel)
    cp /tmp/o/.config /out/devel/.config
fi
