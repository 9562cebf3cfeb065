// A consumer of franz-go for `arena apps`: BOOTSTRAP GROUP TOPIC NAME STRATEGY SESSION REBALANCE.
//
// It says what happens, one JSON object a line; tests/src/wire/apps/lines.rs has the table. It
// commits what it has read once it has said so.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// So often it commits.
const every = 200 * time.Millisecond

var balancers = map[string]kgo.GroupBalancer{
	"range":              kgo.RangeBalancer(),
	"roundrobin":         kgo.RoundRobinBalancer(),
	"sticky":             kgo.StickyBalancer(),
	"cooperative-sticky": kgo.CooperativeStickyBalancer(),
}

// One line, whole even if the process is killed now.
func say(event string, fields map[string]any) {
	fields["event"], fields["at_us"] = event, time.Now().UnixMicro()
	line, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	if _, err := os.Stdout.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

func sayHeld(event string, held map[string][]int32) {
	all := [][]any{}
	for topic, partitions := range held {
		for _, partition := range partitions {
			all = append(all, []any{topic, partition})
		}
	}
	say(event, map[string]any{"partitions": all})
}

// Polls and callbacks take turns, so nothing here is used by two at a time.
type app struct {
	read map[string]map[int32]kgo.EpochOffset
}

func (a *app) commit(ctx context.Context, client *kgo.Client) {
	if len(a.read) == 0 {
		return
	}
	offsets := [][]any{}
	for topic, partitions := range a.read {
		for partition, at := range partitions {
			offsets = append(offsets, []any{topic, partition, at.Offset})
		}
	}
	say("committing", map[string]any{"offsets": offsets})
	// Without this time-out a commit would be tried for as long as nobody coordinates.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var problem error
	client.CommitOffsetsSync(ctx, a.read, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest,
		answer *kmsg.OffsetCommitResponse, err error) {
		problem = err
		if err != nil {
			return
		}
		for _, topic := range answer.Topics {
			for _, partition := range topic.Partitions {
				if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
					problem = err
				}
			}
		}
	})
	a.read = map[string]map[int32]kgo.EpochOffset{}
	if problem != nil {
		say("refused", map[string]any{"error": problem.Error()})
	} else {
		say("committed", map[string]any{})
	}
}

func (a *app) take(record *kgo.Record) {
	say("read", map[string]any{"topic": record.Topic, "partition": record.Partition,
		"offset": record.Offset, "message": string(record.Value)})
	if a.read[record.Topic] == nil {
		a.read[record.Topic] = map[int32]kgo.EpochOffset{}
	}
	a.read[record.Topic][record.Partition] =
		kgo.EpochOffset{Epoch: record.LeaderEpoch, Offset: record.Offset + 1}
}

func (a *app) forget(gone map[string][]int32) {
	for topic, partitions := range gone {
		for _, partition := range partitions {
			delete(a.read[topic], partition)
		}
		if len(a.read[topic]) == 0 {
			delete(a.read, topic)
		}
	}
}

func run() error {
	if len(os.Args) != 8 {
		return fmt.Errorf("expected 7 arguments, found %d", len(os.Args)-1)
	}
	balancer := balancers[os.Args[5]]
	session, err := strconv.Atoi(os.Args[6])
	if err != nil {
		return err
	}
	rebalance, err := strconv.Atoi(os.Args[7])
	if err != nil {
		return err
	}
	a := &app{read: map[string]map[int32]kgo.EpochOffset{}}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Args[1], ",")...),
		kgo.ConsumerGroup(os.Args[2]), kgo.ConsumeTopics(os.Args[3]), kgo.ClientID(os.Args[4]),
		kgo.Balancers(balancer), kgo.BlockRebalanceOnPoll(), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(time.Duration(session)*time.Millisecond),
		kgo.RebalanceTimeout(time.Duration(rebalance)*time.Millisecond),
		kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(500*time.Millisecond), kgo.MetadataMinAge(200*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			sayHeld("assigned", got)
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client,
			gone map[string][]int32) {
			sayHeld("revoked", gone)
			a.commit(ctx, client)
			a.forget(gone)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
			sayHeld("lost", gone)
			a.forget(gone)
		}),
	)
	if err != nil {
		return err
	}
	leaves, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	last := time.Now()
	for leaves.Err() == nil {
		polling, cancel := context.WithTimeout(leaves, every)
		found := client.PollRecords(polling, 50)
		cancel()
		found.EachRecord(a.take)
		if time.Since(last) >= every {
			a.commit(context.Background(), client)
			last = time.Now()
		}
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
