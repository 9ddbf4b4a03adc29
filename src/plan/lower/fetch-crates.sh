# Every crate of a `Cargo.lock`, checked by the digest that it states, as `cargo vendor` lays them out. Beside them
# what cargo has to be told to take them from there: `cargo --config /vendor/crates/cargo-config.toml`.
export CARGO_HOME=/tmp/cargo
# cargo obeys the `.cargo` of the folder that it is started in. That of a source nobody trusts could name another
# registry, or a program to run.
source=$PWD
cd /tmp
if ! cargo vendor --manifest-path "$source/Cargo.toml" --locked --versioned-dirs /vendor/crates >/tmp/config; then
    echo "expected: every crate of \`$manifest\`, as its \`checksum\` says; found: what cargo says above." >&2
    echo "help: where the file and its \`Cargo.toml\` disagree, \`cargo update --workspace\`; where a server does not" >&2
    echo "answer, look at proxies; a crate with another checksum is not the one that was locked: do not trust it." >&2
    exit 1
fi
mkdir -p /vendor/crates
# Beside each crate cargo writes the digests of its files, and every version of cargo writes that in its own way. The
# tree has a digest as a whole, so what stays is the crate's own, which cargo compares with `Cargo.lock`.
for sums in /vendor/crates/*/.cargo-checksum.json; do
    [ -e "$sums" ] || continue
    read -r line <"$sums" || [ -n "$line" ]
    line=${line##*\"package\":}
    printf '{"files":{},"package":%s}' "${line%%[,\}]*}" >"$sums"
done
cp /tmp/config /vendor/crates/cargo-config.toml
