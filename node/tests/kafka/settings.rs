//! Settings, the line that says that it serves, and how it ends.

use std::fs;
use std::process::{Command, Stdio};

use super::broker::{Broker, Folder};

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
