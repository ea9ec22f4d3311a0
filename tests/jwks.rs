//! Keys of readers from the address of an issuer (JWKS), over a real connection.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::{TestServer, eventually, tickcast};
use crate::tls::Authority;
use crate::tokens::{claims, file, path};

/// A key of an issuer, and its name.
struct SigningKey(EncodingKey, String);

impl SigningKey {
    fn new(kid: &str) -> Self {
        let pem = KeyPair::generate().unwrap().serialize_pem();
        Self(
            EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
            kid.to_owned(),
        )
    }

    fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.0, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.1.clone());
        serde_json::to_value(jwk).unwrap()
    }

    fn token(&self) -> String {
        self.sign(&claims(3600, &json!({})))
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.1.clone());
        encode(&header, claims, &self.0).unwrap()
    }
}

fn set(keys: &[&SigningKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
    json!({ "keys": keys }).to_string()
}

/// An issuer of tokens.
#[derive(Clone, Default)]
struct Issuer(Arc<IssuerState>);

#[derive(Default)]
struct IssuerState {
    answer: Mutex<Option<String>>,
    asked: AtomicUsize,
    /// While this is locked, the issuer does not answer.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Issuer {
    /// Starts an issuer that answers 503 until it has keys. Returns its address.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/keys", get(Self::respond))
            .with_state(self.clone());
        tokio::spawn(axum::serve(listener, app).into_future());
        format!("http://{address}/keys")
    }

    async fn respond(State(own): State<Self>) -> Result<String, StatusCode> {
        own.0.asked.fetch_add(1, SeqCst);
        let _turn = own.0.turn.lock().await;
        let answer = own.0.answer.lock().unwrap().clone();
        answer.ok_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    fn publish(&self, answer: String) {
        *self.0.answer.lock().unwrap() = Some(answer);
    }

    fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }

    /// Holds back all answers until the value is dropped.
    async fn hold(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.0.turn).lock_owned().await
    }
}

fn config(url: &str, more: &str) -> NamedTempFile {
    file(&format!(
        "[access]\nreaders = \"token\"\n[[access.key]]\nalg = \"ES256\"\njwks_url = \"{url}\"\n{more}"
    ))
}

async fn start(config: &NamedTempFile) -> TestServer {
    let server = TestServer::with(&["--source", "none", "--config", path(config)]);
    server.publish(&[("A", "1")]).await;
    server
}

/// Starts a server that has the keys of this issuer.
async fn ready(issuer: &Issuer) -> TestServer {
    let server = start(&config(&issuer.start().await, "")).await;
    eventually(async || server.get("/readyz").await.0 == 200).await;
    server
}

/// Reads a price, or requests a stream. Returns the status, the header `Retry-After`, and the text.
async fn read(server: &TestServer, route: &str, token: &str) -> (u16, Option<String>, String) {
    let request = server.http.get(format!("{}{route}", server.public));
    let answer = request.bearer_auth(token).send().await.unwrap();
    let retry = answer.headers().get("retry-after");
    let retry = retry.map(|seconds| seconds.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    (status, retry, answer.text().await.unwrap())
}

async fn status(server: &TestServer, key: &SigningKey) -> u16 {
    read(server, "/v1/prices/A", &key.token()).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_before_the_first_keys_and_new_keys_are_found() {
    let issuer = Issuer::default();
    let config = config(&issuer.start().await, "");
    let server = start(&config).await;
    let (old, new, unknown) = (
        SigningKey::new("old"),
        SigningKey::new("new"),
        SigningKey::new("x"),
    );

    let (status_before, retry, text) = read(&server, "/v1/prices/A", &old.token()).await;
    assert_eq!(
        (status_before, retry.as_deref()),
        (503, Some("5")),
        "{text}"
    );
    let (status_before, _, text) = read(&server, "/v1/stream", &old.token()).await;
    assert!(status_before == 200 && text.contains("\"busy\""), "{text}");
    assert_eq!(
        server.get("/readyz").await,
        (503, json!({"ready": false, "reasons": []}))
    );
    let admin = server
        .http
        .get(format!("{}/readyz", server.admin))
        .send()
        .await
        .unwrap();
    let reasons = admin.text().await.unwrap();
    assert!(
        reasons.contains("no keys of readers") && reasons.contains("503"),
        "{reasons}"
    );
    assert_eq!(read(&server, "/v1/prices/A", "x.y.z").await.0, 401);

    issuer.publish(set(&[&old]));
    eventually(async || server.get("/readyz").await.0 == 200).await;
    assert_eq!(status(&server, &old).await, 200);

    // The issuer changes its key: the first token of the new key makes the server ask.
    issuer.publish(set(&[&new]));
    let asked = issuer.asked();
    assert_eq!(status(&server, &new).await, 200);
    assert_eq!(status(&server, &old).await, 503);
    for _ in 0..20 {
        assert_eq!(status(&server, &unknown).await, 503, "it may be new");
    }
    assert_eq!(issuer.asked(), asked + 1, "at most once a minute");
    assert_eq!(status(&server, &new).await, 200);
    // A key that is known has not signed this.
    let forged = SigningKey::new("new");
    assert_eq!(status(&server, &forged).await, 401);
    let other = Header::new(Algorithm::HS256);
    let secret = EncodingKey::from_secret(b"a secret of at least thirty-two bytes");
    let other = encode(&other, &claims(3600, &json!({})), &secret).unwrap();
    assert_eq!(read(&server, "/v1/prices/A", &other).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_removes_all_keys_is_believed() {
    let (issuer, key) = (Issuer::default(), SigningKey::new("k"));
    issuer.publish(set(&[&key]));
    let server = ready(&issuer).await;
    issuer.publish("{\"keys\":[]}".to_owned());
    assert_eq!(status(&server, &SigningKey::new("x")).await, 401);
    server.wait_for_log("the issuer has no key");
    assert_eq!(status(&server, &key).await, 503, "asked a moment ago");
    assert_eq!(server.get("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_does_not_cancel_the_request_to_the_issuer() {
    let (issuer, old, new) = (
        Issuer::default(),
        SigningKey::new("old"),
        SigningKey::new("new"),
    );
    issuer.publish(set(&[&old]));
    let server = ready(&issuer).await;
    issuer.publish(set(&[&new]));
    let held = issuer.hold().await;
    let impatient = server
        .http
        .get(format!("{}/v1/prices/A", server.public))
        .bearer_auth(new.token());
    let impatient = tokio::spawn(impatient.send());
    eventually(async || issuer.asked() == 2).await;
    impatient.abort();
    assert!(impatient.await.is_err());
    drop(held);
    assert_eq!(status(&server, &new).await, 200);
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_an_issuer() {
    let (issuer, key) = (Issuer::default(), SigningKey::new("k"));
    issuer.publish(set(&[&key]));
    let server = ready(&issuer).await;
    let _held = issuer.hold().await;
    let request = server.http.get(format!("{}/v1/prices/A", server.public));
    let waiting = request.bearer_auth(SigningKey::new("x").token());
    let waiting = tokio::spawn(waiting.send());
    eventually(async || issuer.asked() == 2).await;
    server.signal("-TERM");
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status(), 503, "the issuer has not answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_address_is_not_told() {
    let url = Issuer::default().start().await;
    let secret = url.replace("http://", "http://user:hunter2@") + "?key=hunter3";
    let config = config(&secret, "");
    let server = start(&config).await;
    server.wait_for_log("could not be loaded");
    let admin = server.http.get(format!("{}/readyz", server.admin));
    let reasons = admin.send().await.unwrap().text().await.unwrap();
    assert!(
        reasons.contains(&format!("{url}: the answer is 503")),
        "{reasons}"
    );
    assert!(!reasons.contains("hunter"), "{reasons}");
    let log = server.log();
    assert!(!log.contains("hunter"), "{log}");
    let token = SigningKey::new("k").token();
    let shown = tickcast(&["token", "show", "--config", path(&config), &token])
        .output()
        .unwrap();
    let told = String::from_utf8(shown.stderr).unwrap();
    assert!(
        told.contains("could not be loaded: the answer is 503"),
        "{told}"
    );
    assert!(!told.contains("hunter"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_keys_count_when_the_issuer_fails() {
    let (issuer, key) = (Issuer::default(), SigningKey::new("k"));
    issuer.publish(set(&[&key]));
    let server = ready(&issuer).await;
    issuer.publish("<html>".to_owned());
    let unknown = SigningKey::new("unknown");
    assert_eq!(status(&server, &unknown).await, 503);
    server.wait_for_log("the last ones count");
    assert_eq!((status(&server, &key).await, issuer.asked()), (200, 2));
    assert_eq!(server.get("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_does_not_concern_the_tokens_of_another() {
    let (up, down) = (Issuer::default(), Issuer::default());
    let (old, new) = (SigningKey::new("1"), SigningKey::new("2"));
    up.publish(set(&[&old]));
    let more = format!(
        "[[access.key]]\nalg = \"ES256\"\njwks_url = \"{}\"\n",
        down.start().await
    );
    let config = config(&up.start().await, &more);
    let server = start(&config).await;
    eventually(async || status(&server, &old).await == 200).await;
    up.publish(set(&[&new]));
    assert_eq!(
        status(&server, &new).await,
        200,
        "a new key of the one that is up"
    );
    // Both may have a key of this name.
    let other = SigningKey::new("2");
    assert_eq!(status(&server, &other).await, 503);
    down.publish(set(&[&other]));
    eventually(async || status(&server, &other).await == 200).await;
    assert_eq!(status(&server, &new).await, 200);
    assert_eq!(status(&server, &SigningKey::new("2")).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_no_key_can_save_is_refused_for_good() {
    let (issuer, key, unknown) = (
        Issuer::default(),
        SigningKey::new("k"),
        SigningKey::new("x"),
    );
    issuer.publish(set(&[&key]));
    let server = ready(&issuer).await;
    let refused = async |claims: &Value| {
        let (status, _, text) = read(&server, "/v1/prices/A", &unknown.sign(claims)).await;
        (status, text)
    };
    let (status, text) = refused(&claims(-3600, &json!({}))).await;
    assert!(status == 401 && text.contains("expired"), "{text}");
    assert_eq!(issuer.asked(), 1, "nobody is asked for this");
    assert_eq!(refused(&claims(60, &json!({}))).await.0, 401);
    assert_eq!(issuer.asked(), 2);
    // The keys of a moment ago know every key that is older.
    let mut old = claims(60, &json!({}));
    old["iat"] = 1.into();
    assert_eq!(refused(&old).await.0, 401);
    assert_eq!(refused(&claims(60, &json!({}))).await.0, 503);
    assert_eq!(issuer.asked(), 2);
}

/// Answers each connection over TLS with these keys.
async fn serve_tls(authority: &Authority, body: String) -> u16 {
    let (cert, key) = authority.issue("issuer", &["localhost"]);
    let acceptor = TlsAcceptor::from(authority.server_config(&cert, &key));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = acceptor.accept(socket).await else {
                continue;
            };
            let _ = socket.read(&mut [0; 2048]).await;
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_may_have_an_authority_of_its_own() {
    let (authority, key) = (Authority::new(), SigningKey::new("k"));
    let url = format!(
        "https://localhost:{}/",
        serve_tls(&authority, set(&[&key])).await
    );
    let ca = authority.path("ca.pem");
    let trusting = config(&url, &format!("jwks_ca = {:?}\n", ca.to_str().unwrap()));
    let server = start(&trusting).await;
    eventually(async || server.get("/readyz").await.0 == 200).await;
    assert_eq!(status(&server, &key).await, 200);
    // Without it, the server trusts only the authorities of the system.
    let distrusting = config(&url, "");
    let server = start(&distrusting).await;
    server.wait_for_log("could not be loaded");
    assert_eq!(status(&server, &key).await, 503);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (more, error) in [
        ("kid = \"k\"\n", "jwks_url has keys and their names"),
        (
            "secret = \"a secret of at least thirty-two bytes\"\n",
            "jwks_url has keys and their names",
        ),
        ("jwks_ca = \"/no/such/file\"\n", "jwks_ca: /no/such/file"),
    ] {
        let config = config("https://issuer.example/keys", more);
        let output = tickcast(&["config", "check", "--config", path(&config)])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(error), "{told}");
    }
    let plain = config("http://issuer.example/keys", "");
    let output = tickcast(&["config", "check", "--config", path(&plain)])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("access.key 1: jwks_url must begin with https://"),
        "{told}"
    );
}
