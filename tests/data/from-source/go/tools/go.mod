module example.org/greet/tools

go 1.24

require example.org/word v1.1.0
