"""What an application for `arena apps` says, whichever client it has.

Each line is an event, one JSON object; tests/src/wire/apps/lines.rs has the table. An application
commits what it has read once it has said so. The faults are there to be found:

  --fault commit-ahead   commits one record more than it has read
  --fault read-on        goes on with what it had fetched when a partition is taken from it
"""

import json
import os
import signal
import sys
import time

# So often an application commits.
COMMIT_S = 0.2


def say(event, **fields):
    """One line, whole even if the process is killed now."""
    line = json.dumps({"at_us": time.time_ns() // 1000, "event": event, **fields})
    os.write(1, (line + "\n").encode())


class App:
    """What was read and is not committed yet. A client's own part is `commit_now`."""

    def __init__(self):
        words = sys.argv[1:]
        self.fault = None
        if "--fault" in words:
            at = words.index("--fault")
            self.fault = words[at + 1]
            del words[at:at + 2]
            if self.fault not in ("commit-ahead", "read-on"):
                sys.exit(f"no fault `{self.fault}`")
        (self.bootstrap, self.group, self.topic, self.name, self.strategy) = words[:5]
        self.session_ms, self.rebalance_ms = int(words[5]), int(words[6])
        self.positions, self.held_back, self.committed_at = {}, [], time.monotonic()
        self.leaves = False
        signal.signal(signal.SIGTERM, self.leave)

    def leave(self, *_):
        self.leaves = True

    def assigned(self, partitions):
        say("assigned", partitions=partitions)

    def revoked(self, partitions, commit_now=None):
        """What was read of them is committed before somebody else has them, if it can be."""
        say("revoked", partitions=partitions)
        if commit_now:
            self.commit(commit_now)
        self.forget(partitions)

    def lost(self, partitions):
        say("lost", partitions=partitions)
        self.forget(partitions)

    def forget(self, partitions):
        for at in partitions:
            self.positions.pop(tuple(at), None)

    def read(self, records):
        """Takes (topic, partition, offset, value)s."""
        records, self.held_back = self.held_back + records, []
        if self.fault == "read-on" and records:
            self.held_back = records[-1:]
            records = records[:-1]
        for topic, partition, offset, value in records:
            say("read", topic=topic, partition=partition, offset=offset, message=value.decode())
            self.positions[topic, partition] = offset + 1

    def commit_if_due(self, commit_now):
        if time.monotonic() - self.committed_at >= COMMIT_S:
            self.commit(commit_now)

    def commit(self, commit_now):
        """`commit_now` takes (topic, partition, offset)s, and gives an error or None."""
        self.committed_at = time.monotonic()
        if not self.positions:
            return
        ahead = 1 if self.fault == "commit-ahead" else 0
        offsets = [(*at, offset + ahead) for at, offset in self.positions.items()]
        self.positions = {}
        say("committing", offsets=offsets)
        error = commit_now(offsets)
        if error is None:
            say("committed")
        else:
            say("refused", error=error)
