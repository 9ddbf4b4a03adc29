# go build for the target, with the locked modules alone. Arguments go to go build.
go build "$@"
