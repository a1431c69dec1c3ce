// SPDX-License-Identifier: MIT

//go:build tools

// Package tools pins the module that these programs are built from.
package tools

import (
	_ "tailscale.com/cmd/tailscale"
	_ "tailscale.com/cmd/tailscaled"
)
