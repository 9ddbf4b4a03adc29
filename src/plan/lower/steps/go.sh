# go build for the target, with the locked modules alone. Arguments go to go build.
go build "$@" || {
    [ -e /vendor/go ] || [ -e "$(dirname "$(go env GOMOD)")/vendor/modules.txt" ] || {
        echo "expected: the modules that \`go.mod\` requires; found: none are locked, and there is no \`vendor\`." >&2
        echo "help: state \`go-module\` with the folder of \`go.mod\` in \`upstream\`, then \`brc lock\`." >&2
    }
    exit 1
}
