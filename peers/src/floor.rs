//! The floor: a bare loop of `send(2)` that sends tickcast's bytes to every socket. The floor has
//! no filters, no slow-consumer handling, and only the protocol that the load needs. A server's
//! additional cost is the cost of its features.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tickcast_core::{Epoch, Limits, Now, Sequencer, SourceId, SourceOptions, Tick, Time};

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n12\r\nretry: 3000\n: ok\n\r\n";

type Sockets = Arc<Mutex<Vec<TcpStream>>>;

fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let sockets = Sockets::default();
    for socket in listener.incoming() {
        let mut socket = socket?;
        socket.set_nodelay(true)?;
        let mut first = [0; 4];
        if socket.read_exact(&mut first).is_err() {
            continue;
        }
        if &first == b"POST" {
            let sockets = Arc::clone(&sockets);
            std::thread::spawn(move || publish(&socket, &sockets));
        } else if BufReader::new(&socket)
            .lines()
            .map_while(Result::ok)
            .any(|line| line.is_empty())
        {
            socket.write_all(HEAD)?;
            socket.set_nonblocking(true)?;
            sockets
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(socket);
        }
    }
    Ok(())
}

/// Reads NDJSON in chunks and sends each tick to every client.
fn publish(socket: &TcpStream, sockets: &Sockets) -> anyhow::Result<()> {
    let mut sequencer = Sequencer::new(Epoch::new(1), Limits::default());
    let mut answer = socket;
    let mut number = 0;
    for line in BufReader::new(socket).lines() {
        let line = line?;
        if line == "0" {
            answer.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            break;
        }
        // All other lines belong to the request head or to a chunk's head.
        let Ok(tick) = Tick::from_json(line.as_bytes()) else {
            continue;
        };
        number += 1;
        let time = Time::from_millis(std::time::UNIX_EPOCH.elapsed()?.as_millis() as i64)?;
        let now = Now {
            wall: time,
            uptime: Duration::from_millis(number),
        };
        let accepted = sequencer.accept(&tick, SourceId(0), SourceOptions::default(), now)?;
        let Some(frame) = sequencer.market().newest(accepted.symbol) else {
            continue;
        };
        let event = frame.event();
        let chunk = [format!("{:x}\r\n", event.len()).as_bytes(), event, b"\r\n"].concat();
        let alive = |socket: &mut TcpStream| match socket.write(&chunk) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain_mut(alive);
    }
    Ok(())
}
