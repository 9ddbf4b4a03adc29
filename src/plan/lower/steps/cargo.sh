# cargo build --release for the target, with the locked crates alone. Arguments go to cargo build.
export CARGO_HOME=/tmp/cargo
mkdir -p "$CARGO_HOME"
if [ -d /vendor/crates ]; then
    printf '[source.crates-io]\nreplace-with = "vendored-sources"\n[source.vendored-sources]\ndirectory = "/vendor/crates"\n' >"$CARGO_HOME/config.toml"
fi
cargo build --release --frozen "$@"
