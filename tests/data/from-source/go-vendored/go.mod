module example.org/vendored

go 1.24

require example.org/word v1.0.0
