# Compiles the kernel. In: $source, /config/config, $ARCH. Out: /out/boot/kernel, /out/boot/release, /out/modules.
mkdir -p /build/source /build/o
set -- $source
xz -T2 -dc "$1" | tar -x -C /build/source --strip-components=1
cd /build/source
for patch in /patches/*; do [ -e "$patch" ] && patch -p1 <"$patch"; done
cp /config/config /build/o/.config
case $ARCH in
x86_64) image=bzImage file=arch/x86/boot/bzImage ;;
arm64) image=Image file=arch/arm64/boot/Image ;;
esac
# How many processes run is the job server's matter, which MAKEFLAGS names; without one, one at a time.
make -s O=/build/o $image
cp /build/o/$file /out/boot/kernel
make -s O=/build/o kernelrelease >/out/boot/release
if grep -q '^CONFIG_MODULES=y' /build/o/.config; then
    make -s O=/build/o modules
    make -s O=/build/o INSTALL_MOD_PATH=/out/modules/usr INSTALL_MOD_STRIP=1 modules_install
    rm -f /out/modules/usr/lib/modules/*/build /out/modules/usr/lib/modules/*/source
fi
