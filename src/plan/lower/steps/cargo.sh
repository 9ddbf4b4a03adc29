# cargo build --release for the target, with the locked crates alone. Arguments go to cargo build.
export CARGO_HOME=/tmp/cargo
mkdir -p "$CARGO_HOME"
# What `cargo vendor` said when they were fetched, so that crates from other registries and from git are found too.
[ ! -e /vendor/crates/cargo-config.toml ] || cp /vendor/crates/cargo-config.toml "$CARGO_HOME/config.toml"
# All inputs have one time, what was compiled of the crates before too, and cargo goes by it: own source is newer.
find /brc-build -path /brc-build/target -prune -o -name '*.rs' -exec touch -d 1980-01-03 {} +
cargo build --release --frozen "$@"
