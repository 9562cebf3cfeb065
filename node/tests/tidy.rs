//! What the sources must not contain: the table of absences in ARCHITECTURE.md, as tests.
//!
//! Every rule is a function from a file to what is wrong with it; each test first shows a sample to its
//! rule that it has to object to, then applies it to the repository. The scripts are tried here too.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ASSIGNORS: &str = "assignors/src";
const STATE_MACHINE: &str = "raft-store/state-machine/src";
const RAFT_STORE: &str = "raft-store/src";
const NODE: &str = "node/src";
const DOORS: &str = "node/src/door";
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the node is a folder of the repository").into()
}

/// A file of the repository: its path from the root, and its text.
#[derive(Debug, Clone)]
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn sample(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// All text files of the repository, but not what builds and runs leave behind.
fn files() -> Vec<Source> {
    let (root, mut files, mut folders) = (root(), Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read") {
            let path = entry.expect("an entry of a folder").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let left_behind =
                ["target", "store", "arena-out", ".git"].contains(&name) || name.ends_with(".orig");
            if left_behind || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Someone else may be building here: a file that has just gone is no file.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let path = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            files.push(Source { path, text });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 50, "the repository was found");
    files
}

/// The Rust sources below a folder.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = files();
    found.retain(|file| Path::new(&file.path).starts_with(folder) && file.path.ends_with(".rs"));
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

/// Rust without its comments and the contents of its strings; the lines stay where they are.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut at) = (String::new(), 0);
    let starts = |at: usize, with: &str| with.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let blank = |code: &mut String, part: &[char]| code.extend(part.iter().filter(|c| **c == '\n'));
    while at < chars.len() {
        let from = at;
        let after_name = from > 0 && (chars[from - 1].is_alphanumeric() || chars[from - 1] == '_');
        let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
        if starts(at, "//") {
            at += chars[at..].iter().take_while(|c| **c != '\n').count();
        } else if starts(at, "/*") {
            let mut depth = 0;
            loop {
                if starts(at, "/*") {
                    (depth, at) = (depth + 1, at + 2);
                } else if starts(at, "*/") {
                    (depth, at) = (depth - 1, at + 2);
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if chars[at] == 'r' && !after_name && chars.get(at + 1 + hashes) == Some(&'"') {
            let end = format!("\"{}", "#".repeat(hashes));
            at += 2 + hashes;
            while at < chars.len() && !starts(at, &end) {
                at += 1;
            }
            at += end.len();
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if starts(at, "'\\") {
            at += 3 + chars[(at + 3).min(chars.len())..].iter().take_while(|c| **c != '\'').count() + 1;
        } else if chars[at] == '\'' && chars.get(at + 2) == Some(&'\'') {
            at += 3;
        } else {
            code.push(chars[at]);
            at += 1;
            continue;
        }
        blank(&mut code, &chars[from..at.min(chars.len())]);
        // Words on both sides stay two.
        code.push(' ');
    }
    code
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// Code that uses one of `banned`.
fn mentions(source: &Source, banned: &[&str]) -> Vec<String> {
    let code = code(&source.text);
    let lines = code.lines().enumerate();
    lines
        .flat_map(|(at, line)| words(line).filter(|word| banned.contains(word)).map(move |word| (at, word)))
        .map(|(at, word)| format!("{}:{}: `{word}`", source.path, at + 1))
        .collect()
}

/// What is wrong with all of `sources`.
fn wrong(sources: &[Source], rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    sources.iter().flat_map(rule).collect()
}

/// Shows a rule a sample that it has to object to, and then what it has to find in order.
fn holds(rule: impl Fn(&Source) -> Vec<String>, bad: &Source, sources: &[Source], why: &str) {
    assert!(!rule(bad).is_empty(), "the rule ({why}) does not see {bad:?}");
    let found = wrong(sources, rule);
    assert!(found.is_empty(), "{why}:\n  {}", found.join("\n  "));
}

#[test]
fn only_code_counts_as_code() {
    let text = "let a = \"tokio \\\" x\"; // tokio\n/* tokio /* x */ tokio */ 'x' '\\'' fn b<'a>() r#\"to\"kio\"# tokio";
    let lines: Vec<String> =
        code(text).lines().map(|line| words(line).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["let a", "fn b a tokio"]);
}

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
            let why =
                "no clock, randomness, Raft, runtime, input or output in what every node has to decide alike";
            holds(|source| mentions(source, IMPURE), &bad, &[], why);
        }
        let bad = Source::sample("x.rs", "let now = SystemTime::now();");
        holds(|source| mentions(source, IMPURE), &bad, &sources(folder), "pure crates");
    }
}

#[test]
fn the_state_machine_has_no_maps_without_an_order() {
    let bad = Source::sample("x.rs", "struct S { groups: HashMap<String, u32> }");
    let rule = |source: &Source| mentions(source, &["HashMap", "HashSet"]);
    holds(rule, &bad, &sources(STATE_MACHINE), "order must not differ from node to node: BTreeMap, BTreeSet");
}

/// Hash maps that are more than looked up in: kept in a type, or walked over in their own order.
fn walks_a_hash_map(source: &Source) -> Vec<String> {
    let code = code(&source.text);
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for (at, line) in
        code.lines().enumerate().filter(|(_, line)| words(line).any(|word| word.starts_with("Hash")))
    {
        let mut words = words(line).skip_while(|word| *word != "let").skip(1).filter(|word| *word != "mut");
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
            let looped =
                ["in ", "in &", "in &mut "].iter().any(|by| squeezed.contains(&format!("{by}{name} {{")));
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
        holds(walks_a_hash_map, &Source::sample("x.rs", bad), &sources(ASSIGNORS), why);
    }
}

#[test]
fn json_stops_at_the_doors() {
    let json = |source: &Source| mentions(source, &["serde_json", "base64"]);
    let bad = Source::sample("x.rs", "let value: serde_json::Value = x;");
    holds(json, &bad, &sources(RAFT_STORE), "no JSON in what is replicated");
    let mut inner = sources(NODE);
    inner.retain(|file| !file.path.starts_with(DOORS) && file.path != "node/src/peer/maelstrom.rs");
    holds(json, &bad, &inner, "JSON in doors and in Maelstrom's transport alone");
}

#[test]
fn doors_know_no_raft() {
    let bad = Source::sample("x.rs", "use raft_store::Raft;");
    let banned = &["openraft", "openraft_rt", "raft_store", "state_machine", "service", "network"];
    holds(
        |source| mentions(source, banned),
        &bad,
        &sources(DOORS),
        "doors speak `api` and nothing else inwards",
    );
}

#[test]
fn openraft_is_known_to_few() {
    let bad = Source::sample("x.rs", "fn f(c: openraft::Config) {}");
    let mut others = sources(NODE);
    let few = ["node/src/service/", "node/src/round.rs", "node/src/peer/"];
    others.retain(|file| !few.iter().any(|room| file.path.starts_with(room)));
    holds(|source| mentions(source, &["openraft", "openraft_rt"]), &bad, &others, "its API moves");
}

#[test]
fn one_place_writes_to_stdout() {
    let bad = Source::sample("x.rs", "println!(\"ready\");");
    let mut others: Vec<Source> =
        [ASSIGNORS, STATE_MACHINE, RAFT_STORE, NODE].iter().flat_map(|folder| sources(folder)).collect();
    others.retain(|file| !["node/src/main.rs", "node/src/outbox.rs"].contains(&&*file.path));
    let rule = |source: &Source| {
        // A method may be called `print`, the macro may not.
        let prints = code(&source.text).replace("print!", "println!");
        mentions(&Source::sample(&source.path, &prints), &["stdout", "println", "dbg"])
    };
    holds(rule, &bad, &others, "in Maelstrom, stdout is the protocol");
}

#[test]
fn nothing_imports_the_arena() {
    let bad = Source::sample("x.rs", "use arena::history::History;");
    let mut others = files();
    others.retain(|file| file.path.ends_with(".rs") && !file.path.starts_with("tests/"));
    let rule = |source: &Source| {
        let code = code(&source.text);
        let uses = ["use arena", "arena::", "extern crate arena"];
        uses.iter()
            .filter(|r#use| code.contains(**r#use))
            .map(|r#use| format!("{}: {use}", source.path))
            .collect()
    };
    holds(rule, &bad, &others, "what is tested does not know the tests");
}

/// Dependencies in `[dependencies]` of a manifest that are among `banned`.
fn depends_on(source: &Source, banned: &[&str]) -> Vec<String> {
    let lines = source.text.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let names =
        lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| banned.contains(name)).map(|name| format!("{}: {name}", source.path)).collect()
}

#[test]
fn manifests_have_no_more_than_the_walls_allow() {
    let manifest = |path: &str| {
        vec![Source { path: path.into(), text: fs::read_to_string(root().join(path)).expect("a manifest") }]
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
    holds(|source| depends_on(source, &banned), &bad, &manifest("raft-store/Cargo.toml"), "no JSON");
    let bad = Source::sample("Cargo.toml", "[dependencies]\narena.workspace = true\n");
    holds(|source| depends_on(source, &["arena"]), &bad, &manifest("node/Cargo.toml"), "no tests");
}

#[test]
fn files_can_be_read_in_one_sitting() {
    const MOST: usize = 900;
    let rule = |source: &Source| {
        let lines = source.text.lines().count();
        if lines > MOST { vec![format!("{}: {lines} lines", source.path)] } else { Vec::new() }
    };
    let all: Vec<Source> = [ASSIGNORS, STATE_MACHINE, RAFT_STORE, NODE, ARENA]
        .iter()
        .flat_map(|folder| sources(folder))
        .collect();
    holds(rule, &Source::sample("x.rs", &"\n".repeat(MOST + 1)), &all, "more than 900 lines in a file");
}

#[test]
fn nothing_is_left_undone_or_untested() {
    let rule = |source: &Source| {
        let code = code(&source.text);
        let squeezed: String = code.split_whitespace().collect();
        let undone =
            [("todo!", "todo!"), ("unimplemented!", "unimplemented!"), ("#[ignore", "an ignored test")];
        undone
            .iter()
            .filter(|(mark, _)| squeezed.contains(mark))
            .map(|(_, what)| format!("{}: {what}", source.path))
            .collect()
    };
    let mut all = files();
    all.retain(|file| file.path.ends_with(".rs"));
    for bad in
        ["fn f() { todo!() }", "unimplemented ! (\"later\")", "#[test]\n#[ignore = \"slow\"]\nfn f() {}"]
    {
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
    holds(rule, &Source::sample("lib.rs", "pub mod a;\n"), &crates, "a crate begins with what it is");
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

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o111 == 0o111)
}

fn scripts() -> Vec<PathBuf> {
    let scripts = fs::read_dir(root().join("scripts")).expect("scripts/");
    let mut scripts: Vec<PathBuf> =
        scripts.map(|entry| entry.expect("an entry").path()).filter(|p| p.is_file()).collect();
    scripts.push(root().join(".ci/run"));
    assert!(scripts.len() >= 6, "the scripts were found");
    scripts
}

#[test]
fn scripts_can_be_executed() {
    assert!(!is_executable(&root().join("Cargo.toml")), "the rule sees what cannot be");
    for script in scripts() {
        assert!(is_executable(&script), "{} is not executable", script.display());
    }
}

fn run(script: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(root().join(script));
    command.args(arguments).env_remove("MAELSTROM").envs(environment.iter().copied());
    command.output().unwrap_or_else(|e| panic!("{script}: {e}"))
}

#[test]
fn scripts_tell_what_they_do_and_refuse_what_they_do_not_know() {
    for script in ["scripts/check", "scripts/fix", "scripts/maelstrom", "scripts/bench", ".ci/run"] {
        let help = run(script, &["--help"], &[]);
        let text = String::from_utf8_lossy(&help.stdout);
        assert!(help.status.success() && text.starts_with(&format!("usage: {script}")), "{script}: {help:?}");
    }
    for script in ["scripts/check", "scripts/fix", "scripts/maelstrom", ".ci/run"] {
        let refused = run(script, &["--no-such-thing"], &[]);
        let text = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{script}: {refused:?}");
        assert!(text.contains("--no-such-thing") && text.lines().count() == 1, "{script}: {text}");
    }
}

/// A Maelstrom that does what its name says.
const FAKE_MAELSTROM: &str = r#"#!/bin/sh
[ "$1" = test ] && [ "$2" = -w ] || exit 254
echo "$*" >>arguments
workload=$3
run=store/$workload/20000101T000000
mkdir -p "$run"
ln -sfn 20000101T000000 "store/$workload/latest"
echo "INFO jepsen test runner" >"$run/jepsen.log"
name=$(basename "$0")
case "$name" in
crashed) exit 255 ;;
silenced) echo "WARN [n1 stdout] maelstrom.process: Error!" >>"$run/jepsen.log" ;;
silenced-on-console) echo "WARN n1 stdout - maelstrom.process Error!" ;;
esac
fraction=0.9125
[ "$name" != wordless ] || { echo "{:valid? true}" >"$run/results.edn"; exit 0; }
cat >"$run/results.edn" <<END
{:stats {:valid? true,
         :count 80,
         :by-f {:echo {:valid? true, :ok-count 73}}},
 :availability {:valid? true,
                :ok-fraction $fraction},
 :net {:valid? true},
 :valid? true}
END
case "$name" in
invalid) exit 1 ;;
unknown) exit 2 ;;
esac
"#;

/// A folder that is gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cohort-tidy-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is a temporary folder: what stays there harms nobody.
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_run_under_maelstrom_gets_the_verdict_it_deserves() {
    let scratch = Scratch::new("maelstrom");
    let any = Path::new(env!("CARGO_BIN_EXE_cohort"));
    for (name, exit, told) in [
        ("right", 0, "echo: valid, ok fraction 0.9125\n"),
        ("invalid", 1, "echo: FAILED, ok fraction 0.9125: Maelstrom calls it invalid; "),
        ("unknown", 1, "echo: FAILED, ok fraction 0.9125: Maelstrom could not judge it; "),
        (
            "crashed",
            1,
            "echo: FAILED, ok fraction unknown: Maelstrom ended with 255; there is no results.edn; ",
        ),
        ("silenced", 1, "`maelstrom.process Error!` in store/echo/latest/jepsen.log; "),
        ("silenced-on-console", 1, "`maelstrom.process Error!` in store/echo.log; "),
        (
            "wordless",
            1,
            "echo: FAILED, ok fraction unknown: results.edn tells no fraction of ok operations; ",
        ),
    ] {
        let folder = scratch.0.join(format!("{name}.d"));
        fs::create_dir_all(&folder).expect("a folder");
        let fake = folder.join(name);
        fs::write(&fake, FAKE_MAELSTROM).expect("a script can be written");
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).expect("a script can be executed");
        let environment = [("MAELSTROM", &*fake), ("COHORT", any), ("OUT", &*folder)];
        let output = run("scripts/maelstrom", &["echo"], &environment);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(exit), "{name}: {output:?}");
        assert!(text.contains(told), "{name}: {text}");
        if name != "right" {
            continue;
        }
        let all = run("scripts/maelstrom", &[], &environment);
        let text = String::from_utf8_lossy(&all.stdout);
        assert!(all.status.success() && text.ends_with("8 runs, 0 failed\n"), "{text}");
        let arguments = fs::read_to_string(folder.join("arguments")).expect("what Maelstrom was asked");
        let asked =
            |run: usize, what: &str| arguments.lines().nth(run).is_some_and(|line| line.contains(what));
        assert!(
            asked(0, "-w echo") && asked(0, "--availability total") && asked(0, "--node-count 5"),
            "{arguments}"
        );
        assert!(
            asked(2, "-w lin-kv") && asked(2, "--concurrency 2n") && asked(2, "--availability 0.5"),
            "{arguments}"
        );
        assert!(
            !asked(2, "--nemesis") && asked(3, "-w lin-kv") && asked(3, "--nemesis partition"),
            "{arguments}"
        );
        assert!(
            asked(4, "--concurrency 4n") && asked(5, "--latency 10 --latency-dist exponential --nemesis"),
            "{arguments}"
        );
        // Its clients wait one second, those of kafka five.
        assert!((2..=5).all(|run| asked(run, "-- --request-timeout 900")), "{arguments}");
        assert!(
            asked(6, "-w kafka") && asked(6, "--availability 0.9") && asked(7, "--nemesis partition"),
            "{arguments}"
        );
        assert!(asked(8, "--rate 500") && !asked(8, "--request-timeout"), "{arguments}");
    }
}

#[test]
fn without_maelstrom_one_line_tells_how_to_get_it() {
    let nowhere = Path::new("/no/such/maelstrom");
    let output = run("scripts/maelstrom", &["echo"], &[("MAELSTROM", nowhere)]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.lines().count() == 1 && text.contains("releases") && text.contains("MAELSTROM"), "{text}");
}

#[test]
fn the_walk_is_answered_to_the_end() {
    let walk = fs::File::open(root().join("scripts/examples/walk.jsonl")).expect("the walk");
    let output = Command::new(env!("CARGO_BIN_EXE_cohort")).stdin(walk).output().expect("a node");
    let replies = String::from_utf8(output.stdout).expect("UTF-8");
    let walk = fs::read_to_string(root().join("scripts/examples/walk.jsonl")).expect("the walk");
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(replies.lines().count(), walk.lines().count());
    // What goes wrong in it does so on purpose, and is nobody's failure.
    let errors = replies.lines().filter(|line| line.contains(r#""type":"error""#));
    let codes: Vec<&str> =
        errors.clone().filter_map(|line| line.split(r#""code":"#).nth(1)?.split(',').next()).collect();
    assert!(
        errors.count() == codes.len()
            && codes.iter().all(|code| ["10", "12", "20", "21", "22"].contains(code))
    );
}
