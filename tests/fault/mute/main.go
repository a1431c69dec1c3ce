// SPDX-License-Identifier: MIT

// A tailscaled that comes up as far as systemd and its socket can tell, and carries nothing.
package main

import (
	"net"
	"os"
	"strings"
)

func main() {
	for _, argument := range os.Args[1:] {
		if path, found := strings.CutPrefix(argument, "--socket="); found {
			serve(path)
		}
	}
	// Without a socket it was asked to clean up.
}

func serve(path string) {
	os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		os.Exit(1)
	}
	if systemd, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		systemd.Write([]byte("READY=1"))
	}
	for {
		if connection, err := listener.Accept(); err == nil {
			connection.Close()
		}
	}
}
