# Every module of a `go.sum`, checked by the hash that it states, as a module proxy in a folder:
# `GOPROXY=file:///vendor/go`. What only tells when and where a module was found is left out.
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOWORK=off GOSUMDB=off GOENV=off GOTELEMETRY=off GOMODCACHE=/tmp/modules
fail() {
    echo "expected: every module that \`$manifest\` needs, as its \`go.sum\` says; found: $1" >&2
    echo "help: where \`go.sum\` lacks something, \`go mod tidy\`; where a server does not answer, look at GOPROXY and" >&2
    echo "proxies; a module with another hash is not the one that was locked: do not trust it." >&2
    exit 1
}
: >/tmp/sums
[ ! -e go.sum ] || cp go.sum /tmp/sums
# With -mod=readonly this fails where `go.sum` lacks the `go.mod` of a module. What is required directly is compiled,
# so its content has a hash too; a folder that replaces a module has none.
direct='{{if not (or .Main .Indirect)}}{{with .Replace}}{{if .Version}}{{.Path}} {{.Version}}{{end}}'
direct=$direct'{{else}}{{.Path}} {{.Version}}{{end}}{{end}}'
go list -m -f "$direct" all >/tmp/direct || fail "what go says above."
while read -r module version; do
    known=
    while read -r name number _; do
        [ "$name $number" != "$module $version" ] || known=yes
    done </tmp/sums
    [ -z "$module" ] || [ -n "$known" ] || fail "no line \`$module $version h1:…\` in \`go.sum\`."
done </tmp/direct
while read -r name number _; do
    case $number in */go.mod) ;; *) echo "$name@$number" ;; esac
done </tmp/sums >/tmp/wanted
[ ! -s /tmp/wanted ] || xargs go mod download </tmp/wanted || fail "what go says above."
mkdir -p /tmp/modules/cache/download
cd /tmp/modules/cache/download
find . -type f '(' -name '*.mod' -o -name '*.zip' -o -name '*.ziphash' ')' >/tmp/files
while read -r file; do
    mkdir -p "/vendor/go/${file%/*}"
    cp "$file" "/vendor/go/$file"
done </tmp/files
chmod -R u=rwX,go=rX /vendor/go
