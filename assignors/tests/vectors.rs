//! Kafka's own cases, and proof that their runner can fail.

#[path = "support/properties.rs"]
mod properties;
#[path = "support/vectors.rs"]
mod vectors;

use vectors::{Case, parse, run, run_files};

const DATA: &str = include_str!("../testdata/assignors.json");

fn cases() -> Vec<Case> {
    parse(DATA).expect("the test data")
}

/// A case for `range` that holds, with these properties; 2 members, 3 partitions.
fn case_with(properties: &[&str]) -> Case {
    let text = format!(
        r#"[{{"id": "X", "assignor": "range", "topics": {{"t": 3}},
            "members": {{"a": {{"topics": ["t"], "owned": [["t", 2]]}},
                         "b": {{"topics": ["t"], "instance_id": "i", "owned": [["t", 0]]}}}},
            "expect": {{}}, "expect_properties": {}}}]"#,
        serde_json::to_string(properties).unwrap()
    );
    parse(&text).expect("a case").remove(0)
}

#[test]
fn kafkas_cases() {
    let cases = cases();
    assert_eq!(cases.len(), 213);
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            run(case).err().map(|reason| format!("{} {}: {reason}", case.id, case.assignor))
        })
        .collect();
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
}

/// Takes one partition out of each literal expectation, or adds one: every case must notice.
#[test]
fn a_wrong_assignment_fails() {
    let mut changed = 0;
    for mut case in cases() {
        let Some(lists) = &mut case.expect.assignment else { continue };
        case.expect.assignment_later_version = None;
        match lists.values_mut().find(|list| !list.is_empty()) {
            Some(list) => _ = list.pop(),
            None => _ = lists.insert("nobody".into(), vec![("t".into(), 0)]),
        }
        changed += 1;
        let reason = run(&case).expect_err(&case.id);
        assert!(reason.contains("assignment: expected"), "{}: {reason}", case.id);
    }
    assert!(changed > 100);
}

#[test]
fn a_wrong_order_fails_where_order_is_asserted() {
    let mut changed = 0;
    for mut case in cases().into_iter().filter(|case| case.expect.ordered) {
        let lists = case.expect.assignment.as_mut().expect("an ordered assignment");
        if let Some(list) = lists.values_mut().find(|list| list.len() > 1) {
            list.reverse();
            changed += 1;
            run(&case).expect_err(&case.id);
        }
    }
    assert!(changed > 5);
}

#[test]
fn a_wrong_transfer_or_error_fails() {
    let (mut transfers, mut errors) = (0, 0);
    for mut case in cases() {
        if let Some(transferring) = &mut case.expect.transferring {
            match transferring.pop() {
                Some(_) => {}
                None => transferring.push((("t".into(), 0), "nobody".into())),
            }
            transfers += 1;
            assert!(run(&case).expect_err(&case.id).contains("transferring: expected"));
        } else if case.expect.error.take().is_some() {
            errors += 1;
            assert!(run(&case).expect_err(&case.id).contains("unexpected error"));
        } else {
            case.expect.error = Some("anything".into());
            assert!(run(&case).expect_err(&case.id).contains("expected the error"));
        }
    }
    assert!(transfers > 10 && errors == 3);
}

/// `range` gives b (static, so first) partitions 0 and 1, and a the last.
#[test]
fn properties_hold_and_fail() {
    let holding = [
        "valid",
        "no-double",
        "complete",
        "max-diff-1",
        "balanced",
        "no-improving-move",
        "sticky",
        "retains-owned",
        "retains-owned-by:a,b",
        "only-from-owned:a",
        "size-between:1,2",
        "no-transfer",
        "transfer-count:0",
        "stable-by-instance",
    ];
    run(&case_with(&holding)).expect("all hold");
    let failing = [
        "only-from-owned",
        "only-from-owned:b",
        "only-from-owned:stranger",
        "retains-owned-by:stranger",
        "retains-owned-by",
        "size-between:2,2",
        "size-between:1",
        "topic-count-each:t=1",
        "topic-count-each:u=0",
        "transfer-count:1",
        "transfer-count:x",
        "valid:a",
        "no-such-property",
        "",
    ];
    for property in failing {
        let reason = run(&case_with(&[property])).expect_err(property);
        assert!(reason.starts_with(&format!("{property}: ")), "{reason}");
    }
}

/// The properties that no assignor here violates are given outcomes that do.
#[test]
fn properties_fail_on_bad_outcomes() {
    use assignors::by_name;
    use properties::{Facts, check_property};
    use std::collections::BTreeMap;
    use vectors::{Outcome, group_of};

    let text = r#"[{"id": "X", "assignor": "sticky", "topics": {"t": 6, "u": 2},
        "members": {"a": {"topics": ["t"], "instance_id": "z", "owned": [["t", 0], ["t", 1]]},
                    "b": {"topics": ["t"], "instance_id": "y", "owned": [["t", 2], ["t", 3]]},
                    "c": {"topics": ["u"], "owned": []}},
        "expect": {}}]"#;
    let case = parse(text).unwrap().remove(0);
    let group = group_of(&case).unwrap();
    // Every expectation about who has what, as (property, a's list, b's list, c's list).
    type List = [(&'static str, u32)];
    let bad: [(&str, &List, &List, &List); 11] = [
        ("valid", &[("u", 0)], &[], &[]),
        ("valid", &[("t", 6)], &[], &[]),
        ("no-double", &[("t", 0)], &[("t", 0)], &[]),
        ("complete", &[("t", 0)], &[("t", 1)], &[]),
        ("max-diff-1", &[("t", 0), ("t", 1)], &[], &[]),
        ("balanced", &[("t", 0), ("t", 1), ("t", 2)], &[("t", 3)], &[]),
        ("no-improving-move", &[("t", 0), ("t", 1)], &[], &[]),
        ("sticky", &[("t", 2)], &[("t", 0)], &[]),
        ("retains-owned", &[("t", 0)], &[("t", 2), ("t", 3)], &[]),
        ("no-transfer", &[("t", 2)], &[], &[]),
        ("stable-by-instance", &[("t", 5)], &[], &[]),
    ];
    for (property, a, b, c) in bad {
        let list = |list: &[(&str, u32)]| {
            list.iter().map(|&(topic, p)| (topic.to_string(), p)).collect::<Vec<_>>()
        };
        let target =
            BTreeMap::from([("a".into(), list(a)), ("b".into(), list(b)), ("c".into(), list(c))]);
        let transferring = BTreeMap::from([(("t".to_string(), 2), "a".to_string())]);
        let outcome = Outcome { given: target.clone(), target, transferring };
        let assignor = by_name("range").unwrap();
        let facts = Facts { case: &case, outcome: &outcome, group: &group, assignor };
        check_property(property, &facts).expect_err(property);
    }
}

#[test]
fn a_member_that_is_not_understood_fails() {
    let mut case = case_with(&[]);
    case.assignor = "lottery".into();
    assert_eq!(run(&case), Err("no assignor `lottery`".into()));
    // An unknown expectation makes the file unreadable.
    parse(r#"[{"id": "X", "assignor": "range", "topics": {}, "members": {}, "expect": {"miracle": 1}}]"#)
        .expect_err("an unknown expectation");
}

#[test]
fn the_program_counts_and_exits() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let good = folder.join("good.json");
    std::fs::write(&good, DATA).unwrap();
    let bad = folder.join("bad.json");
    let wrong = r#"[{"id": "W-1", "assignor": "range", "topics": {"t": 1}, "members": {"a": {"topics": ["t"]}},
        "expect": {"assignment": {"a": []}}}]"#;
    std::fs::write(&bad, wrong).unwrap();
    let broken = folder.join("broken.json");
    std::fs::write(&broken, "[{").unwrap();

    let run = |files: &[&std::path::PathBuf]| {
        let files: Vec<_> = files.iter().map(|file| file.as_os_str().to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run_files(&files, &mut out, &mut err).unwrap();
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    assert_eq!(run(&[&good]), (0, "213 passed, 0 failed\n".into(), String::new()));
    let (code, out, err) = run(&[&good, &bad]);
    assert_eq!((code, err.as_str()), (1, ""));
    assert_eq!(out, "W-1 range: assignment: expected a=[], got a=[t-0]\n213 passed, 1 failed\n");
    assert_eq!(run(&[]).0, 2);
    let (code, out, err) = run(&[&folder.join("absent.json")]);
    assert!(code == 2 && out.is_empty() && err.contains("absent.json"));
    assert_eq!(run(&[&broken]).0, 2);
}
