// SPDX-License-Identifier: MIT

// Command caddy is Caddy with the modules that the gateway needs. It is a main
// package of its own so that Caddy is a dependency and reports its own version.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() { caddycmd.Main() }
