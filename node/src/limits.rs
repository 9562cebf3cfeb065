//! Every bound of a node that no flag sets: its unit, its reason, and how the bounds relate.
//!
//! Sizes are in bytes. Bounds that a flag sets stand in [`config`](crate::config).

use std::time::Duration;

use raft_store::limits::OPEN_SEGMENTS;
use state_machine::topics::budget::{MAX_RECORD_TEXT, MAX_REPLY_TEXT};
use state_machine::topics::config::MAX_BATCH_BYTES;
use state_machine::topics::topic::MAX_PARTITIONS;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

// --- Input and output of the Maelstrom listener ---

/// Standard input is read in pieces of at most this many bytes.
pub const INPUT_CHUNK: usize = 64 * KIB;

/// At most so many pieces of input wait for the node. Then its input waits.
pub const INPUT_CHUNKS: usize = 16;

/// No line that a node prints is longer. Maelstrom reads lines whole.
pub const PRINTED_LINE: usize = 4 * MIB;

/// The envelope of a line and the fields that every body has take less than this.
pub const ENVELOPE: usize = 4 * KIB;

/// The most bytes of a message between nodes: its base64 form has to fit a printed line.
pub const PEER_MESSAGE: usize = (PRINTED_LINE - ENVELOPE) / 4 * 3;

/// A request takes at most so many bytes: it has to fit one message to the leader, with room to
/// spare.
pub const REQUEST: usize = 11 * 256 * KIB;

/// The message of a `send` and its key have at most this many bytes each, as JSON, as in Kafka
/// (`message.max.bytes`).
pub const RECORD: usize = MAX_RECORD_TEXT;

/// A commit's metadata has at most this many characters, as in Kafka (`offset.metadata.max.bytes`).
pub const COMMIT_METADATA: usize = 4_096;

/// So many characters of a skipped line are logged.
pub const LOGGED_LINE: usize = 200;

/// Above this many bytes of unread output, messages to peers are dropped. Raft repeats itself.
pub const OUTPUT_TO_PEERS: usize = 32 * MIB;

/// Above this many bytes of unread output, no more input is read.
pub const OUTPUT: usize = 64 * MIB;

/// A node without peers reads no more input while its requests take this many bytes.
pub const IN_FLIGHT_ALONE: usize = 16 * MIB;

/// An answer that comes so long after its request's deadline is not printed. Maelstrom's client has
/// gone 1 s after the default deadline, and a line to it would silence the node.
pub const LATE_ANSWER: Duration = Duration::from_millis(800);

/// After the end of input, what peers said last is given this long to take effect.
pub const LAST_WORDS: Duration = Duration::from_millis(50);

/// Room for lines to be printed that is kept from one time to the next.
pub const KEPT_OUTPUT: usize = 64 * KIB;

/// Records that came in stand side by side in blocks of so many bytes.
pub const RECORD_BLOCK: usize = 64 * KIB;

// --- Sockets ---

/// After a connection could not be taken, such as for want of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

// --- The Kafka listener ---

/// So many connections are open at most. Later ones are closed at once.
pub const KAFKA_CONNECTIONS: usize = 10_000;

/// So many of the files and sockets that a process may have open are not for Kafka's clients:
/// segments of records ([`OPEN_SEGMENTS`]), the log, checkpoints, peers ([`PEER_STRANGERS`],
/// [`PEER_CONNECTIONS`]), and whoever asks over HTTP ([`ADMIN_CONNECTIONS`]).
pub const FILES_KEPT: u64 = 400;

/// A node serves so many connections even where a process may have hardly any files open.
pub const KAFKA_CONNECTIONS_LEAST: usize = 16;

/// So many requests of a connection are under way at most. Then its input waits.
pub const KAFKA_PIPELINE: usize = 16;

/// As many as these, if they are small Produces: with fewer, a client that has many under way waits
/// for several rounds.
pub const KAFKA_PRODUCES: usize = 512;

/// Produces beyond [`KAFKA_PIPELINE`] are taken while those under way have fewer bytes.
pub const KAFKA_PRODUCES_BYTES: usize = MIB;

/// Answers that are known at the same time are written together, about so many bytes at most.
pub const KAFKA_WRITE: usize = 64 * KIB;

/// A connection that has said nothing for so long, and is owed nothing, is closed (Kafka's
/// `connections.max.idle.ms`). Java's clients close theirs a minute earlier.
pub const KAFKA_IDLE: Duration = Duration::from_secs(600);

/// While nobody leads, requests that need to know who does wait so long.
pub const KAFKA_LEADER_WAIT: Duration = Duration::from_secs(5);

/// Room to read into that a connection has at least.
pub const KAFKA_READ: usize = 16 * KIB;

/// Room to read into that a connection has at most at a time, whatever its frame announces.
pub const KAFKA_READ_MOST: usize = MIB;

/// A fetch waits for records so long at most, whatever it asks for.
pub const KAFKA_FETCH_WAIT: Duration = Duration::from_secs(300);

/// A fetch is answered with so many bytes at most, but always with one batch.
pub const KAFKA_FETCH_BYTES: u32 = 16 * 1024 * 1024;

/// Requests that have come and are not taken yet take so many bytes at most, of all connections.
/// Whose bytes go beyond that is closed.
pub const KAFKA_INPUT: usize = 256 * MIB;

/// While replies that clients do not take have so many bytes, who asks for another large one than a
/// fetch's is closed.
pub const KAFKA_REPLIES: usize = 256 * MIB;

/// The same for fetches: so many bytes of replies, and each is answered with a batch.
pub const KAFKA_FETCHED: usize = KAFKA_REPLIES / 4 * 3;

/// Replies of fewer bytes are not counted among those.
pub const KAFKA_REPLY_COUNTED: usize = KIB;

/// All topics of one CreateTopics have so many partitions at most, as with Kafka.
pub const KAFKA_CREATED: usize = 10_000;

/// Names of groups, members and instances have at most this many bytes.
pub const KAFKA_NAME: usize = 1_024;

/// A batch of records has at most this many bytes if nothing else is said (Kafka's
/// `message.max.bytes`).
pub const KAFKA_BATCH: usize = MIB + 12;

/// No flag makes batches larger than this: each has to fit one entry of the log.
pub const KAFKA_BATCH_MOST: usize = MAX_BATCH_BYTES as usize;

/// Of so many bad records of a batch, at most, it is told that they are bad.
pub const KAFKA_RECORD_ERRORS_MOST: usize = 10_000;

/// A request of Kafka's clients is answered at the latest so long after it came in. They wait 30 s.
pub const KAFKA_REQUEST: Duration = Duration::from_secs(20);

/// A partition forgets an idempotent producer that has sent it nothing for so long (Kafka's
/// `producer.id.expiration.ms`).
pub const PRODUCER_SILENCE_MS: u64 = 24 * 3_600 * 1_000;

/// A node that is told to end has so long to hand its leadership over and to answer what it has
/// taken in.
pub const LAST_SERVICE: Duration = Duration::from_secs(5);

/// A node without peers has so long to answer what it has taken in.
pub const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// It looks so often whether everything is answered.
pub const LAST_LOOK: Duration = Duration::from_millis(5);

// --- The admin listener ---

/// So many connections are open at most. Later ones are closed at once.
pub const ADMIN_CONNECTIONS: usize = 64;

/// A connection on which nothing has moved for so long is closed. Prometheus asks each minute.
pub const ADMIN_IDLE: Duration = Duration::from_secs(120);

// --- Hands on time, for tests ---

/// Another node that is to lead has so long to do so.
pub const HAND_OVER: Duration = Duration::from_secs(10);

/// A node that does not lead looks so often how a group is.
pub const GROUP_LOOK: Duration = Duration::from_millis(50);

// --- Between nodes, over TCP ---

/// A frame between nodes has at most so many bytes.
pub const PEER_FRAME: usize = 8 * MIB;

/// What is said before messages begin has at most so many bytes: a stranger may have said it.
pub const PEER_GREETING: usize = 64 * KIB;

/// A refusal is cut to so many bytes.
pub const PEER_REFUSAL: usize = 4 * KIB;

/// Larger messages have a connection of their own, so that none of the others waits for them.
pub const PEER_SMALL: usize = 32 * KIB;

/// What waits to be sent on a connection takes at most so many bytes, but may be one message.
pub const PEER_QUEUE: usize = 32 * MIB;

/// While messages of this many bytes wait for the service, no more are read of any peer.
pub const PEER_INBOX: usize = 32 * MIB;

/// About so many bytes are written at a time.
pub const PEER_WRITE: usize = 256 * KIB;

/// Room to read into that a connection has at least.
pub const PEER_READ: usize = 64 * KIB;

/// Room to read into that a connection has at most at a time, whatever its frame announces.
pub const PEER_READ_MOST: usize = MIB;

/// What has waited for a connection for so long is not sent any more: nobody waits for its answer.
pub const PEER_STALE: Duration = Duration::from_secs(1);

/// So many connections of others may be open that have not said yet who they are, or not proved it.
/// Later ones are closed at once. Peers take two each, for some milliseconds.
pub const PEER_STRANGERS: usize = 16;

/// So many connections may be open for each peer, besides: a peer makes two, and makes them anew
/// before this node has noticed that the others are broken.
pub const PEER_CONNECTIONS: usize = 4;

/// A connection and its greetings take at most so long.
pub const PEER_HELLO: Duration = Duration::from_secs(2);

/// A connection on which nothing is acknowledged for so long is broken.
pub const PEER_SILENCE: Duration = Duration::from_secs(5);

/// The first pause before a connection is tried again. Each is twice as long as the one before.
pub const PEER_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause.
pub const PEER_PAUSE_MOST: Duration = Duration::from_secs(1);

// --- Between nodes ---

/// Over a link that carries fewer bytes a second, large appends do not arrive in time. One that got
/// lost is waited for by so much longer.
pub const SLOWEST_LINK: usize = MIB;

/// How long so many bytes take over the slowest link, by the node's own clock.
pub const fn sent_within(bytes: usize) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / SLOWEST_LINK as u64)
}

/// An append that only says what is raft-committed waits so long for entries to go with. That is
/// longer than a round on a disk takes under load. No client waits for it.
pub const COMMIT_WAIT: Duration = Duration::from_millis(5);

/// One message to the leader carries at most about so many bytes of requests, but always one
/// request.
pub const FORWARD: usize = MIB;

/// What reads found is remembered for a follower whose answers get lost: so many bytes a follower.
pub const REMEMBERED_READS: usize = MIB;

/// One message to a follower carries at most about so many bytes of replies, but always one reply.
pub const FORWARD_REPLIES: usize = MIB;

/// A chunk of a snapshot has at most this many bytes.
pub const SNAPSHOT_CHUNK: usize = 256 * KIB;

/// What has come of a snapshot is made durable each time that so many bytes have come.
pub const SNAPSHOT_SYNCED: u64 = 8 * MIB as u64;

/// A transfer of a snapshot is given up after so many chunks in a row without progress.
pub const SNAPSHOT_CHUNK_ATTEMPTS: u32 = 8;

/// The last chunk is answered when the whole snapshot is installed: it has this many times the time
/// of any other.
pub const SNAPSHOT_INSTALL_TIMES: u32 = 5;

// --- The service ---

/// A round carries at most so many requests.
pub const ROUND_REQUESTS: usize = 8_192;

/// A round carries at most about so many bytes, but always one request. Each follower gets it in
/// one message.
pub const ROUND: usize = MIB;

/// A round carries at most about so much work, in looks at single members, partitions or groups
/// (`state_machine::effort`), but always one request: some ten milliseconds. Meanwhile nobody is
/// answered.
pub const ROUND_LOOKS: u64 = 50_000;

/// A leader that may not propose yet, or cannot reach a quorum, tries again after this.
pub const ROUND_RETRY: Duration = Duration::from_millis(10);

/// So many places of an empty queue are kept. A burst should not pin its size for good.
pub const KEPT_PLACES: usize = 1_024;

/// A segment of a partition's log has at most so many bytes (Kafka's `segment.bytes` is 1 GiB).
pub const SEGMENT: u32 = 64 * MIB as u32;

/// A Raft log of fewer bytes makes no snapshot, however cheap one is.
pub const LEAST_LOG: usize = 2 * MIB;

/// The size of the Raft log is looked at when it has grown by so many bytes.
pub const LOG_GROWTH: usize = MIB;

/// How often the size of the Raft log is looked at in any case.
pub const COMPACTION_CHECK: Duration = Duration::from_millis(100);

/// How long a follower leaves a delayed request alone before it asks the leader again.
pub const DELAYED_RETRY: Duration = Duration::from_secs(2);

/// A sync of a member that this node does not know has this on top of the request time-out, in ms:
/// Kafka's default of `max.poll.interval.ms`.
pub const UNKNOWN_REBALANCE_TIMEOUT_MS: u32 = 300_000;

/// The rebalance time-outs of so many members that joined here are remembered. Then they are
/// forgotten, which costs a late sync its exact deadline.
pub const REMEMBERED_JOINS: usize = 10_000;

/// A retried forward waits at most this many times the forward time-out.
pub const FORWARD_PATIENCE: u32 = 4;

const _: () = assert!(PEER_MESSAGE / 3 * 4 + ENVELOPE <= PRINTED_LINE, "a message fits a line");
const _: () = assert!(PEER_MESSAGE <= PEER_FRAME && PEER_FRAME <= PEER_QUEUE, "so it does a frame");
const _: () = assert!(REQUEST + ENVELOPE <= PEER_MESSAGE, "a request fits a message");
const _: () = assert!(REQUEST < SEGMENT as usize, "a segment takes many requests");
const _: () = assert!(MAX_REPLY_TEXT + ENVELOPE <= PRINTED_LINE, "what a poll gives fits a line");
const _: () = assert!(RECORD < REQUEST, "a record fits a request");
const _: () = assert!(SNAPSHOT_CHUNK + ENVELOPE <= PEER_MESSAGE, "a chunk fits a message");
const _: () =
    assert!(FORWARD <= PEER_MESSAGE && FORWARD_REPLIES <= PEER_MESSAGE, "so do small batches");
const _: () = assert!(
    OPEN_SEGMENTS + ADMIN_CONNECTIONS + PEER_STRANGERS + 4 * PEER_CONNECTIONS < FILES_KEPT as usize,
    "what is kept of the files is enough, with the connections of four peers"
);
const _: () = assert!(KAFKA_CREATED <= MAX_PARTITIONS as usize, "a topic may have all of them");
const _: () = assert!(OUTPUT_TO_PEERS < OUTPUT, "peers' messages are dropped before input waits");
const _: () =
    assert!(LATE_ANSWER.as_millis() < 1_000, "below the second that Maelstrom's client has left");
