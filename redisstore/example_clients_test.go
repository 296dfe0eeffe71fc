package redisstore_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"visit-counter/redisstore"
)

// With rediss://, the client uses TLS and verifies the certificate against the system's authorities. For your own
// authority, set options.TLSConfig.RootCAs.
func ExampleNew_tls() {
	options, err := redis.ParseURL("rediss://user:password@redis.example.com:6380")
	if err != nil {
		fmt.Println("the address of Redis is wrong") // err may quote the password
		return
	}
	options.ContextTimeoutEnabled = true
	rdb := redis.NewClient(options)
	defer func() { _ = rdb.Close() }()

	_, err = redisstore.New(rdb, nil)
	fmt.Println(options.TLSConfig.ServerName, err)
	// Output: redis.example.com <nil>
}

// A few addresses of a Cluster are enough: the client discovers the others. From go-redis v9.22 on, set
// ClusterStateReloadInterval to a few seconds: it limits how long a failover can go unnoticed. The default is a minute.
func ExampleNew_cluster() {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                 []string{"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"},
		ContextTimeoutEnabled: true,
	})
	defer func() { _ = rdb.Close() }()

	_, err := redisstore.New(rdb, nil)
	fmt.Println(err)
	// Output: <nil>
}

// The addresses are those of the Sentinels, which know the address of the master.
func ExampleNew_sentinel() {
	rdb := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:            "mymaster",
		SentinelAddrs:         []string{"10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"},
		ContextTimeoutEnabled: true,
	})
	defer func() { _ = rdb.Close() }()

	_, err := redisstore.New(rdb, nil)
	fmt.Println(err)
	// Output: <nil>
}
