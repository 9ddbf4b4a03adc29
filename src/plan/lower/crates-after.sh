# Nothing of what was made of the empty source is handed on. Where cargo cannot say what that is, nothing at all is.
if cargo "$crates" metadata --frozen --all-features --format-version 1 >/tmp/metadata; then
    own=$(grep -o '"path+file:[^"]*"' /tmp/metadata | sort -u | sed 's/^"/--package=/; s/"$//')
    # For the machine that compiles, then for the target.
    cargo "$crates" clean --quiet --frozen --release $own
    cargo "$crates" clean --quiet --frozen --release --target "$CARGO_BUILD_TARGET" $own
else
    find "$CARGO_TARGET_DIR" -mindepth 1 -delete
fi
# What rustc said of itself: its digest is another one in each sandbox.
rm -f "$CARGO_TARGET_DIR/.rustc_info.json"
