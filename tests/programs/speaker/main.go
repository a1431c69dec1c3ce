// SPDX-License-Identifier: MIT

// Command speaker speaks what Python does not: gRPC on both sides, and HTTP/3 as a client.
//
//	speaker serve                        a program of gRPC without TLS; says its port, and serves until its input ends
//	speaker grpc ADDRESS NAME AUTHORITY  asks one, by a call and by a stream; says what it answers
//	speaker http3 ADDRESS NAME AUTHORITY gets / and says the protocol, the status and the body
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const patience = 15 * time.Second

func main() {
	log.SetFlags(0)
	verbs := map[string]func(context.Context, string, *tls.Config) error{"grpc": askGRPC, "http3": askHTTP3}
	var err error
	switch verb := verbs[os.Args[1]]; {
	case os.Args[1] == "serve":
		err = serve()
	case verb == nil || len(os.Args) != 5:
		err = errors.New("usage: speaker serve | grpc ADDRESS NAME AUTHORITY | http3 ADDRESS NAME AUTHORITY")
	default:
		var config *tls.Config
		if config, err = trusting(os.Args[3], os.Args[4]); err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			err = verb(ctx, os.Args[2], config)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
}

func trusting(name, authority string) (*tls.Config, error) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", authority)
	}
	return &tls.Config{RootCAs: pool, ServerName: name}, nil
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	return server.Serve(listener)
}

func askGRPC(ctx context.Context, address string, config *tls.Config) error {
	authority := grpc.WithAuthority(config.ServerName)
	conn, err := grpc.NewClient("passthrough:"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)), authority)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := grpc_health_v1.NewHealthClient(conn)
	answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	stream, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	fmt.Println(answer.Status, first.Status)
	return nil
}

func askHTTP3(ctx context.Context, address string, config *tls.Config) error {
	dial := func(ctx context.Context, _ string, config *tls.Config, quicConfig *quic.Config) (*quic.Conn, error) {
		return quic.DialAddrEarly(ctx, address, config, quicConfig)
	}
	transport := &http3.Transport{TLSClientConfig: config, Dial: dial}
	defer transport.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+config.ServerName+"/", nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	fmt.Println(answer.Proto, answer.StatusCode, string(body))
	return nil
}
