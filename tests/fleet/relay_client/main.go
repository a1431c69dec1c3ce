// SPDX-License-Identifier: MIT

// Connects to a relay with a node's key, and says in JSON whether it was let in, and when it was put out again.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"time"

	"tailscale.com/derp"
	"tailscale.com/derp/derphttp"
	"tailscale.com/net/netmon"
	"tailscale.com/tailcfg"
	"tailscale.com/types/key"
)

type answer struct {
	Admitted bool    `json:"admitted"`
	Held     float64 `json:"held"` // seconds until the relay ended the connection, or -hold was over
	Error    string  `json:"error"`
}

func main() {
	keyFile := flag.String("key", "", "a file with the private key of a node; without it, a key that nobody knows")
	host := flag.String("host", "", "the name or address of the relay")
	port := flag.Int("port", 443, "its port")
	pin := flag.String("pin", "", "the pin of its certificate, as in a DERP map")
	hold := flag.Duration("hold", 0, "stay connected for so long")
	flag.Parse()

	private := key.NewNode()
	if *keyFile != "" {
		text, err := os.ReadFile(*keyFile)
		fatal(err)
		fatal(private.UnmarshalText([]byte(strings.TrimSpace(string(text)))))
	}
	node := &tailcfg.DERPNode{Name: "1", RegionID: 1, HostName: *host, DERPPort: *port, CertName: *pin}
	region := &tailcfg.DERPRegion{RegionID: 1, RegionCode: "1", Nodes: []*tailcfg.DERPNode{node}}
	quiet := func(string, ...any) {}
	client := derphttp.NewRegionClient(private, quiet, netmon.NewStatic(), func() *tailcfg.DERPRegion { return region })
	defer client.Close()
	json.NewEncoder(os.Stdout).Encode(try(client, *hold))
}

func try(client *derphttp.Client, hold time.Duration) answer {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := client.Connect(ctx); err != nil {
		return answer{Error: err.Error()}
	}
	// The relay decides after it has read our key: it ends the connection, or says what it is.
	refusal := time.AfterFunc(15*time.Second, func() { client.Close() })
	message, err := client.Recv()
	refusal.Stop()
	if err != nil {
		return answer{Error: err.Error()}
	}
	if _, right := message.(derp.ServerInfoMessage); !right {
		return answer{Error: "the relay did not say what it is"}
	}
	since := time.Now()
	time.AfterFunc(hold, func() { client.Close() })
	for err == nil {
		_, err = client.Recv()
	}
	return answer{true, time.Since(since).Seconds(), err.Error()}
}

func fatal(err error) {
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}
