# What of a Go component decides which packages of other modules it takes in: `go.mod`, `go.sum`, and of its files the
# build constraints and the imports, which become blank. A file that is read wrongly here makes an edit slower, no more.
find . '(' -name '.?*' -o -name '_*' -o -name testdata -o -name vendor ')' -prune -o -type f \
    '(' -name go.mod -o -name go.sum -o -name '*.go' ! -name '*_test.go' ')' \
    -exec cp --parents -t /imports {} +
find /imports -name '*.go' -exec sed -E -i '
    # comments, but not constraints
    s|^[[:space:]]*/\*.*\*/||
    \|^[[:space:]]*/\*|,\|\*/|d
    \|^//(go:build\|[[:space:]]*\+build)[[:space:]]|b
    \|^[[:space:]]*//|d
    # the declarations, and what C declares for them
    /^(func|type|var|const)[[:space:](]/,$d
    /^[[:space:]]*(import[[:space:]]*)?"C"/d
    s%^([[:space:]]*(import[[:space:]]*\(?[[:space:]]*)?)([[:alnum:]_.]+[[:space:]]+)?(["`])%\1_ \4%
    /^[[:space:]]*$/d
' {} +
