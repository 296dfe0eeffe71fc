package config

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"visit-counter/internal/redistest"
)

// terminate listens with a certificate for the hosts, and forwards what it receives to backend, unless that is "".
func terminate(t *testing.T, ca *redistest.CA, hosts []string, backend string) (addr string) {
	t.Helper()
	files := ca.Issue(t, hosts...)
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go pass(conn.(*tls.Conn), backend)
		}
	}()
	return l.Addr().String()
}

func pass(client *tls.Conn, backend string) {
	defer func() { _ = client.Close() }()
	if client.Handshake() != nil || backend == "" {
		return
	}
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(server, client) // ends when the test's client closes
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

func TestAServerIsTrustedWhereAnAuthorityVouchesForItsName(t *testing.T) {
	ours, foreign := redistest.NewCA(t), redistest.NewCA(t)
	file := filepath.Join(t.TempDir(), "redis-ca.pem")
	writeFile(t, file, ours.PEM)
	const (
		one      = "rediss://one.example.com:6380"
		cluster  = "rediss://cluster.example.com:6380?addr=cluster.example.com:6381"
		sentinel = "rediss://sentinel.example.com:26380?master_name=m"
	)
	type env = map[string]string
	for _, test := range []struct {
		name        string
		values      env // and REDIS_TLS_CA, if not set, is ours
		dialled     string
		ca          *redistest.CA
		certificate string
		trusted     bool
	}{
		{"a node's own name", env{"REDIS_URL": cluster}, "node-1.example.com:6380", ours, "node-1.example.com", true},
		{"the name of the Cluster", env{"REDIS_URL": cluster}, "node-1.example.com:6380", ours, "cluster.example.com", true},
		{"the name of the Cluster, for a node without a name", env{"REDIS_URL": cluster}, "10.1.2.3:6380", ours, "cluster.example.com", true},
		{"a node's own address", env{"REDIS_URL": cluster}, "10.1.2.3:6380", ours, "10.1.2.3", true},
		{"a name for all nodes", env{"REDIS_URL": cluster}, "node-1.example.com:6380", ours, "*.example.com", true},
		{"a master behind Sentinels", env{"REDIS_URL": sentinel}, "master.example.com:6380", ours, "master.example.com", true},
		{"another node", env{"REDIS_URL": cluster}, "node-1.example.com:6380", ours, "node-2.example.com", false},
		{"another node's address", env{"REDIS_URL": cluster}, "10.1.2.3:6380", ours, "10.1.2.4", false},
		{"the right name from a foreign authority", env{"REDIS_URL": cluster}, "node-1.example.com:6380", foreign, "node-1.example.com", false},
		{"the Cluster's name from a foreign authority", env{"REDIS_URL": cluster}, "node-1.example.com:6380", foreign, "cluster.example.com", false},
		{"a single server, by its address", env{"REDIS_URL": one}, "10.1.2.3:6380", ours, "one.example.com", true},
		{"a single server, by an address that it names", env{"REDIS_URL": one}, "10.1.2.3:6380", ours, "10.1.2.3", false},
		{"a single server, under another name", env{"REDIS_URL": one}, "one.example.com:6380", ours, "two.example.com", false},
		{"a foreign authority", env{"REDIS_URL": one}, "one.example.com:6380", foreign, "one.example.com", false},
		{"only the system's authorities", env{"REDIS_URL": one, "REDIS_TLS_CA": ""}, "one.example.com:6380", ours, "one.example.com", false},
		{"an authority in a file", env{"REDIS_URL": one, "REDIS_TLS_CA": file}, "one.example.com:6380", ours, "one.example.com", true},
		{"an authority on one line", env{"REDIS_URL": one, "REDIS_TLS_CA": strings.ReplaceAll(ours.PEM, "\n", `\n`)}, "one.example.com:6380", ours, "one.example.com", true},
		{"Heroku's own Redis, with an authority", env{"REDIS_URL": one, "DYNO": "web.1"}, "one.example.com:6380", ours, "one.example.com", true},
		{"Heroku's own Redis, with another authority", env{"REDIS_URL": one, "DYNO": "web.1"}, "one.example.com:6380", foreign, "one.example.com", false},
		{"an add-on on Heroku", env{"REDISCLOUD_URL": one, "DYNO": "web.1", "REDIS_TLS_CA": ""}, "one.example.com:6380", ours, "one.example.com", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, set := test.values["REDIS_TLS_CA"]; !set {
				test.values["REDIS_TLS_CA"] = ours.PEM
			}
			r := load(t, environment(test.values, nil)).Redis
			redirect(r, terminate(t, test.ca, []string{test.certificate}, ""))
			conn, err := r.dialTLS(t.Context(), "tcp", test.dialled)
			if err == nil {
				_ = conn.Close()
			}
			if refused := new(tls.CertificateVerificationError); (err == nil) != test.trusted || err != nil && !errors.As(err, &refused) {
				t.Errorf("a certificate for %s: %v; want trusted: %t", test.certificate, err, test.trusted)
			}
			if !r.Verified() {
				t.Error("Verified() is false: the page and doctor would say that the certificate is not verified")
			}
		})
	}
}

// TestAClusterWithTLSMayHaveOneCertificateForAllNodesOrOneForEach uses a real Cluster whose nodes have host names.
func TestAClusterWithTLSMayHaveOneCertificateForAllNodesOrOneForEach(t *testing.T) {
	ca := redistest.NewCA(t)
	cluster := redistest.StartCluster(t, 3, 0)
	nodeNames := make(map[string]string) // by the address at which the node listens
	for i, node := range cluster.Nodes {
		name := fmt.Sprintf("node-%d.example.com", i+1)
		client := redistest.Client(t, node.Server)
		for _, setting := range [][2]string{{"cluster-announce-hostname", name}, {"cluster-preferred-endpoint-type", "hostname"}} {
			if err := client.ConfigSet(t.Context(), setting[0], setting[1]).Err(); err != nil {
				t.Fatal(err)
			}
		}
		nodeNames[node.Addr()] = name
	}
	redistest.Wait(t, "all nodes to know all names", func() bool { return knowNames(t, cluster) })

	for name, certificate := range map[string]func(node string) string{
		"one for each": func(node string) string { return node },
		"one for all":  func(string) string { return "cluster.example.com" },
	} {
		t.Run(name, func(t *testing.T) {
			ends := make(map[string]string) // by the address that is dialled
			for addr, node := range nodeNames {
				ends[net.JoinHostPort(node, port(addr))] = terminate(t, ca, []string{certificate(node)}, addr)
			}
			first := cluster.Nodes[0].Addr()
			ends["cluster.example.com:6380"] = terminate(t, ca, []string{"cluster.example.com"}, first)

			values := map[string]string{"REDIS_URL": "rediss://cluster.example.com:6380", "REDIS_CLUSTER": "true", "REDIS_TLS_CA": ca.PEM}
			r := load(t, environment(values, nil)).Redis
			var toNodes atomic.Int32
			r.Options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != "cluster.example.com:6380" {
					toNodes.Add(1)
				}
				return new(net.Dialer).DialContext(ctx, network, ends[addr])
			}
			client := r.Client()
			defer func() { _ = client.Close() }()
			for i := range 32 {
				if err := client.Set(t.Context(), fmt.Sprintf("visits:%s:%d", name, i), i, 0).Err(); err != nil {
					t.Errorf("SET: %v", err)
				}
			}
			if toNodes.Load() < 3 {
				t.Errorf("%d connections to nodes by their names; want at least 3", toNodes.Load())
			}
		})
	}
}

// knowNames reports whether every node knows the host names of all nodes.
func knowNames(t *testing.T, cluster *redistest.Cluster) bool {
	for _, node := range cluster.Nodes {
		shards, err := redistest.Client(t, node.Server).ClusterShards(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, shard := range shards {
			if shard.Nodes[0].Hostname == "" {
				return false
			}
		}
	}
	return true
}
