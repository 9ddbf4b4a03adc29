# cargo build --release for the target, with the locked crates alone. Arguments go to cargo build.
export CARGO_HOME=/tmp/cargo
mkdir -p "$CARGO_HOME"
# What `cargo vendor` said when they were fetched, so that crates from other registries and from git are found too.
[ ! -e /vendor/crates/cargo-config.toml ] || cp /vendor/crates/cargo-config.toml "$CARGO_HOME/config.toml"
cargo build --release --frozen "$@"
