//! Settings, the line that says that it serves, and how it ends.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wire::kafka_protocol::messages::metadata_request::MetadataRequest;

use super::broker::{Broker, Folder, ask};

fn serve(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohort"));
    command.arg("serve").args(args).stdin(Stdio::null());
    command
}

/// What it prints, or says on standard error, and its exit code.
fn said(command: &mut Command) -> (String, Option<i32>) {
    let output = command.output().expect("it starts and ends");
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    (String::from_utf8(text).expect("text"), output.status.code())
}

#[test]
fn a_flag_counts_before_the_environment_and_that_before_the_file() {
    let folder = Folder::new();
    fs::create_dir(&folder.0).expect("made");
    let file = folder.0.join("cohort.toml");
    fs::write(&file, "[num]\npartitions = 3\n[group.min.session.timeout]\nms = 50\n")
        .expect("kept");
    let config = file.to_str().expect("a path");
    let line = |command: &mut Command| {
        let (text, code) = said(command);
        assert_eq!(code, Some(0), "{text}");
        let of = |name: &str| {
            text.lines().find(|line| line.starts_with(name)).expect("each setting").to_owned()
        };
        (of("num.partitions"), of("group.min.session.timeout.ms"))
    };
    let args = ["--config", config, "--print-config"];
    let (partitions, session) = line(&mut serve(&args));
    assert_eq!(partitions, "num.partitions = 3  # file or command line");
    assert_eq!(session, "group.min.session.timeout.ms = 50  # file or command line");
    let (partitions, _) = line(serve(&args).env("COHORT_NUM_PARTITIONS", "4"));
    assert_eq!(partitions, "num.partitions = 4  # environment");
    let with_flag = ["--config", config, "--print-config", "--num.partitions", "5"];
    let (partitions, _) = line(serve(&with_flag).env("COHORT_NUM_PARTITIONS", "4"));
    assert!(partitions.starts_with("num.partitions = 5"), "{partitions}");
    for (text, expected) in [
        ("[num]\npartitons = 3\n", "unknown key `num-partitons`"),
        ("num.partitions = 0\n", "'0'"),
        ("num.partitions = [1]\n", "expected text, number or boolean"),
        ("num.partitions 3\n", "cohort.toml"),
    ] {
        fs::write(&file, text).expect("kept");
        let (text, code) = said(&mut serve(&["--config", config]));
        assert!(text.contains(expected) && code == Some(2), "{text}");
    }
}

#[test]
fn exit_codes_say_why() {
    let (text, code) = said(&mut serve(&["--kafka", "0.0.0.0:0"]));
    assert!(text.contains("--advertise") && code == Some(2), "{text}");
    // Another way to write it, which only the operating system knows.
    let (text, code) = said(&mut serve(&["--dev", "--kafka", "0:0"]));
    assert!(text.contains("--advertise") && code == Some(1), "{text}");
    let (text, code) = said(&mut serve(&["--dev", "--kafka", "no.such.host.invalid:1"]));
    assert!(text.contains("no.such.host.invalid:1") && code == Some(1), "{text}");
    let folder = Folder::new();
    fs::create_dir(&folder.0).expect("made");
    fs::write(folder.0.join("letter.txt"), "dear").expect("kept");
    let data = folder.0.to_str().expect("a path");
    let (text, code) = said(&mut serve(&["--data-dir", data, "--kafka", "127.0.0.1:0"]));
    assert!(text.contains("letter.txt") && code == Some(3), "{text}");
}

#[test]
fn regression_clients_are_told_the_name_that_the_node_listens_at() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohort"));
    command.args(["serve", "--dev", "--kafka", "localhost:0"]).stdout(Stdio::piped());
    let broker = Broker::run(command);
    let port: i32 = broker.address.rsplit_once(':').expect("a port").1.parse().expect("a port");
    let request = MetadataRequest::default();
    let client = &mut broker.connect();
    let reply = ask!(client, Metadata METADATA 9, request);
    assert_eq!((reply.brokers[0].host.as_str(), reply.brokers[0].port), ("localhost", port));
}

#[test]
fn regression_a_folder_is_refused_while_a_broker_serves_it() {
    let folder = Folder::new();
    let start = || {
        let mut command = super::broker::command();
        command.arg("--data-dir").arg(&folder.0).args(["--free-floor", "0"]);
        command
    };
    let broker = Broker::run(start());
    let mut second = start().stderr(Stdio::piped()).spawn().expect("it starts");
    let deadline = Instant::now() + Duration::from_secs(10);
    while second.try_wait().expect("it runs").is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    // One that serves does not end by itself.
    let _ended = second.kill();
    let output = second.wait_with_output().expect("it has ended");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("another process uses this folder"), "{text}");
    drop(broker);
    drop(Broker::run(start()));
}

#[test]
fn it_ends_when_it_is_told_to() {
    let mut broker = Broker::dev(&[]);
    let pid = broker.child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
    assert!(told.success());
    let status = broker.child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn regression_a_folder_does_not_change_the_name_of_its_cluster() {
    let (unnamed, named) = (Folder::new(), Folder::new());
    let start = |folder: &Folder, name: &[&str]| {
        let mut command = super::broker::command();
        command.arg("--data-dir").arg(&folder.0).args(["--free-floor", "0"]).args(name);
        command
    };
    drop(Broker::run(start(&unnamed, &[])));
    drop(Broker::run(start(&named, &["--cluster-id", "blue"])));
    for (folder, found) in [(&unnamed, "without a name"), (&named, "blue")] {
        let mut other = start(folder, &["--cluster-id", "red"]);
        let (text, code) = said(other.stderr(Stdio::piped()));
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains(&format!("of a cluster {found}, and this is cluster red")), "{text}");
    }
    drop(Broker::run(start(&named, &[])));
}

#[test]
fn logs_are_lines_of_json_where_that_is_asked_for() {
    let folder = Folder::new();
    fs::create_dir(&folder.0).expect("made");
    let file = folder.0.join("cohort.toml");
    fs::write(&file, "log-format = \"json\"\n").expect("kept");
    let config = file.to_str().expect("a path");
    let of = |command: &mut Command| {
        let (text, code) = said(command.arg("--print-config"));
        assert_eq!(code, Some(0), "{text}");
        let line = text.lines().find(|line| line.starts_with("log-format "));
        line.expect("each setting").to_owned()
    };
    assert_eq!(of(&mut serve(&[])), "log-format = text  # default");
    assert_eq!(of(serve(&[]).env("COHORT_LOG_FORMAT", "json")), "log-format = json  # environment");
    assert_eq!(of(&mut serve(&["--config", config])), "log-format = json  # file or command line");
    let (text, code) = said(&mut serve(&["--log-format", "xml"]));
    assert!(text.contains("xml") && code == Some(2), "{text}");

    let mut command = super::broker::command();
    command.args(["--dev", "--log", "info", "--log-format", "json"]).stderr(Stdio::piped());
    let mut broker = Broker::run(command);
    let told = Command::new("kill").args(["-TERM", &broker.child.id().to_string()]).status();
    assert!(told.expect("kill").success());
    let mut text = String::new();
    let stderr = broker.child.stderr.take().expect("piped");
    std::io::Read::read_to_string(&mut { stderr }, &mut text).expect("text");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ready = lines.iter().find(|line| line["message"] == "ready").expect("it says so");
    assert_eq!(
        (&ready["level"], &ready["kafka"]),
        (&"INFO".into(), &broker.address.clone().into())
    );
    assert!(ready["timestamp"].is_string() && ready["target"].is_string(), "{ready}");

    let (text, code) = said(&mut serve(&["--dev", "--kafka", "no.such:1", "--log-format=json"]));
    let why: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
    assert!(why["message"].as_str().is_some_and(|why| why.contains("no.such:1")), "{text}");
    assert_eq!((&why["level"], code), (&"ERROR".into(), Some(1)));
}

#[test]
fn a_secret_that_is_none_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    fs::create_dir(&folder.0).expect("made");
    let file = folder.0.join("secret");
    let name = file.to_str().expect("a path");
    for (secret, mode, expected) in [
        ("", 0o600, "it is empty"),
        ("\n", 0o600, "it is empty"),
        ("fifteen letters\n", 0o600, "it has 15 bytes, and a secret has at least 16"),
        ("sixteen letters!", 0o644, "others may read or change it (mode 0644)"),
        (&"x".repeat(4_097), 0o600, "it has more than 4096 bytes"),
    ] {
        fs::write(&file, secret).expect("kept");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
        let cluster = ["--cluster", "n1=127.0.0.1:1", "--kafka", "127.0.0.1:0"];
        let (text, code) = said(serve(&cluster).args(["--cluster-secret-file", name]));
        assert!(text.contains(expected) && text.contains(name) && code == Some(2), "{text}");
    }
}
