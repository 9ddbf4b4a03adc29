//! Serves a folder of files over plain HTTP, to try updates at a desk.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use crate::content::RelPath;

/// How long a client may take to ask, and to take what it gets.
const PATIENCE: Duration = Duration::from_secs(60);
/// A request line or header is this long at the most, and there are so many.
const MAX_LINE: u64 = 8 << 10;
const MAX_HEADERS: usize = 100;

/// What is asked for.
struct Request {
    path: Option<RelPath>,
    is_head: bool,
    /// From which byte on.
    from: u64,
    /// Whether nothing is asked after it.
    is_last: bool,
}

/// Serves the files below a folder to whoever connects; `tell` gets a line for each answer. It ends when `listener`
/// does.
///
/// # Errors
/// What `listener` gives.
pub fn serve(listener: &TcpListener, folder: &Path, tell: &(dyn Fn(String) + Sync)) -> io::Result<()> {
    thread::scope(|scope| {
        for stream in listener.incoming() {
            let stream = stream?;
            // A client that goes away is no matter of ours.
            scope.spawn(move || answer_all(&stream, folder, tell));
        }
        Ok(())
    })
}

fn answer_all(stream: &TcpStream, folder: &Path, tell: &(dyn Fn(String) + Sync)) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        let name = request.path.as_ref().map_or("?", RelPath::as_str).to_owned();
        let status = answer(stream, folder, &request)?;
        tell(format!("{status} /{name}"));
        if request.is_last {
            break;
        }
    }
    Ok(())
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(MAX_LINE).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let (Some(method @ ("GET" | "HEAD")), Some(path), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Ok(None);
    };
    let path = path.split('?').next().unwrap_or_default();
    let mut request = Request {
        path: RelPath::from_absolute(path).ok(),
        is_head: method == "HEAD",
        from: 0,
        is_last: version != "HTTP/1.1",
    };
    for _ in 0..MAX_HEADERS {
        let header = line(reader)?;
        if header.is_empty() {
            return Ok(Some(request));
        }
        let Some((name, value)) = header.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("connection") {
            request.is_last |= value.trim().eq_ignore_ascii_case("close");
        }
        if name.eq_ignore_ascii_case("range") {
            let from = value.trim().strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
            request.from = from.and_then(|from| from.parse().ok()).unwrap_or(0);
        }
    }
    Ok(None)
}

fn answer(mut out: &TcpStream, folder: &Path, request: &Request) -> io::Result<u16> {
    let file = request.path.as_ref().and_then(|path| File::open(path.on(folder)).ok());
    let Some((mut file, size)) = file.and_then(|file| {
        let found = file.metadata().ok().filter(|found| found.is_file())?;
        Some((file, found.len()))
    }) else {
        out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(404);
    };
    if request.from > 0 && request.from >= size {
        write!(
            out,
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n\r\n"
        )?;
        return Ok(416);
    }
    let left = size - request.from;
    let status = if request.from == 0 { 200 } else { 206 };
    if request.from == 0 {
        write!(out, "HTTP/1.1 200 OK\r\n")?;
    } else {
        let last = size.saturating_sub(1);
        write!(out, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {}-{last}/{size}\r\n", request.from)?;
    }
    write!(out, "Accept-Ranges: bytes\r\nContent-Length: {left}\r\n\r\n")?;
    if !request.is_head {
        file.seek(SeekFrom::Start(request.from))?;
        io::copy(&mut file.take(left), &mut out)?;
    }
    Ok(status)
}
