//! Every route of the server, asked by every kind of client: nothing leaks, and a forbidden symbol
//! cannot be told from a missing one.

mod answer;
mod askers;
mod operations;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{TIMEOUT, TOKEN, TestServer, eventually};
use crate::tokens::{SECRET, file, path};
pub(crate) use answer::Answer;
use askers::{Asker, DELAY, DESK, Place, Rights, VISIBLE, askers};
use operations::{Ask, Kind, Mention, Operation, operations};

/// A symbol that not everyone may read, with its price and its source, and one that does not exist.
/// Snapshots are in order of names, so a stream that shows the first shows it before [`VISIBLE`].
const FORBIDDEN: &str = "SECRETX";
const MISSING: &str = "SECRETZ";
const PRICE: &str = "4242.4242";
const SOURCE: &str = "hidden-desk";

/// The headers that each answer has, see `security_headers.rs`.
const HEADERS: [&str; 3] = [
    "x-content-type-options",
    "referrer-policy",
    "content-security-policy",
];

/// A server, and all that it can be asked.
struct Table {
    server: TestServer,
    http2: reqwest::Client,
    operations: Vec<Operation>,
    published: AtomicU64,
}

impl Table {
    /// Starts a server that logs as much as it can, and publishes both symbols.
    async fn start(config: &str) -> Self {
        let config = file(config);
        let arguments = ["--source", "none", "--config", path(&config)];
        let server = TestServer::with_environment(&arguments, &[("RUST_LOG", "trace")]);
        let prices = format!("{}/v1/prices?source={SOURCE}", server.public);
        let hidden = format!(r#"{{"symbol":"{FORBIDDEN}","price":{PRICE}}}"#);
        let request = server.http.post(prices).bearer_auth(TOKEN).body(hidden);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
        server.publish(&[(VISIBLE, "1")]).await;
        let http2 = reqwest::Client::builder().http2_prior_knowledge();
        Self {
            http2: http2.read_timeout(TIMEOUT).build().unwrap(),
            operations: operations(&server).await,
            published: AtomicU64::default(),
            server,
        }
    }

    /// Asks everything as `asker`. Returns how many answers have the price of [`FORBIDDEN`].
    async fn walk(&self, asker: &Asker) -> usize {
        let mut shown = 0;
        for operation in &self.operations {
            for place in asker.places(operation.kind) {
                let asks = operation.asks(FORBIDDEN).into_iter();
                for (there, missing) in asks.zip(operation.asks(MISSING)) {
                    let about = format!("{}: {place:?}: {there:?}", asker.name);
                    let answer = self.ask(asker, &there, *place).await;
                    check(&answer, operation.kind, (asker, &there), &about);
                    shown += usize::from(answer.body.contains(PRICE));
                    if there.mention != Mention::No && !asker.reads_all() {
                        let missing = self.ask(asker, &missing, *place).await;
                        let (there, missing) =
                            (answer.without(FORBIDDEN), missing.without(MISSING));
                        assert_eq!(there, missing, "{about}");
                    }
                }
            }
        }
        shown
    }

    /// Sends a request. For a delayed reader, the market has a newer price than the answer may have.
    async fn ask(&self, asker: &Asker, ask: &Ask, place: Place) -> Answer {
        if asker.rights != Rights::Delayed {
            return self.answer(asker, ask, place).await;
        }
        loop {
            let begun = Instant::now();
            let newest = format!(
                "{}.5",
                50_000 + self.published.fetch_add(1, Ordering::Relaxed)
            );
            self.server
                .publish(&[(FORBIDDEN, &newest), (VISIBLE, &newest)])
                .await;
            let answer = self.answer(asker, ask, place).await;
            // On a slow machine, the newest price may have become old enough meanwhile.
            if begun.elapsed() < DELAY {
                assert!(!answer.body.contains(&newest), "{ask:?}: {}", answer.body);
                return answer;
            }
        }
    }

    async fn answer(&self, asker: &Asker, ask: &Ask, place: Place) -> Answer {
        let http = match place {
            Place::Http2 => &self.http2,
            _ => &self.server.http,
        };
        Answer::to(asker.request((http, &self.server.public), ask, place)).await
    }

    /// Asks for a stream by its name. The name is the permission, so nobody may do more or less with it
    /// than its owner, who may read a part.
    async fn named_stream(&self, asker: &Asker, owner: &Asker) {
        let prepare = Ask {
            method: Method::POST,
            path: "/v1/streams".to_owned(),
            body: Some(json!({})),
            mention: Mention::No,
        };
        let prepared = self.answer(owner, &prepare, Place::Header).await;
        let prepared: Value = serde_json::from_str(&prepared.body).unwrap();
        let url = prepared["url"].as_str().unwrap();
        let streams = self
            .operations
            .iter()
            .filter(|own| own.kind == Kind::Stream);
        // The router names DELETE last.
        for operation in streams {
            let send = async |body: Option<Value>| {
                let ask = Ask {
                    method: operation.method.clone(),
                    path: url.to_owned(),
                    body,
                    mention: Mention::No,
                };
                self.answer(asker, &ask, Place::Header).await
            };
            let about = format!("{}: {} {url}", asker.name, operation.method);
            let answer = match operation.method.as_str() {
                "PATCH" => {
                    let refused = send(Some(operation.body(FORBIDDEN))).await;
                    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{about}");
                    let missing = send(Some(operation.body(MISSING))).await;
                    assert_eq!(
                        refused.without(FORBIDDEN),
                        missing.without(MISSING),
                        "{about}"
                    );
                    send(Some(json!({}))).await
                }
                _ => send(None).await,
            };
            assert!(answer.status.is_success(), "{about}: {}", answer.body);
            assert!(!answer.body.contains(FORBIDDEN), "{about}: {}", answer.body);
            assert!(!answer.body.contains(PRICE), "{about}: {}", answer.body);
        }
    }

    /// Checks that neither the metrics nor the log have anything of the clients, and ends the server.
    async fn end(self, askers: &[Asker]) {
        let mut server = self.server;
        let metrics = server.http.get(format!("{}/metrics", server.admin)).send();
        let metrics = metrics.await.unwrap().text().await.unwrap();
        server.signal("-TERM");
        server.wait_for_log(r#""message":"stopped""#);
        assert!(server.wait().success());
        let log = server.log();
        assert!(log.contains(r#""level":"TRACE""#));
        for (name, text) in [("metrics", &metrics), ("log", &log)] {
            for secret in askers
                .iter()
                .flat_map(Asker::secrets)
                .chain([SECRET, DESK, TOKEN])
            {
                let line = text.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "{name}: {secret}");
            }
        }
        for symbol in [FORBIDDEN, MISSING, VISIBLE] {
            assert!(!metrics.contains(symbol), "{metrics}");
        }
    }
}

/// Returns the status that `asker` has to receive.
fn expected(kind: Kind, asker: &Asker, ask: &Ask) -> StatusCode {
    match (kind, &asker.rights) {
        (Kind::Open, _) => StatusCode::OK,
        (Kind::Stream, _) => StatusCode::NOT_FOUND,
        (Kind::Publishing, Rights::Publisher(_)) if ask.mention == Mention::Wanted => {
            StatusCode::FORBIDDEN
        }
        (Kind::Publishing, Rights::Publisher(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        (Kind::Publishing, _) | (Kind::Reading, Rights::Nothing(_) | Rights::Publisher(_)) => {
            StatusCode::UNAUTHORIZED
        }
        (Kind::Reading, Rights::Part) if ask.mention == Mention::Wanted => StatusCode::FORBIDDEN,
        (Kind::Reading, _) if ask.method == Method::POST => StatusCode::CREATED,
        (Kind::Reading, _) => StatusCode::OK,
    }
}

/// Checks what an answer says and what it does not say.
fn check(answer: &Answer, kind: Kind, (asker, ask): (&Asker, &Ask), about: &str) {
    let Answer {
        status,
        headers,
        body,
    } = answer;
    assert_eq!(*status, expected(kind, asker, ask), "{about}: {body}");
    let asks_for_token = headers.contains_key("www-authenticate");
    assert_eq!(
        asks_for_token,
        *status == StatusCode::UNAUTHORIZED,
        "{about}"
    );
    for header in HEADERS {
        assert!(headers.contains_key(header), "{about}: {headers:?}");
    }
    let all = format!("{headers:?} {body}");
    for secret in asker.secrets() {
        assert!(!all.contains(secret), "{about}: {secret}: {all}");
    }
    if !asker.reads_all() {
        assert!(!all.contains(PRICE), "{about}: {all}");
        let may_name = ask.mention == Mention::Wanted;
        assert!(may_name || !all.contains(FORBIDDEN), "{about}: {all}");
    }
    if let (Kind::Reading, Rights::Nothing(reason) | Rights::Publisher(reason)) =
        (kind, &asker.rights)
    {
        let told = ask.method == Method::HEAD || body.contains(reason);
        assert!(told && !all.contains(SOURCE), "{about}: {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_tells_a_client_what_it_may_not_know() {
    let table = Table::start(&askers::config()).await;
    let askers = askers();
    let with = |rights| askers.iter().find(|asker| asker.rights == rights).unwrap();
    let token = with(Rights::Delayed).token.as_deref().unwrap();
    let url = format!("{}/v1/prices/{VISIBLE}", table.server.public);
    eventually(async || {
        let price = table.server.http.get(&url).bearer_auth(token);
        price.send().await.unwrap().status() == StatusCode::OK
    })
    .await;
    for asker in &askers {
        let shown = table.walk(asker).await;
        // What would find a leak finds the price where it may be.
        assert_eq!(shown >= 5, asker.reads_all(), "{}: {shown}", asker.name);
        table.named_stream(asker, with(Rights::Part)).await;
    }
    table.end(&askers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_shows_every_price_and_no_token() {
    let table = Table::start("").await;
    let askers = askers::of_an_open_server();
    for asker in &askers {
        assert!(table.walk(asker).await >= 5);
    }
    table.end(&askers).await;
}
