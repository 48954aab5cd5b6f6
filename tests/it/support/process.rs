//! Signals to servers that a test has started, by their process ids.

use std::fs;
use std::process::Command;

/// Sends a signal, such as `STOP`, to processes; ignores those that have exited.
pub(crate) fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    Command::new("kill").arg(format!("-{name}")).args(pids).output().unwrap();
}

/// The processes that `parent` has started.
pub(super) fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |stat: &str| {
        // The name is in parentheses and may contain any character; the state and the parent follow.
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        after_name.split(' ').nth(1) == Some(parent.to_string().as_str())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| is_child(&stat))).collect()
}
