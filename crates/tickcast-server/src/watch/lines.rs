//! Prices line by line, for pipes.

use std::io::{self, BufWriter, Write};

use tickcast_client::{Event, PriceStream, PublishedTick};

use crate::requested_names::RequestedNames;

/// The message for a stream without any symbol. A name may be wrong, or new.
pub(super) const NOTHING: &str = "no price yet for the requested symbols; waiting";

/// Writes one line per tick until the user interrupts, or until the reader of the output closes the
/// pipe.
pub(super) async fn write(
    mut prices: PriceStream,
    mut asked: RequestedNames,
    json: bool,
) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut closed = std::pin::pin!(output_closed());
    loop {
        let event = tokio::select! {
            event = prices.next() => event?,
            _ = &mut interrupted => return Ok(()),
            () = &mut closed => return Ok(()),
        };
        asked.observe(&event, prices.delay());
        let written = match &event {
            Event::Tick(tick) if json => out
                .write_all(&tick.json)
                .and_then(|()| out.write_all(b"\n")),
            Event::Tick(tick) => writeln!(out, "{}", line(tick)),
            other => {
                print_notice(other);
                Ok(())
            }
        };
        match written.and_then(|()| out.flush()) {
            Ok(()) => {}
            // A closed pipe is a normal end: the reader of the output needs no more lines.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until the reader of the output closes the pipe. The next write would also fail then, but
/// the next line may be hours away.
#[cfg(target_os = "linux")]
async fn output_closed() {
    use rustix::event::{PollFd, PollFlags, poll};

    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let out = io::stdout();
        // With no requested events, `poll` reports errors only.
        let mut watched = [PollFd::new(&out, PollFlags::empty())];
        let told = loop {
            match poll(&mut watched, None) {
                Err(rustix::io::Errno::INTR) => {}
                told => break told,
            }
        };
        if told.is_ok() {
            let _ = sender.send(());
        }
    });
    if receiver.await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(not(target_os = "linux"))]
async fn output_closed() {
    std::future::pending().await
}

fn line(tick: &PublishedTick) -> String {
    let percent = tick
        .change_pct
        .map(|pct| format!("{pct}%"))
        .unwrap_or_default();
    let time = jiff::Timestamp::from_millisecond(tick.time.as_millis()).unwrap_or_default();
    format!(
        "{time:.3} {:<14} {:>16} {:>12} {:>9}",
        tick.symbol,
        tick.price,
        signed(&tick.change),
        percent
    )
}

/// Formats a change with its sign, `+` or `-`. Zero has no `+`.
pub(super) fn signed(change: &tickcast::Price) -> String {
    let text = change.to_string();
    let zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'));
    if zero || text.starts_with('-') {
        text
    } else {
        format!("+{text}")
    }
}

/// Prints the notice of an event, if any, on standard error.
pub(crate) fn print_notice(event: &Event) {
    if let Some(says) = notice_text(event) {
        eprintln!("{says}");
    }
}

/// Returns the notice of an event, or `None` for a tick and for other events without a notice.
fn notice_text(event: &Event) -> Option<String> {
    Some(match event {
        Event::Disconnected(why) => format!("{why}; reconnecting"),
        Event::Bye(reason) => format!("the server ended the stream ({reason})"),
        Event::Reset { reason, .. } => format!("the stream was reset ({reason})"),
        Event::Status(status) => format!("source {} is {}", status.source, status.state),
        Event::SymbolStatus(status) => format!("{} is {}", status.symbol, status.state),
        Event::Gone(symbol) => format!("{symbol} was removed from the market"),
        Event::Ready(ready) if ready.symbols == 0 => NOTHING.to_owned(),
        _ => return None,
    })
}
