//! Log lines on their way out: written together and by a thread of their own, so that no request waits for who reads them.

use std::io;
use std::mem;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::logs::record_dropped;

/// How long a line waits for others to be written with.
const DELAY: Duration = Duration::from_millis(20);

/// How many bytes wait at most. What comes on top, because nobody reads, is lost and counted.
const LIMIT: usize = 1 << 20;

/// How long the last lines may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes lines, each by one write, and never waits.
#[derive(Debug, Clone, Default)]
pub(super) struct BufferedWriter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<PendingLines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PendingLines {
    lines: Vec<u8>,
    ended: bool,
}

/// Dropped, it waits until all lines are written.
#[derive(Debug)]
pub(super) struct FlushGuard {
    buffer: BufferedWriter,
    written: Receiver<()>,
}

impl BufferedWriter {
    /// A buffer in front of `output`.
    ///
    /// # Errors
    /// When the system gives us no thread.
    pub(super) fn before(output: impl io::Write + Send + 'static) -> io::Result<(Self, FlushGuard)> {
        let (buffer, (done, written)) = (Self::default(), channel());
        let shared = Arc::clone(&buffer.0);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_to(output, &done))?;
        Ok((buffer.clone(), FlushGuard { buffer, written }))
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, PendingLines> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes until told to end; `_done` is dropped then.
    fn write_to(&self, mut output: impl io::Write, _done: &Sender<()>) {
        let (mut lines, mut ended) = (Vec::new(), false);
        while !ended {
            let idle = |waiting: &mut PendingLines| waiting.lines.is_empty() && !waiting.ended;
            let waiting = self.changed.wait_while(self.waiting(), idle).unwrap_or_else(PoisonError::into_inner);
            let gathering = self.changed.wait_timeout_while(waiting, DELAY, |waiting| !waiting.ended);
            let (mut waiting, _) = gathering.unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut lines, &mut waiting.lines);
            ended = waiting.ended;
            drop(waiting);
            if output.write_all(&lines).and_then(|()| output.flush()).is_err() {
                record_dropped(memchr::memchr_iter(b'\n', &lines).count());
            }
            lines.clear();
        }
    }
}

impl io::Write for BufferedWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting();
        if waiting.lines.len() + line.len() > LIMIT {
            record_dropped(1);
            return Ok(line.len());
        }
        let first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if first {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        self.buffer.0.waiting().ended = true;
        self.buffer.0.changed.notify_one();
        // It only ever hears that the thread has ended.
        let _ = self.written.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Barrier;

    use super::super::logs::dropped_lines;
    use super::*;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_lines_are_written_in_order_before_the_end() {
        let output = Output::default();
        let (mut buffer, last) = BufferedWriter::before(output.clone()).unwrap();

        for n in 0..1000 {
            buffer.write_all(format!("{n}\n").as_bytes()).unwrap();
        }
        drop(last);

        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        assert!(text.lines().map(|line| line.parse::<u32>().unwrap()).eq(0..1000), "{text}");
    }

    /// Does not take anything before the barrier is reached twice.
    struct Stuck(Arc<Barrier>, Output);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.wait();
            self.0.wait();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_hold_nobody_up_and_are_counted() {
        let (barrier, output) = (Arc::new(Barrier::new(2)), Output::default());
        let (mut buffer, last) = BufferedWriter::before(Stuck(Arc::clone(&barrier), output.clone())).unwrap();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        buffer.write_all(&line).unwrap();
        barrier.wait();
        let before = dropped_lines();

        // The limit, and as much again.
        for _ in 0..2 * LIMIT / line.len() {
            buffer.write_all(&line).unwrap();
        }

        assert!(dropped_lines() - before >= (LIMIT / line.len()) as u64);
        assert_eq!(buffer.0.waiting().lines.len(), LIMIT);
        // What follows is taken at once.
        let release = std::thread::spawn(move || {
            for _ in 0..3 {
                barrier.wait();
            }
        });
        drop(last);
        release.join().unwrap();
        assert_eq!(output.0.lock().unwrap().len(), LIMIT + line.len());
    }
}
