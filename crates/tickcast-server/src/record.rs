//! `tickcast record`: writes every tick of a server to a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use anyhow::{Context, bail};
use tickcast::Symbol;
use tickcast_client::{Event, Mode, PriceStream, PublishedTick};

use crate::cli::RecordArgs;
use crate::exit::CliError;
use crate::remote::Remote;
use crate::requested_names::RequestedNames;
use crate::watch::print_notice;
use crate::words::count;

/// Compression level of .zst files: the default of zstd.
const LEVEL: i32 = 3;

/// Records until the user interrupts, until the requested number of ticks is reached, or until an
/// error ends the stream.
///
/// # Errors
///
/// If the recording cannot be continued, or if the recording may have a gap.
pub(crate) fn run(args: RecordArgs) -> Result<(), CliError> {
    let server = Remote::new(args.remote)?;
    let asked = RequestedNames::new(&server, &args.symbols);
    let file = File::options()
        .write(true)
        .create_new(true)
        .open(&args.file);
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CliError::Usage(format!(
            "{} exists, and a recording never overwrites a file; choose another file, or move the existing file",
            args.file.display()
        )),
        _ => CliError::Usage(format!("{}: {error}", args.file.display())),
    })?;
    let tape: Box<dyn Write> = if args
        .file
        .extension()
        .is_some_and(|extension| extension == "zst")
    {
        let encoder =
            zstd::Encoder::new(file, LEVEL).context("cannot start the zstd compression")?;
        Box::new(encoder.auto_finish())
    } else {
        Box::new(file)
    };
    let mut prices = PriceStream::builder(server.url.as_str())
        .http(server.http.clone())
        .symbols(args.symbols)
        .mode(Mode::All);
    if let Some(since) = args.since {
        prices = prices.since(since);
    }
    let prices = prices
        .try_build()
        .map_err(|error| CliError::Usage(format!("--url {}: {error}", server.url)))?;
    let mut recording = Recording {
        tape: BufWriter::new(tape),
        last: HashMap::new(),
        ticks: 0,
        holes: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let most = args.ticks.unwrap_or(u64::MAX);
    let recorded = runtime.block_on(record(&mut recording, prices, asked, most));
    if recording.ticks == 0 && most > 0 {
        // An empty file is removed, so that the corrected command can create the file.
        drop(recording);
        let _ = std::fs::remove_file(&args.file);
    }
    Ok(recorded?)
}

/// A recording in progress.
struct Recording {
    tape: BufWriter<Box<dyn Write>>,
    /// The number `n` of the last tick of each symbol.
    last: HashMap<Symbol, u64>,
    ticks: u64,
    holes: u64,
}

async fn record(
    recording: &mut Recording,
    mut prices: PriceStream,
    mut asked: RequestedNames,
    most: u64,
) -> anyhow::Result<()> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    while recording.ticks < most {
        let event = tokio::select! {
            event = prices.next() => event.map_err(anyhow::Error::new),
            _ = &mut interrupted => break,
        };
        match event {
            Ok(event) => {
                asked.observe(&event, prices.delay());
                recording.take(&event)?;
            }
            Err(error) => {
                recording.tape.flush()?;
                return Err(error);
            }
        }
    }
    recording
        .tape
        .flush()
        .context("cannot finish the recording")?;
    let Recording { ticks, holes, .. } = *recording;
    eprintln!(
        "{} recorded, up to {}",
        count(ticks, "tick"),
        prices.cursor().unwrap_or("the beginning")
    );
    if holes > 0 {
        bail!("ticks may be missing in {}", count(holes, "place"));
    }
    Ok(())
}

impl Recording {
    fn take(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Tick(tick) => return self.write(tick),
            Event::Reset { reason, .. } => {
                self.note_gap(&format!(
                    "after tick {} of the recording ({reason})",
                    self.ticks
                ));
                // A new epoch may number the ticks from the beginning.
                if reason == "epoch" {
                    self.last.clear();
                }
            }
            Event::Disconnected(_) => {
                // The ticks so far are written to the file at once, so that a later failure cannot
                // lose them.
                self.tape.flush()?;
                print_notice(event);
            }
            Event::Ready(_) | Event::Bye(_) => print_notice(event),
            _ => {}
        }
        Ok(())
    }

    fn write(&mut self, tick: &PublishedTick) -> io::Result<()> {
        match self.last.insert(tick.symbol, tick.n) {
            // After a reset, the newest tick may already be in the recording.
            Some(last) if tick.n <= last => {
                self.last.insert(tick.symbol, last);
                return Ok(());
            }
            Some(last) if tick.n > last + 1 => {
                self.note_gap(&format!(
                    "in {}, between its ticks {last} and {}",
                    tick.symbol, tick.n
                ));
            }
            _ => {}
        }
        self.ticks += 1;
        self.tape.write_all(&tick.json)?;
        self.tape.write_all(b"\n")
    }

    fn note_gap(&mut self, place: &str) {
        self.holes += 1;
        eprintln!("ticks may be missing {place}");
    }
}
