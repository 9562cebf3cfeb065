//! Sees to it that no process of a run outlives the arena, however that ends.
//!
//! A process that is stopped (SIGSTOP) notices nothing any more, not even the end of its input. So
//! a shell waits beside the arena until the arena's end of a pipe closes, which every end of the
//! arena does, and kills what is left. It ignores the signals that a terminal sends to all of a
//! group.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Each line names all processes that run. The last one counts.
const SCRIPT: &str = r#"trap "" INT TERM HUP QUIT
while read -r line; do pids=$line; done
[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
exit 0"#;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    input: Option<ChildStdin>,
    pids: BTreeSet<u32>,
}

impl Guard {
    /// Starts to watch over nothing.
    ///
    /// # Errors
    /// Where no `sh` can be started.
    pub(crate) fn start() -> std::io::Result<Self> {
        let mut shell = Command::new("sh");
        let quiet = shell.args(["-c", SCRIPT]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = quiet.stdin(Stdio::piped()).spawn()?;
        let input = shell.stdin.take();
        Ok(Self { shell, input, pids: BTreeSet::new() })
    }

    /// A process runs.
    ///
    /// # Errors
    /// Where the shell is gone.
    pub(crate) fn started(&mut self, pid: u32) -> std::io::Result<()> {
        self.pids.insert(pid);
        self.tell()
    }

    /// A process has ended, and its number may be another's soon.
    ///
    /// # Errors
    /// Where the shell is gone.
    pub(crate) fn ended(&mut self, pid: u32) -> std::io::Result<()> {
        if self.pids.remove(&pid) { self.tell() } else { Ok(()) }
    }

    fn tell(&mut self) -> std::io::Result<()> {
        let pids: Vec<String> = self.pids.iter().map(u32::to_string).collect();
        let Some(input) = &mut self.input else { return Ok(()) };
        writeln!(input, "{}", pids.join(" "))
    }
}

impl Drop for Guard {
    /// Whoever drops it has ended the processes.
    fn drop(&mut self) {
        self.pids.clear();
        // Without a shell there is nobody to tell.
        let _gone = self.tell();
        self.input = None;
        let _reaped = self.shell.wait();
    }
}
