//! Metrics that are sampled at each scrape: runtime, process, allocator and memory limit.

use std::fs;
use std::path::Path;

use super::catalogue;
use super::metric_recorder::{Recorder, number};

/// Sets the gauges of the current Tokio runtime. Returns the busy time of all its workers in seconds, 0 outside a
/// runtime. [`Recorder::render`] writes it, because the counters of the exporter are integers.
pub(super) fn sample_runtime(recorder: &Recorder) -> f64 {
    let Ok(handle) = tokio::runtime::Handle::try_current() else { return 0.0 };
    let runtime = handle.metrics();
    let workers = runtime.num_workers();
    recorder.gauge(&catalogue::TOKIO_WORKERS, &[]).set(number(workers));
    recorder.gauge(&catalogue::TOKIO_TASKS, &[]).set(number(runtime.num_alive_tasks()));
    recorder.gauge(&catalogue::TOKIO_QUEUE, &[]).set(number(runtime.global_queue_depth()));
    (0..workers).map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64()).sum()
}

/// Sets the gauges of the process. Returns its CPU time in seconds, for [`Recorder::render`] to write.
pub(super) fn sample_process(recorder: &Recorder) -> f64 {
    let process = metrics_process::collector::collect();
    let samples = [
        (&catalogue::PROCESS_MEMORY, process.resident_memory_bytes),
        (&catalogue::PROCESS_OPEN_FDS, process.open_fds),
        (&catalogue::PROCESS_MAX_FDS, process.max_fds),
        (&catalogue::PROCESS_THREADS, process.threads),
        (&catalogue::PROCESS_START, process.start_time_seconds),
        (&catalogue::MEMORY_LIMIT, Some(memory_limit())),
    ];
    for (metric, sample) in samples {
        if let Some(value) = sample {
            recorder.gauge(metric, &[]).set(number(value));
        }
    }
    process.cpu_seconds_total.unwrap_or_default()
}

/// Sets the allocator's gauges. Only jemalloc reports statistics, so other allocators have no such gauges.
#[cfg(feature = "jemalloc")]
pub(super) fn sample_allocator(recorder: &Recorder) {
    use tikv_jemalloc_ctl::{epoch, stats};

    // jemalloc updates its statistics only when the epoch advances.
    if epoch::advance().is_err() {
        return;
    }
    let samples = [
        ("allocated", stats::allocated::read()),
        ("active", stats::active::read()),
        ("resident", stats::resident::read()),
        ("retained", stats::retained::read()),
    ];
    for (state, bytes) in samples {
        recorder.gauge(&catalogue::ALLOCATOR, &[state]).set(number(bytes.unwrap_or_default()));
    }
}

/// A limit of at least this many bytes (one exbibyte) counts as none: without a limit, version 1 of control groups reports
/// a number near 2^63.
const UNLIMITED: u64 = 1 << 60;

/// Memory limit of this process's control group in bytes; 0 if unlimited.
fn memory_limit() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_of(&groups, Path::new("/sys/fs/cgroup"))
}

/// The smallest limit, in bytes, of the control groups in `groups` (the text of `/proc/self/cgroup`) and their parents
/// below `root`; 0 if unlimited.
fn limit_of(groups: &str, root: &Path) -> u64 {
    let limits = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        // Version 2 has one hierarchy, listed without controllers; version 1 has a hierarchy for each controller.
        let (hierarchy, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        // Inside a container the path may be that on the host, while the container's own group is mounted as the root.
        let below = hierarchy.join(path.trim_start_matches('/'));
        let group = if below.is_dir() { below } else { hierarchy.clone() };
        let above = group.ancestors().take_while(|group| group.starts_with(&hierarchy));
        above.filter_map(|group| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok()).min()
    });
    limits.min().filter(|&limit| limit < UNLIMITED).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_of_a_group_and_its_parents_counts() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("system/cinegraph");
        fs::create_dir_all(&group).unwrap();
        let limit = |path: &str| limit_of(&format!("0::{path}\n"), root.path());
        assert_eq!(limit("/system/cinegraph"), 0);
        fs::write(group.join("memory.max"), "max\n").unwrap();
        assert_eq!(limit("/system/cinegraph"), 0);
        fs::write(root.path().join("system/memory.max"), "1048576\n").unwrap();
        assert_eq!(limit("/system/cinegraph"), 1_048_576);
        fs::write(group.join("memory.max"), "4096\n").unwrap();
        assert_eq!(limit("/system/cinegraph"), 4096);
    }

    #[test]
    fn an_unknown_group_path_falls_back_to_the_root_group() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("memory.max"), "65536\n").unwrap();
        assert_eq!(limit_of("0::/docker/abc\n", root.path()), 65_536);
    }

    #[test]
    fn cgroup_version_1_has_a_memory_hierarchy() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory/a")).unwrap();
        fs::write(root.path().join("memory/a/memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(limit_of("5:cpu:/a\n4:memory:/a\n", root.path()), 0);
        fs::write(root.path().join("memory/a/memory.limit_in_bytes"), "8192\n").unwrap();
        assert_eq!(limit_of("5:cpu:/a\n4:memory:/a\n", root.path()), 8192);
    }
}
