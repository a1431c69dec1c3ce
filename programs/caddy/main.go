// SPDX-License-Identifier: MIT

// Command caddy is Caddy with the modules that the gateway needs. It is a main
// package of its own so that Caddy is a dependency and reports its own version.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddy-dns/cloudflare"
	_ "github.com/caddy-dns/rfc2136"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/mholt/caddy-l4"
)

func main() { caddycmd.Main() }
