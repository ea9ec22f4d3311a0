//! Readers with tokens. `tests/access_table.rs` says who may read what, on every route.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::SystemTime;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::access_table::Answer;
use crate::client::Reader;
use crate::faults::{connect, rest};
use crate::server::{TestServer, tickcast};

pub(crate) const SECRET: &str = "a secret of at least thirty-two bytes";

pub(crate) fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

pub(crate) fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// The configuration of a server whose readers have tokens of this secret.
pub(crate) fn by_secret() -> NamedTempFile {
    file(&format!(
        "[access]\nreaders = \"token\"\ncookie = \"tickcast\"\n[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n"
    ))
}

fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap() + seconds
}

pub(crate) fn claims(seconds: i64, permissions: &Value) -> Value {
    json!({"sub": "ada", "exp": seconds_from_now(seconds), "tickcast": permissions})
}

pub(crate) fn signed(secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

/// Starts a server with a configuration, and publishes `A` and `B`.
async fn start(config: &NamedTempFile) -> TestServer {
    let server = TestServer::with(&["--source", "none", "--config", path(config)]);
    server.publish(&[("A", "1"), ("B", "1")]).await;
    server
}

fn get(server: &TestServer, route: &str) -> RequestBuilder {
    reqwest::Client::new().get(format!("{}{route}", server.public))
}

/// Returns the status, whether the answer asks for a token, and the beginning of the body.
async fn answer(request: RequestBuilder) -> (StatusCode, bool, String) {
    let answer = Answer::to(request).await;
    let asks = answer.headers.contains_key("www-authenticate");
    (answer.status, asks, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_come_in_three_places() {
    let server = start(&by_secret()).await;
    let token = signed(SECRET, &claims(60, &json!({"symbols": ["A"]})));
    let other = signed(SECRET, &claims(60, &json!({"symbols": ["B"]})));
    let in_query = format!("/v1/prices/A?access_token={token}");
    let cookie = |origin: Option<&str>| {
        let request =
            get(&server, "/v1/prices/A").header("cookie", format!("x=y; tickcast={token}"));
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    };
    assert_eq!(answer(get(&server, &in_query)).await.0, StatusCode::OK);
    assert_eq!(answer(cookie(None)).await.0, StatusCode::OK);
    assert_eq!(answer(cookie(Some(&server.public))).await.0, StatusCode::OK);
    assert_eq!(
        answer(cookie(Some("https://evil.example"))).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (status, _, body) = answer(get(&server, &in_query).bearer_auth(&other)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        body.contains("two different tokens") && !body.contains(&token),
        "{body}"
    );
    let (_, _, body) = answer(get(&server, &format!("{in_query}&wrong=1"))).await;
    assert!(body.contains("wrong") && !body.contains(&token), "{body}");
}

/// Returns the security schemes of the API description for readers, and the routes that take each.
async fn described(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let (_, document) = server.get("/openapi.json").await;
    let schemes = document["components"]["securitySchemes"].as_object();
    let names = schemes
        .unwrap()
        .keys()
        .filter(|name| *name != "publish_token");
    let mut all: BTreeMap<_, _> = names.map(|name| (name.clone(), Vec::new())).collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, route) in methods.as_object().unwrap() {
            for name in route["security"].as_array().into_iter().flatten() {
                let name = name.as_object().unwrap().keys().next().unwrap();
                if let Some(routes) = all.get_mut(name) {
                    routes.push(format!("{method} {path}"));
                }
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_description_says_where_a_token_may_be() {
    let open = TestServer::start();
    assert_eq!(described(&open).await, BTreeMap::new());
    let server = start(&by_secret()).await;
    let all = described(&server).await;
    let names: Vec<_> = all.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["reader_cookie", "reader_token", "reader_token_in_query"]
    );
    let (_, document) = server.get("/openapi.json").await;
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(
        schemes["reader_token"],
        json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    );
    assert_eq!(
        (
            &schemes["reader_cookie"]["name"],
            &schemes["reader_token_in_query"]["name"]
        ),
        (&json!("tickcast"), &json!("access_token"))
    );
    let routes = &all["reader_token"];
    assert!(all.values().all(|others| others == routes), "{all:?}");
    // Exactly these routes refuse a reader without a token.
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let url = path.replace("{symbol}", "A").replace("{stream}", "s1");
            let method_name = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = server
                .http
                .request(method_name, format!("{}{url}", server.public));
            let response = request.send().await.unwrap();
            let asks = response.status() == StatusCode::UNAUTHORIZED
                && !document["paths"][path][method]["security"][0]["publish_token"].is_array();
            let route = format!("{method} {path}");
            assert_eq!(routes.contains(&route), asks, "{route}: {response:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token_and_continues_with_the_next() {
    let server = start(&by_secret()).await;
    let open = async |seconds, cursor: &str| {
        let token = signed(SECRET, &claims(seconds, &json!({"symbols": ["A"]})));
        let request = get(&server, "/v1/stream").bearer_auth(token);
        Reader::send(request.header("last-event-id", cursor)).await
    };
    let mut first = open(2, "").await;
    let bye = first.until(|event| event.event == "bye").await;
    assert!(bye.data.contains(r#""reason":"expired""#), "{bye:?}");
    let mut second = open(60, &bye.id).await;
    let ready = second.until(|event| event.event == "ready").await;
    assert!(ready.data.contains(r#""resumed":true"#), "{ready:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn public_keys_of_three_kinds_are_accepted_each_for_its_algorithm() {
    let kinds = [
        ("RS256", Algorithm::RS256, &rcgen::PKCS_RSA_SHA256),
        ("ES256", Algorithm::ES256, &rcgen::PKCS_ECDSA_P256_SHA256),
        ("EdDSA", Algorithm::EdDSA, &rcgen::PKCS_ED25519),
    ];
    let keys = kinds.map(|(_, _, kind)| KeyPair::generate_for(kind).unwrap());
    let files: Vec<_> = keys.iter().map(|key| file(&key.public_key_pem())).collect();
    let mut config = "[access]\nreaders = \"token\"\n".to_owned();
    for ((name, ..), file) in kinds.iter().zip(&files) {
        config += &format!(
            "[[access.key]]\nalg = \"{name}\"\nkid = \"{name}\"\npublic_key_file = \"{}\"\n",
            path(file)
        );
    }
    let server = start(&file(&config)).await;
    let private = |i: usize| {
        let pem = keys[i].serialize_pem();
        match i {
            0 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            1 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_ed_pem(pem.as_bytes()),
        }
        .unwrap()
    };
    let claims = claims(60, &json!({}));
    for (i, (name, algorithm, _)) in kinds.into_iter().enumerate() {
        let header = Header {
            kid: Some(name.to_owned()),
            ..Header::new(algorithm)
        };
        let token = encode(&header, &claims, &private(i)).unwrap();
        let (status, _, body) = answer(get(&server, "/v1/prices/A").bearer_auth(token)).await;
        assert_eq!(status, StatusCode::OK, "{name}: {body}");
        // The public key is public: nobody may use it as a shared secret.
        let header = Header {
            kid: Some(name.to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        let shared = EncodingKey::from_secret(keys[i].public_key_pem().as_bytes());
        let token = encode(&header, &claims, &shared).unwrap();
        let (status, ..) = answer(get(&server, "/v1/prices/A").bearer_auth(token)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}");
    }
}

#[test]
fn settings_of_access_fail_early() {
    let fails = |text: &str| {
        let config = file(text);
        let output = tickcast(&["config", "show", "--config", path(&config)])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        String::from_utf8(output.stderr).unwrap()
    };
    let token = "[access]\nreaders = \"token\"\n";
    for (text, said) in [
        (token.to_owned(), "needs at least one [[access.key]]"),
        (
            "[access]\nreaders = \"tokens\"\n".to_owned(),
            "unknown variant `tokens`",
        ),
        (
            "[access]\nreader = \"token\"\n".to_owned(),
            "unknown field `reader`",
        ),
        (
            "[access]\ncookie = \"t\"\n".to_owned(),
            "have no effect while readers = \"open\"",
        ),
        (
            format!("{token}[[access.key]]\nalg = \"HS256\"\nsecret = \"short\"\n"),
            "access.key 1: the secret has 5 bytes, at least 32 are needed",
        ),
        (
            format!("{token}[[access.key]]\nalg = \"HS256\"\n"),
            "needs secret or secret_file",
        ),
        (
            format!("{token}[[access.key]]\nalg = \"none\"\n"),
            "unknown variant `none`",
        ),
        (
            format!("{token}[[access.key]]\nalg = \"ES256\"\nsecret = \"{SECRET}\"\n"),
            "needs public_key_file or jwks_url, and no secret",
        ),
        (
            format!(
                "{token}[[access.key]]\nalg = \"RS256\"\npublic_key_file = \"/no/such/file\"\n"
            ),
            "/no/such/file: No such file",
        ),
        (
            format!("{token}key = \"{SECRET}\"\n"),
            "access.key: a value is not of its type: expected",
        ),
        (
            format!(
                "{token}[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\nsecret = \"{SECRET}\"\n"
            ),
            "duplicate key",
        ),
        (
            format!("{token}[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\n"),
            "line 5",
        ),
        (
            format!(
                "{token}cookie = \"a b\"\n[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n"
            ),
            "access.cookie: \"a b\"",
        ),
    ] {
        let error = fails(&text);
        assert!(
            error.contains(said) && !error.contains(SECRET),
            "{text}: {error}"
        );
    }
    let config = by_secret();
    let shown = tickcast(&["config", "show", "--config", path(&config)])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("access = token (1 key)") || shown.contains("token (1 key)"),
        "{shown}"
    );
    assert!(!shown.contains(SECRET), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_has_a_configuration_and_claims_that_work() {
    let secret = file(&format!("{SECRET}\n"));
    let guide = crate::guides::block("access.md", "toml");
    let config = guide.replace("/etc/tickcast/reader-secret", path(&secret));
    let server = start(&file(&config)).await;
    let claims: Value = serde_json::from_str(&crate::guides::block("access.md", "json")).unwrap();
    let token = signed(SECRET, &claims);
    let read = |route: &str| answer(get(&server, route).bearer_auth(&token));
    assert_eq!(read("/v1/prices").await.0, StatusCode::OK);
    assert_eq!(read("/v1/prices/A").await.0, StatusCode::FORBIDDEN);
    assert_eq!(read("/v1/prices/AAPL").await.0, StatusCode::NOT_FOUND);
}

/// A reload revokes tokens and readers, and ends their streams.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_revokes_tokens_and_readers() {
    let table = format!(
        "[access]\nreaders = \"token\"\nREVOKED[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\nissuer = \"me\"\n"
    );
    let config = file(&table.replace("REVOKED", ""));
    let server = start(&config).await;
    let token = |sub: &str, jti: &str| {
        let exp = seconds_from_now(600);
        signed(
            SECRET,
            &json!({"sub": sub, "jti": jti, "iss": "me", "exp": exp, "tickcast": {}}),
        )
    };
    let (ada, bob, eve) = (token("ada", "t1"), token("bob", "t2"), token("bob", "t3"));
    let open =
        async |route: &str, token: &str| Reader::send(get(&server, route).bearer_auth(token)).await;
    let mut by_subject = open("/v1/stream", &ada).await;
    let mut simple = open("/prices/stream", &ada).await;
    let mut by_token = open("/v1/stream", &bob).await;
    let mut stays = open("/v1/stream", &eve).await;
    let post = server
        .http
        .post(format!("{}/v1/streams", server.public))
        .bearer_auth(&ada);
    let prepared: Value = post.body("{}").send().await.unwrap().json().await.unwrap();
    let prepared = prepared["url"].as_str().unwrap().to_owned();

    let reload_as = async |issuer: &str, lists: &str| {
        let issuer = format!("issuer = \"{issuer}\"");
        let table = table.replace("issuer = \"me\"", &issuer);
        std::fs::write(config.path(), table.replace("REVOKED", lists)).unwrap();
        let answer = server
            .http
            .post(format!("{}/reload", server.admin))
            .send()
            .await
            .unwrap();
        let status = answer.status();
        (status, answer.json::<Value>().await.unwrap())
    };
    let reload = async |lists: &str| reload_as("me", lists).await;
    let (status, answer) =
        reload("revoked_tokens = [\"t2\"]\nrevoked_subjects = [\"ada\"]\n").await;
    assert_eq!(
        (status, &answer["restart"]),
        (StatusCode::OK, &json!([])),
        "{answer}"
    );
    for reader in [&mut by_subject, &mut by_token] {
        let bye = reader.until(|event| event.event == "bye").await;
        assert!(bye.data.contains("\"expired\""), "{bye:?}");
    }
    while simple.event().await.is_some() {}
    for revoked in [&ada, &bob] {
        let (status, asks, text) = answer_of(&server, "/v1/prices", revoked).await;
        assert_eq!((status, asks), (StatusCode::UNAUTHORIZED, true), "{text}");
        assert!(text.contains("has been revoked"), "{text}");
    }
    assert_eq!(
        get(&server, &prepared).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        answer_of(&server, "/v1/prices", &eve).await.0,
        StatusCode::OK
    );
    server.publish(&[("A", "5")]).await;
    assert!(
        stays
            .until(|event| event.data.contains("\"price\":5,"))
            .await
            .event
            == "tick"
    );

    // The running server knows readers by the issuer that it began with.
    let (status, answer) = reload_as("other", "revoked_subjects = [\"ada\"]\n").await;
    assert_eq!(
        (status, &answer["restart"]),
        (StatusCode::OK, &json!(["access"]))
    );
    let (status, _, text) = answer_of(&server, "/v1/prices", &ada).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{text}");

    // The list is the whole list: who is no longer on it may read again.
    assert_eq!(reload("").await.0, StatusCode::OK);
    assert_eq!(
        answer_of(&server, "/v1/prices", &ada).await.0,
        StatusCode::OK
    );
    let (status, answer) = reload("revoked_tokens = [\"\"]\n").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("revoked_tokens: a name is empty")
    );
}

/// A reader that is revoked while its request to prepare a stream is on its way has no stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_reader_prepares_no_stream() {
    let table = format!(
        "[access]\nreaders = \"token\"\nREVOKED[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n"
    );
    let config = file(&table.replace("REVOKED", ""));
    let server = start(&config).await;
    let token = signed(SECRET, &claims(600, &json!({})));
    let mut slow = connect(&server);
    let head = format!(
        "POST /v1/streams HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).unwrap();
    // The server asks for the body when it has let the reader in.
    let mut asked = [0; 25];
    slow.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    std::fs::write(
        config.path(),
        table.replace("REVOKED", "revoked_subjects = [\"ada\"]\n"),
    )
    .unwrap();
    let reload = server.http.post(format!("{}/reload", server.admin));
    assert_eq!(reload.send().await.unwrap().status(), StatusCode::OK);
    slow.write_all(b"{}").unwrap();
    let answer = rest(&slow);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let prepared: Value = serde_json::from_str(body).unwrap();
    let url = format!("{}{}", server.public, prepared["url"].as_str().unwrap());
    let found = server.http.get(&url).send().await.unwrap();
    assert_eq!(found.status(), StatusCode::NOT_FOUND);
    let patched = server.http.patch(&url).body("{\"add\":[\"B\"]}");
    assert_eq!(
        patched.send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

async fn answer_of(server: &TestServer, route: &str, token: &str) -> (StatusCode, bool, String) {
    answer(get(server, route).bearer_auth(token)).await
}
