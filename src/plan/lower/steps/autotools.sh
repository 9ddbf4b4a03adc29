# ./configure, make, make install. Arguments go to ./configure.
[ -x ./configure ] || autoreconf --force --install
./configure --build="$execution_triplet" --host="$triplet" --prefix=/usr --sysconfdir=/etc --localstatedir=/var \
    --libdir="/usr/lib/$triplet" --disable-dependency-tracking --disable-silent-rules "$@"
make
make install DESTDIR="$out"
find "$out" -name '*.la' -delete
