//! The fields of every request that is understood: one table.
//!
//! A line is a field: its type, its name, and in which versions it exists, may be null, or is
//! tagged. The order is that of the bytes. The order and the versions are those of Kafka's message
//! schemas. [`walk`](crate::walk) reads the table; it knows how the bytes of each type look.

/// The fields of a struct, in order.
pub(crate) type Fields = &'static [Field];

/// A field of a struct.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The versions that have it, both included.
    pub(crate) first: i16,
    pub(crate) last: i16,
    /// The first version in which it may be null.
    pub(crate) null_from: i16,
    /// Its tag, if it is not one of the fields that are always there.
    pub(crate) tag: Option<u32>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// So many bytes, whatever they say.
    Fixed(usize),
    /// A string in UTF-8.
    Text,
    /// Bytes with their length in front.
    Blob,
    /// A struct.
    Struct(Fields),
    /// An array.
    List(&'static Kind),
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body {
    pub(crate) key: i16,
    /// From this version on lengths are compact, and every struct ends with tagged fields.
    pub(crate) flexible_from: i16,
    pub(crate) fields: Fields,
}

/// No version is so great.
const NEVER: i16 = i16::MAX;

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, first: 0, last: i16::MAX, null_from: NEVER, tag: None }
}
const fn int8(name: &'static str) -> Field {
    field(name, Kind::Fixed(1))
}
const fn boolean(name: &'static str) -> Field {
    field(name, Kind::Fixed(1))
}
const fn int16(name: &'static str) -> Field {
    field(name, Kind::Fixed(2))
}
const fn int32(name: &'static str) -> Field {
    field(name, Kind::Fixed(4))
}
const fn int64(name: &'static str) -> Field {
    field(name, Kind::Fixed(8))
}
const fn uuid(name: &'static str) -> Field {
    field(name, Kind::Fixed(16))
}
const fn text(name: &'static str) -> Field {
    field(name, Kind::Text)
}
const fn blob(name: &'static str) -> Field {
    field(name, Kind::Blob)
}
const fn group(name: &'static str, fields: Fields) -> Field {
    field(name, Kind::Struct(fields))
}
const fn list(name: &'static str, of: &'static Kind) -> Field {
    field(name, Kind::List(of))
}
const fn body(key: i16, flexible_from: i16, fields: Fields) -> Body {
    Body { key, flexible_from, fields }
}

impl Field {
    /// Exists from this version on.
    const fn from(mut self, version: i16) -> Self {
        self.first = version;
        self
    }
    /// Exists up to this version.
    const fn to(mut self, version: i16) -> Self {
        self.last = version;
        self
    }
    /// May be null in every version.
    const fn null(self) -> Self {
        self.null_from(0)
    }
    /// May be null from this version on.
    const fn null_from(mut self, version: i16) -> Self {
        self.null_from = version;
        self
    }
    /// Is not one of the fields that are always there.
    const fn tag(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }
    /// Whether the version has the field.
    pub(crate) const fn is_in(&self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

const INT32S: Kind = Kind::Fixed(4);
const TEXTS: Kind = Kind::Text;

/// Every body, by ascending key.
pub(crate) const BODIES: &[Body] = &[
    body(0, 9, PRODUCE),
    body(1, 12, FETCH),
    body(2, 6, LIST_OFFSETS),
    body(3, 9, METADATA),
    body(8, 8, OFFSET_COMMIT),
    body(9, 6, OFFSET_FETCH),
    body(10, 3, FIND_COORDINATOR),
    body(11, 6, JOIN_GROUP),
    body(12, 4, HEARTBEAT),
    body(13, 4, LEAVE_GROUP),
    body(14, 4, SYNC_GROUP),
    body(15, 5, DESCRIBE_GROUPS),
    body(16, 3, LIST_GROUPS),
    body(18, 3, API_VERSIONS),
    body(19, 5, CREATE_TOPICS),
    body(20, 4, DELETE_TOPICS),
    body(21, 2, DELETE_RECORDS),
    body(22, 2, INIT_PRODUCER_ID),
    body(23, 4, OFFSET_FOR_LEADER_EPOCH),
    body(29, 2, DESCRIBE_ACLS),
    body(32, 4, DESCRIBE_CONFIGS),
    body(33, 2, ALTER_CONFIGS),
    body(35, 2, DESCRIBE_LOG_DIRS),
    body(37, 2, CREATE_PARTITIONS),
    body(42, 2, DELETE_GROUPS),
    body(44, 1, INCREMENTAL_ALTER_CONFIGS),
    body(46, 0, LIST_PARTITION_REASSIGNMENTS),
    body(47, NEVER, OFFSET_DELETE),
    body(60, 0, DESCRIBE_CLUSTER),
];

/// The body of the request with this key.
pub(crate) fn find(key: i16) -> Option<&'static Body> {
    BODIES.binary_search_by_key(&key, |body| body.key).ok().map(|at| &BODIES[at])
}

const PRODUCE: Fields = &[
    text("transactional_id").null(),
    int16("acks"),
    int32("timeout_ms"),
    list("topic_data", &Kind::Struct(PRODUCE_TOPIC)),
];
const PRODUCE_TOPIC: Fields =
    &[text("name"), list("partition_data", &Kind::Struct(PRODUCE_PARTITION))];
const PRODUCE_PARTITION: Fields = &[int32("index"), blob("records").null()];

const FETCH: Fields = &[
    text("cluster_id").null().from(12).tag(0),
    int32("replica_id").to(14),
    group("replica_state", FETCH_REPLICA).from(15).tag(1),
    int32("max_wait_ms"),
    int32("min_bytes"),
    int32("max_bytes"),
    int8("isolation_level"),
    int32("session_id").from(7),
    int32("session_epoch").from(7),
    list("topics", &Kind::Struct(FETCH_TOPIC)),
    list("forgotten_topics_data", &Kind::Struct(FETCH_FORGOTTEN)).from(7),
    text("rack_id").from(11),
];
const FETCH_REPLICA: Fields = &[int32("replica_id"), int64("replica_epoch")];
const FETCH_TOPIC: Fields = &[
    text("topic").to(12),
    uuid("topic_id").from(13),
    list("partitions", &Kind::Struct(FETCH_PARTITION)),
];
const FETCH_PARTITION: Fields = &[
    int32("partition"),
    int32("current_leader_epoch").from(9),
    int64("fetch_offset"),
    int32("last_fetched_epoch").from(12),
    int64("log_start_offset").from(5),
    int32("partition_max_bytes"),
    uuid("replica_directory_id").from(17).tag(0),
];
const FETCH_FORGOTTEN: Fields =
    &[text("topic").to(12), uuid("topic_id").from(13), list("partitions", &INT32S)];

const LIST_OFFSETS: Fields = &[
    int32("replica_id"),
    int8("isolation_level").from(2),
    list("topics", &Kind::Struct(LIST_OFFSETS_TOPIC)),
];
const LIST_OFFSETS_TOPIC: Fields =
    &[text("name"), list("partitions", &Kind::Struct(LIST_OFFSETS_PARTITION))];
const LIST_OFFSETS_PARTITION: Fields =
    &[int32("partition_index"), int32("current_leader_epoch").from(4), int64("timestamp")];

const METADATA: Fields = &[
    list("topics", &Kind::Struct(METADATA_TOPIC)).null_from(1),
    boolean("allow_auto_topic_creation").from(4),
    boolean("include_cluster_authorized_operations").from(8).to(10),
    boolean("include_topic_authorized_operations").from(8),
];
const METADATA_TOPIC: Fields = &[uuid("topic_id").from(10), text("name").null_from(10)];

const OFFSET_COMMIT: Fields = &[
    text("group_id"),
    int32("generation_id_or_member_epoch"),
    text("member_id"),
    text("group_instance_id").from(7).null(),
    int64("retention_time_ms").to(4),
    list("topics", &Kind::Struct(OFFSET_COMMIT_TOPIC)),
];
const OFFSET_COMMIT_TOPIC: Fields =
    &[text("name"), list("partitions", &Kind::Struct(OFFSET_COMMIT_PARTITION))];
const OFFSET_COMMIT_PARTITION: Fields = &[
    int32("partition_index"),
    int64("committed_offset"),
    int32("committed_leader_epoch").from(6),
    text("committed_metadata").null(),
];

const OFFSET_FETCH: Fields = &[
    text("group_id").to(7),
    list("topics", &Kind::Struct(OFFSET_FETCH_TOPIC)).to(7).null_from(2),
    list("groups", &Kind::Struct(OFFSET_FETCH_GROUP)).from(8),
    boolean("require_stable").from(7),
];
const OFFSET_FETCH_GROUP: Fields = &[
    text("group_id"),
    text("member_id").from(9).null(),
    int32("member_epoch").from(9),
    list("topics", &Kind::Struct(OFFSET_FETCH_TOPIC)).null(),
];
const OFFSET_FETCH_TOPIC: Fields = &[text("name"), list("partition_indexes", &INT32S)];

const FIND_COORDINATOR: Fields =
    &[text("key").to(3), int8("key_type").from(1), list("coordinator_keys", &TEXTS).from(4)];

const JOIN_GROUP: Fields = &[
    text("group_id"),
    int32("session_timeout_ms"),
    int32("rebalance_timeout_ms").from(1),
    text("member_id"),
    text("group_instance_id").from(5).null(),
    text("protocol_type"),
    list("protocols", &Kind::Struct(JOIN_GROUP_PROTOCOL)),
    text("reason").from(8).null(),
];
const JOIN_GROUP_PROTOCOL: Fields = &[text("name"), blob("metadata")];

const HEARTBEAT: Fields = &[
    text("group_id"),
    int32("generation_id"),
    text("member_id"),
    text("group_instance_id").from(3).null(),
];

const LEAVE_GROUP: Fields = &[
    text("group_id"),
    text("member_id").to(2),
    list("members", &Kind::Struct(LEAVE_GROUP_MEMBER)).from(3),
];
const LEAVE_GROUP_MEMBER: Fields =
    &[text("member_id"), text("group_instance_id").null(), text("reason").from(5).null()];

const SYNC_GROUP: Fields = &[
    text("group_id"),
    int32("generation_id"),
    text("member_id"),
    text("group_instance_id").from(3).null(),
    text("protocol_type").from(5).null(),
    text("protocol_name").from(5).null(),
    list("assignments", &Kind::Struct(SYNC_GROUP_ASSIGNMENT)),
];
const SYNC_GROUP_ASSIGNMENT: Fields = &[text("member_id"), blob("assignment")];

const DESCRIBE_GROUPS: Fields =
    &[list("groups", &TEXTS), boolean("include_authorized_operations").from(3)];

const LIST_GROUPS: Fields =
    &[list("states_filter", &TEXTS).from(4), list("types_filter", &TEXTS).from(5)];

const API_VERSIONS: Fields =
    &[text("client_software_name").from(3), text("client_software_version").from(3)];

const CREATE_TOPICS: Fields = &[
    list("topics", &Kind::Struct(CREATE_TOPICS_TOPIC)),
    int32("timeout_ms"),
    boolean("validate_only"),
];
const CREATE_TOPICS_TOPIC: Fields = &[
    text("name"),
    int32("num_partitions"),
    int16("replication_factor"),
    list("assignments", &Kind::Struct(CREATE_TOPICS_ASSIGNMENT)),
    list("configs", &Kind::Struct(CONFIG)),
];
const CREATE_TOPICS_ASSIGNMENT: Fields = &[int32("partition_index"), list("broker_ids", &INT32S)];
const CONFIG: Fields = &[text("name"), text("value").null()];

const DELETE_TOPICS: Fields = &[
    list("topics", &Kind::Struct(DELETE_TOPICS_TOPIC)).from(6),
    list("topic_names", &TEXTS).to(5),
    int32("timeout_ms"),
];
const DELETE_TOPICS_TOPIC: Fields = &[text("name").null(), uuid("topic_id")];

const DELETE_RECORDS: Fields =
    &[list("topics", &Kind::Struct(DELETE_RECORDS_TOPIC)), int32("timeout_ms")];
const DELETE_RECORDS_TOPIC: Fields =
    &[text("name"), list("partitions", &Kind::Struct(DELETE_RECORDS_PARTITION))];
const DELETE_RECORDS_PARTITION: Fields = &[int32("partition_index"), int64("offset")];

const INIT_PRODUCER_ID: Fields = &[
    text("transactional_id").null(),
    int32("transaction_timeout_ms"),
    int64("producer_id").from(3),
    int16("producer_epoch").from(3),
];

const OFFSET_FOR_LEADER_EPOCH: Fields =
    &[int32("replica_id").from(3), list("topics", &Kind::Struct(EPOCH_TOPIC))];
const EPOCH_TOPIC: Fields = &[text("topic"), list("partitions", &Kind::Struct(EPOCH_PARTITION))];
const EPOCH_PARTITION: Fields =
    &[int32("partition"), int32("current_leader_epoch"), int32("leader_epoch")];

const DESCRIBE_ACLS: Fields = &[
    int8("resource_type_filter"),
    text("resource_name_filter").null(),
    int8("pattern_type_filter"),
    text("principal_filter").null(),
    text("host_filter").null(),
    int8("operation"),
    int8("permission_type"),
];

const DESCRIBE_CONFIGS: Fields = &[
    list("resources", &Kind::Struct(DESCRIBE_CONFIGS_RESOURCE)),
    boolean("include_synonyms"),
    boolean("include_documentation").from(3),
];
const DESCRIBE_CONFIGS_RESOURCE: Fields =
    &[int8("resource_type"), text("resource_name"), list("configuration_keys", &TEXTS).null()];

const ALTER_CONFIGS: Fields =
    &[list("resources", &Kind::Struct(ALTER_CONFIGS_RESOURCE)), boolean("validate_only")];
const ALTER_CONFIGS_RESOURCE: Fields =
    &[int8("resource_type"), text("resource_name"), list("configs", &Kind::Struct(CONFIG))];

const DESCRIBE_LOG_DIRS: Fields = &[list("topics", &Kind::Struct(TOPIC_PARTITIONS)).null()];
const TOPIC_PARTITIONS: Fields = &[text("topic"), list("partitions", &INT32S)];

const CREATE_PARTITIONS: Fields = &[
    list("topics", &Kind::Struct(CREATE_PARTITIONS_TOPIC)),
    int32("timeout_ms"),
    boolean("validate_only"),
];
const CREATE_PARTITIONS_TOPIC: Fields = &[
    text("name"),
    int32("count"),
    list("assignments", &Kind::Struct(CREATE_PARTITIONS_ASSIGNMENT)).null(),
];
const CREATE_PARTITIONS_ASSIGNMENT: Fields = &[list("broker_ids", &INT32S)];

const DELETE_GROUPS: Fields = &[list("groups_names", &TEXTS)];

const INCREMENTAL_ALTER_CONFIGS: Fields =
    &[list("resources", &Kind::Struct(INCREMENTAL_RESOURCE)), boolean("validate_only")];
const INCREMENTAL_RESOURCE: Fields = &[
    int8("resource_type"),
    text("resource_name"),
    list("configs", &Kind::Struct(INCREMENTAL_CONFIG)),
];
const INCREMENTAL_CONFIG: Fields = &[text("name"), int8("config_operation"), text("value").null()];

const LIST_PARTITION_REASSIGNMENTS: Fields =
    &[int32("timeout_ms"), list("topics", &Kind::Struct(TOPIC_PARTITIONS)).null()];

const OFFSET_DELETE: Fields =
    &[text("group_id"), list("topics", &Kind::Struct(OFFSET_DELETE_TOPIC))];
const OFFSET_DELETE_TOPIC: Fields =
    &[text("name"), list("partitions", &Kind::Struct(OFFSET_DELETE_PARTITION))];
const OFFSET_DELETE_PARTITION: Fields = &[int32("partition_index")];

const DESCRIBE_CLUSTER: Fields =
    &[boolean("include_cluster_authorized_operations"), int8("endpoint_type").from(1)];
