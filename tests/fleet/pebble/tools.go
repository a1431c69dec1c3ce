// SPDX-License-Identifier: MIT

//go:build tools

// Package tools pins the certificate authority that gateways are tested with.
package tools

import _ "github.com/letsencrypt/pebble/v2/cmd/pebble"
