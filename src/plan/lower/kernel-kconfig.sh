# Leaves of a kernel's source what its configuration is made with, and the smallest configuration, so that a changed
# fragment is checked in seconds.
# In: $source (a glob that fits one packed archive), /patches, $ARCH. Out: $out/source with Kconfig files, Makefiles and
# scripts, patched; $out/tiny.config.
mkdir /tmp/source
set -- $source
archive=$1
set -- '*/scripts/*' '*/configs/*' '*/Kconfig*' '*/Makefile*' '*/Kbuild*' '*.sh' '*.pl' '*.py'
# A patch may be of any file.
[ -z "$(ls /patches)" ] || set -- '*'
xz -T2 -dc "$archive" | tar -x -C /tmp/source --strip-components=1 --wildcards "$@"
cd /tmp/source
for patch in /patches/*; do [ ! -e "$patch" ] || patch -p1 --fuzz=0 <"$patch"; done
find . ! -type d ! -path './*scripts/*' ! -path '*/configs/*' ! -name 'Kconfig*' ! -name 'Makefile*' ! -name 'Kbuild*' \
    ! -name '*.sh' ! -name '*.pl' ! -name '*.py' -delete
find . -depth -type d -empty -delete
make -s O=/tmp/o tinyconfig
cp -a . "$out/source"
cp /tmp/o/.config "$out/tiny.config"
