//! Applications that somebody else wrote, as members of a group: started, stopped, killed and told
//! to leave, by a plan of the seed.
//!
//! Owns their processes and what they say. What they and the brokers say to each other goes through
//! a [recording](crate::watch), which leads to the brokers' proxies: so faults of the network reach
//! them as they reach the arena's own clients. It judges nothing.
//!
//! | module | owns |
//! | --- | --- |
//! | `file` | how an application is started |
//! | `plan` | what happens to instances, and when |
//! | `lines` | what instances say |

pub mod file;
pub mod lines;
pub mod plan;

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::checkers::apps::DRIFT_US;
use crate::history::{Fault, Micros, Op};
use crate::rng::Rng;
use crate::targets::TargetError;
use crate::targets::brokers::cluster::Places;
use crate::targets::brokers::set_programs;
use crate::targets::guard::Guard;
use file::AppFile;
use lines::Lines;
use plan::{FEW, MANY, Planned, What};

/// What a run needs to know of the applications.
#[derive(Debug, Clone)]
pub struct AppsSetup {
    /// How they are started.
    pub file: AppFile,
    /// The folder of that file.
    pub here: PathBuf,
    /// Arguments beyond those of the file.
    pub args: Vec<String>,
    /// Where logs go.
    pub logs: PathBuf,
    /// Whether instances are killed and stopped too.
    pub rough: bool,
}

/// What came from an instance.
#[derive(Debug)]
pub struct Said {
    /// Which, counted from 0.
    pub app: usize,
    /// When it was read.
    pub at: Instant,
    /// A line, or why there is no next one; `None`: it is over.
    pub line: Option<std::io::Result<String>>,
}

#[derive(Debug)]
struct App {
    name: String,
    child: Option<Child>,
    lines: Lines,
    log: PathBuf,
    /// It is stopped until then.
    stopped_until_us: Option<Micros>,
    /// It was told to leave, or killed.
    leaves: bool,
    /// Its output is over.
    silent: bool,
}

/// All instances of a run.
#[derive(Debug)]
pub struct Apps {
    setup: AppsSetup,
    places: Places,
    group: String,
    strategy: String,
    apps: Vec<App>,
    plan: VecDeque<Planned>,
    /// When the plan begins.
    planned_us: Option<Micros>,
    guard: Guard,
    faults: Vec<Fault>,
    /// What the clock of the machine showed when the run's began.
    began_us: u64,
    begun: Instant,
}

fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> TargetError {
    let what = what.into();
    move |source| TargetError::System { what, source }
}

/// What the clock of the machine shows at the beginning of the run, as it is now.
fn wall_us(begun: Instant) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(begun.elapsed());
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Tells each line of an instance as soon as it is there.
fn listen(app: usize, output: ChildStdout, mut tell: impl FnMut(Said) -> bool) {
    let mut lines = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        let read = lines.read_until(b'\n', &mut line);
        let at = Instant::now();
        let line = match read {
            // What was killed in the middle of a line has not said it.
            Ok(_) if line.pop() != Some(b'\n') => None,
            Ok(_) => Some(Ok(String::from_utf8_lossy(&line).into_owned())),
            Err(error) => Some(Err(error)),
        };
        let over = !matches!(line, Some(Ok(_)));
        if !tell(Said { app, at, line }) || over {
            return;
        }
    }
}

impl Apps {
    /// Installs what the application needs.
    ///
    /// # Errors
    /// Where that fails.
    pub fn prepare(setup: &AppsSetup) -> Result<(), TargetError> {
        let mut places = Places::default();
        places.set("here", setup.here.display().to_string());
        let words = fill(&setup.file.prepare, &places)?;
        let Some((program, words)) = words.split_first() else { return Ok(()) };
        let status = Command::new(program).args(words).stdin(Stdio::null()).status();
        let status =
            status.map_err(|source| TargetError::Start { path: program.clone(), source })?;
        let problem = || format!("`{}`: {status}", setup.file.prepare.join(" "));
        if status.success() { Ok(()) } else { Err(TargetError::Unable(problem())) }
    }

    /// No instance runs yet. They will connect to `bootstrap`.
    ///
    /// # Errors
    /// Where no shell can be started.
    pub fn new(
        setup: AppsSetup,
        bootstrap: &str,
        (group, topic): (&str, &str),
        (seed, faults_us): (u64, Micros),
        begun: Instant,
    ) -> Result<Self, TargetError> {
        let mut places = Places::default();
        let strategy = Rng::new(seed, "strategy").pick(&setup.file.strategies).cloned();
        let strategy = strategy.unwrap_or_default();
        places.set("bootstrap", bootstrap);
        places.set("group", group);
        places.set("topic", topic);
        places.set("strategy", strategy.clone());
        places.set("session_ms", setup.file.session_ms.to_string());
        places.set("rebalance_ms", setup.file.rebalance_ms.to_string());
        places.set("here", setup.here.display().to_string());
        set_programs(&mut places);
        let plan = plan::draw(seed, faults_us, setup.file.session_ms * 1_000, setup.rough);
        Ok(Self {
            setup,
            places,
            group: group.to_owned(),
            strategy,
            apps: Vec::new(),
            plan: plan.into(),
            planned_us: None,
            guard: Guard::start().map_err(system("start a shell"))?,
            faults: Vec::new(),
            began_us: wall_us(begun),
            begun,
        })
    }

    /// What a checker needs to know.
    pub fn config(&self) -> Value {
        json!({
            "application": self.setup.file.name,
            "strategy": self.strategy,
            "session_timeout_ms": self.setup.file.session_ms,
            "rebalance_timeout_ms": self.setup.file.rebalance_ms,
            // Whether the times that instances tell are those of the run.
            "app_clock": wall_us(self.begun).abs_diff(self.began_us) <= DRIFT_US,
        })
    }

    /// When the next thing is planned.
    pub fn next_due(&self) -> Option<Micros> {
        let next = self.planned_us.zip(self.plan.front());
        let next = next.map(|(begun_us, planned)| begun_us + planned.at_us);
        let wakes = self.apps.iter().filter_map(|app| app.stopped_until_us);
        wakes.chain(next).min()
    }

    /// The first instances start, and the plan begins when the faults do.
    ///
    /// # Errors
    /// Where one cannot be started.
    pub fn begin<F: FnMut(Said) -> bool + Send + 'static>(
        &mut self,
        now_us: Micros,
        tell: impl Fn() -> F,
    ) -> Result<(), TargetError> {
        while self.running().len() < FEW {
            self.start(now_us, tell())?;
        }
        Ok(())
    }

    /// From now on the plan is followed.
    pub fn follow_plan(&mut self, now_us: Micros) {
        self.planned_us = Some(now_us);
    }

    /// Does what is due. What happened, for people.
    ///
    /// # Errors
    /// Where an instance cannot be started or signalled.
    pub fn step<F: FnMut(Said) -> bool + Send + 'static>(
        &mut self,
        now_us: Micros,
        tell: impl Fn() -> F,
    ) -> Result<Vec<String>, TargetError> {
        let mut happened = Vec::new();
        for app in 0..self.apps.len() {
            if self.apps[app].stopped_until_us.is_some_and(|until_us| until_us <= now_us) {
                happened.push(self.go_on(app, now_us)?);
            }
        }
        while let (Some(begun_us), Some(next)) = (self.planned_us, self.plan.front().copied()) {
            if begun_us + next.at_us > now_us {
                break;
            }
            self.plan.pop_front();
            happened.extend(self.carry_out(next, now_us, &tell)?);
        }
        Ok(happened)
    }

    fn carry_out<F: FnMut(Said) -> bool + Send + 'static>(
        &mut self,
        Planned { what, who, .. }: Planned,
        now_us: Micros,
        tell: impl Fn() -> F,
    ) -> Result<Option<String>, TargetError> {
        let running = self.running();
        let awake: Vec<usize> = running
            .iter()
            .copied()
            .filter(|app| self.apps[*app].stopped_until_us.is_none())
            .collect();
        let pick = |of: &[usize]| {
            let at = usize::try_from(who % of.len().max(1) as u64).unwrap_or(0);
            of.get(at).copied()
        };
        Ok(match what {
            What::Start if running.len() < MANY => Some(self.start(now_us, tell())?),
            // A group without members tells nothing.
            What::Leave | What::Kill if running.len() < 2 => None,
            What::Leave => match pick(&awake) {
                Some(app) => Some(self.leave(app, now_us)?),
                None => None,
            },
            What::Kill => match pick(&running) {
                Some(app) => Some(self.kill(app, now_us)?),
                None => None,
            },
            What::Stop { for_us } => match pick(&awake) {
                Some(app) => Some(self.stop(app, now_us, for_us)?),
                None => None,
            },
            What::Start => None,
        })
    }

    /// The faults are over: nobody is stopped, and there are a few again.
    ///
    /// # Errors
    /// Where an instance cannot be started or signalled.
    pub fn heal<F: FnMut(Said) -> bool + Send + 'static>(
        &mut self,
        now_us: Micros,
        tell: impl Fn() -> F,
    ) -> Result<(), TargetError> {
        self.plan.clear();
        for app in 0..self.apps.len() {
            if self.apps[app].stopped_until_us.is_some() {
                self.go_on(app, now_us)?;
            }
        }
        self.begin(now_us, tell)
    }

    /// All are told to leave.
    ///
    /// # Errors
    /// Where one cannot be signalled.
    pub fn dismiss(&mut self, now_us: Micros) -> Result<(), TargetError> {
        for app in self.running() {
            self.leave(app, now_us)?;
        }
        Ok(())
    }

    /// Takes what an instance said.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(&mut self, said: Said) -> Result<(), String> {
        let read_us = said.at.saturating_duration_since(self.begun).as_micros();
        let read_us = Micros::try_from(read_us).unwrap_or(Micros::MAX);
        let app = &mut self.apps[said.app];
        match said.line {
            Some(Ok(line)) => app.lines.take(read_us, &line),
            Some(Err(error)) => {
                app.silent = true;
                Err(format!("{} cannot be read: {error}", app.name))
            }
            None => {
                app.silent = true;
                Ok(())
            }
        }
    }

    /// Who has ended though nobody told it to, and how.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn ended(&mut self) -> Result<Vec<(String, String)>, TargetError> {
        let mut by_itself = Vec::new();
        for app in 0..self.apps.len() {
            let Some(status) = self.has_ended(app)? else { continue };
            let App { name, log, leaves, .. } = &self.apps[app];
            if !*leaves {
                let how = format!("ended by itself: {status}; see {}", log.display());
                by_itself.push((name.clone(), how));
            } else if !status.success() && !was_killed(status) {
                let how = format!("did not leave well: {status}; see {}", log.display());
                by_itself.push((name.clone(), how));
            }
        }
        Ok(by_itself)
    }

    fn has_ended(&mut self, app: usize) -> Result<Option<ExitStatus>, TargetError> {
        let Some(child) = self.apps[app].child.as_mut() else { return Ok(None) };
        let Some(status) = child.try_wait().map_err(system("wait for an application"))? else {
            return Ok(None);
        };
        let id = child.id();
        self.apps[app].child = None;
        self.guard.ended(id).map_err(system("tell the shell that guards processes"))?;
        Ok(Some(status))
    }

    /// Whether nobody is left to read.
    pub fn are_gone(&self) -> bool {
        self.running().is_empty()
    }

    /// Who still runs, or has said things that were not read yet.
    pub fn present(&self) -> Vec<&str> {
        let present = self.apps.iter().filter(|app| app.child.is_some() || !app.silent);
        present.map(|app| app.name.as_str()).collect()
    }

    /// Everything that instances said and that was done to them.
    pub fn into_parts(mut self) -> (Vec<Op>, Vec<Fault>) {
        let apps = std::mem::take(&mut self.apps);
        let faults = std::mem::take(&mut self.faults);
        let ops = apps.into_iter().flat_map(|mut app| {
            end(&mut app);
            app.lines.into_ops()
        });
        (ops.collect(), faults)
    }

    /// Those that run and were not told to leave.
    fn running(&self) -> Vec<usize> {
        let runs = |app: &App| app.child.is_some() && !app.leaves;
        (0..self.apps.len()).filter(|app| runs(&self.apps[*app])).collect()
    }

    fn start(
        &mut self,
        now_us: Micros,
        tell: impl FnMut(Said) -> bool + Send + 'static,
    ) -> Result<String, TargetError> {
        let number = self.apps.len();
        let name = format!("app{}", number + 1);
        self.places.set("name", name.clone());
        let mut words = fill(&self.setup.file.start, &self.places)?;
        words.extend(self.setup.args.iter().cloned());
        let log = self.setup.logs.join(format!("{name}.log"));
        let mut child = self.spawn(&words, &log)?;
        let id = child.id();
        let output = child.stdout.take();
        let mut lines = Lines::new(&name, &self.group, self.began_us);
        lines.signal(now_us, "start");
        let (stopped_until_us, leaves, silent) = (None, false, output.is_none());
        let child = Some(child);
        let text = format!("{name} is started");
        self.apps.push(App { name, child, lines, log, stopped_until_us, leaves, silent });
        self.guard.started(id).map_err(system("tell the shell that guards processes"))?;
        if let Some(output) = output {
            let listen = move || listen(number, output, tell);
            let thread = std::thread::Builder::new().name("application".to_owned());
            thread.spawn(listen).map_err(system("start a thread"))?;
        }
        Ok(text)
    }

    fn spawn(&self, words: &[String], log: &Path) -> Result<Child, TargetError> {
        let log_file = OpenOptions::new().create(true).write(true).truncate(true).open(log);
        let log_file = log_file.map_err(system(format!("open {}", log.display())))?;
        let (program, words) = words.split_first().map_or(("", &[][..]), |(p, w)| (p.as_str(), w));
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file);
        for (name, value) in &self.setup.file.env {
            command.env(name, self.places.fill(value).map_err(TargetError::Unable)?);
        }
        command.spawn().map_err(|source| TargetError::Start { path: program.to_owned(), source })
    }

    fn leave(&mut self, app: usize, now_us: Micros) -> Result<String, TargetError> {
        self.signal(app, Signal::TERM, "term", now_us)?;
        self.apps[app].leaves = true;
        Ok(format!("{} is told to leave", self.apps[app].name))
    }

    fn kill(&mut self, app: usize, now_us: Micros) -> Result<String, TargetError> {
        self.signal(app, Signal::KILL, "kill", now_us)?;
        (self.apps[app].leaves, self.apps[app].stopped_until_us) = (true, None);
        let text = format!("{} is killed", self.apps[app].name);
        self.fault(text.clone(), now_us, Some(now_us));
        Ok(text)
    }

    fn stop(&mut self, app: usize, now_us: Micros, for_us: Micros) -> Result<String, TargetError> {
        self.signal(app, Signal::STOP, "stop", now_us)?;
        self.apps[app].stopped_until_us = Some(now_us + for_us);
        let text = format!("{} is stopped for {} ms", self.apps[app].name, for_us / 1_000);
        self.fault(text.clone(), now_us, Some(now_us + for_us));
        Ok(text)
    }

    fn go_on(&mut self, app: usize, now_us: Micros) -> Result<String, TargetError> {
        self.signal(app, Signal::CONT, "cont", now_us)?;
        self.apps[app].stopped_until_us = None;
        Ok(format!("{} goes on", self.apps[app].name))
    }

    fn fault(&mut self, detail: String, from_us: Micros, to_us: Option<Micros>) {
        self.faults.push(Fault { fault: "clients".to_owned(), detail, from_us, to_us });
    }

    /// What an instance says of the time before is what counts; a signal is noted before it acts.
    fn signal(
        &mut self,
        app: usize,
        signal: Signal,
        name: &str,
        now_us: Micros,
    ) -> Result<(), TargetError> {
        let app = &mut self.apps[app];
        app.lines.signal(now_us, name);
        let child = app.child.as_ref();
        let Some(pid) = child.and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?))
        else {
            return Ok(());
        };
        kill_process(pid, signal).map_err(|errno| TargetError::System {
            what: format!("signal {}", app.name),
            source: errno.into(),
        })
    }
}

/// Whether the arena's signal ended it. SIGTERM does where it comes before the program has begun.
fn was_killed(status: ExitStatus) -> bool {
    let fatal = [Signal::KILL.as_raw(), Signal::TERM.as_raw()];
    status.signal().is_some_and(|signal| fatal.contains(&signal))
}

fn end(app: &mut App) {
    if let Some(child) = &mut app.child {
        // It may have ended just now. The guard ends what this does not.
        let _ended = child.kill();
        let _reaped = child.wait();
    }
}

impl Drop for Apps {
    fn drop(&mut self) {
        self.apps.iter_mut().for_each(end);
    }
}

fn fill(words: &[String], places: &Places) -> Result<Vec<String>, TargetError> {
    words.iter().map(|word| places.fill(word).map_err(TargetError::Unable)).collect()
}
