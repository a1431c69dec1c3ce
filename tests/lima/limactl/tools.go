// SPDX-License-Identifier: MIT

//go:build tools

// Package tools pins the limactl that the provider lima is tested with.
package tools

import _ "github.com/lima-vm/lima/v2/cmd/limactl"
