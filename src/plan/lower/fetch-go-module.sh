# The source of one Go module. The checksum database vouches for it unless GONOSUMDB or GOPRIVATE say otherwise.
export GOTOOLCHAIN=local GOFLAGS=-mod=mod GOWORK=off GOENV=off GOTELEMETRY=off GOMODCACHE=/tmp/modules
cd /tmp
if ! go mod download "$module@$version"; then
    echo "expected: the module \`$module\` in version \`$version\`; found: what go says above." >&2
    echo "help: correct the path or version in the recipe, or look at GOPROXY and proxies." >&2
    exit 1
fi
cp -R "$(go list -m -f '{{.Dir}}' "$module@$version")/." /source
chmod -R u=rwX,go=rX /source
