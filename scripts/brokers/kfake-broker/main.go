// kfake on one port, in the foreground, for the cluster file kfake.toml.
package main

import (
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: kfake PORT DIR")
	}
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatalf("port %q, expected a number", os.Args[1])
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.DataDir(os.Args[2]),
		kfake.SyncWrites(),
		kfake.BrokerConfigs(map[string]string{
			"group.min.session.timeout.ms":         "1",
			"group.consumer.session.timeout.ms":    "3000",
			"group.consumer.heartbeat.interval.ms": "300",
		}),
	)
	if err != nil {
		log.Fatalf("kfake: %v", err)
	}
	fmt.Println("listens at", cluster.ListenAddrs())
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	cluster.Close()
}
