# To go all of the cache is years old, since inputs have one time: without this it empties it after its first use.
mkdir -p "$GOCACHE"
date +%s >"$GOCACHE/trim.txt"
