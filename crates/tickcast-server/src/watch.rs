//! `tickcast watch`: a server's prices in the terminal.

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
use reqwest::Url;
use tickcast_client::{Error, Event, PriceStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::cli::WatchArgs;
use crate::exit::CliError;
use crate::origin;
use crate::requested_names::RequestedNames;
use board::Board;
pub(crate) use lines::print_notice;

/// How often the screen is drawn while something moves: as fast as anyone reads.
const FRAME: Duration = Duration::from_millis(100);

/// How many events may wait for the screen.
const MAX_QUEUED_EVENTS: usize = 1024;

/// Updates a second of each symbol that a screen asks for, unless told otherwise: more cannot be read.
const RATE: f64 = 10.0;

/// Watches until it is interrupted; on a terminal as a table, elsewhere line by line.
pub(crate) fn run(args: WatchArgs) -> Result<(), CliError> {
    let on_screen = !args.plain && !args.json && io::stdout().is_terminal();
    let asked = RequestedNames::new(&args.url, &args.symbols);
    let board = Board::new(args.url.as_str().trim_end_matches('/'), &args.symbols);
    let mut prices = PriceStream::builder(args.url.as_str()).symbols(args.symbols);
    if let Some(rate) = args.rate.or(on_screen.then_some(RATE)) {
        prices = prices.rate(rate);
    }
    let prices = prices.open().map_err(|error| CliError::Usage(format!("--url {}: {error}", args.url)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    if on_screen {
        Ok(runtime.block_on(on_terminal(prices, board, &args.url))?)
    } else {
        Ok(runtime.block_on(lines::write(prices, asked, args.json))?)
    }
}

async fn on_terminal(prices: PriceStream, mut board: Board, server: &Url) -> anyhow::Result<()> {
    // It also puts the terminal back should the program panic.
    let mut terminal = ratatui::try_init().context("the terminal cannot be drawn on")?;
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
                        // The last answer counts.
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

/// What the server says, from a task of its own: whoever is on the way back to a server is not to be interrupted by every frame.
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

/// What is typed, from a thread that waits for it.
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
