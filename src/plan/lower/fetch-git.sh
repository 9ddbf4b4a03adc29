# The tree of one commit with its submodules, each at the commit that the one above it records.
export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_ADVICE=0
git config --global init.defaultBranch brc
git config --global advice.detachedHead false
git config --global core.autocrlf false
fail() {
    echo "expected: the commit \`$2\` of \`$1\`; found: $3" >&2
    echo "next: $4" >&2
    exit 1
}
# fetch URL COMMIT FOLDER
fetch() (
    git init -q "$3"
    cd "$3"
    git remote add origin "$1"
    # Just the commit where the server gives it so, else all that branches and tags reach.
    if ! git fetch -q --depth 1 --no-tags origin "$2" 2>/tmp/complaint; then
        git fetch -q origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*' ||
            fail "$1" "$2" "what git says above." "correct the URL in the recipe, or look at proxies."
    fi
    git cat-file -e "$2^{commit}" 2>/dev/null ||
        fail "$1" "$2" "no such commit among its branches and tags." "correct \`commit=\`; a commit that was replaced is gone."
    git checkout -q --detach "$2"
    submodules "$1" "$2"
)
# submodules URL COMMIT: those of the repository in this folder
submodules() {
    [ -e .gitmodules ] || return 0
    git config -f .gitmodules --get-regexp '^submodule\..*\.path$' >/tmp/submodules.$$ || return 0
    while read -r key path; do
        case $path in /* | .. | ../* | */.. | */../*) fail "$1" "$2" "a submodule outside of it: \`$path\`." "do not trust it." ;; esac
        commit=$(git ls-tree "$2" -- "$path" | sed -n 's/^160000 commit \([0-9a-f]*\).*/\1/p')
        [ -n "$commit" ] || fail "$1" "$2" "the submodule \`$path\` of \`.gitmodules\`, which no commit pins." \
            "take a commit that has it, or tell whoever keeps the repository."
        # As git does: relative URLs are resolved by what is cloned.
        git submodule -q init -- "$path"
        name=${key#submodule.}
        url=$(git config --get "submodule.${name%.path}.url")
        rm -rf "$path"
        (fetch "$url" "$commit" "$PWD/$path") || exit 1
    done </tmp/submodules.$$
}
fetch "$url" "$commit" /source
find /source -name .git -prune -exec rm -rf '{}' +
chmod -R u=rwX,go=rX /source
