//! What is looked up at each scrape: the runtime, the process, the memory that it has and may have.

use std::fs;
use std::path::Path;

use super::metrics as page;
use super::registry::{Metrics, number};

impl Metrics {
    /// Sets the runtime's gauges and returns the seconds its workers were busy.
    pub(super) fn sample_runtime(&self) -> f64 {
        let Ok(handle) = tokio::runtime::Handle::try_current() else { return 0.0 };
        let runtime = handle.metrics();
        let workers = runtime.num_workers();
        let source = &self.0.source;
        source.gauge(&page::TOKIO_WORKERS, &[]).set(number(workers));
        source.gauge(&page::TOKIO_TASKS, &[]).set(number(runtime.num_alive_tasks()));
        source.gauge(&page::TOKIO_QUEUE, &[]).set(number(runtime.global_queue_depth()));
        (0..workers).map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64()).sum()
    }

    /// Sets the process's gauges and returns its CPU seconds.
    pub(super) fn sample_process(&self) -> f64 {
        let process = metrics_process::collector::collect();
        let samples = [
            (&page::PROCESS_MEMORY, process.resident_memory_bytes),
            (&page::PROCESS_OPEN_FDS, process.open_fds),
            (&page::PROCESS_MAX_FDS, process.max_fds),
            (&page::PROCESS_THREADS, process.threads),
            (&page::PROCESS_START, process.start_time_seconds),
            (&page::MEMORY_LIMIT, Some(memory_limit())),
        ];
        for (metric, sample) in samples {
            if let Some(value) = sample {
                self.0.source.gauge(metric, &[]).set(number(value));
            }
        }
        process.cpu_seconds_total.unwrap_or_default()
    }

    /// Sets the allocator's gauges. Other allocators than jemalloc report nothing, so there are no gauges then.
    #[cfg(feature = "jemalloc")]
    pub(super) fn sample_allocator(&self) {
        use tikv_jemalloc_ctl::{epoch, stats};

        use super::metrics::{Allocated, Label};

        // Its figures stand still between two steps.
        if epoch::advance().is_err() {
            return;
        }
        let read = |state| match state {
            Allocated::Allocated => stats::allocated::read(),
            Allocated::Active => stats::active::read(),
            Allocated::Resident => stats::resident::read(),
            Allocated::Retained => stats::retained::read(),
        };
        for &state in Allocated::ALL {
            self.0.source.gauge(&page::ALLOCATOR, &[state.as_str()]).set(number(read(state).unwrap_or_default()));
        }
    }
}

/// Bytes that the control group of this process allows; 0 where nothing is limited.
fn memory_limit() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_of(&groups, Path::new("/sys/fs/cgroup"))
}

/// The smallest limit of the control groups that a process is in, as `/proc/self/cgroup` names them, below `root`.
fn limit_of(groups: &str, root: &Path) -> u64 {
    let limits = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (hierarchy, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        // In a container the path is the host's, and the container's own group is the root.
        let below = hierarchy.join(path.trim_start_matches('/'));
        let group = if below.is_dir() { below } else { hierarchy.clone() };
        let above = group.ancestors().take_while(|group| group.starts_with(&hierarchy));
        above.filter_map(|group| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok()).min()
    });
    // Version 1 writes a number near 2^63 where there is no limit.
    limits.min().filter(|&limit| limit < 1 << 60).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_on_the_way_up_counts() {
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
    fn a_container_sees_its_own_group_as_the_root() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("memory.max"), "65536\n").unwrap();
        assert_eq!(limit_of("0::/docker/abc\n", root.path()), 65_536);
    }

    #[test]
    fn the_first_version_has_a_hierarchy_for_memory() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory/a")).unwrap();
        fs::write(root.path().join("memory/a/memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(limit_of("5:cpu:/a\n4:memory:/a\n", root.path()), 0);
        fs::write(root.path().join("memory/a/memory.limit_in_bytes"), "8192\n").unwrap();
        assert_eq!(limit_of("5:cpu:/a\n4:memory:/a\n", root.path()), 8192);
    }
}
