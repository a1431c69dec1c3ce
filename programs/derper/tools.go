// SPDX-License-Identifier: MIT

//go:build tools

// Package tools pins the module that this program is built from.
package tools

import _ "tailscale.com/cmd/derper"
