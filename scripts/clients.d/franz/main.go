// What franz-go does against a broker: franz HOST:PORT,…
//
// One line a check: ok or FAIL, its name, how long it took. Exit status 1 if one failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Longer than anything takes here.
const long = 30 * time.Second

var servers []string

// A client, and the requests of an administrator over it.
func client(options ...kgo.Opt) (*kgo.Client, *kadm.Client, error) {
	// What is assigned later is fetched when the fetch before it is over.
	all := []kgo.Opt{kgo.SeedBrokers(servers...), kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.FetchMaxWait(200 * time.Millisecond)}
	made, err := kgo.NewClient(append(all, options...)...)
	if err != nil {
		return nil, nil, err
	}
	return made, kadm.NewClient(made), nil
}

func fresh(name string) string {
	return fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
}

func newTopic(ctx context.Context, partitions int32) (string, error) {
	made, admin, err := client()
	if err != nil {
		return "", err
	}
	defer made.Close()
	topic := fresh("franz")
	told, err := admin.CreateTopic(ctx, partitions, -1, nil, topic)
	return topic, errors.Join(err, told.Err)
}

func values(count int) []string {
	made := make([]string, count)
	for number := range made {
		made[number] = fmt.Sprintf("value %d", number)
	}
	return made
}

func produce(ctx context.Context, topic string, values []string, options ...kgo.Opt) error {
	made, _, err := client(options...)
	if err != nil {
		return err
	}
	defer made.Close()
	records := make([]*kgo.Record, len(values))
	for i, value := range values {
		records[i] = &kgo.Record{Topic: topic, Value: []byte(value)}
	}
	return made.ProduceSync(ctx, records...).FirstErr()
}

// The next records, so many.
func read(ctx context.Context, made *kgo.Client, count int) ([]*kgo.Record, error) {
	var records []*kgo.Record
	for len(records) < count {
		fetched := made.PollRecords(ctx, count-len(records))
		if err := fetched.Err(); err != nil {
			return nil, fmt.Errorf("after %d records: %w", len(records), err)
		}
		records = append(records, fetched.Records()...)
	}
	return records, nil
}

func texts(records []*kgo.Record) []string {
	made := make([]string, len(records))
	for i, record := range records {
		made[i] = string(record.Value)
	}
	return made
}

func equal[T any](found, expected T) error {
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		return fmt.Errorf("%v, expected %v", found, expected)
	}
	return nil
}

func topicLife(ctx context.Context) error {
	topic, err := newTopic(ctx, 3)
	if err != nil {
		return err
	}
	made, admin, err := client()
	if err != nil {
		return err
	}
	defer made.Close()
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	if err := equal(len(topics[topic].Partitions), 3); err != nil {
		return err
	}
	if _, err := admin.DeleteTopics(ctx, topic); err != nil {
		return err
	}
	return until(ctx, "it is gone", func() (bool, error) {
		topics, err := admin.ListTopics(ctx)
		return !topics.Has(topic), err
	})
}

func compressed(codec kgo.CompressionCodec) func(context.Context) error {
	return func(ctx context.Context) error {
		topic, err := newTopic(ctx, 1)
		if err != nil {
			return err
		}
		sent := values(500)
		if err := produce(ctx, topic, sent, kgo.ProducerBatchCompression(codec)); err != nil {
			return err
		}
		begin := kgo.NewOffset().AtStart()
		made, _, err := client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(begin))
		if err != nil {
			return err
		}
		defer made.Close()
		records, err := read(ctx, made, len(sent))
		if err != nil {
			return err
		}
		return equal(texts(records), sent)
	}
}

// Without idempotence, as clients were before; the other checks are idempotent.
func plain(ctx context.Context) error {
	topic, err := newTopic(ctx, 1)
	if err != nil {
		return err
	}
	leader := kgo.RequiredAcks(kgo.LeaderAck())
	return produce(ctx, topic, values(100), kgo.DisableIdempotentWrite(), leader)
}

func resumes(ctx context.Context) error {
	topic, err := newTopic(ctx, 1)
	if err != nil {
		return err
	}
	if err := produce(ctx, topic, values(10)); err != nil {
		return err
	}
	group := fresh("group")
	begin := kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())
	var found []string
	for _, count := range []int{4, 6} {
		made, _, err := client(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), begin,
			kgo.DisableAutoCommit())
		if err != nil {
			return err
		}
		records, err := read(ctx, made, count)
		if err == nil {
			err = made.CommitRecords(ctx, records...)
		}
		made.Close()
		if err != nil {
			return err
		}
		found = append(found, texts(records)...)
	}
	if err := equal(found, values(10)); err != nil {
		return err
	}
	made, admin, err := client()
	if err != nil {
		return err
	}
	defer made.Close()
	lags, err := admin.Lag(ctx, group)
	if err != nil {
		return err
	}
	if err := equal(lags[group].Lag.Total(), 0); err != nil {
		return err
	}
	_, err = admin.DeleteGroup(ctx, group)
	return err
}

// A member of a group, and what it holds and has read.
type member struct {
	made *kgo.Client
	done chan struct{}
	lock sync.Mutex
	held map[int32]bool
	seen []string
}

func (m *member) update(change func()) {
	m.lock.Lock()
	defer m.lock.Unlock()
	change()
}

func join(ctx context.Context, topic, group string, how kgo.GroupBalancer) (*member, error) {
	m := &member{done: make(chan struct{}), held: map[int32]bool{}}
	assigned := func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
		m.update(func() {
			for _, partition := range got[topic] {
				m.held[partition] = true
			}
		})
	}
	gone := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
		m.update(func() {
			for _, partition := range lost[topic] {
				delete(m.held, partition)
			}
		})
	}
	made, _, err := client(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(how),
		kgo.HeartbeatInterval(200*time.Millisecond), kgo.SessionTimeout(6*time.Second),
		kgo.OnPartitionsAssigned(assigned), kgo.OnPartitionsRevoked(gone),
		kgo.OnPartitionsLost(gone))
	if err != nil {
		return nil, err
	}
	m.made = made
	go func() {
		defer close(m.done)
		for {
			fetched := made.PollFetches(ctx)
			if fetched.IsClientClosed() || ctx.Err() != nil {
				return
			}
			m.update(func() { m.seen = append(m.seen, texts(fetched.Records())...) })
		}
	}()
	return m, nil
}

func (m *member) leave() {
	m.made.Close()
	<-m.done
}

// Whether each partition has one reader, and each member something to read.
func shared(members []*member, partitions int) bool {
	held, all := map[int32]int{}, true
	for _, m := range members {
		m.update(func() {
			all = all && len(m.held) > 0
			for partition := range m.held {
				held[partition]++
			}
		})
	}
	twice := func(count int) bool { return count > 1 }
	return all && len(held) == partitions &&
		!slices.ContainsFunc(slices.Collect(maps.Values(held)), twice)
}

func until(ctx context.Context, what string, condition func() (bool, error)) error {
	for {
		holds, err := condition()
		if holds || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not in time: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func threeShare(how kgo.GroupBalancer) func(context.Context) error {
	return func(ctx context.Context) error {
		topic, err := newTopic(ctx, 6)
		if err != nil {
			return err
		}
		group := fresh("group")
		var members []*member
		defer func() {
			for _, m := range members {
				m.leave()
			}
		}()
		for range 3 {
			m, err := join(ctx, topic, group, how)
			if err != nil {
				return err
			}
			members = append(members, m)
		}
		share := func() (bool, error) { return shared(members, 6), nil }
		if err := until(ctx, "three share", share); err != nil {
			return err
		}
		members[2].leave()
		members = members[:2]
		if err := until(ctx, "two share", share); err != nil {
			return err
		}
		if err := produce(ctx, topic, values(60)); err != nil {
			return err
		}
		var seen []string
		read := func() (bool, error) {
			seen = nil
			for _, m := range members {
				m.update(func() { seen = append(seen, m.seen...) })
			}
			return len(seen) >= 60, nil
		}
		if err := until(ctx, "all is read", read); err != nil {
			return err
		}
		expected := values(60)
		slices.Sort(seen)
		slices.Sort(expected)
		return equal(seen, expected)
	}
}

func main() {
	servers = strings.Split(os.Args[1], ",")
	failed := false
	for _, check := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"a topic is made, described and removed", topicLife},
		{"records are read back, no compression", compressed(kgo.NoCompression())},
		{"records are read back, gzip", compressed(kgo.GzipCompression())},
		{"records are read back, snappy", compressed(kgo.SnappyCompression())},
		{"records are read back, lz4", compressed(kgo.Lz4Compression())},
		{"records are read back, zstd", compressed(kgo.ZstdCompression())},
		{"a producer without idempotence sends", plain},
		{"a group goes on where it was, has no lag, and is removed", resumes},
		{"three members share by range, and one leaves", threeShare(kgo.RangeBalancer())},
		{"three members share round robin, and one leaves", threeShare(kgo.RoundRobinBalancer())},
		{"three members share by sticky, and one leaves", threeShare(kgo.StickyBalancer())},
		{"three members share by cooperative sticky, and one leaves",
			threeShare(kgo.CooperativeStickyBalancer())},
	} {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), long)
		err := check.run(ctx)
		cancel()
		verdict := "ok"
		if err != nil {
			verdict, failed = "FAIL", true
			fmt.Fprintln(os.Stderr, err)
		}
		fmt.Printf("%s franz-go: %s %d ms\n", verdict, check.name, time.Since(begin).Milliseconds())
	}
	if failed {
		os.Exit(1)
	}
}
