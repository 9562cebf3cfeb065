//! Two answers, field by field.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;
use wire::versions;

use super::names::label;
use super::play::Step;

/// A field in which two answers differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where it is, such as `topics[t].partitions[0].error_code`; empty: the whole answer.
    pub field: String,
    /// What Kafka says; nothing where it does not have the field or the element.
    pub kafka: Option<Value>,
    /// What cohort says.
    pub ours: Option<Value>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told =
            |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
        let (kafka, ours) = (told(&self.kafka), told(&self.ours));
        write!(f, "{}: Kafka {kafka}, cohort {ours}", self.field)
    }
}

/// A difference that has a reason: a row of the table.
#[derive(Debug, PartialEq)]
pub struct Known {
    /// The name of the API.
    api: String,
    versions: RangeInclusive<i16>,
    /// The names of the steps; `*` stands for anything.
    steps: String,
    /// The fields; `*` stands for anything.
    field: String,
    /// What Kafka says, as JSON; `*` stands for anything, and `nothing` for a field or an element
    /// that is not there.
    kafka: String,
    /// What cohort says, in the same form.
    ours: String,
}

/// The rows of a table in Markdown: API, versions, steps, field, Kafka, cohort, reason.
///
/// # Panics
///
/// If a row has another form.
pub fn known(table: &str) -> Vec<Known> {
    // Behind the names of the columns and the line below them.
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    rows.map(row).collect()
}

fn row(line: &str) -> Known {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let [api, versions, steps, field, kafka, ours, reason] = cells[..] else {
        panic!("seven cells: {line}");
    };
    assert!(reason.len() > 10, "a reason: {line}");
    let exists = versions::ALL.iter().any(|known| known.name == api);
    assert!(exists, "an API: {line}");
    let version = |text: &str| text.parse::<i16>().unwrap_or_else(|_| panic!("versions: {line}"));
    let (first, last) = versions.split_once(" to ").unwrap_or((versions, versions));
    let plain = |cell: &str| cell.trim_matches('`').to_owned();
    Known {
        api: api.to_owned(),
        versions: version(first)..=version(last),
        steps: plain(steps),
        field: plain(field),
        kafka: plain(kafka),
        ours: plain(ours),
    }
}

impl Known {
    pub fn covers(&self, step: &Step, difference: &Difference) -> bool {
        let is = |pattern: &str, value: &Option<Value>| {
            matches(pattern, &value.as_ref().map_or("nothing".to_owned(), Value::to_string))
        };
        versions::find(step.api).is_some_and(|api| api.name == self.api)
            && self.versions.contains(&step.version)
            && matches(&self.steps, &step.name)
            && matches(&self.field, &difference.field)
            && is(&self.kafka, &difference.kafka)
            && is(&self.ours, &difference.ours)
    }
}

/// Whether a text is of a form in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.into_iter().any(|at| matches(rest, &left[at..]))
        }),
    }
}

/// What differs.
pub fn differences(kafka: &Value, ours: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(String::new(), Some(kafka), Some(ours), &mut found);
    found
}

fn walk(field: String, kafka: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Difference>) {
    match (kafka, ours) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let dot = if field.is_empty() { "" } else { "." };
                walk(format!("{field}{dot}{name}"), a.get(name), b.get(name), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            let (a, b) = (labelled(a), labelled(b));
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let (a, b) = (a.get(name).copied(), b.get(name).copied());
                walk(format!("{field}[{name}]"), a, b, found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(Difference { field, kafka: a.cloned(), ours: b.cloned() }),
    }
}

/// The elements of an array by their labels; those that have none, or the same, by their number.
fn labelled(list: &[Value]) -> BTreeMap<String, &Value> {
    let mut by_label = BTreeMap::new();
    for (at, element) in list.iter().enumerate() {
        let own = label(element);
        let own = if own.is_empty() { at.to_string() } else { own };
        let mut name = own.clone();
        let mut times = 1;
        while by_label.contains_key(&name) {
            times += 1;
            name = format!("{own} #{times}");
        }
        by_label.insert(name, element);
    }
    by_label
}

#[test]
fn what_differs_is_found_and_nothing_else() {
    use serde_json::json;

    let kafka = json!({"code": 0, "topics": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]});
    assert_eq!(differences(&kafka, &kafka), []);
    let ours = json!({"code": 0, "topics": [{"name": "b", "n": 3}, {"name": "c", "n": 1}]});
    let found = differences(&kafka, &ours);
    let fields: Vec<&str> = found.iter().map(|found| &*found.field).collect();
    assert_eq!(fields, ["topics[a]", "topics[b].n", "topics[c]"]);
    assert_eq!((&found[1].kafka, &found[1].ours), (&Some(json!(2)), &Some(json!(3))));
    assert_eq!((found[0].ours.as_ref(), found[2].kafka.as_ref()), (None, None));
    assert_eq!(differences(&json!("closed"), &kafka)[0].field, "");
}

#[test]
fn a_star_stands_for_anything() {
    for (pattern, text) in [("", ""), ("a", "a"), ("*", ""), ("a*c", "abbc"), ("*[*].n", "t[x].n")]
    {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("", "a"), ("a", "ab"), ("a*c", "ab"), ("*[*].n", "t[x].m")] {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
}

#[test]
fn a_row_says_what_it_covers() {
    use serde_json::json;

    let table = "text\n\n| API | versions |\n| --- | --- |\n\
                 | Fetch | 4 to 12 | `*` | `a[*].b` | `*` | `nothing` | a reason of its own |\n\
                 | Fetch | 17 | `x*` | `` | `\"closed\"` | `*` | a reason of its own |\n";
    let rows = known(table);
    let step = |version, name: &str| Step {
        name: name.to_owned(),
        api: versions::FETCH,
        version,
        request: Value::Null,
        answer: Value::Null,
    };
    let lacks = Difference { field: "a[t].b".to_owned(), kafka: Some(json!(1)), ours: None };
    let closed = Difference { field: String::new(), kafka: Some(json!("closed")), ours: None };
    let covered = |step: &Step, found: &Difference| {
        rows.iter().map(|row| row.covers(step, found)).collect::<Vec<_>>()
    };
    assert_eq!(covered(&step(12, "any"), &lacks), [true, false]);
    assert_eq!(covered(&step(13, "any"), &lacks), [false, false]);
    assert_eq!(covered(&step(17, "xyz"), &closed), [false, true]);
    assert_eq!(covered(&step(17, "yz"), &closed), [false, false]);
}
