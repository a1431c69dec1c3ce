// SPDX-License-Identifier: MIT

package main

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// A reload starts the servers of the new configuration and shuts down those of the old one, which then drop the request
// of every client of HTTP/1 that has connected and whose request they have not read (golang.org/issue/75591). This
// listener wrapper, to be the last one of a server, gives a connection to the newest server of its address, and only
// when its request begins. Wrappers before it that look into connections drop those that they are looking into; with
// another one of this before them, an early one, they have none any more when they are closed.
const (
	patience = 10 * time.Second      // for a client to shake hands and say something, as read_header_timeout
	settling = 50 * time.Millisecond // for the old server to read what it was given
	clearing = time.Second           // for wrappers before it to be done with what they have
	oneRead  = 4096                  // bytes
)

func init() { caddy.RegisterModule(handover{}) }

type handover struct {
	// Early gives connections on as they come.
	Early bool `json:"early,omitempty"`
}

func (handover) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.handover", New: func() caddy.Module { return new(handover) }}
}

func (h handover) WrapListener(inner net.Listener) net.Listener {
	found, _ := places.LoadOrStore(where{inner.Addr().String(), h.Early}, &place{changed: make(chan struct{})})
	ours := &listener{
		Listener: inner,
		early:    h.Early,
		place:    found.(*place),
		ready:    make(chan net.Conn),
		closed:   make(chan struct{}),
	}
	others := ours.place.add(ours) > 1
	go ours.run()
	if others && !h.Early {
		time.Sleep(settling)
	}
	return ours
}

var places sync.Map // *place by where

type where struct {
	address string
	early   bool
}

// place has the open listeners of one address. During a reload there are two, the newest last.
type place struct {
	mutex     sync.Mutex
	listeners []*listener
	changed   chan struct{} // closed when listeners change
}

func (p *place) add(one *listener) int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.listeners = append(p.listeners, one)
	p.change()
	return len(p.listeners)
}

func (p *place) remove(one *listener) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for i, each := range p.listeners {
		if each == one {
			p.listeners = append(p.listeners[:i:i], p.listeners[i+1:]...)
			p.change()
			return
		}
	}
}

func (p *place) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *place) newest() (*listener, chan struct{}) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(p.listeners) == 0 {
		return nil, p.changed
	}
	return p.listeners[len(p.listeners)-1], p.changed
}

// give lets the newest server take the connection, whichever that is when it does.
func (p *place) give(conn net.Conn) {
	for {
		newest, changed := p.newest()
		if newest == nil {
			conn.Close()
			return
		}
		select {
		case newest.ready <- conn:
			return
		case <-changed:
		}
	}
}

type listener struct {
	net.Listener
	early  bool
	place  *place
	ready  chan net.Conn
	once   sync.Once
	closed chan struct{}
	err    error
}

func (l *listener) run() {
	for {
		conn, err := l.Listener.Accept()
		if err == nil {
			go l.prepare(conn)
		} else if passing, ok := err.(interface{ Temporary() bool }); ok && passing.Temporary() {
			time.Sleep(5 * time.Millisecond) // too many open files
		} else {
			l.stop(err)
			return
		}
	}
}

func (l *listener) prepare(conn net.Conn) {
	if l.early {
		l.place.give(conn)
		return
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	secure, _ := conn.(*tls.Conn)
	if secure != nil && (secure.Handshake() != nil || secure.ConnectionState().NegotiatedProtocol == "h2") {
		// What failed is for the server to say. HTTP/2 loses nothing: who comes late is told to come again.
		_ = conn.SetDeadline(time.Time{})
		l.place.give(conn)
		return
	}
	buffer := make([]byte, oneRead)
	n, err := conn.Read(buffer)
	if err != nil {
		conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	begun := &begunConn{Conn: conn, first: buffer[:n]}
	if secure != nil {
		l.place.give(&secureConn{begunConn: begun, secure: secure})
		return
	}
	l.place.give(begun)
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.ready:
		return conn, nil
	case <-l.closed:
		return nil, l.err
	}
}

func (l *listener) Close() error {
	l.stop(net.ErrClosed)
	if l.early {
		return l.Listener.Close()
	}
	time.AfterFunc(clearing, func() { l.Listener.Close() })
	return nil
}

func (l *listener) stop(err error) {
	l.once.Do(func() {
		l.place.remove(l)
		l.err = err
		close(l.closed)
	})
}

// begunConn is a connection whose first bytes have been read already.
type begunConn struct {
	net.Conn
	first []byte
}

func (c *begunConn) Read(into []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(into, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(into)
}

// CloseWrite ends what is said here, so that the other side reads a last answer before the connection is gone.
func (c *begunConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// secureConn tells Caddy what was agreed on for TLS.
type secureConn struct {
	*begunConn
	secure *tls.Conn
}

func (c *secureConn) ConnectionState() tls.ConnectionState { return c.secure.ConnectionState() }
