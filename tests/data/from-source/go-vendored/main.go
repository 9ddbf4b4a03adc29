package main

import (
	"fmt"

	"example.org/word"
)

func main() {
	fmt.Println(word.Word(), "go")
}
