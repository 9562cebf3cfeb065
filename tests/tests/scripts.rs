//! The scripts: they can be executed, tell what they do, and refuse what they do not know.
//! `scripts/maelstrom` is tried with a Maelstrom that is a few lines of shell.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "support/cohort.rs"]
mod cohort_binary;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the arena is a folder of the repository")
        .into()
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
    for script in [
        "scripts/check",
        "scripts/clients",
        "scripts/fidelity",
        "scripts/fix",
        "scripts/maelstrom",
        "scripts/bench",
        "scripts/release",
        ".ci/run",
    ] {
        let help = run(script, &["--help"], &[]);
        let text = String::from_utf8_lossy(&help.stdout);
        assert!(
            help.status.success() && text.starts_with(&format!("usage: {script}")),
            "{script}: {help:?}"
        );
    }
    for script in [
        "scripts/check",
        "scripts/clients",
        "scripts/fidelity",
        "scripts/fix",
        "scripts/maelstrom",
        "scripts/release",
        ".ci/run",
    ] {
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
        let path =
            std::env::temp_dir().join(format!("cohort-scripts-{name}-{}", std::process::id()));
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
    let any = cohort_binary::binary();
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
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755))
            .expect("a script can be executed");
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
        let arguments =
            fs::read_to_string(folder.join("arguments")).expect("what Maelstrom was asked");
        let asked = |run: usize, what: &str| {
            arguments.lines().nth(run).is_some_and(|line| line.contains(what))
        };
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
            asked(4, "--concurrency 4n")
                && asked(5, "--latency 10 --latency-dist exponential --nemesis"),
            "{arguments}"
        );
        // Its clients wait one second, those of kafka five.
        assert!((2..=5).all(|run| asked(run, "-- --request-timeout 900")), "{arguments}");
        assert!(
            asked(6, "-w kafka")
                && asked(6, "--availability 0.9")
                && asked(7, "--nemesis partition"),
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
    assert!(
        text.lines().count() == 1 && text.contains("releases") && text.contains("MAELSTROM"),
        "{text}"
    );
}

#[test]
fn the_walk_is_answered_to_the_end() {
    let walk = fs::File::open(root().join("scripts/examples/walk.jsonl")).expect("the walk");
    let output = Command::new(cohort_binary::binary()).stdin(walk).output().expect("a node");
    let replies = String::from_utf8(output.stdout).expect("UTF-8");
    let walk = fs::read_to_string(root().join("scripts/examples/walk.jsonl")).expect("the walk");
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(replies.lines().count(), walk.lines().count());
    // What goes wrong in it does so on purpose, and is nobody's failure.
    let errors = replies.lines().filter(|line| line.contains(r#""type":"error""#));
    let codes: Vec<&str> = errors
        .clone()
        .filter_map(|line| line.split(r#""code":"#).nth(1)?.split(',').next())
        .collect();
    assert!(
        errors.count() == codes.len()
            && codes.iter().all(|code| ["10", "12", "20", "21", "22"].contains(code))
    );
}
