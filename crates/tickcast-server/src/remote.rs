//! The server that a command reads from: its address, and a client that may read there.

use std::path::Path;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Url};

use crate::cli::RemoteArgs;
use crate::exit::CliError;

/// A server that a command reads from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) url: Url,
    pub(crate) http: Client,
}

impl Remote {
    /// Makes a client for a server, with the token and the authority of the arguments.
    pub(crate) fn new(args: RemoteArgs) -> Result<Self, CliError> {
        let RemoteArgs { url, token, ca } = args;
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(|_| {
                CliError::Usage(
                    "--token: a token has no spaces and no control characters".to_owned(),
                )
            })?;
            // The value appears in no message, and is sent to no other host.
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let builder = trusting(Client::builder().default_headers(headers), ca.as_deref())?;
        let http = builder
            .build()
            .map_err(|error| CliError::Work(error.into()))?;
        Ok(Self { url, http })
    }
}

/// Lets a client trust the authorities in a file, besides those of the system.
pub(crate) fn trusting(
    builder: ClientBuilder,
    ca: Option<&Path>,
) -> Result<ClientBuilder, CliError> {
    let Some(file) = ca else {
        return Ok(builder);
    };
    let refused = |error: &dyn std::fmt::Display| {
        CliError::Usage(format!("--ca {}: {error}", file.display()))
    };
    let pem = std::fs::read(file).map_err(|error| refused(&error))?;
    let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| refused(&error))?;
    match authorities.is_empty() {
        true => Err(refused(&"there is no certificate in this file")),
        false => Ok(builder.tls_certs_merge(authorities)),
    }
}
