package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	listener := must(net.Listen("tcp", "localhost:0"))
	serve := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") }
	go http.Serve(listener, http.HandlerFunc(serve))
	answer := must(http.Get("http://" + listener.Addr().String()))
	fmt.Println(string(must(io.ReadAll(answer.Body))))
	fmt.Println(len(must(net.Interfaces())) > 0, must(user.Current()).Username != "")
	fmt.Print(string(must(exec.Command("echo", "executed").Output())))
	file := must(os.CreateTemp("", "one"))
	fmt.Println(os.Rename(file.Name(), filepath.Join(must(os.MkdirTemp("", "two")), "three")))
}
