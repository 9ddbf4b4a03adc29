# go build for the target, with the locked modules alone. Arguments go to go build.
export GOPATH=/tmp/go GOCACHE=/tmp/go-build
go build -trimpath -buildvcs=false -mod=readonly "$@"
