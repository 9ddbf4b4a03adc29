# meson setup, compile, install. Arguments go to meson setup.
list() { printf '['; for word in $1; do printf "'%s', " "$word"; done; printf ']'; }
cat >/tmp/cross.ini <<INI
[binaries]
c = $(list "$CC")
cpp = $(list "$CXX")
ar = '$AR'
strip = '$STRIP'
pkg-config = 'pkg-config'
[host_machine]
system = 'linux'
cpu_family = '$arch'
cpu = '$arch'
endian = 'little'
INI
# compilers of the execution architecture, for what runs while building
CC=gcc CXX=g++ CFLAGS= CXXFLAGS= LDFLAGS= meson setup /tmp/meson --cross-file=/tmp/cross.ini --prefix=/usr --sysconfdir=/etc --localstatedir=/var \
    --libdir="lib/$triplet" --buildtype=plain --wrap-mode=nodownload \
    -Dc_args="$CFLAGS" -Dcpp_args="$CXXFLAGS" -Dc_link_args="$LDFLAGS" -Dcpp_link_args="$LDFLAGS" "$@"
ninja -C /tmp/meson -j "$jobs"
DESTDIR="$out" meson install -C /tmp/meson --no-rebuild
