//! Prices for everyone who logged in: a session cookie of your own says what each reader may read.
//!
//! Run `cargo run -p tickcast --example auth`, then log in and read:
//! `curl -c jar 127.0.0.1:3000/login -d free`, `curl -N -b jar 127.0.0.1:3000/v1/stream`. Without
//! the cookie the answer is 401. `free` may read `BTC*`, with two updates a second; `pro` may read
//! everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tickcast::access::Viewer;
use tickcast::{Filter, Hub, Rate, Tick};
use tokio::net::TcpListener;

/// The sessions. An application keeps them in its database, with an end.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<String, Viewer>>>);

impl Sessions {
    fn start(&self, viewer: Viewer) -> Result<String, getrandom::Error> {
        let id = format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(id.clone(), viewer);
        Ok(id)
    }

    /// Returns the viewer of a request, by its cookie.
    fn viewer(&self, request: &Request) -> Option<Viewer> {
        let cookies = request.headers().get(header::COOKIE)?.to_str().ok()?;
        let mut cookies = cookies.split("; ");
        let id = cookies.find_map(|cookie| cookie.strip_prefix("session="))?;
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(id).cloned()
    }
}

/// What a user may read. A real login checks a password, too.
fn permissions(user: &str) -> Option<Viewer> {
    match user {
        "pro" => Some(Viewer::default()),
        "free" => {
            let bitcoin = Filter::parse(["BTC*"]).ok()?;
            Some(Viewer::of(bitcoin).max_rate(Rate::per_second(2.0).ok()?))
        }
        _ => None,
    }
}

async fn login(State(sessions): State<Sessions>, user: String) -> Result<Response, StatusCode> {
    let viewer = permissions(&user).ok_or(StatusCode::UNAUTHORIZED)?;
    let session = sessions
        .start(viewer)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    // Over HTTPS, add `Secure`.
    let cookie = format!("session={session}; HttpOnly; SameSite=Strict; Path=/");
    Ok(([(header::SET_COOKIE, cookie)], "welcome\n").into_response())
}

/// Tells the routes who asks. Each route then answers with what this viewer may read.
async fn identify(State(sessions): State<Sessions>, mut request: Request, next: Next) -> Response {
    if let Some(viewer) = sessions.viewer(&request) {
        request.extensions_mut().insert(viewer);
    }
    next.run(request).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A request without a viewer is refused, so a forgotten layer lets no one in.
    let hub = Hub::builder().require_viewer(true).try_build()?;
    for tick in [
        r#"{"symbol":"BTC-USD","price":97415.39}"#,
        r#"{"symbol":"AAPL","price":189.50}"#,
    ] {
        hub.publish(&Tick::from_json(tick.as_bytes())?).await?;
    }
    let sessions = Sessions::default();
    // The layer sees each request before the stream takes over its connection.
    let app = Router::new()
        .merge(hub.router())
        .layer(from_fn_with_state(sessions.clone(), identify))
        .route("/login", post(login))
        .with_state(sessions);

    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tickcast::serve(listener, app).await;
    Ok(())
}
