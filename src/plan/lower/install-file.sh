# One file that the steps left, to where the image has it. Without a mode it is 755 or 644, as it may be run or not.
install_file() {
    if [ ! -f "$1" ]; then
        found="nothing there"
        [ ! -e "$1" ] || found="no file, but something else"
        echo "expected: a file \`$1\` for \`install\` when the steps are done; found: $found." >&2
        echo "help: correct the path, which counts from \`$PWD\`, or the steps that make it; a whole folder is" >&2
        echo "copied into \`\$out\` by a step." >&2
        exit 1
    fi
    mode=${3:-}
    if [ -z "$mode" ]; then
        mode=644
        [ ! -x "$1" ] || mode=755
    fi
    install -D -m "$mode" -- "$1" "$2"
}
