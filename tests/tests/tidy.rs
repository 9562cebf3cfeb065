//! What the sources must not contain: the list of absences in ARCHITECTURE.md, as tests.
//!
//! Every rule is a function from a file to what is wrong with it. Each test first shows its rule a
//! sample that the rule has to object to, then applies it to the repository.

#[path = "tidy/citations.rs"]
mod citations;
#[path = "tidy/ratchet.rs"]
mod ratchet;
#[path = "tidy/repository.rs"]
mod repository;
#[path = "tidy/rust.rs"]
mod rust;

use std::collections::BTreeSet;
use std::fs;

use repository::{Source, files, holds, root, rust_files, sources, without};
use rust::{mentions, parts, uses, words};

const ASSIGNORS: &str = "assignors/src";
const STATE_MACHINE: &str = "raft-store/state-machine/src";
const RAFT_STORE: &str = "raft-store/src";
const RUNTIME: &str = "raft-store/runtime/src";
const NODE: &str = "node/src";
const WIRE: &str = "wire/src";
const LISTENERS: &str = "node/src/listeners";
const CLUSTER: &str = "node/src/cluster";
const ARENA: &str = "tests/src";

/// Clocks, randomness, input and output, as the standard library and others call them.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "UNIX_EPOCH",
    "rand",
    "RandomState",
    "openraft",
    "openraft_rt",
    "raft_store",
    "serde_json",
    "tokio",
    "tracing",
    "File",
    "TcpStream",
    "stdin",
    "stdout",
    "stderr",
    "spawn",
    "sleep",
];

#[test]
fn assignors_and_state_machine_are_pure() {
    for folder in [ASSIGNORS, STATE_MACHINE] {
        for banned in [
            "std::time::Instant::now()",
            "use tokio::sync;",
            "rand::rng()",
            "serde_json::Value",
            "openraft::X",
        ] {
            let bad = Source::sample("x.rs", banned);
            let why = "no clock, randomness, Raft, runtime, input or output in what every node has to decide alike";
            holds(|source| mentions(source, IMPURE), &bad, &[], why);
        }
        let bad = Source::sample("x.rs", "let now = SystemTime::now();");
        holds(|source| mentions(source, IMPURE), &bad, &sources(&[folder]), "pure crates");
    }
}

#[test]
fn the_state_machine_has_no_maps_without_an_order() {
    let bad = Source::sample("x.rs", "struct S { groups: HashMap<String, u32> }");
    let rule = |source: &Source| mentions(source, &["HashMap", "HashSet"]);
    holds(
        rule,
        &bad,
        &sources(&[STATE_MACHINE]),
        "order must not differ from node to node: BTreeMap, BTreeSet",
    );
}

/// Hash maps that are more than looked up in: kept in a type, or walked over in their own order.
fn walks_a_hash_map(source: &Source) -> Vec<String> {
    let code = parts(&source.text).code;
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for (at, line) in code
        .lines()
        .enumerate()
        .filter(|(_, line)| words(line).any(|word| word.starts_with("Hash")))
    {
        let mut words =
            words(line).skip_while(|word| *word != "let").skip(1).filter(|word| *word != "mut");
        let is_trait = !line.contains("HashMap") && !line.contains("HashSet");
        match words.next() {
            Some(name) => _ = names.insert(name),
            None if is_trait || line.trim_start().starts_with("use ") => {}
            None => found.push(format!("{}:{}: a hash map that is kept", source.path, at + 1)),
        }
    }
    for (at, line) in code.lines().enumerate() {
        let squeezed: String = line.split_whitespace().collect::<Vec<_>>().join(" ");
        for name in &names {
            let walks = [
                "iter",
                "iter_mut",
                "into_iter",
                "keys",
                "into_keys",
                "values",
                "values_mut",
                "into_values",
                "drain",
                "retain",
            ];
            let called = walks.iter().any(|walk| squeezed.contains(&format!("{name}.{walk}(")));
            let looped = ["in ", "in &", "in &mut "]
                .iter()
                .any(|by| squeezed.contains(&format!("{by}{name} {{")));
            if called || looped {
                found.push(format!("{}:{}: walks over the hash map `{name}`", source.path, at + 1));
            }
        }
    }
    found
}

#[test]
fn assignors_only_look_up_in_hash_maps() {
    for bad in [
        "struct S { a: HashMap<u8, u8> }",
        "let mut m: HashMap<u8, u8> = x;\nfor (a, b) in &m {\n}",
        "let mut m = HashMap::new();\nm.keys().collect()",
    ] {
        let why = "an order that differs from run to run must not reach an assignment";
        holds(walks_a_hash_map, &Source::sample("x.rs", bad), &sources(&[ASSIGNORS]), why);
    }
}

#[test]
fn json_stops_at_the_listener() {
    let bad = Source::sample("x.rs", "let value: serde_json::Value = x;");
    let others = sources(&[RAFT_STORE, RUNTIME, NODE]);
    // A node that serves says so in one line of JSON.
    let listeners = ["node/src/listeners/maelstrom/", "node/src/listeners/admin/"];
    let others = without(others, &listeners);
    let others = without(others, &["node/src/serve.rs"]);
    let rule = |source: &Source| mentions(source, &["serde_json", "base64"]);
    holds(rule, &bad, &others, "JSON stops at the listeners that speak it");
}

#[test]
fn kafkas_bytes_know_nobody() {
    let bad = Source::sample("x.rs", "use tokio::io::AsyncRead;");
    let others = ["state_machine", "runtime", "cohort", "assignors"];
    let banned: Vec<&str> = IMPURE.iter().chain(&others).copied().collect();
    holds(|source| mentions(source, &banned), &bad, &sources(&[WIRE]), "functions of bytes");
}

#[test]
fn listeners_know_no_raft() {
    let bad = Source::sample("x.rs", "use openraft::Raft;");
    let rule = |source: &Source| mentions(source, &["openraft", "openraft_rt"]);
    holds(rule, &bad, &sources(&[LISTENERS]), "listeners know no Raft");

    // What Maelstrom's pipe needs of the store: storage for a node that starts, why it is
    // refused, and the codec of
    // what its peers say.
    let needed = [
        (
            "node/src/listeners/maelstrom/stdio.rs",
            vec!["raft_store::OpenError", "raft_store::Storage"],
        ),
        ("node/src/listeners/maelstrom/peers.rs", vec!["raft_store::codec"]),
    ];
    let rule = |source: &Source| {
        let mut found = uses(source, &["raft_store"]);
        for (_, allowed) in needed.iter().filter(|(path, _)| *path == source.path) {
            let allowed = uses(source, allowed);
            found.retain(|found| !allowed.contains(found));
        }
        found
    };
    let listener = needed[0].0;
    let bad = Source::sample(listener, "use raft_store::{Storage, raft::log::Log};");
    holds(rule, &bad, &sources(&[LISTENERS]), "listeners know no store");
    assert_eq!(rule(&Source::sample(listener, "use raft_store::Storage;")), Vec::<String>::new());
}

#[test]
fn the_cluster_knows_no_raft_and_no_wire_format() {
    let bad = Source::sample("x.rs", "use openraft::BasicNode;");
    let banned = ["openraft", "openraft_rt", "raft_store", "serde_json", "listeners"];
    let rule = |source: &Source| mentions(source, &banned);
    holds(rule, &bad, &sources(&[CLUSTER]), "who is in the cluster is no matter of Raft or JSON");
}

#[test]
fn openraft_is_known_to_few() {
    let bad = Source::sample("x.rs", "fn f(c: openraft::Config) {}");
    let rule = |source: &Source| mentions(source, &["openraft"]);
    let few = [
        "raft-store/src/raft/",
        "raft-store/src/storage/",
        "node/src/service/",
        "node/src/peers/",
        // The flags that are Raft's.
        "node/src/config/raft.rs",
    ];
    let others = without(sources(&[RAFT_STORE, RUNTIME, NODE]), &few);
    holds(rule, &bad, &others, "its API moves");

    let bad = Source::sample("x.rs", "use openraft_rt::watch::WatchReceiver;");
    let rule = |source: &Source| mentions(source, &["openraft_rt"]);
    let few = ["raft-store/runtime/src/", "node/src/service/"];
    let others = without(sources(&[RAFT_STORE, RUNTIME, NODE]), &few);
    holds(rule, &bad, &others, "its runtime is implemented once");
}

#[test]
fn the_runtime_knows_nobody() {
    let bad = Source::sample("x.rs", "use raft_store::State;");
    let banned = ["assignors", "state_machine", "raft_store", "cohort", "arena"];
    let rule = |source: &Source| mentions(source, &banned);
    holds(rule, &bad, &sources(&[RUNTIME]), "the world does not know who lives in it");
}

/// Clocks, timers, files and sockets, as the system gives them.
const WORLD: &[&str] = &[
    "std::fs",
    "std::net",
    "std::os::unix::net",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
    "tokio::fs",
    "tokio::net",
    "tokio::time",
];

#[test]
fn clocks_files_and_sockets_are_the_runtimes() {
    for bad in [
        "use std::time::{Duration, Instant};",
        "use std::{fs, io};",
        "let text = std::fs::read(path);",
        "tokio::time::sleep(a_while).await;",
        "use tokio::net::TcpListener;",
    ] {
        holds(|source| uses(source, WORLD), &Source::sample("x.rs", bad), &[], "the world");
    }
    let bad = Source::sample("x.rs", "use std::time::SystemTime;");
    let others = sources(&[ASSIGNORS, STATE_MACHINE, RAFT_STORE, NODE]);
    holds(|source| uses(source, WORLD), &bad, &others, "else the simulator cannot simulate it");

    // The arena is the world of its nodes. These of its files need clocks or files of their own.
    let own = [
        "tests/src/cli/",
        // Real processes, measured or judged.
        "tests/src/load/",
        "tests/src/targets/process.rs",
        // Real brokers over real connections, in real time.
        "tests/src/targets/brokers/",
        "tests/src/wire/",
        // Virtual time is tokio's.
        "tests/src/targets/sim/",
        // Stops after so many minutes.
        "tests/src/run/soak.rs",
        // Between other people's programs, in real time.
        "tests/src/watch/",
    ];
    let others = without(sources(&[ARENA]), &own);
    holds(|source| uses(source, WORLD), &bad, &others, "a run repeats itself to the byte");
}

#[test]
fn one_place_writes_to_stdout() {
    let bad = Source::sample("x.rs", "println!(\"ready\");");
    let few = ["node/src/main.rs", "node/src/listeners/maelstrom/outbox.rs"];
    let all = sources(&[ASSIGNORS, STATE_MACHINE, RAFT_STORE, RUNTIME, NODE]);
    let rule = |source: &Source| {
        // A method may be called `print`, the macro may not.
        let prints = parts(&source.text).code.replace("print!", "println!");
        mentions(&Source::sample(&source.path, &prints), &["stdout", "println", "dbg"])
    };
    holds(rule, &bad, &without(all, &few), "in Maelstrom, stdout is the protocol");
}

#[test]
fn nothing_imports_the_arena() {
    let bad = Source::sample("x.rs", "use arena::history::History;");
    let rule = |source: &Source| {
        let code = parts(&source.text).code;
        let uses = ["use arena", "arena::", "extern crate arena"];
        let used = uses.iter().filter(|used| code.contains(**used));
        used.map(|used| format!("{}: {used}", source.path)).collect()
    };
    let others = without(rust_files(), &["tests/"]);
    holds(rule, &bad, &others, "what is tested does not know the tests");
}

/// Dependencies in `[dependencies]` of a manifest that are among `banned`.
fn depends_on(source: &Source, banned: &[&str]) -> Vec<String> {
    let lines = source.text.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let names = lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next());
    names
        .filter(|name| banned.contains(name))
        .map(|name| format!("{}: {name}", source.path))
        .collect()
}

#[test]
fn manifests_have_no_more_than_the_walls_allow() {
    let manifest = |path: &str| {
        vec![Source {
            path: path.into(),
            text: fs::read_to_string(root().join(path)).expect("a manifest"),
        }]
    };
    let impure = [
        "openraft",
        "openraft-rt",
        "openraft-rt-tokio",
        "rand",
        "raft-store",
        "serde_json",
        "tokio",
        "arena",
    ];
    let bad = Source::sample(
        "Cargo.toml",
        "[package]\n[dependencies]\nbytes.workspace = true\ntokio = { version = \"1\" }\n",
    );
    for path in ["assignors/Cargo.toml", "raft-store/state-machine/Cargo.toml"] {
        holds(|source| depends_on(source, &impure), &bad, &manifest(path), "pure crates");
    }
    let bad = Source::sample("Cargo.toml", "[dependencies]\nserde_json.workspace = true\n");
    let banned = ["serde_json", "base64", "assignors", "arena"];
    holds(
        |source| depends_on(source, &banned),
        &bad,
        &manifest("raft-store/Cargo.toml"),
        "no JSON",
    );
    let bad = Source::sample("Cargo.toml", "[dependencies]\narena.workspace = true\n");
    holds(|source| depends_on(source, &["arena"]), &bad, &manifest("node/Cargo.toml"), "no tests");
}

#[test]
fn nothing_is_left_undone_or_untested() {
    let rule = |source: &Source| {
        let code = parts(&source.text).code;
        let squeezed: String = code.split_whitespace().collect();
        let undone = [
            ("todo!", "todo!"),
            ("unimplemented!", "unimplemented!"),
            ("#[ignore", "an ignored test"),
        ];
        undone
            .iter()
            .filter(|(mark, _)| squeezed.contains(mark))
            .map(|(_, what)| format!("{}: {what}", source.path))
            .collect()
    };
    let all = rust_files();
    for bad in [
        "fn f() { todo!() }",
        "unimplemented ! (\"later\")",
        "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
    ] {
        holds(rule, &Source::sample("x.rs", bad), &all, "done and tested, or not there");
    }
}

#[test]
fn every_crate_says_what_it_is() {
    let rule = |source: &Source| {
        let said = source.text.lines().next().is_some_and(|line| line.starts_with("//! "));
        if said { Vec::new() } else { vec![format!("{}: begins without `//!`", source.path)] }
    };
    let mut crates = files();
    crates.retain(|file| file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs"));
    assert!(crates.len() >= 6, "all crates were found");
    holds(
        rule,
        &Source::sample("lib.rs", "pub mod a;\n"),
        &crates,
        "a crate begins with what it is",
    );
}

#[test]
fn no_file_names_a_package_registry() {
    // Put together here, since this file is looked at too.
    let hosts = [
        ["crates", "io"],
        ["npmjs", "com"],
        ["npmjs", "org"],
        ["pypi", "org"],
        ["rubygems", "org"],
        ["maven", "org"],
    ];
    let hosts = hosts.map(|parts| parts.join("."));
    let rule = |source: &Source| {
        let named = hosts.iter().filter(|host| source.text.contains(*host));
        named.map(|host| format!("{}: {host}", source.path)).collect()
    };
    let mut all = files();
    // Cargo writes its own.
    all.retain(|file| file.path != "Cargo.lock");
    let bad = Source::sample("fetch.sh", &format!("curl https://index.{}/config.json", hosts[0]));
    holds(rule, &bad, &all, "packages come by their ordinary clients");
}
