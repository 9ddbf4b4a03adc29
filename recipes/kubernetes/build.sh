#!/bin/sh
# build-kubernetes PROGRAM…: each from the modules that the folder's go.mod locks, with what upstream's build says of itself.
set -eu
minor=${version#*.}
flags="-s -w"
for said in "gitVersion=v$version" "gitMajor=${version%%.*}" "gitMinor=${minor%%.*}" gitCommit= gitTreeState=archive \
    "buildDate=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"; do
    flags="$flags -X k8s.io/component-base/version.$said -X k8s.io/client-go/pkg/version.$said"
done
export CGO_ENABLED=0
for program; do
    go build -tags grpcnotrace -ldflags "$flags" -o "$program" "k8s.io/kubernetes/cmd/$program"
done
