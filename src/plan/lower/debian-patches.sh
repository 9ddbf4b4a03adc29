# The patches of a Debian source package, as quilt applies them (dpkg-source(1), format 3.0).
for series in debian/patches/debian.series debian/patches/series; do
    [ -e "$series" ] || continue
    while read -r file strip _; do
        case $file in '' | '#'*) continue ;; esac
        case $strip in -p*) ;; *) strip=-p1 ;; esac
        patch "$strip" <"debian/patches/$file"
    done <"$series"
    break
done
