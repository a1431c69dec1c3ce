// SPDX-License-Identifier: MIT

//go:build tools

// Package tools pins the module that this program is built from, for tests of an upgrade.
package tools

import _ "github.com/juanfont/headscale/cmd/headscale"
