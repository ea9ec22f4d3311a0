//! Tests of the screen at any width.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use tickcast_client::Event;

use super::board::Board;
use super::screen;

/// Symbol, price, change and percent, and the displayed percent.
const TICKS: [(&str, &str, &str, &str, &str); 6] = [
    (
        "BIG",
        "12345678901234567890.12345678",
        "-12345678901234567890.12345677",
        "-305.9661",
        "-305.97",
    ),
    ("BTC-KRW", "143250000", "2250000", "1.5957", "+1.60"),
    ("CL=F", "-37.63", "-55.90", "0.0001", "0.00"),
    (
        "PEPE-USDT",
        "0.0000000000034",
        "0.0000000000004",
        "13.3333",
        "+13.33",
    ),
    ("SHIB-USD", "0.00000823", "-0.00000012", "-1.4371", "-1.44"),
    (
        "A-NAME-AS-LONG-AS-ANY-CAN-BE-=32",
        "97057.03",
        "0",
        "0",
        "0.00",
    ),
];

/// Delayed prices are not live, and their age is no lag.
#[test]
fn delayed_prices_are_not_called_live() {
    let mut board = board();
    let ready = r#"{"stream":"","cursor":"","symbols":6,"mode":"latest","heartbeat":10,"resumed":false,"delay":900,"server":""}"#;
    take(&mut board, "ready", ready);
    for width in [20, 40, 120] {
        let mut terminal = Terminal::new(TestBackend::new(width, 10)).unwrap();
        terminal
            .draw(|frame| screen::draw(&board, Duration::ZERO, frame))
            .unwrap();
        let buffer = terminal.backend().buffer().clone();
        let head: String = (0..width)
            .map(|x| buffer[(x, 0)].symbol().to_owned())
            .collect();
        assert!(head.contains("● 15 min delayed"), "{head}");
        assert!(!head.contains("live") && !head.contains("lag"), "{head}");
    }
}

fn board() -> Board {
    let mut board = Board::new("http://127.0.0.1:8080", &["NOSUCH".to_owned()]);
    let ready = r#"{"stream":"","cursor":"","symbols":6,"mode":"latest","heartbeat":10,"resumed":false,"server":""}"#;
    board.take(&status("http", "stale"), Duration::ZERO);
    take(
        &mut board,
        "status",
        r#"{"symbol":"BTC-KRW","state":"stale","since":0}"#,
    );
    for (symbol, price, change, percent, _) in TICKS {
        let json = format!(
            r#"{{"symbol":"{symbol}","price":{price},"change":{change},"change_pct":{percent},"time":0,"n":1}}"#
        );
        take(&mut board, "tick", &json);
    }
    take(&mut board, "ready", ready);
    board.age(Duration::from_secs(1));
    board
}

fn take(board: &mut Board, name: &str, data: &str) {
    board.take(&Event::read(name, data).unwrap(), Duration::ZERO);
}

fn status(source: &str, state: &str) -> Event {
    Event::read(
        "status",
        &format!(r#"{{"source":"{source}","state":"{state}","since":0}}"#),
    )
    .unwrap()
}

fn drawn(board: &Board, width: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, 12)).unwrap();
    terminal
        .draw(|frame| screen::draw(board, Duration::from_secs(1), frame))
        .unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let line = |y| {
        (0..buffer.area.width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..buffer.area.height).map(line).collect()
}

fn signed(change: &str) -> String {
    if change == "0" || change.starts_with('-') {
        change.to_owned()
    } else {
        format!("+{change}")
    }
}

/// Returns the complete numbers that a row may show.
fn numbers(row: &str) -> Vec<String> {
    let of = |(_, price, change, _, percent): (_, &str, &str, _, &str)| {
        [
            price.to_owned(),
            signed(change),
            percent.to_owned(),
            "1.0".to_owned(),
            "####".to_owned(),
        ]
    };
    // A long name may be shortened to its beginning.
    let known = TICKS.into_iter().find(|tick| row.starts_with(&tick.0[..3]));
    known.map(of).map(Vec::from).unwrap_or_default()
}

#[test]
fn no_width_shows_a_part_of_a_number() {
    let board = board();
    for width in 36..=200 {
        let lines = lines(&drawn(&board, width));
        let rows: Vec<_> = lines[2..11]
            .iter()
            .filter(|line| !line.trim().is_empty())
            .collect();
        assert_eq!(rows.len(), TICKS.len() + 1, "{width}: {lines:#?}");
        for row in rows {
            let known = numbers(row);
            let figure =
                |word: &&str| word.starts_with(|c: char| c.is_ascii_digit() || "+-.#".contains(c));
            for word in row.split_whitespace().filter(figure) {
                assert!(
                    known.iter().any(|number| number == word),
                    "{width}: {word:?} in {row:?}"
                );
            }
            let priced = known
                .first()
                .is_none_or(|price| row.contains(price.as_str()));
            assert!(
                priced || (width < 46 && row.contains("####")),
                "{width}: {row:?}"
            );
        }
    }
}

#[test]
fn wider_screens_show_more_columns() {
    let board = board();
    let heading = |width| {
        lines(&drawn(&board, width))[1]
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(heading(36), ["symbol", "price"]);
    assert_eq!(heading(52), ["symbol", "price", "%"]);
    assert_eq!(heading(80), ["symbol", "price", "change", "%", "/s"]);
    assert_eq!(
        heading(120),
        ["symbol", "price", "change", "%", "/s", "trend"]
    );
}

#[test]
fn symbols_that_are_not_live_look_different() {
    let board = board();
    for width in [36, 80, 200] {
        let buffer = drawn(&board, width);
        let lines = lines(&buffer);
        let row = |name: &str| {
            (2..12)
                .find(|y| lines[usize::from(*y)].starts_with(name))
                .unwrap()
        };
        let (stale, unknown, live) = (row("BTC-KRW"), row("NOSUCH"), row("SHIB"));
        assert!(
            lines[usize::from(stale)].contains(if width > 36 { "stale" } else { "!" }),
            "{lines:#?}"
        );
        assert!(
            lines[usize::from(unknown)].contains("no price yet"),
            "{lines:#?}"
        );
        let dim = |y| (0..width).all(|x| buffer[(x, y)].modifier.contains(Modifier::DIM));
        assert_eq!([dim(stale), dim(unknown), dim(live)], [true, true, false]);
        let coloured =
            |y| (0..width).any(|x| [Color::Green, Color::Red].contains(&buffer[(x, y)].fg));
        assert_eq!([coloured(stale), coloured(live)], [false, width > 36]);
    }
}

#[test]
fn the_header_always_shows_problems() {
    let mut board = board();
    for width in 36..=200 {
        let header = lines(&drawn(&board, width)).swap_remove(0);
        assert!(
            header.contains("● live") && header.contains("http stale"),
            "{width}: {header:?}"
        );
    }
    board.simulated = true;
    for width in 36..=200 {
        let header = lines(&drawn(&board, width)).swap_remove(0);
        assert!(
            header.contains("● live") && header.contains("simulated prices"),
            "{width}: {header:?}"
        );
    }
    board.simulated = false;
    for source in ["binance", "coinbase", "kraken"] {
        board.take(&status(source, "down"), Duration::ZERO);
    }
    assert!(lines(&drawn(&board, 36))[0].contains("binance down  +3"));
    assert!(lines(&drawn(&board, 200))[0].contains("coinbase down  http stale  kraken down"));
    board.take(
        &Event::Disconnected("Connection refused, and many words beside that".to_owned()),
        Duration::ZERO,
    );
    let header = lines(&drawn(&board, 36)).swap_remove(0);
    assert!(header.trim_end().ends_with('…'), "{header:?}");
}
