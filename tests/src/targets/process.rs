//! The target of real processes: each node is a process of a given program, its lines go over
//! pipes, time is real.
//!
//! Where nodes are started again, each has a data folder of its own (`--data-dir`). It is removed
//! with the run. Else nodes keep everything in memory.
//!
//! Owns the processes, their pipes, their folders and the clock. A reader thread per node turns
//! lines and the end of output into events of one channel; a writer thread per node keeps a node
//! that does not read (paused, or slow) from blocking everything else. What nodes print on standard
//! error goes to a file each. It knows nothing of what lines mean.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::history::Micros;
use crate::nemesis::Nemesis;
use crate::run::Run;
use crate::targets::guard::Guard;
use crate::targets::{Action, Target, TargetError};

/// Bytes that may wait for a node that does not read, before lines from its peers are lost on the
/// way to it.
const BACKLOG_BYTES: usize = 64 << 20;

/// What came from a node, with the number of its process: a node that was killed says nothing more.
enum Event {
    Line(usize, u64, Vec<u8>),
    /// End of a node's output.
    End(usize, u64),
}

/// The data folders of a run. They are gone when it is over, however it ends.
struct Folders(PathBuf);

impl Folders {
    fn of_node(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        // What stays lies beside the logs, and the next run of this name takes it away.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

struct Node {
    child: Child,
    /// Which of all processes of the run it is.
    life: u64,
    /// `None` once its input is closed.
    input: Option<Sender<Vec<u8>>>,
    backlog: Arc<AtomicUsize>,
    /// Its output has ended, but the process has not been seen to.
    ending: bool,
    gone: bool,
}

/// Nodes as processes.
#[derive(Debug)]
pub struct Processes {
    program: PathBuf,
    args: Vec<String>,
    logs: PathBuf,
}

impl Processes {
    /// Runs the program with these arguments for every node; what it prints on standard error goes
    /// to `<logs>/<node>.log`.
    pub fn new(program: &Path, args: Vec<String>, logs: &Path) -> Self {
        Self { program: program.to_owned(), args, logs: logs.to_owned() }
    }

    /// Starts a node's process, on what an earlier one has left in its data folder, if it has one.
    fn start(
        &self,
        name: &str,
        (node, life): (usize, u64),
        folders: Option<&Folders>,
        events: &Sender<Event>,
    ) -> Result<Node, TargetError> {
        let failed =
            |source| TargetError::Start { path: self.program.display().to_string(), source };
        let log = self.logs.join(format!("{name}.log"));
        let log = OpenOptions::new().create(true).append(true).open(log).map_err(failed)?;
        let mut command = Command::new(&self.program);
        if let Some(folders) = folders {
            command.arg("--data-dir").arg(folders.of_node(name));
        }
        let mut child = command
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let (sender, receiver) = mpsc::channel::<Vec<u8>>();
        let backlog = Arc::new(AtomicUsize::new(0));
        if let Some(stdin) = child.stdin.take() {
            let backlog = Arc::clone(&backlog);
            thread::spawn(move || write_lines(stdin, &receiver, &backlog));
        }
        if let Some(stdout) = child.stdout.take() {
            let events = events.clone();
            thread::spawn(move || read_lines(stdout, (node, life), &events));
        }
        Ok(Node { child, life, input: Some(sender), backlog, ending: false, gone: false })
    }
}

impl Processes {
    /// Makes the folder for logs, without those of an earlier run, and the one for data folders, if
    /// they are asked for.
    fn prepare(&self, names: &[String], durable: bool) -> Result<Option<Folders>, TargetError> {
        let failed = |what: &str, path: &Path| {
            let what = format!("cannot {what} {}", path.display());
            move |source| TargetError::System { what, source }
        };
        std::fs::create_dir_all(&self.logs)
            .map_err(failed("make the folder for logs,", &self.logs))?;
        let remove = |path: &Path, removed: std::io::Result<()>| match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
            _ => Ok(()),
        };
        for name in names {
            let log = self.logs.join(format!("{name}.log"));
            remove(&log, std::fs::remove_file(&log))?;
        }
        if !durable {
            return Ok(None);
        }
        let folder = self.logs.join("data");
        remove(&folder, std::fs::remove_dir_all(&folder))?;
        std::fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        Ok(Some(Folders(folder)))
    }
}

fn write_lines(mut stdin: impl Write, lines: &Receiver<Vec<u8>>, backlog: &AtomicUsize) {
    while let Ok(mut batch) = lines.recv() {
        backlog.fetch_sub(batch.len(), Ordering::Relaxed);
        batch.push(b'\n');
        // What has gathered meanwhile goes in one write.
        while batch.len() < 1 << 16
            && let Ok(line) = lines.try_recv()
        {
            backlog.fetch_sub(line.len(), Ordering::Relaxed);
            batch.extend_from_slice(&line);
            batch.push(b'\n');
        }
        // A node that has closed its input or died is noticed by the reader.
        if stdin.write_all(&batch).is_err() {
            return;
        }
    }
}

fn read_lines(stdout: impl std::io::Read, (node, life): (usize, u64), events: &Sender<Event>) {
    let mut reader = BufReader::with_capacity(1 << 16, stdout);
    loop {
        let mut line = Vec::new();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                if events.send(Event::Line(node, life, line)).is_err() {
                    return;
                }
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // Nobody listens any more when the run is over.
    let _over = events.send(Event::End(node, life));
}

impl Node {
    fn signal(&self, signal: Signal) -> Result<(), TargetError> {
        if self.gone {
            return Ok(());
        }
        match kill_process(Pid::from_child(&self.child), signal) {
            // It ended by itself a moment ago: its end of output tells the run.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(TargetError::System {
                what: format!("cannot send {signal:?}"),
                source: e.into(),
            }),
        }
    }

    fn deliver(&self, line: Vec<u8>, peer: bool) {
        let Some(input) = &self.input else { return };
        if peer && self.backlog.load(Ordering::Relaxed) > BACKLOG_BYTES {
            return;
        }
        self.backlog.fetch_add(line.len(), Ordering::Relaxed);
        let _gone = input.send(line);
    }

    fn end(&mut self) {
        if !self.gone {
            let _ended = self.child.kill();
            let _reaped = self.child.wait();
            self.gone = true;
        }
    }
}

/// All nodes of a run; whatever happens, none outlives it.
struct Nodes(Vec<Option<Node>>, Guard);

impl Drop for Nodes {
    fn drop(&mut self) {
        self.0.iter_mut().flatten().for_each(Node::end);
    }
}

impl Nodes {
    fn act(&mut self, action: Action) -> Result<(), TargetError> {
        match action {
            Action::Deliver { node, line, peer } => {
                if let Some(node) = &self.0[node] {
                    node.deliver(line, peer);
                }
            }
            Action::Pause(node) => self.signal(node, Signal::STOP)?,
            Action::Resume(node) => self.signal(node, Signal::CONT)?,
            Action::Kill(node) => {
                if let Some(node) = &mut self.0[node] {
                    node.end();
                    let pid = node.child.id();
                    self.watch(pid, Guard::ended)?;
                }
            }
            Action::Close(node) => {
                if let Some(node) = &mut self.0[node] {
                    node.input = None;
                }
            }
            Action::SetClock { .. } => {
                return Err(TargetError::Unable(
                    "the stage `real` cannot change clocks".to_owned(),
                ));
            }
            Action::Disk(..) => {
                return Err(TargetError::Unable("the stage `real` cannot break disks".to_owned()));
            }
            Action::Start(_) | Action::Tell(_) | Action::Done => {}
        }
        Ok(())
    }

    /// Tells the guard of a process.
    fn watch(
        &mut self,
        pid: u32,
        tell: impl FnOnce(&mut Guard, u32) -> std::io::Result<()>,
    ) -> Result<(), TargetError> {
        let what = || "cannot tell the guard of a process".to_owned();
        tell(&mut self.1, pid).map_err(|source| TargetError::System { what: what(), source })
    }

    /// The node, if this process of it has not been seen to end.
    fn living(&mut self, node: usize, life: u64) -> Option<&mut Node> {
        self.0[node].as_mut().filter(|node| node.life == life && !node.gone)
    }

    fn signal(&self, node: usize, signal: Signal) -> Result<(), TargetError> {
        self.0[node].as_ref().map_or(Ok(()), |node| node.signal(signal))
    }
}

impl Target for Processes {
    fn name(&self) -> &'static str {
        "real"
    }

    fn can(&self, nemesis: Nemesis) -> bool {
        nemesis != Nemesis::Clock && !nemesis.is_of_disks() && !nemesis.is_of_connections()
    }

    fn run(
        &mut self,
        run: &mut Run,
        tell: &mut dyn FnMut(Micros, &str),
    ) -> Result<(), TargetError> {
        let names = run.node_names().to_vec();
        let folders = self.prepare(&names, run.needs_disks())?;
        let mut lives = 0..;
        let guard = Guard::start()
            .map_err(|source| TargetError::Start { path: "sh".to_owned(), source })?;
        let mut nodes = Nodes((0..names.len()).map(|_| None).collect(), guard);
        let (sender, events) = mpsc::channel();
        let begun = Instant::now();
        let now_us = || Micros::try_from(begun.elapsed().as_micros()).unwrap_or(Micros::MAX);
        run.on_time(0);
        loop {
            for action in run.take_actions() {
                match action {
                    Action::Start(node) => {
                        let life = lives.next().unwrap_or_default();
                        let folders = folders.as_ref();
                        let started = self.start(&names[node], (node, life), folders, &sender)?;
                        nodes.watch(started.child.id(), Guard::started)?;
                        nodes.0[node] = Some(started);
                    }
                    Action::Tell(text) => tell(now_us(), &text),
                    Action::Done => return Ok(()),
                    other => nodes.act(other)?,
                }
            }
            let mut wait_us =
                run.next_wakeup().map_or(100_000, |at_us| at_us.saturating_sub(now_us()));
            let mut ended = Vec::new();
            for (node, running) in nodes.0.iter_mut().enumerate() {
                let Some(running) = running.as_mut().filter(|n| n.ending && !n.gone) else {
                    continue;
                };
                // Output ends a moment before the process does.
                match running.child.try_wait() {
                    Ok(Some(status)) => {
                        running.gone = true;
                        ended.push(running.child.id());
                        run.on_exit(now_us(), node, status.code());
                        wait_us = 0;
                    }
                    Ok(None) => wait_us = wait_us.min(1_000),
                    Err(source) => {
                        return Err(TargetError::System {
                            what: "cannot wait for a node".to_owned(),
                            source,
                        });
                    }
                }
            }
            for pid in ended {
                nodes.watch(pid, Guard::ended)?;
            }
            match events.recv_timeout(Duration::from_micros(wait_us)) {
                Ok(Event::Line(node, life, line)) => {
                    if nodes.living(node, life).is_some() {
                        run.on_line(now_us(), node, line);
                    }
                }
                Ok(Event::End(node, life)) => {
                    if let Some(node) = nodes.living(node, life) {
                        node.ending = true;
                    }
                }
                Err(RecvTimeoutError::Timeout) => run.on_time(now_us()),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(TargetError::Unable("all readers are gone".to_owned()));
                }
            }
        }
    }
}
