package main

import (
	"fmt"

	"example.org/word"
)

const mark = "."

func main() {
	fmt.Printf("%s go %d%s\n", word.Word(), number, mark)
}
