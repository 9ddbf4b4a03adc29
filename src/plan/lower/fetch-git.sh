# The tree of one commit with its submodules, each at the commit that the one above it records.
# Submodules come from where recipes may take repositories from, and from nowhere else.
export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=http:https
git config --global init.defaultBranch brc
git config --global advice.detachedHead false
git config --global core.autocrlf false
# shown URL: it without user name and password
shown() {
    rest=${1#*://}
    host=${rest%%[/?#]*}
    [ "$rest" = "$1" ] || set -- "${1%"$rest"}${host##*@}${rest#"$host"}"
    printf '%s\n' "$1"
}
fail() {
    echo "expected: the commit \`$2\` of \`$(shown "$1")\`; found: $3" >&2
    echo "help: $4" >&2
    exit 1
}
# fetch URL COMMIT FOLDER
fetch() (
    git init -q "$3"
    cd "$3"
    git remote add -- origin "$1"
    # Just the commit where the server gives it so, else all that branches and tags reach.
    if ! git fetch -q --depth 1 --no-tags origin "$2" 2>/tmp/complaint; then
        git fetch -q origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*' ||
            fail "$1" "$2" "what git says above." "correct the URL in the recipe, or look at proxies."
    fi
    git cat-file -e "$2^{commit}" 2>/dev/null || fail "$1" "$2" "no such commit below its branches and tags." \
        "correct \`commit=\`; a commit that nothing leads to any more is gone."
    git checkout -q --detach "$2"
    [ ! -e .gitmodules ] || submodules "$1" "$2"
)
# submodules URL COMMIT: those of the repository in this folder
submodules() {
    # Every level has a list of its own, which goes with its repository.
    git config -f .gitmodules --name-only --get-regexp '^submodule\..*\.path$' >.git/submodules || return 0
    while IFS= read -r key; do
        at=$(git config -f .gitmodules --get "$key")
        name=${key#submodule.}
        name=${name%.path}
        case /$at/ in
        //* | */../* | */./* | */.git/*) fail "$1" "$2" "a submodule at \`$at\`." "do not trust this repository." ;;
        esac
        git ls-tree "$2" -- "$at" >.git/pin
        read -r mode _ pinned _ <.git/pin || mode=
        [ "$mode" = 160000 ] || fail "$1" "$2" "the submodule \`$at\` in \`.gitmodules\`, which the commit does not pin." \
            "take a commit that does, or tell whoever keeps the repository."
        from=$(git config -f .gitmodules --get "submodule.$name.url") ||
            fail "$1" "$2" "the submodule \`$at\` without a URL." "tell whoever keeps the repository."
        from=$(resolve "$1" "$from")
        case $from in
        http://* | https://*) ;;
        *) fail "$1" "$2" "the submodule \`$at\` from \`$(shown "$from")\`, which is neither \`https://…\` nor \`http://…\`." \
            "tell whoever keeps the repository, or name \`git\` and \`commit\` of a copy that has it." ;;
        esac
        fetch "$from" "$pinned" "$PWD/$at"
    done <.git/submodules
}
# resolve BASE URL: what a relative URL means, as git has it
resolve() {
    base=${1%/} url=$2
    while :; do
        case $url in
        ./*) url=${url#./} ;;
        ../*) url=${url#../} base=${base%/*} ;;
        *) break ;;
        esac
    done
    [ "$url" = "$2" ] || url=$base/$url
    printf '%s\n' "$url"
}
fetch "$url" "$commit" /source
find /source -name .git -prune -exec rm -rf '{}' +
chmod -R u=rwX,go=rX /source
