//! The arena as a command: how it ends, what it leaves behind, and what it says of wrong use.

#[path = "support/cohort.rs"]
mod cohort;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A busy machine may take so long for what takes milliseconds on an idle one.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often something is looked at that cannot be waited for.
const LOOK: Duration = Duration::from_millis(5);

fn arena(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arena"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Where runs leave their files.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arena-command");
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn output(args: &[&str]) -> Output {
    arena(args).output().expect("the arena runs")
}

/// The state of a process (`T` is stopped) and its parent's number; `None` where there is none.
fn state(pid: &str) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may have blanks and brackets.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The children of a process that run this program.
fn children(of: &Child, name: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").expect("/proc");
    let pids = all.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_child = |pid: &String| {
        state(pid).is_some_and(|(_, parent)| parent == of.id())
            && fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
    };
    pids.filter(is_child).collect()
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        sleep(LOOK);
    }
    panic!("not within {PATIENCE:?}: {what}");
}

#[test]
fn an_arena_that_is_killed_leaves_no_stopped_node_behind() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let folder = folder();
        let bin = cohort::binary().to_str().expect("a path");
        let args = ["lin-kv", "--bin", bin, "--seconds", "60", "--nemesis", "pause", "--seed", "3"];
        let mut running = arena(&args).current_dir(&folder).spawn().expect("the arena runs");
        let nodes = eventually("a node is stopped", || {
            let nodes = children(&running, "cohort");
            let stopped = |pid: &String| state(pid).is_some_and(|(state, _)| state == 'T');
            nodes.iter().any(stopped).then_some(nodes)
        });
        kill_process(Pid::from_child(&running), signal).expect("it still runs");
        running.wait().expect("it ends");
        eventually("all nodes are gone", || {
            // What was killed and waits for its parent is gone.
            let lives = |pid: &String| state(pid).is_some_and(|(state, _)| state != 'Z');
            (!nodes.iter().any(lives)).then_some(())
        });
    }
}

#[test]
fn a_verdict_that_nobody_can_read_is_exit_2_with_the_reason() {
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let args = ["lin-kv", "--stage", "sim", "--seconds", "1", "--nemesis", "none", "--seed", "1"];
    let folder = folder();
    let ended = arena(&args).current_dir(&folder).stdout(full).output().expect("the arena runs");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{told}");
    assert!(told.contains("cannot write to standard output"), "{told}");

    let mut running = arena(&args).current_dir(&folder).spawn().expect("the arena runs");
    drop(running.stdout.take());
    assert_eq!(running.wait().expect("it ends").code(), Some(2));
}

#[test]
fn what_would_judge_nothing_is_wrong_use() {
    for (args, told) in [
        (&["soak", "--cases", "0"][..], "'0'"),
        (&["kafka", "--stage", "sim", "--clients", "0"], "'0'"),
        (&["kafka", "--stage", "sim", "--nemesis", "partition,none"], "`none` stands alone"),
        (&["kafka", "--stage", "sim", "--nemesis", "partition,all"], "`all` stands alone"),
        (&["kafka", "--stage", "sim", "--nemesis", "partion"], "no nemesis `partion`"),
        (&["judge", "--cluster", "x", "--flaw", "commits-lost", "--by", "rot"], "predicate `rot`"),
        (&["log", "--stage", "wire", "--kafka", "x:1", "--member-fault", "starts-over"], "`log`"),
        (&["kafka", "--member-fault", "starts-over"], "--stage wire"),
    ] {
        let ended = output(args);
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(told), "{args:?}: {text}");
    }
}
