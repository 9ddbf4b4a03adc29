# Compiles the kernel. In: $source, /config/config, $ARCH. Out: /out/boot/kernel, /out/boot/release, /out/modules.
# In memory: tens of thousands of files that live for minutes cost more on a disk than to compile.
# What no image needs of them stays packed.
mkdir -p /tmp/source /tmp/o
set -- $source
xz -T2 -dc "$1" | tar -x -C /tmp/source --strip-components=1 --exclude='*/Documentation/*/*' --exclude='*/tools/testing/*'
cd /tmp/source
for patch in /patches/*; do [ ! -e "$patch" ] || patch -p1 <"$patch"; done
cp /config/config /tmp/o/.config
case $ARCH in
x86_64) image=bzImage file=arch/x86/boot/bzImage ;;
arm64) image=Image file=arch/arm64/boot/Image ;;
esac
# How many processes run is the job server's matter, which MAKEFLAGS names; without one, one at a time.
make -s O=/tmp/o $image
cp /tmp/o/$file /out/boot/kernel
make -s O=/tmp/o kernelrelease >/out/boot/release
if grep -q '^CONFIG_MODULES=y' /tmp/o/.config; then
    make -s O=/tmp/o modules
    make -s O=/tmp/o INSTALL_MOD_PATH=/out/modules/usr INSTALL_MOD_STRIP=1 modules_install
    rm -f /out/modules/usr/lib/modules/*/build /out/modules/usr/lib/modules/*/source
fi
