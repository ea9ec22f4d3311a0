//! An address to listen on, in the form that people write.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;

/// An address to listen on: `127.0.0.1:8080`, `[::]:8080`. The short forms `localhost:8080`,
/// `:8080` and `8080` mean the loopback interface, because a short form must not open a port to the
/// network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Listen(pub(crate) SocketAddr);

impl Listen {
    /// Returns a port of the loopback interface.
    pub(crate) const fn local(port: u16) -> Self {
        Self(SocketAddr::new(
            std::net::IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
        ))
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let port = text.strip_prefix("localhost").unwrap_or(text);
        let port = port.strip_prefix(':').unwrap_or(port);
        port.parse().map(Self::local).map_err(|_| {
            format!("{text:?} is not an address such as 127.0.0.1:8080, or 0.0.0.0:8080 for all networks")
        })
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_mean_the_loopback_interface() {
        for text in ["127.0.0.1:8080", "localhost:8080", ":8080", "8080"] {
            assert_eq!(text.parse(), Ok(Listen::local(8080)), "{text}");
        }
        assert_eq!("[::]:80".parse::<Listen>().unwrap().to_string(), "[::]:80");
        for text in [
            "",
            "example.com:80",
            "127.0.0.1",
            "0.0.0.0:80000",
            "localhost",
        ] {
            assert!(
                text.parse::<Listen>()
                    .unwrap_err()
                    .contains("such as 127.0.0.1:8080"),
                "{text}"
            );
        }
    }
}
