//! What is no request, or none that is served: the node lives, and serves others meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use wire::errors;
use wire::kafka_protocol::messages::api_versions_request::ApiVersionsRequest;

use super::broker::{Broker, Client, ask};

fn lives(broker: &Broker) {
    let client = &mut broker.connect();
    let reply = ask!(client, ApiVersions API_VERSIONS 0, ApiVersionsRequest::default());
    assert_eq!(reply.error_code, errors::NONE);
}

/// Sends bytes; whether the connection was closed without an answer.
fn is_closed_by(broker: &Broker, bytes: &[u8]) -> bool {
    let mut client = broker.connect();
    // It may be closed before all is sent.
    let _sent = client.stream.write_all(bytes);
    client.frame().is_none()
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short frame");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// A header: key, version, correlation id 7, no client id.
fn header(key: i16, version: i16) -> Vec<u8> {
    [&key.to_be_bytes()[..], &version.to_be_bytes(), &7_i32.to_be_bytes(), &[0xff, 0xff]].concat()
}

#[test]
fn what_is_no_request_closes_the_connection_and_nothing_else() {
    let broker = Broker::dev(&[]);
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let produce = header(0, 9);
    let cases: [(&str, Vec<u8>); 12] = [
        ("HTTP", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
        ("TLS", hello.to_vec()),
        ("a length of 0", vec![0; 4]),
        ("a negative length", vec![0xff; 4]),
        ("a length beyond all bounds", vec![0x7f, 0xff, 0xff, 0xff]),
        ("an unknown key", framed(&header(999, 0))),
        ("an unknown version", framed(&header(3, 99))),
        ("a header alone", framed(&header(3, 9))),
        ("half a header", framed(&[0, 3, 0, 9, 0])),
        ("a Produce that is only advertised", framed(&header(0, 2))),
        ("a body cut off", framed(&[&produce[..], &[0, 0, 0xff]].concat())),
        ("an array of 2^31 - 1", framed(&[&header(3, 0)[..], &[0x7f, 0xff, 0xff, 0xff]].concat())),
    ];
    for (what, bytes) in cases {
        assert!(is_closed_by(&broker, &bytes), "{what}");
        lives(&broker);
    }
}

#[test]
fn a_later_version_of_api_versions_is_told_which_ones_there_are() {
    let broker = Broker::dev(&[]);
    let mut client = broker.connect();
    client.stream.write_all(&framed(&header(18, 5))).expect("it reads");
    let frame = client.frame().expect("an answer");
    assert_eq!(frame[..], [0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]);
    let asked = ApiVersionsRequest::default()
        .with_client_software_name("test".into())
        .with_client_software_version("1".into());
    let reply = ask!(client, ApiVersions API_VERSIONS 3, asked.clone());
    assert!(reply.api_keys.len() > 20);
    let nameless = asked.with_client_software_name("a name with blanks".into());
    let reply = ask!(client, ApiVersions API_VERSIONS 3, nameless);
    assert_eq!(reply.error_code, errors::INVALID_REQUEST);
}

#[test]
fn clients_that_say_nothing_and_frames_that_do_not_end_hold_nobody_up() {
    let broker = Broker::dev(&[]);
    let silent: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(&broker.address).expect("it listens")).collect();
    let mut half: Vec<Client> = (0..20).map(|_| broker.connect()).collect();
    for client in &mut half {
        // 50 MiB are announced, and a few bytes come.
        client.stream.write_all(&[3, 0x20, 0, 0, 0, 0, 0, 9]).expect("it reads");
    }
    lives(&broker);
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.child.id()));
    let status = status.expect("a process");
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kib: u64 = kib.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib < 100 * 1024, "{kib} KiB: what is announced takes no memory");
    drop(silent);
    // One that closes in the middle of a frame is forgotten.
    drop(half);
    lives(&broker);
}

#[test]
fn a_client_that_never_reads_is_read_no_more() {
    let broker = Broker::dev(&[]);
    let mut client = broker.connect();
    client.stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let request = framed(&header(18, 0));
    let many = request.repeat(10_000);
    let mut sent = 0_usize;
    while sent < 1 << 30 && client.stream.write_all(&many).is_ok() {
        sent += many.len();
    }
    assert!(sent < 1 << 30, "its input waits once its replies do");
    lives(&broker);
    // It is served as soon as it reads.
    let mut some = [0; 1 << 16];
    client.stream.read_exact(&mut some).expect("replies");
}

#[test]
fn a_low_soft_limit_of_open_files_is_raised() {
    let mut command = Command::new("sh");
    let serve = "ulimit -Sn 64 && exec \"$0\" serve --kafka 127.0.0.1:0 --dev";
    command.args(["-c", serve, env!("CARGO_BIN_EXE_cohort")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let broker = Broker::run(command);
    let mut clients: Vec<Client> = (0..100).map(|_| broker.connect()).collect();
    for client in &mut clients {
        let asked = ApiVersionsRequest::default();
        let reply = ask!(client, ApiVersions API_VERSIONS 2, asked);
        assert_eq!(reply.error_code, errors::NONE);
    }
}
