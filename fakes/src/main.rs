//! A fake exchange on a local port. Commands on standard input make the fake misbehave.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use fakes::{Exchange, Fake, Fault, Options};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use tokio::net::TcpListener;

/// Serves a fake exchange. Each line of standard input is a fault, such as `silence` or `gap 3`.
/// The line `record` prints all events so far.
#[derive(Debug, Parser)]
#[command(name = "fakes")]
struct Arguments {
    /// The exchange to imitate.
    exchange: Exchange,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// The symbols to trade, as the exchange writes them. Default: bitcoin against the dollar.
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
    /// The time between two trades of a symbol: 100ms, 2s, or a number of milliseconds.
    #[arg(long, value_parser = duration, default_value = "1s")]
    interval: Duration,
    /// The seed of the random walks. The same seed gives the same market.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The age at which each connection is cut.
    #[arg(long, value_parser = duration)]
    life: Option<Duration>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let symbols = match (arguments.symbols.is_empty(), arguments.exchange) {
        (false, _) => arguments.symbols,
        (true, Exchange::Binance) => vec!["BTCUSDT".to_owned()],
        (true, Exchange::Coinbase | Exchange::Advanced) => vec!["BTC-USD".to_owned()],
        (true, Exchange::Kraken) => vec!["BTC/USD".to_owned()],
    };
    let mut options = Options::new(arguments.exchange, &[]);
    options.symbols.clone_from(&symbols);
    options.interval = arguments.interval;
    options.seed = arguments.seed;
    options.life = arguments.life.unwrap_or(options.life);

    let listener = TcpListener::bind(arguments.listen)
        .await
        .context("cannot listen there")?;
    let url = format!("ws://{}", listener.local_addr()?);
    println!(
        "{url}  (tickcast serve --source '{}')",
        source(arguments.exchange, &symbols, &url)
    );
    let fake = Fake::start(options);
    let listening = tokio::spawn(fake.clone().listen(listener));
    read_faults(&fake).await?;
    // At the end of standard input, the fake continues without new faults.
    Ok(listening.await??)
}

/// Returns tickcast's name of a source that is this fake.
fn source(exchange: Exchange, symbols: &[String], url: &str) -> String {
    let symbols = symbols.join(",");
    match exchange {
        Exchange::Binance => format!("binance:{}?url={url}", symbols.to_lowercase()),
        Exchange::Coinbase => format!("coinbase:{symbols}?url={url}"),
        Exchange::Advanced => format!("coinbase-advanced:{symbols}?url={url}"),
        Exchange::Kraken => format!("kraken:{symbols}?url={url}"),
    }
}

/// Reads faults until the end of standard input.
async fn read_faults(fake: &Fake) -> anyhow::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match line.trim() {
            "" => (),
            "record" => show(fake),
            line => match line.parse::<Fault>() {
                Ok(fault) => fake.misbehave(fault),
                Err(error) => eprintln!("{error:#}"),
            },
        }
    }
    Ok(())
}

fn show(fake: &Fake) {
    let record = fake.record();
    println!(
        "{} trades sent, {} withheld",
        record.sent.len(),
        record.withheld.len()
    );
    for (number, connect) in record.connects.iter().enumerate() {
        let (at, messages) = (connect.at.as_secs_f64(), connect.messages.len());
        let ended = connect.ended.as_deref().unwrap_or("open");
        println!(
            "connection {number} at {at:.3} s: {messages} messages, {} pongs, {ended}",
            connect.pongs
        );
    }
    for violation in &record.violations {
        println!("violation at {violation}");
    }
}

/// Parses a time such as `100ms`, `1.5s`, `2m`, `24h` or, in milliseconds, `250`.
fn duration(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit {
        "us" => 1e-6,
        "ms" | "" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is no unit: us, ms, s, m or h")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} has no number"))?;
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
}
