//! What Linux says of a process and of the machine: processor time, memory, load.

use std::fmt;
use std::io;

/// Ticks of `/proc/PID/stat` in a second, on every Linux.
const TICKS: f64 = 100.0;

fn odd(what: impl fmt::Display) -> io::Error {
    io::Error::other(format!("{what} is not what Linux writes"))
}

/// User and system time of a process so far, in seconds, to a hundredth.
pub fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path)?;
    // The name, in brackets, may hold anything; utime and stime are the 12th and 13th after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    if ticks.len() < 2 {
        return Err(odd(path));
    }
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

/// What a process has had written to disks so far, in bytes: pages count when they become dirty.
pub fn written_bytes(pid: u32) -> io::Result<u64> {
    let path = format!("/proc/{pid}/io");
    let text = std::fs::read_to_string(&path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).ok_or_else(|| odd(path))
}

/// The most memory that a process ever held, in MiB.
pub fn peak_mib(pid: u32) -> io::Result<f64> {
    memory_mib(pid, "VmHWM:")
}

/// The memory that a process holds now, in MiB.
pub fn resident_mib(pid: u32) -> io::Result<f64> {
    memory_mib(pid, "VmRSS:")
}

fn memory_mib(pid: u32, name: &str) -> io::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.ok_or_else(|| odd(path))? / 1024.0)
}

/// How many processes wanted a core in the last minute, as Linux writes it.
pub fn load_average() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

/// How many cores there are, in words.
pub fn cores() -> io::Result<String> {
    let cores = std::thread::available_parallelism()?.get();
    Ok(if cores == 1 { "one core".to_owned() } else { format!("{cores} cores") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_is_understood() {
        let us = std::process::id();
        assert!(cpu_seconds(us).is_ok_and(|seconds| seconds >= 0.0));
        assert!(peak_mib(us).is_ok_and(|mib| mib > 1.0));
        assert!(written_bytes(us).is_ok());
        assert!(resident_mib(us).is_ok_and(|mib| mib > 1.0));
        assert!(load_average().is_ok_and(|load| load.parse::<f64>().is_ok()));
    }
}
