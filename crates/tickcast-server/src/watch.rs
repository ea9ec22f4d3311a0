//! `tickcast watch`: shows a server's prices in the terminal.

mod board;
mod colours;
mod columns;
mod keys;
mod lines;
mod row;
mod screen;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anyhow::Context;
use ratatui::crossterm::event::Event as Input;
use tickcast_client::{Error, Event, PriceStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::cli::WatchArgs;
use crate::exit::CliError;
use crate::origin;
use crate::remote::Remote;
use crate::requested_names::RequestedNames;
use board::Board;
pub(crate) use lines::print_notice;

/// Time between two frames while prices change. A person cannot read faster.
const FRAME: Duration = Duration::from_millis(100);

/// Maximum number of events that wait for the screen.
const MAX_QUEUED_EVENTS: usize = 1024;

/// Default number of updates per second of each symbol on a screen. A person cannot read more.
const RATE: f64 = 10.0;

/// Watches prices until the user interrupts. A terminal shows a table; any other output shows
/// lines.
pub(crate) fn run(args: WatchArgs) -> Result<(), CliError> {
    let on_screen = !args.plain && !args.json && io::stdout().is_terminal();
    let server = Remote::new(args.remote)?;
    let asked = RequestedNames::new(&server, &args.symbols);
    let board = Board::new(server.url.as_str().trim_end_matches('/'), &args.symbols);
    let prices = PriceStream::builder(server.url.as_str());
    let mut prices = prices.http(server.http.clone()).symbols(args.symbols);
    if let Some(rate) = args.rate.or(on_screen.then_some(RATE)) {
        prices = prices.rate(rate);
    }
    let prices = prices
        .try_build()
        .map_err(|error| CliError::Usage(format!("--url {}: {error}", server.url)))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    if on_screen {
        Ok(runtime.block_on(on_terminal(prices, board, &server))?)
    } else {
        Ok(runtime.block_on(lines::write(prices, asked, args.json))?)
    }
}

async fn on_terminal(prices: PriceStream, mut board: Board, server: &Remote) -> anyhow::Result<()> {
    // `try_init` also restores the terminal if the program panics.
    let mut terminal = ratatui::try_init().context("cannot draw on the terminal")?;
    let mut inputs = keys();
    let mut events = said(prices);
    let mut origins = JoinSet::new();
    let start = Instant::now();
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let result = loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Ok(event)) => {
                    if matches!(event, Event::Ready(_) | Event::Status(_)) {
                        // Only the answer to the last request counts.
                        origins.abort_all();
                        origins.spawn(origin::is_simulated(server.clone()));
                    }
                    board.take(&event, start.elapsed());
                }
                Some(Err(error)) => break Err(anyhow::Error::new(error)),
                None => break Ok(()),
            },
            Some(Ok(Some(simulated))) = origins.join_next() => board.simulated = simulated,
            Some(input) = inputs.recv() => {
                if keys::handle_key(&mut board, &input).is_break() {
                    break Ok(());
                }
                if let Err(error) = terminal.draw(|frame| screen::draw(&board, start.elapsed(), frame)) {
                    break Err(error.into());
                }
            }
            _ = frames.tick() => {
                board.age(start.elapsed());
                if let Err(error) = terminal.draw(|frame| screen::draw(&board, start.elapsed(), frame)) {
                    break Err(error.into());
                }
            }
        }
    };
    ratatui::restore();
    result
}

/// Returns the events of the stream. A separate task reads them, because a frame must not interrupt
/// a reconnect.
fn said(mut prices: PriceStream) -> mpsc::Receiver<Result<Event, Error>> {
    let (sender, receiver) = mpsc::channel(MAX_QUEUED_EVENTS);
    tokio::spawn(async move {
        loop {
            let event = prices.next().await;
            let over = event.is_err();
            if sender.send(event).await.is_err() || over {
                return;
            }
        }
    });
    receiver
}

/// Returns the input of the keyboard. A separate thread waits for the input.
fn keys() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        while let Ok(input) = ratatui::crossterm::event::read() {
            if sender.blocking_send(input).is_err() {
                return;
            }
        }
    });
    receiver
}
