//! `tickcast token show`: prints what a token says.

use std::time::SystemTime;

use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::decode_header;
use serde_json::Value;
use tickcast::Time;

use super::args::ShowArgs;
use crate::access::AccessSettings;
use crate::exit::CliError;
use crate::settings::access_table;

/// Prints the header and the claims of a token, and whether the server accepts it.
pub(super) fn run(args: ShowArgs) -> Result<(), CliError> {
    let token = super::input::given(args.token)?;
    let not_a_token = |_| CliError::Usage("this is not a JSON Web Token".to_owned());
    let header = decode_header(&token).map_err(not_a_token)?;
    let claims = insecure_decode::<Value>(&token)
        .map_err(not_a_token)?
        .claims;
    println!(
        "header: {}",
        pretty(&serde_json::to_value(header).unwrap_or_default())
    );
    println!("claims: {}", pretty(&claims));
    for (claim, what) in [("nbf", "valid from"), ("exp", "expires")] {
        if let Some(at) = claims[claim].as_i64() {
            println!("{what}: {}", time(at));
        }
    }
    let Some(config) = args.config else {
        println!("signature: not checked (--config names the file with the keys)");
        return Ok(());
    };
    let table = access_table(&config)?;
    let AccessSettings::Token { keys, .. } = table.settings().map_err(CliError::Usage)? else {
        let open = "the readers of this server need no token (access.readers = \"open\")";
        return Err(CliError::Usage(open.to_owned()));
    };
    let now: Time = SystemTime::now().into();
    // The keys of an issuer are at its address.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Work(error.into()))?;
    for (url, error) in runtime.block_on(keys.load()) {
        eprintln!("the keys from {url} could not be loaded: {error}");
    }
    match keys.verify(&token, (now, now)) {
        Ok(_) => println!("the server accepts the token"),
        Err(error) => {
            println!("the server refuses the token: {error}");
            return Err(CliError::Work(anyhow::anyhow!("{error}")));
        }
    }
    Ok(())
}

/// Returns JSON with indentation. What a terminal could take for a command is escaped.
fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.chars()
        .map(|c| match !c.is_ascii_graphic() && c != '\n' && c != ' ' {
            true => c.escape_unicode().to_string(),
            false => c.to_string(),
        })
        .collect()
}

/// Returns a time in seconds since 1970 as text, with its distance from now.
fn time(seconds: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_second(seconds) else {
        return format!("{seconds} (seconds since 1970)");
    };
    let left = at.as_second() - jiff::Timestamp::now().as_second();
    let distance = humantime::format_duration(std::time::Duration::from_secs(left.unsigned_abs()));
    match left >= 0 {
        true => format!("{at} (in {distance})"),
        false => format!("{at} ({distance} ago)"),
    }
}
