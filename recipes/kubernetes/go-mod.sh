#!/bin/sh
# Writes the module of one release beside this script: sh go-mod.sh 1.37.2
set -eu
cd "$(dirname "$0")"
version=$1
folder=${version%.*}
mkdir -p "$folder"
cd "$folder"
rm -f go.mod go.sum
export GOTOOLCHAIN=local GOFLAGS=-mod=mod GOWORK=off
upstream=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
{
    printf 'module brc/kubernetes\n\n'
    sed -n '/^go /p; /^godebug /p' "$upstream"
    printf 'tool (\n'
    for program in kube-apiserver kube-controller-manager kube-scheduler kubectl kubelet; do
        echo "k8s.io/kubernetes/cmd/$program"
    done
    printf ')\nrequire k8s.io/kubernetes v%s\nreplace (\n' "$version"
    # what lies in a folder of its source is published in the same release
    sed -n 's|^[[:space:]]*\(.*\) => \./staging/.*|\1 => \1 v0.'"${version#1.}|p" "$upstream"
    printf ')\n'
} >go.mod
go mod tidy
