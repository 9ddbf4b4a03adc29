package word

func Word() string { return "hello from vendored" }
