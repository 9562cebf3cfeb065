//! What legitimately differs from broker to broker, and from run to run, gets a name.
//!
//! Names are given in the order of appearance within a story, so that relations stay: who is told
//! two member ids is told `<member 1>` and `<member 2>`, and whoever answers the wrong one of them
//! is found out. What a client made up itself is no such value and stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use wire::batch::{self, HEADER_SIZE};
use wire::versions;

use super::tree;

/// What a text that is for people is replaced by: each broker has its own words.
const WORDS: &str = "(text)";

/// Bytes beyond so many are told by their number and their checksum.
const MOST_BYTES: usize = 64;

/// The names of a story.
#[derive(Debug, Default)]
pub struct Names {
    by_value: BTreeMap<(&'static str, String), String>,
    counts: BTreeMap<&'static str, usize>,
}

/// What kind of name the value of a field gets, if any.
fn kind(api: i16, field: &str, value: &Value) -> Option<&'static str> {
    if let Some(number) = value.as_i64() {
        let has_epoch = matches!(
            api,
            versions::METADATA
                | versions::LIST_OFFSETS
                | versions::FETCH
                | versions::OFFSET_FOR_LEADER_EPOCH
        );
        return match field {
            "session_id" if api == versions::FETCH && number > 0 => Some("session"),
            "node_id" | "controller_id" | "leader_id" | "replica_nodes" | "isr_nodes"
            | "broker_id" | "broker_ids" => Some("broker"),
            "producer_id" => Some("producer"),
            "port" => Some("port"),
            "leader_epoch" | "current_leader_epoch" if has_epoch => Some("epoch"),
            "finalized_features_epoch" => Some("feature epoch"),
            "total_bytes" | "usable_bytes" => Some("size"),
            "log_append_time_ms" => Some("time"),
            _ => None,
        }
        .filter(|_| number >= 0);
    }
    let text = value.as_str()?;
    match field {
        "topic_id" if text != uuid::Uuid::nil().to_string() => Some("topic id"),
        "member_id" => Some("member"),
        "leader" if api == versions::JOIN_GROUP => Some("member"),
        "cluster_id" => Some("cluster"),
        "host" => Some("host"),
        "log_dir" => Some("folder"),
        _ => None,
    }
    .filter(|_| !text.is_empty())
}

/// The form in which a value is looked up.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Names {
    /// A request as it is kept: what brokers gave has its name.
    pub fn request(&self, api: i16, request: &Value) -> Value {
        self.known(api, "", request)
    }

    /// An answer as it is kept. `request` is what was asked, as it was sent.
    pub fn answer(&mut self, api: i16, request: &Value, answer: &Value) -> Value {
        let mut own = BTreeSet::new();
        leaves(request, &mut own);
        // First what has a name already, since arrays are sorted by names.
        let mut answer = self.known(api, "", answer);
        sort(&mut answer);
        self.new_ones(api, "", &mut answer, &own);
        sort(&mut answer);
        answer
    }

    fn known(&self, api: i16, field: &str, value: &Value) -> Value {
        if field == "records"
            && let Some(bytes) = tree::as_bytes(value)
        {
            return self.known(api, "", &batches(&bytes));
        }
        // That there are no words is no choice of words.
        if field.ends_with("error_message") && value.as_str().is_some_and(|words| !words.is_empty())
        {
            return WORDS.into();
        }
        if let Some(bytes) = tree::as_bytes(value) {
            return short(&bytes);
        }
        match value {
            Value::Object(fields) => {
                let is_no_node = is_no_node(fields);
                let known = |(name, value): (&String, &Value)| {
                    let is_default = is_no_node && value.is_number();
                    let known = || self.known(api, name, value);
                    (name.clone(), if is_default { value.clone() } else { known() })
                };
                Value::Object(fields.iter().map(known).collect())
            }
            Value::Array(list) => list.iter().map(|value| self.known(api, field, value)).collect(),
            _ => {
                // Ids may stand in any field: member ids also in assignments.
                let kinds = match kind(api, field, value) {
                    Some(kind) => vec![kind],
                    None if value.is_string() => vec!["member", "topic id"],
                    None => Vec::new(),
                };
                let name = |kind| self.by_value.get(&(kind, plain(value)));
                kinds.into_iter().find_map(name).map_or_else(|| value.clone(), |n| json!(n))
            }
        }
    }

    fn new_ones(&mut self, api: i16, field: &str, value: &mut Value, own: &BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                let is_no_node = is_no_node(fields);
                let told = fields.iter_mut().filter(|(_, value)| !is_no_node || value.is_array());
                for (name, value) in told {
                    self.new_ones(api, name, value, own);
                }
            }
            Value::Array(list) => {
                list.iter_mut().for_each(|value| self.new_ones(api, field, value, own));
            }
            _ => {
                let Some(kind) = kind(api, field, value) else { return };
                let plain = plain(value);
                let is_named = plain.starts_with(&format!("<{kind} "));
                // An id that the client itself made up. Ports and the like are never asked for.
                let is_own = matches!(kind, "member" | "topic id") && own.contains(&plain);
                if is_named || is_own {
                    return;
                }
                let count = self.counts.entry(kind).or_default();
                let name = self.by_value.entry((kind, plain)).or_insert_with(|| {
                    *count += 1;
                    format!("<{kind} {count}>")
                });
                *value = name.clone().into();
            }
        }
    }
}

/// Whether a node is told of with nothing but defaults: in a version that tells it elsewhere.
fn is_no_node(fields: &Map<String, Value>) -> bool {
    fields.get("port") == Some(&json!(0)) && fields.get("host") == Some(&json!(""))
}

fn leaves(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| leaves(value, into)),
        Value::Array(list) => list.iter().for_each(|value| leaves(value, into)),
        leaf => _ = into.insert(plain(leaf)),
    }
}

/// The fields by which elements of an array are known, if they have one.
const NAMES: &[&str] = &["name", "topic", "group_id", "key"];

/// The fields by which others are known, as far as they have them.
const KEYS: &[&str] = &[
    "topic_id",
    "member_id",
    "group_instance_id",
    "partition_index",
    "partition",
    "index",
    "api_key",
    "node_id",
    "broker_id",
    "resource_name",
    "log_dir",
    "batch",
];

/// By what an element of an array is told from the others; empty: by nothing.
pub fn label(element: &Value) -> String {
    let Some(fields) = element.as_object() else { return String::new() };
    // Whatever has a name needs no other.
    let of = |keys: &[&str]| {
        let keys = keys.iter().filter_map(|key| fields.get(*key)).filter(|value| !value.is_null());
        keys.map(plain).filter(|key| !key.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let name = of(NAMES);
    if name.is_empty() { of(KEYS) } else { name }
}

/// Clients find what they asked for by name, so the order of an answer says nothing.
fn sort(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(sort),
        Value::Array(list) => {
            list.iter_mut().for_each(sort);
            let number = |label: &str| label.parse::<i64>().unwrap_or(-1);
            list.sort_by_cached_key(|element| {
                let label = label(element);
                (number(&label), label)
            });
        }
        _ => {}
    }
}

fn short(bytes: &[u8]) -> Value {
    if bytes.len() <= MOST_BYTES {
        return tree::bytes(bytes);
    }
    json!(format!("{} bytes with checksum {:08x}", bytes.len(), crc32c::crc32c(bytes)))
}

/// The batches of a partition, field by field; bytes where they are none.
fn batches(mut bytes: &[u8]) -> Value {
    let mut found = Vec::new();
    while bytes.len() >= HEADER_SIZE {
        let length = i32::from_be_bytes(*bytes[8..].first_chunk().expect("a header"));
        let size = usize::try_from(length).unwrap_or(0) + 12;
        if size < HEADER_SIZE || size > bytes.len() {
            break;
        }
        found.push(one_batch(found.len(), &bytes[..size]));
        bytes = &bytes[size..];
    }
    if !bytes.is_empty() {
        found.push(json!({"batch": found.len(), "no_batch": short(bytes)}));
    }
    found.into()
}

fn one_batch(number: usize, bytes: &[u8]) -> Value {
    let field = |range: std::ops::Range<usize>| {
        let width = range.len();
        let bits = bytes[range].iter().fold(0_i64, |bits, byte| bits << 8 | i64::from(*byte));
        let unused = 64 - 8 * width;
        json!(bits << unused >> unused)
    };
    let sealed = i64::from(batch::crc_of(bytes) as i32);
    let fields = [
        ("batch", json!(number)),
        ("base_offset", field(0..8)),
        ("partition_leader_epoch", field(12..16)),
        ("magic", field(16..17)),
        ("checksum", json!(if field(17..21) == sealed { "right" } else { "wrong" })),
        ("attributes", field(21..23)),
        ("last_offset_delta", field(23..27)),
        ("base_timestamp", field(27..35)),
        ("max_timestamp", field(35..43)),
        ("producer_id", field(43..51)),
        ("producer_epoch", field(51..53)),
        ("base_sequence", field(53..57)),
        ("count", field(57..61)),
        ("payload", short(&bytes[HEADER_SIZE..])),
    ];
    Value::Object(
        fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<Map<_, _>>(),
    )
}

#[test]
fn what_a_broker_gave_is_named_and_what_the_client_made_up_is_not() {
    let mut names = Names::default();
    let asked = json!({"member_id": "stranger"});
    let told = json!({"member_id": "stranger", "leader": "consumer-7", "throttle_time_ms": 0});
    let kept = names.answer(versions::JOIN_GROUP, &asked, &told);
    assert_eq!(
        kept,
        json!({"member_id": "stranger", "leader": "<member 1>", "throttle_time_ms": 0})
    );
    let asked = names.request(versions::HEARTBEAT, &json!({"member_id": "consumer-7"}));
    assert_eq!(asked, json!({"member_id": "<member 1>"}));
    let two = json!([{"member_id": "b"}, {"member_id": "consumer-7"}]);
    let kept = names.answer(versions::DESCRIBE_GROUPS, &json!({}), &two);
    assert_eq!(kept, json!([{"member_id": "<member 1>"}, {"member_id": "<member 2>"}]));
}
