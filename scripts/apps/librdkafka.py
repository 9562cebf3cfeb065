"""A consumer of librdkafka for `arena apps`."""

from confluent_kafka import Consumer, KafkaException, TopicPartition

from app import App

app = App()
consumer = Consumer({
    "bootstrap.servers": app.bootstrap,
    "group.id": app.group,
    "client.id": app.name,
    "partition.assignment.strategy": app.strategy,
    "session.timeout.ms": app.session_ms,
    "max.poll.interval.ms": max(app.rebalance_ms, app.session_ms),
    "heartbeat.interval.ms": 500,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "topic.metadata.refresh.interval.ms": 1000,
})


def told(partitions):
    return [(at.topic, at.partition) for at in partitions]


def commit_now(offsets):
    try:
        done = consumer.commit(offsets=[TopicPartition(*at) for at in offsets], asynchronous=False)
    except KafkaException as problem:
        return problem.args[0].name()
    errors = [at.error.name() for at in done if at.error]
    return errors[0] if errors else None


consumer.subscribe(
    [app.topic],
    on_assign=lambda _, partitions: app.assigned(told(partitions)),
    on_revoke=lambda _, partitions: app.revoked(told(partitions), commit_now),
    on_lost=lambda _, partitions: app.lost(told(partitions)),
)
while not app.leaves:
    records = [record for record in consumer.consume(50, timeout=0.2) if not record.error()]
    app.read([(at.topic(), at.partition(), at.offset(), at.value()) for at in records])
    app.commit_if_due(commit_now)
app.commit(commit_now)
consumer.close()
