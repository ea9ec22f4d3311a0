//! The integration tests: real sockets, the real program, real clients.

#![expect(clippy::unwrap_used, reason = "here a failed unwrap is a failed test")]

mod answers;
mod attack;
mod bench;
mod bodies;
mod candles;
mod changing;
mod client;
mod clients;
mod contract;
mod cross_origin;
mod disk;
mod faults;
mod feeds;
mod filters;
mod guides;
mod half_closed;
mod half_open;
mod http2;
mod io;
mod limits;
mod market;
mod pages;
mod paths;
mod pausing;
mod prepared;
mod program;
mod proxies;
mod publishers;
mod publishing;
mod recording;
mod replay;
mod resumable;
mod retention;
mod server;
mod settings;
mod shutdown;
mod smuggling;
mod stream;
mod surface;
mod time;
mod token_command;
mod tokens;
mod unwritable;
mod watch;
