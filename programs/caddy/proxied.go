// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() { caddy.RegisterModule(proxied{}) }

// proxied is Caddy's transport by HTTP for upstreams that are reached through a proxy. The original one notes in the
// variables of a request that it goes there; health checks have none, and it would dial the upstream itself (2.11.7).
type proxied struct {
	reverseproxy.HTTPTransport
}

func (proxied) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.proxied", New: func() caddy.Module { return new(proxied) }}
}

func (p *proxied) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Context().Value(caddyhttp.VarsCtxKey) == nil {
		variables := context.WithValue(request.Context(), caddyhttp.VarsCtxKey, map[string]any{})
		request = request.WithContext(variables)
	}
	return p.HTTPTransport.RoundTrip(request)
}
