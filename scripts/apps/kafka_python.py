"""A consumer of kafka-python for `arena apps`."""

import sys

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError, KafkaTimeoutError

from app import App

ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}

app = App()


def connect():
    """A broker may be away for longer than the client waits for it."""
    while not app.leaves:
        try:
            return KafkaConsumer(
                bootstrap_servers=app.bootstrap.split(","),
                group_id=app.group,
                client_id=app.name,
                partition_assignment_strategy=[ASSIGNORS[app.strategy]],
                session_timeout_ms=app.session_ms,
                max_poll_interval_ms=app.rebalance_ms,
                heartbeat_interval_ms=500,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                metadata_max_age_ms=1_000,
                bootstrap_timeout_ms=5_000,
            )
        except KafkaTimeoutError:
            continue
    sys.exit(0)


consumer = connect()


def told(partitions):
    return [(at.topic, at.partition) for at in sorted(partitions)]


def commit_now(offsets):
    try:
        consumer.commit(
            {TopicPartition(*at): OffsetAndMetadata(offset, "", -1) for *at, offset in offsets},
            timeout_ms=5_000,
        )
    except KafkaError as problem:
        return type(problem).__name__
    return None


class Listener(ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        app.assigned(told(assigned))

    def on_partitions_revoked(self, revoked):
        # It calls this where no commit can be waited for. What was not committed is read again.
        app.revoked(told(revoked))

    def on_partitions_lost(self, lost):
        app.lost(told(lost))


consumer.subscribe([app.topic], listener=Listener())
while not app.leaves:
    try:
        found = consumer.poll(timeout_ms=1_000, max_records=50)
    except KafkaError as problem:
        # A connection that breaks in the middle of an answer ends up here, and so does a broker
        # that is away for long.
        if not problem.retriable and not isinstance(problem, KafkaTimeoutError):
            raise
        continue
    records = [record for records in found.values() for record in records]
    app.read([(at.topic, at.partition, at.offset, at.value) for at in records])
    app.commit_if_due(commit_now)
app.commit(commit_now)
consumer.close()
