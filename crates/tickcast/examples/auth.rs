//! Streams for everyone who logged in: an authentication layer of your own in front of the routes.
//!
//! Run `cargo run -p tickcast --example auth`, then
//! `curl -N -H 'Authorization: Bearer reader' 127.0.0.1:3000/v1/stream`. Without the header the
//! answer is 401. The token `publisher` may also publish:
//! `curl -H 'Authorization: Bearer publisher' 127.0.0.1:3000/v1/prices -d '{"symbol":"AAPL","price":189.50}'`.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tickcast::{Hub, SourceOptions};
use tokio::net::TcpListener;

/// What a token permits. An application looks tokens up where it keeps them, and compares them in
/// constant time.
fn may(token: &str, method: &Method) -> bool {
    match token {
        "publisher" => true,
        "reader" => method == Method::GET,
        _ => false,
    }
}

async fn authenticate(request: Request, next: Next) -> Result<Response, StatusCode> {
    let header = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = header
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(StatusCode::UNAUTHORIZED)?;
    if !may(token, request.method()) {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(next.run(request).await)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::builder().build();
    let publisher = hub.source("desk", SourceOptions::default());
    // The layer sees each request before the stream takes over its connection.
    let app = Router::new()
        .merge(hub.router())
        .merge(publisher.router())
        .layer(from_fn(authenticate));

    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tickcast::serve(listener, app).await;
    Ok(())
}
