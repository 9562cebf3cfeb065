"""What kafka-python does against a broker, as people write it: kafka_python.py HOST:PORT,…

One line a check: ok or FAIL, its name, how long it took. Exit status 1 if one failed.
"""

import sys
import threading
import time
import traceback
import uuid

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

SERVERS = sys.argv[1].split(",")
# Longer than anything takes here.
LONG = 30
# A record that ends a poll.
WAKE = b"wake"

failed = []


def check(function):
    """Runs a check at once, under its function's name."""
    begin = time.monotonic()
    name = function.__name__.replace("_", " ")
    try:
        function()
        verdict = "ok"
    except Exception:
        verdict = "FAIL"
        failed.append(name)
        traceback.print_exc()
    took = (time.monotonic() - begin) * 1000
    print(f"{verdict} kafka-python: {name} {took:.0f} ms", flush=True)


def wait_until(what, condition):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < LONG, f"not in time: {what}"
        time.sleep(0.02)


def equal(found, expected):
    assert found == expected, f"{found!r}, expected {expected!r}"


def fresh(name):
    return f"{name}-{uuid.uuid4().hex[:8]}"


def admin():
    return KafkaAdminClient(bootstrap_servers=SERVERS)


def new_topic(partitions=1):
    topic = fresh("topic")
    with admin() as client:
        client.create_topics([NewTopic(topic, partitions, -1)])
    return topic


def produce(topic, values, **settings):
    producer = KafkaProducer(bootstrap_servers=SERVERS, **settings)
    sent = [producer.send(topic, value) for value in values]
    producer.flush()
    offsets = [future.get(timeout=LONG).offset for future in sent]
    producer.close()
    return offsets


def read(consumer, count):
    """So many records, as a loop over a consumer gives them."""
    records = []
    for record in consumer:
        records.append(record)
        if len(records) == count:
            break
    equal(len(records), count)
    return records


def values(count):
    return [b"value %d" % number for number in range(count)]


@check
def a_topic_is_made_described_and_removed():
    topic = new_topic(partitions=3)
    with admin() as client:
        assert topic in client.list_topics()
        equal(len(client.describe_topics([topic])[0]["partitions"]), 3)
        client.delete_topics([topic])
        wait_until("it is gone", lambda: topic not in client.list_topics())


@check
def a_topic_is_made_by_its_first_record():
    topic = fresh("auto")
    equal(produce(topic, values(1)), [0])


@check
def records_of_every_compression_are_read_back():
    for compression in [None, "gzip", "snappy", "lz4", "zstd"]:
        topic = new_topic()
        sent = values(200)
        equal(produce(topic, sent, compression_type=compression), list(range(200)))
        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=SERVERS,
            auto_offset_reset="earliest",
            consumer_timeout_ms=LONG * 1000,
        )
        equal([record.value for record in read(consumer, 200)], sent)
        consumer.close()


@check
def keys_headers_and_times_come_back():
    topic = new_topic()
    producer = KafkaProducer(bootstrap_servers=SERVERS)
    headers = [("one", b"1"), ("none", b"")]
    sent = producer.send(topic, b"v", key=b"k", headers=headers, timestamp_ms=1_234)
    equal(sent.get(timeout=LONG).offset, 0)
    producer.close()
    consumer = KafkaConsumer(
        topic, bootstrap_servers=SERVERS, auto_offset_reset="earliest",
        consumer_timeout_ms=LONG * 1000,
    )
    record = read(consumer, 1)[0]
    equal((record.key, record.headers, record.timestamp), (b"k", headers, 1_234))
    partition = TopicPartition(topic, 0)
    equal(consumer.beginning_offsets([partition]), {partition: 0})
    equal(consumer.end_offsets([partition]), {partition: 1})
    equal(consumer.offsets_for_times({partition: 1_000})[partition].offset, 0)
    equal(consumer.offsets_for_times({partition: 2_000})[partition], None)
    consumer.close()


@check
def an_idempotent_producer_sends_in_order():
    topic = new_topic()
    sent = values(1_000)
    equal(produce(topic, sent, enable_idempotence=True, acks="all"), list(range(1_000)))


@check
def a_loop_over_a_group_s_consumer_reads_everything():
    topic, group = new_topic(), fresh("group")
    produce(topic, values(10))
    # As its documentation has it: KafkaConsumer('my_favorite_topic', group_id='my_favorite_group').
    consumer = KafkaConsumer(
        topic, group_id=group, bootstrap_servers=SERVERS, auto_offset_reset="earliest",
        consumer_timeout_ms=LONG * 1000,
    )
    equal([message.value for message in read(consumer, 10)], values(10))
    consumer.close()


@check
def commits_positions_and_seeks():
    topic, group = new_topic(), fresh("group")
    produce(topic, values(10))
    partition = TopicPartition(topic, 0)

    def member():
        return KafkaConsumer(
            topic, group_id=group, bootstrap_servers=SERVERS, auto_offset_reset="earliest",
            enable_auto_commit=False, consumer_timeout_ms=LONG * 1000,
        )

    consumer = member()
    read(consumer, 4)
    equal((consumer.position(partition), consumer.committed(partition)), (4, None))
    consumer.commit()
    equal(consumer.committed(partition), 4)
    consumer.seek(partition, 8)
    equal([record.value for record in read(consumer, 2)], values(10)[8:])
    consumer.seek_to_beginning(partition)
    equal(read(consumer, 1)[0].offset, 0)
    consumer.commit({partition: OffsetAndMetadata(6, "a note", -1)})
    consumer.close()
    consumer = member()
    equal(read(consumer, 1)[0].offset, 6)
    consumer.close()
    with admin() as client:
        assert group in [found["group_id"] for found in client.list_groups()]
        client.delete_groups([group])
        assert group not in [found["group_id"] for found in client.list_groups()]


class Member(threading.Thread, ConsumerRebalanceListener):
    """A member of a group that polls until it is told to leave.

    Its polls are long, and end with a record: in 3.0.12 a poll whose time is over in the moment in
    which the assignment comes loses it, and the member is silent until its session ends.
    """

    def __init__(self, topic, group, strategy, **settings):
        super().__init__()
        self.consumer = KafkaConsumer(
            bootstrap_servers=SERVERS, group_id=group, auto_offset_reset="earliest",
            partition_assignment_strategy=[strategy], heartbeat_interval_ms=200,
            metadata_max_age_ms=1_000, session_timeout_ms=6_000, **settings,
        )
        self.topic, self.partitions, self.seen = topic, set(), []
        self.leaves, self.problem = threading.Event(), None
        self.start()

    def on_partitions_assigned(self, assigned):
        self.partitions = self.partitions | {at.partition for at in assigned}

    def on_partitions_revoked(self, revoked):
        self.partitions = self.partitions - {at.partition for at in revoked}

    def run(self):
        try:
            self.consumer.subscribe([self.topic], listener=self)
            while not self.leaves.is_set():
                for records in self.consumer.poll(timeout_ms=LONG * 1000).values():
                    self.seen.extend(r.value for r in records if r.value != WAKE)
            self.consumer.close()
        except Exception as problem:
            self.problem = problem
            raise


def leave(members):
    """All these leave, each of which has something to read."""
    for member in members:
        member.leaves.set()
    for member in members:
        produce_to(member.topic, member.partitions, WAKE)
    for member in members:
        member.join(LONG)
        assert not member.is_alive() and member.problem is None, member.problem


def produce_to(topic, partitions, value):
    producer = KafkaProducer(bootstrap_servers=SERVERS)
    for partition in partitions:
        producer.send(topic, value, partition=partition)
    producer.close()


def shared(members, partitions):
    """Whether each partition has one reader, and each member something to read."""
    held = [partition for member in members for partition in member.partitions]
    return sorted(held) == list(range(partitions)) and all(m.partitions for m in members)


def three_members_share(strategy):
    topic, group = new_topic(partitions=6), fresh("group")
    members = [Member(topic, group, strategy) for _ in range(3)]
    try:
        wait_until("three share", lambda: shared(members, 6))
        leave([members.pop()])
        wait_until("two share", lambda: shared(members, 6))
        produce(topic, values(60))
        wait_until("all is read", lambda: sum(len(m.seen) for m in members) >= 60)
        equal(sorted(v for m in members for v in m.seen), sorted(values(60)))
    finally:
        leave(members)


@check
def three_members_share_by_range_and_one_leaves():
    three_members_share(RangePartitionAssignor)


@check
def three_members_share_round_robin_and_one_leaves():
    three_members_share(RoundRobinPartitionAssignor)


@check
def three_members_share_by_sticky_and_one_leaves():
    three_members_share(StickyPartitionAssignor)


@check
def three_members_share_by_cooperative_sticky_and_one_leaves():
    three_members_share(CooperativeStickyAssignor)


@check
def a_static_member_comes_back_to_its_partitions():
    topic, group = new_topic(partitions=4), fresh("group")

    def static(name):
        return Member(topic, group, RangePartitionAssignor, group_instance_id=name)

    first, second = static("one"), static("two")
    wait_until("two share", lambda: shared([first, second], 4))
    before = second.partitions
    # A static member that closes does not leave its group.
    leave([second])
    second = static("two")
    wait_until("it is back", lambda: second.partitions == before)
    assert shared([first, second], 4)
    leave([first, second])


sys.exit(1 if failed else 0)
