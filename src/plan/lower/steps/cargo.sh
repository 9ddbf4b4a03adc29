# cargo build --release for the target, with the locked crates alone. Arguments go to cargo build.
# All inputs have one time, what was compiled of the crates before too, and cargo goes by it: own source is newer.
find /brc-build -path /brc-build/target -prune -o -name '*.rs' -exec touch -d 1980-01-03 {} +
# Behind the verb, as a `--config` among the arguments is: one there would take the place of one before it.
cargo build "$crates" --release --frozen "$@"
