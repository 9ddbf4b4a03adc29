//! What a command prints: the whole of it in a file, the end of it at hand.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

/// So many of the last lines are kept at hand.
const TAIL_LINES: usize = 20;
/// Longer lines are cut where they are shown, in bytes.
const MAX_LINE_BYTES: usize = 1000;
/// No more than this is written to the file; a command that prints without end does not fill the disk.
const MAX_LOG_BYTES: u64 = 512 << 20;

/// A log that is being written.
pub(super) struct Log {
    file: File,
    written: u64,
    tail: VecDeque<String>,
    /// The line that has not ended yet.
    open: Vec<u8>,
}

impl Log {
    /// Begins a log, instead of the one that was there.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, written: 0, tail: VecDeque::new(), open: Vec::new() })
    }

    /// Takes in all that comes until the stream ends, telling the last line now and then.
    pub(super) fn follow(&mut self, mut stream: impl Read, tell: &dyn Fn(String)) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if self.take(buffer.get(..length).unwrap_or_default())?
                && let Some(line) = self.tail.back()
            {
                tell(line.clone());
            }
        }
    }

    /// Writes a piece; whether a line ended in it.
    fn take(&mut self, piece: &[u8]) -> io::Result<bool> {
        if self.written < MAX_LOG_BYTES {
            self.file.write_all(piece)?;
            self.written += piece.len() as u64;
            if self.written >= MAX_LOG_BYTES {
                self.file.write_all(b"\nbrc: the log is cut here: it is longer than 512 MiB\n")?;
            }
        }
        let mut ended = false;
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE_BYTES.saturating_sub(self.open.len());
            self.open.extend(part.iter().take(room));
            if part.ends_with(b"\n") {
                self.end_line();
                ended = true;
            }
        }
        Ok(ended)
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.open)).trim_end().to_owned();
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// Adds a line of our own.
    pub(super) fn note(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.file, "brc: {line}")
    }

    /// The last lines that the command printed, at most 20.
    pub(super) fn tail(&mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.end_line();
        }
        self.tail.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, fs};

    #[test]
    fn the_file_has_everything_and_the_tail_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path).unwrap();
        let text: String = (0..50).map(|number| format!("line {number}\n")).collect::<String>() + "open";
        let told = RefCell::new(Vec::new());
        log.follow(text.as_bytes(), &|line| told.borrow_mut().push(line)).unwrap();
        log.take(&[b'x'; 2000]).unwrap();
        let tail = log.tail();
        assert_eq!((tail.len(), tail[0].as_str(), tail[19].len()), (20, "line 31", MAX_LINE_BYTES));
        assert_eq!(told.borrow().last().unwrap(), "line 49");
        assert_eq!(fs::metadata(&path).unwrap().len(), text.len() as u64 + 2000);
    }
}
