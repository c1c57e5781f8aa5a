package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"geerpc/registry"
)

const registryPath = "/_geerpc_/registry"

// listenPatience is for how long the address may be in use: by a process that
// was killed a moment ago, or a connection of somebody's.
const listenPatience = 5 * time.Second

// runRegistry is the role of the registry: an http.Handler on a mux. Unless it
// is part of another program, run the one that is there: geerpc registry.
//
// Everything it knows is in memory. That is why it may be killed.
func runRegistry(args []string) error {
	flags := flag.NewFlagSet("registry", flag.ExitOnError)
	addr := flags.String("addr", "", "`address` to listen on")
	flags.Parse(args)
	lis, err := listen(*addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(registryPath, registry.New(registry.DefaultTimeout))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(untilAsked(), func() { server.Close() })
	fmt.Println(lis.Addr()) // and who started us goes on
	if err := server.Serve(lis); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// listen listens as soon as the address is free.
func listen(addr string) (net.Listener, error) {
	patience := time.After(listenPatience)
	for {
		lis, err := net.Listen("tcp", addr)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return lis, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-patience:
			return nil, err
		}
	}
}
