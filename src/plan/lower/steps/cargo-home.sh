# What cargo is told besides the source's own configuration, and what that cannot replace.
export CARGO_HOME=/tmp/cargo
mkdir -p "$CARGO_HOME"
# The locked crates, as `cargo vendor` said when they were fetched, so that those from other registries and from git are
# found too. Only on the command line nothing that the source says of registries is stronger.
crates=--config=net.offline=true
[ ! -e /vendor/crates/cargo-config.toml ] || crates=--config=/vendor/crates/cargo-config.toml
# Flags go to the compiler of the target itself: `RUSTFLAGS` would take the place of the source's own.
if [ -n "${RUSTFLAGS-}" ]; then
    export BRC_RUSTFLAGS="$RUSTFLAGS" RUSTC_WRAPPER="$CARGO_HOME/rustc"
    unset RUSTFLAGS
    cat >"$RUSTC_WRAPPER" <<'RUSTC'
#!/usr/bin/sh
compiler=$1
shift
case " $* " in *' --target '*) exec "$compiler" "$@" $BRC_RUSTFLAGS ;; esac
exec "$compiler" "$@"
RUSTC
    chmod +x "$RUSTC_WRAPPER"
fi
