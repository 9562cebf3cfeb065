//! The binary on a data folder: what was acknowledged is there after `kill -9`, and a folder that
//! cannot be used is refused with one clear line, exit code 3, and nothing written.

#![allow(clippy::print_stdout, reason = "what was not shown, and counts")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// A folder for one test, which is removed in the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cohort-data-folder-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder");
        say_where_syncs_are_free(&path);
        Self(path)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

/// On a file system in memory a sync costs nothing and shows nothing: who reads the test's output
/// should know. `TMPDIR` says where the folders are.
fn say_where_syncs_are_free(path: &Path) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let kind = Command::new("stat").args(["-f", "-c", "%T"]).arg(path).output();
        let kind = kind.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        match kind.as_deref() {
            Ok(kind @ ("tmpfs" | "ramfs")) => println!("on {kind}: syncs are free here"),
            Ok(kind) => println!("on {kind}: syncs reach a disk"),
            Err(error) => println!("on an unknown file system: stat: {error}"),
        }
    });
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left is in the system's folder for temporary files.
        let _removed = fs::remove_dir_all(&self.0);
    }
}

struct Node {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

fn command_with_floor(data: &Path, floor: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohort"));
    command.arg("--data-dir").arg(data).args(["--free-floor", floor]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn command(data: &Path) -> Command {
    command_with_floor(data, "0")
}

impl Node {
    fn start(data: &Path) -> Self {
        Self::run(command(data))
    }

    /// With this many MiB that have to be free.
    fn start_with_floor(data: &Path, floor: &str) -> Self {
        Self::run(command_with_floor(data, floor))
    }

    fn run(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut node = Self { child, stdin, stdout };
        let init = r#"{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}"#;
        assert!(node.ask(init).contains("init_ok"));
        node
    }

    fn ask(&mut self, body: &str) -> String {
        writeln!(self.stdin, r#"{{"src":"c1","dest":"n1","body":{body}}}"#).expect("it reads");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it answers");
        line
    }

    /// Its input ends, and so does the node.
    fn ends(self) {
        let Self { mut child, stdin, stdout: _ } = self;
        drop(stdin);
        child.wait().expect("it ends");
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

/// Every file below a folder, but `LOCK`.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let entry = entry.expect("a name");
        let path = entry.path();
        if entry.file_type().expect("a type").is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(tree(&path));
        } else if entry.file_name() != "LOCK" {
            found.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
    found
}

/// Starts a node of that name and cluster, which has to refuse; returns what it says.
fn refused_as(data: &Path, node: &str, nodes: &str) -> String {
    let before = tree(data);
    let said = refusal(data, node, nodes);
    assert!(tree(data) == before, "nothing was written: {said}");
    said
}

/// The same of a folder that another process may write to.
fn refusal(data: &Path, node: &str, nodes: &str) -> String {
    let mut child = command(data).spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    let body = format!(r#"{{"type":"init","msg_id":1,"node_id":"{node}","node_ids":[{nodes}]}}"#);
    // It may have ended already.
    let _closed = writeln!(stdin, r#"{{"src":"c1","dest":"{node}","body":{body}}}"#);
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(output.stdout, b"", "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&data.display().to_string()), "{said}");
    said
}

fn refused(data: &Path) -> String {
    refused_as(data, "n1", r#""n1""#)
}

/// A folder in which a node has kept something.
fn used(temporary: &Temporary) -> PathBuf {
    let data = temporary.data();
    let mut node = Node::start(&data);
    for msg in 1..=3 {
        let sent = node.ask(&format!(r#"{{"type":"send","msg_id":2,"key":"k","msg":{msg}}}"#));
        assert!(sent.contains("send_ok"), "{sent}");
    }
    node.kill();
    data
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let temporary = Temporary::new();
    let data = used(&temporary);
    for round in 0..3 {
        let mut node = Node::start(&data);
        let polled = node.ask(r#"{"type":"poll","msg_id":3,"offsets":{"k":0}}"#);
        let expected: Vec<String> = (0..3 + round).map(|i| format!("[{i},{}]", i + 1)).collect();
        assert!(polled.contains(&expected.join(",")), "{polled}");
        let next = 4 + round;
        let sent = node.ask(&format!(r#"{{"type":"send","msg_id":4,"key":"k","msg":{next}}}"#));
        assert!(sent.contains(&format!(r#""offset":{}"#, 3 + round)), "{sent}");
        node.kill();
    }
}

#[test]
fn what_retention_drops_is_gone_from_the_disk_and_stays_gone() {
    let temporary = Temporary::new();
    let start = || {
        let mut command = command(&temporary.data());
        let retention = ["--retention-bytes", "20000", "--segment-bytes", "8192"];
        command.args(retention).args(["--retention-check", "100", "--snapshot-entries", "20"]);
        Node::run(command)
    };
    let mut node = start();
    let text = "x".repeat(1_000);
    let send =
        format!(r#"{{"type":"send","msg_id":2,"topic":"t","partition":0,"message":"{text}"}}"#);
    let fetch = r#"{"type":"fetch","msg_id":3,"topic":"t","partition":0,"offset":0}"#;
    let first = |reply: &str| -> u64 {
        let reply: serde_json::Value = serde_json::from_str(reply).expect("JSON");
        reply["body"]["records"][0]["offset"].as_u64().expect("a record")
    };
    let on_disk = || {
        let records = fs::read_dir(temporary.data().join("records")).expect("a folder");
        // One that is removed meanwhile takes nothing.
        let len = |file: io::Result<fs::DirEntry>| Some(file.ok()?.metadata().ok()?.len());
        records.filter_map(len).sum::<u64>()
    };
    // Nothing says when a file is removed but the disk. After the first hundred records they come
    // slower than retention drops them: ten from one check to the next, however fast the machine.
    let mut sent = 0;
    while sent < 100 || on_disk() > 60_000 {
        assert!(node.ask(&send).contains("send_ok"));
        sent += 1;
        assert!(sent < 2_000, "{} bytes are on the disk after {sent} records", on_disk());
        if sent > 100 {
            thread::sleep(Duration::from_millis(10));
        }
    }
    let start_offset = first(&node.ask(fetch));
    assert!(start_offset > 0, "the first records are gone");
    node.kill();
    let mut node = start();
    let again = first(&node.ask(fetch));
    assert!(again >= start_offset, "{again} after a kill, {start_offset} before");
    assert!(node.ask(&send).contains(&format!(r#""offset":{sent}"#)), "offsets go on");
    node.ends();
}

#[test]
fn a_folder_of_another_node_or_another_cluster_is_refused() {
    let temporary = Temporary::new();
    let data = used(&temporary);
    let said = refused_as(&data, "n2", r#""n1","n2""#);
    assert!(said.contains("node n1's") && said.contains("node n2"), "{said}");
    let said = refused_as(&data, "n1", r#""n1","n2""#);
    assert!(said.contains("a cluster of n1,") && said.contains("n1, n2"), "{said}");
}

#[test]
fn a_copy_of_a_folder_is_refused_unless_the_original_is_said_to_be_gone() {
    let temporary = Temporary::new();
    let original = used(&temporary);
    let copy = temporary.0.join("copy");
    let copied = Command::new("cp").arg("-a").arg(&original).arg(&copy).status();
    assert!(copied.expect("cp").success());
    let before = tree(&copy);
    let said = refused(&copy);
    assert!(said.contains("copied or moved") && said.contains("--moved"), "{said}");
    assert_eq!(tree(&copy), before, "nothing was written");
    Node::start(&original).kill();
    let mut moved = command(&copy);
    moved.arg("--moved");
    Node::run(moved).kill();
    Node::start(&copy).ends();
}

#[test]
fn a_folder_that_another_process_uses_is_refused() {
    let temporary = Temporary::new();
    let data = used(&temporary);
    let node = Node::start(&data);
    assert!(refusal(&data, "n1", r#""n1""#).contains("another process"));
    node.kill();
    Node::start(&data).kill();
}

#[test]
fn what_is_no_folder_of_cohorts_is_refused() {
    let temporary = Temporary::new();
    let data = temporary.data();
    fs::write(&data, "a file").expect("written");
    assert!(refused(&data).to_lowercase().contains("not a directory"));
    fs::remove_file(&data).expect("removed");
    symlink(&data, &data).expect("a loop");
    assert!(refused(&data).contains("symbolic links"));
    fs::remove_file(&data).expect("removed");
    fs::create_dir(&data).expect("made");
    fs::write(data.join("letter.txt"), "dear").expect("written");
    assert!(refused(&data).contains("letter.txt"));
    fs::remove_file(data.join("letter.txt")).expect("removed");
    Node::start(&data).kill();
}

/// A name, what is done to the folder, and what the refusal has to say.
type Damage<'a> = (&'a str, Box<dyn Fn() + 'a>, &'a str);

#[test]
fn a_folder_that_is_damaged_is_refused_and_says_where() {
    let temporary = Temporary::new();
    let data = used(&temporary);
    let good = tree(&data);
    let restore = || {
        // But the lock: without it the folder is a copy.
        for entry in fs::read_dir(&data).expect("a folder").map(|entry| entry.expect("an entry")) {
            let path = entry.path();
            if path.is_dir() {
                fs::remove_dir_all(path).expect("removed");
            } else if entry.file_name() != "LOCK" {
                fs::remove_file(path).expect("removed");
            }
        }
        for folder in ["wal", "records"] {
            fs::create_dir_all(data.join(folder)).expect("made");
        }
        for (path, bytes) in good.iter().filter(|(path, _)| path.extension().is_some()) {
            fs::write(path, bytes).expect("written");
        }
        fs::write(data.join("identity"), &good[&data.join("identity")]).expect("written");
    };
    let wal = data.join("wal/0000000000000001.wal");
    let identity = fs::read_to_string(data.join("identity")).expect("text");
    let cases: [Damage<'_>; 8] = [
        (
            "no identity",
            Box::new(|| fs::remove_file(data.join("identity")).expect("gone")),
            "identity",
        ),
        ("no log", Box::new(|| fs::remove_dir_all(data.join("wal")).expect("gone")), "wal"),
        (
            "an empty identity",
            Box::new(|| fs::write(data.join("identity"), "").expect("cut")),
            "identity",
        ),
        (
            "a newer identity",
            Box::new(|| {
                let newer = identity.replace("format 1", "format 9");
                fs::write(data.join("identity"), newer).expect("written");
            }),
            "format 9",
        ),
        (
            "an empty segment",
            Box::new(|| fs::write(&wal, "").expect("cut")),
            "wal/0000000000000001.wal",
        ),
        (
            "a checkpoint of something else",
            Box::new(|| fs::write(data.join("checkpoint"), "x").expect("written")),
            "checkpoint",
        ),
        (
            "a foreign file in the log",
            Box::new(|| fs::write(data.join("wal/notes"), "x").expect("written")),
            "wal/notes",
        ),
        (
            "a flipped bit",
            Box::new(|| {
                let mut bytes = fs::read(&wal).expect("read");
                bytes[4_096 + 50] ^= 1;
                fs::write(&wal, bytes).expect("written");
            }),
            "damaged at byte 4096",
        ),
    ];
    for (name, damage, expected) in cases {
        restore();
        damage();
        let said = refused(&data);
        assert!(said.contains(expected), "{name}: {said}");
    }
    restore();
    Node::start(&data).kill();
}

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let temporary = Temporary::new();
    let data = temporary.data();
    fs::create_dir(&data).expect("made");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).expect("changed");
    if fs::write(data.join("probe"), "x").is_ok() {
        // Nothing can be shown to a user who may write to any folder.
        return;
    }
    assert!(refused(&data).to_lowercase().contains("permission denied"));
}

#[test]
fn inspect_says_what_is_there_and_writes_nothing() {
    let temporary = Temporary::new();
    let data = used(&temporary);
    let before = tree(&data);
    let inspect = |dir: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohort"));
        command.arg("inspect").arg(dir).arg("--groups").output().expect("it runs")
    };
    let output = inspect(&data);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for expected in ["node        n1 of n1", "vote        for node 1", "group 1 (durable: 0)"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(tree(&data) == before, "nothing was written");
    assert_eq!(inspect(&temporary.0.join("none")).status.code(), Some(3));
    fs::remove_file(data.join("identity")).expect("removed");
    assert_eq!(inspect(&data).status.code(), Some(3));
}

#[test]
fn below_the_floor_of_free_space_records_are_refused_and_everything_else_goes_on() {
    let temporary = Temporary::new();
    let data = used(&temporary);
    // More than any disk has.
    let mut node = Node::start_with_floor(&data, "4294967295");
    // The first look at the disk comes soon after the start.
    let refused = (0..1_000).find_map(|_| {
        let said = node.ask(r#"{"type":"send","msg_id":2,"key":"other","msg":9}"#);
        said.contains(r#""type":"error""#).then_some(said)
    });
    let refused = refused.expect("records are refused");
    assert!(refused.contains(r#""code":11"#) && refused.contains("nothing was done"), "{refused}");
    let to_topic = r#"{"type":"send","msg_id":3,"topic":"t","key":"a","message":1}"#;
    assert!(node.ask(to_topic).contains(r#""code":11"#), "a topic's records too");
    let commit = r#"{"type":"commit_offsets","msg_id":4,"offsets":{"k":1}}"#;
    assert!(node.ask(commit).contains("commit_offsets_ok"), "what brings no records goes on");
    let polled = node.ask(r#"{"type":"poll","msg_id":5,"offsets":{"k":0}}"#);
    assert!(polled.contains("[0,1],[1,2],[2,3]"), "{polled}");
    node.kill();
    let mut node = Node::start(&data);
    let sent = node.ask(r#"{"type":"send","msg_id":6,"key":"k","msg":4}"#);
    assert!(sent.contains(r#""offset":3"#), "there is room again: {sent}");
    node.kill();
}

/// The same bytes as a later version would have written them: another number of the format, and the
/// checksum of the head that goes with it.
fn newer(mut bytes: Vec<u8>, crc_at: usize) -> Vec<u8> {
    bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..crc_at]);
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn a_folder_of_a_later_version_is_refused_and_says_which() {
    let temporary = Temporary::new();
    let data = used(&temporary);
    let wal = data.join("wal/0000000000000001.wal");
    let segment = fs::read(&wal).expect("read");
    fs::write(&wal, newer(segment.clone(), 56)).expect("written");
    let said = refused(&data);
    assert!(said.contains("0000000000000001.wal") && said.contains("format 9"), "{said}");
    fs::write(&wal, segment).expect("written");
    let head = [&b"cohrtCKP"[..], &[0; 40]].concat();
    fs::write(data.join("checkpoint"), newer(head, 44)).expect("written");
    let said = refused(&data);
    assert!(said.contains("checkpoint") && said.contains("format 9"), "{said}");
    fs::remove_file(data.join("checkpoint")).expect("removed");
    Node::start(&data).kill();
}

/// Whether a program is there.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_commit_writes_and_syncs_the_log_alone() {
    const SENDS: usize = 20;
    if !is_there("strace") {
        println!("not shown: there is no strace");
        return;
    }
    let temporary = Temporary::new();
    let (data, calls) = (temporary.data(), temporary.0.join("calls"));
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=pwrite64,fdatasync,fsync,sync_file_range", "-o"]);
    command.arg(&calls).arg(env!("CARGO_BIN_EXE_cohort"));
    command.arg("--data-dir").arg(&data).args(["--free-floor", "0"]);
    let mut node = Node::run(command);
    let send = r#"{"type":"send","msg_id":2,"key":"k","msg":1}"#;
    let read = || fs::read_to_string(&calls).unwrap_or_default();
    assert!(node.ask(send).contains("send_ok"));
    let before = read().lines().count();
    for _ in 0..SENDS {
        assert!(node.ask(send).contains("send_ok"));
    }
    node.ends();
    let said = read();
    let later: Vec<&str> = said.lines().skip(before).collect();
    let of = |call: &str, file: &str| {
        later.iter().filter(|line| line.contains(call) && line.contains(file)).count()
    };
    let (writes, syncs) = (of("pwrite64(", ".wal>"), of("fdatasync(", ".wal>"));
    println!("{SENDS} commits: {writes} writes and {syncs} syncs of the log");
    assert!((SENDS..=SENDS + 3).contains(&syncs), "{syncs} syncs: {said}");
    assert!(writes.abs_diff(syncs) <= 1, "{writes} writes, {syncs} syncs: {said}");
    assert_eq!(of("fsync(", ""), 0, "no folder is synced: {said}");
    assert_eq!(of("fdatasync(", ".seg>"), 0, "records wait for a checkpoint: {said}");
}

/// A small file system, which is gone in the end.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&path).expect("made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(&path).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(path))
    }

    fn grow(&self, size: &str) {
        let mut mount = Command::new("mount");
        let grown = mount.args(["-o", &format!("remount,{size}")]).arg(&self.0).status();
        assert!(grown.is_ok_and(|status| status.success()));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What is left is a file system in memory, which ends with the machine.
        let _unmounted = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_a_node_stops_and_keeps_what_it_acknowledged() {
    let temporary = Temporary::new();
    let Some(mounted) = Mounted::new(temporary.0.join("disk"), "size=6m") else {
        println!("not shown: this user may not mount a file system");
        return;
    };
    let data = mounted.0.join("data");
    let mut node = Node::start(&data);
    let message = "m".repeat(100_000);
    let send = format!(r#"{{"type":"send","msg_id":2,"key":"k","msg":"{message}"}}"#);
    let mut acknowledged = 0;
    while node.ask(&send).contains("send_ok") {
        acknowledged += 1;
        assert!(acknowledged < 200, "6 MiB do not hold them");
    }
    assert!(acknowledged > 10, "{acknowledged}");
    let output = node.child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("No space left"), "{said}");
    mounted.grow("size=64m");
    let mut node = Node::start(&data);
    let polled = node.ask(r#"{"type":"poll","msg_id":3,"offsets":{"k":0}}"#);
    let last = node.ask(&send);
    assert!(polled.contains(&message), "{} bytes", polled.len());
    let offset = last.split(r#""offset":"#).nth(1).expect("an offset");
    let offset: String = offset.chars().take_while(char::is_ascii_digit).collect();
    assert!(offset.parse::<u64>().expect("a number") >= acknowledged, "{offset}");
    node.kill();
}

#[test]
fn regression_a_limit_of_file_sizes_ends_a_node_with_its_reason() {
    let temporary = Temporary::new();
    let data = temporary.data();
    let mut limited = Command::new("sh");
    // In units of 512 or 1,024 bytes: less than a segment of the log becomes.
    limited.args(["-c", r#"ulimit -f 10000; exec "$0" --free-floor 0 --data-dir "$1""#]);
    limited.arg(env!("CARGO_BIN_EXE_cohort")).arg(&data);
    let mut node = Node::run(limited);
    let message = "m".repeat(100_000);
    let send = format!(r#"{{"type":"send","msg_id":2,"key":"k","msg":"{message}"}}"#);
    let acknowledged = (0..200).take_while(|_| node.ask(&send).contains("send_ok")).count();
    assert!((10..200).contains(&acknowledged), "{acknowledged}");
    let output = node.child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("File too large"), "{said}");
    let mut node = Node::start(&data);
    assert!(node.ask(&send).contains("send_ok"));
    node.kill();
}

#[test]
fn regression_a_folder_that_cannot_be_read_now_is_not_called_damaged() {
    let temporary = Temporary::new();
    let data = used(&temporary);
    // Each start begins a segment, and all of them are open while they are read.
    (0..3).for_each(|_| Node::start(&data).kill());
    let mut told = 0;
    for most in 6..16 {
        let mut limited = Command::new("sh");
        limited.args(["-c", r#"ulimit -n "$0"; exec "$1" --free-floor 0 --data-dir "$2""#]);
        limited.arg(most.to_string()).arg(env!("CARGO_BIN_EXE_cohort")).arg(&data);
        let output = limited.stdin(Stdio::null()).output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("cannot be used any more"), "{most} files: {said}");
        told += usize::from(said.contains("is refused") && said.contains("Too many open files"));
    }
    assert!(told > 0, "with few files it cannot be read");
    Node::start(&data).kill();
}
