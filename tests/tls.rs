//! TLS: certificates, protocols, reload, redirects, and connections that are no TLS.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::resumable::{data, short};
use crate::server::{TOKEN, TestServer, eventually, serving, tickcast};

/// An authority, with a folder for the files of its certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a certificate for these names, and its key, as `name.pem` and `name.key`.
    pub(crate) fn issue(&self, name: &str, names: &[&str]) -> (String, String) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        let (cert, private) = (
            self.path(&format!("{name}.pem")),
            self.path(&format!("{name}.key")),
        );
        std::fs::write(&private, key.serialize_pem()).unwrap();
        std::fs::write(&cert, certificate.pem()).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        (text(&cert), text(&private))
    }

    /// Returns a client that trusts only this authority.
    fn client(&self) -> Client {
        let root = Certificate::from_pem(self.issuer.pem().as_bytes()).unwrap();
        Client::builder().tls_certs_only([root]).build().unwrap()
    }

    /// Returns the settings of a server with a certificate.
    pub(crate) fn server_config(&self, cert: &str, key: &str) -> Arc<rustls::ServerConfig> {
        let certificates = CertificateDer::pem_file_iter(cert).unwrap();
        let certificates = certificates.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_no_client_auth();
        Arc::new(builder.with_single_cert(certificates, key).unwrap())
    }

    /// Returns the settings of a client without TLS library of its own.
    fn config(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions).unwrap();
        builder.with_root_certificates(roots).with_no_client_auth()
    }
}

/// A server over TLS, whose client trusts only this authority.
fn start(authority: &Authority, files: (&str, &str), more: &[&str]) -> TestServer {
    let mut command = serving("127.0.0.1:0");
    command.args([
        "--source",
        "none",
        "--tls-cert",
        files.0,
        "--tls-key",
        files.1,
    ]);
    command.args(more);
    let mut server = TestServer::launch(command);
    server.http = authority.client();
    server
}

fn address(server: &TestServer) -> String {
    server.public.split("://").nth(1).unwrap().to_owned()
}

/// Makes a handshake, and returns the connection.
fn handshake(
    address: &str,
    name: &str,
    config: ClientConfig,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address)?;
    connection.complete_io(&mut socket)?;
    Ok(StreamOwned::new(connection, socket))
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_answers_are_the_same_over_tls() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("own", &["localhost", "127.0.0.1"]);
    let server = start(&authority, (&cert, &key), &[]);
    server.publish(&[("A", "189.50")]).await;
    assert!(server.get("/v1/prices/A").await.1["price"].is_number());
    let mut reader = crate::resumable::open(&server, "?symbols=A").await;
    assert_eq!(short(&reader.event().await.unwrap()), "tick A 1=189.50 @1");
    let last = reader.event().await.unwrap();
    server.publish(&[("A", "2")]).await;
    assert_eq!(short(&reader.event().await.unwrap()), "tick A 2=2 @2");
    drop(reader);
    let mut back = crate::resumable::back(&server, "?symbols=A", &last.id).await;
    assert_eq!(short(&back.event().await.unwrap()), "tick A 2=2 @2");
    assert_eq!(data(&back.event().await.unwrap())["resumed"], true);

    // Both versions work, and each of the two protocols is agreed on.
    let address = address(&server);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for protocol in [&b"h2"[..], b"http/1.1"] {
            let mut config = authority.config(&[version]);
            config.alpn_protocols = vec![protocol.to_vec()];
            let stream = handshake(&address, "localhost", config).unwrap();
            assert_eq!(stream.conn.protocol_version(), Some(version.version));
            assert_eq!(stream.conn.alpn_protocol(), Some(protocol));
        }
    }
    let mut config = authority.config(&[&rustls::version::TLS13]);
    config.alpn_protocols = vec![b"gopher".to_vec()];
    assert!(handshake(&address, "localhost", config).is_err());
    // A client that trusts another authority does not talk to this server.
    let stranger = Authority::new().client();
    assert!(
        stranger
            .get(format!("{}/healthz", server.public))
            .send()
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_carries_many_streams_on_one_connection() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("own", &["localhost", "127.0.0.1"]);
    let server = start(&authority, (&cert, &key), &[]);
    server.publish(&[("A", "1")]).await;
    let mut readers = Vec::new();
    for _ in 0..6 {
        let request = server
            .http
            .get(format!("{}/v1/stream?symbols=A", server.public));
        let response = request.send().await.unwrap();
        assert_eq!(response.version(), reqwest::Version::HTTP_2);
        readers.push(response);
    }
    server.publish(&[("A", "7777.25")]).await;
    for mut reader in readers {
        let mut seen = String::new();
        while !seen.contains("7777.25") {
            seen.push_str(std::str::from_utf8(&reader.chunk().await.unwrap().unwrap()).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_and_no_stream_is_dropped() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("own", &["localhost", "127.0.0.1"]);
    let server = start(&authority, (&cert, &key), &[]);
    server.publish(&[("A", "1")]).await;
    let served = || {
        let config = authority.config(&[&rustls::version::TLS13]);
        let stream = handshake(&address(&server), "localhost", config).unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let before = served();
    let mut reader = crate::resumable::open(&server, "?symbols=A").await;
    assert_eq!(reader.event().await.unwrap().event, "tick");

    // Files that do not fit change nothing, and the log says why.
    std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let log = server.wait_for_log("cannot be loaded again");
    assert!(
        log.contains("the key does not belong to the certificate"),
        "{log}"
    );
    assert_eq!(served(), before);
    let reload = || server.http.post(format!("{}/reload", server.admin)).send();
    assert_eq!(
        reload().await.unwrap().status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );

    authority.issue("own", &["localhost", "127.0.0.1"]);
    eventually(async || served() != before).await;
    let renewed = served();
    authority.issue("own", &["localhost", "127.0.0.1"]);
    assert_eq!(reload().await.unwrap().status(), StatusCode::OK);
    assert_ne!(served(), renewed);
    server.publish(&[("A", "2")]).await;
    assert_eq!(
        short(&reader.until(|event| event.event == "tick").await),
        "tick A 2=2 @2"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_that_a_client_asks_for_selects_the_certificate() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("own", &["localhost", "127.0.0.1"]);
    let other = authority.issue("other", &["prices.example", "*.wild.example"]);
    let config = authority.path("tickcast.toml");
    let text = format!(
        "[[tls.certificate]]\ncert = \"{}\"\nkey = \"{}\"\n",
        other.0, other.1
    );
    std::fs::write(&config, text).unwrap();
    let server = start(
        &authority,
        (&cert, &key),
        &["--config", config.to_str().unwrap()],
    );
    let client = || authority.config(&[&rustls::version::TLS13]);
    for name in ["localhost", "prices.example", "a.wild.example"] {
        assert!(
            handshake(&address(&server), name, client()).is_ok(),
            "{name}"
        );
    }
    // Another name gets the first certificate, which is not for it.
    assert!(handshake(&address(&server), "evil.example", client()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_told_so_or_ended() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("own", &["localhost", "127.0.0.1"]);
    let server = start(&authority, (&cert, &key), &[]);
    let address = address(&server);
    let talk = |bytes: &[u8]| {
        let mut socket = TcpStream::connect(&address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        socket.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let mut socket = TcpStream::connect(&address).unwrap();
    socket
        .write_all(b"GET /v1/prices HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("this port speaks HTTPS"),
        "{answer}"
    );
    let plain = reqwest::get(format!("http://{address}/healthz"))
        .await
        .unwrap();
    assert_eq!(plain.status(), StatusCode::BAD_REQUEST);

    // A greeting of TLS 1.0 is answered with a fatal alert: 21, and 2.
    let old = [
        &[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1][..],
        &[7; 32],
        &[0, 0, 2, 0, 47, 1, 0],
    ]
    .concat();
    let mut socket = TcpStream::connect(&address).unwrap();
    socket.write_all(&old).unwrap();
    let mut alert = Vec::new();
    let _ = socket.read_to_end(&mut alert);
    assert_eq!(
        (alert.first(), alert.get(5)),
        (Some(&21), Some(&2)),
        "{alert:?}"
    );

    // Rubbish and half a handshake are ended, the latter when the time for a request is over.
    assert!(!talk(&[22, 3, 1, 255, 255, 1, 2, 3, 4, 5, 6, 7]).contains("HTTP"));
    assert_eq!(talk(&[22, 3, 1, 2, 0, 1]), "");
    assert_eq!(talk(b""), "");
    assert_eq!(server.get("/healthz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_redirected_but_not_with_a_token() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("own", &["localhost", "127.0.0.1"]);
    // The system cannot choose this port, because the test has to know it.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = start(
        &authority,
        (&cert, &key),
        &["--redirect", &free.to_string()],
    );
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let get = |path: &str| client.get(format!("http://{free}{path}"));
    let sent = get("/v1/prices?symbols=A").send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(
        sent.headers()["location"],
        format!("{}/v1/prices?symbols=A", server.public)
    );
    for request in [
        get("/v1/prices").bearer_auth(TOKEN),
        get("/v1/prices?access_token=x"),
    ] {
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(!refused.headers().contains_key("location"));
    }
    for host in ["", "a@b", "x y", "evil.example/path"] {
        let odd = get("/").header("host", host).send().await.unwrap();
        assert_eq!(odd.status(), StatusCode::BAD_REQUEST, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_certificate_is_for_trying_out() {
    let mut command = serving("127.0.0.1:0");
    command.args(["--source", "none", "--tls", "self-signed"]);
    let server = TestServer::launch(command);
    let log = server.wait_for_log("self-signed");
    assert!(log.contains("fingerprint"), "{log}");
    let url = format!("{}/healthz", server.public);
    let trusting = Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    assert_eq!(
        trusting.get(&url).send().await.unwrap().status(),
        StatusCode::OK
    );
    assert!(Client::new().get(&url).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_may_need_a_certificate() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("own", &["localhost", "127.0.0.1"]);
    let operator = authority.issue("operator", &["operator"]);
    let ca = authority.path("ca.pem");
    let mut command = tickcast(&["serve", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"]);
    command.args(["--source", "none", "--log-format", "json"]);
    command.args(["--admin-tls-cert", &cert, "--admin-tls-key", &key]);
    command.args(["--admin-client-ca", ca.to_str().unwrap()]);
    let server = TestServer::launch(command);
    let port = server.admin.rsplit(':').next().unwrap();
    let url = format!("https://127.0.0.1:{port}/metrics");
    assert!(authority.client().get(&url).send().await.is_err());
    let pem = std::fs::read(operator.0).unwrap();
    let identity = [pem, std::fs::read(operator.1).unwrap()].concat();
    let root = Certificate::from_pem(authority.issuer.pem().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([root]);
    let client = client
        .identity(reqwest::Identity::from_pem(&identity).unwrap())
        .build()
        .unwrap();
    assert_eq!(
        client.get(&url).send().await.unwrap().status(),
        StatusCode::OK
    );
}

#[test]
fn settings_of_tls_fail_early_and_name_the_file() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("own", &["localhost"]);
    let (_, other) = authority.issue("other", &["localhost"]);
    let empty = authority.path("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let empty = empty.to_str().unwrap();
    for (arguments, expected) in [
        (vec!["--tls-cert", &cert], "tls_cert needs tls_key, too"),
        (vec!["--tls-key", &key], "tls_key needs tls_cert, too"),
        (
            vec!["--tls-cert", "/no/such", "--tls-key", &key],
            "/no/such: ",
        ),
        (
            vec!["--tls-cert", &cert, "--tls-key", "/no/such"],
            "/no/such: ",
        ),
        (vec!["--tls-cert", empty, "--tls-key", &key], "empty.pem: "),
        (vec!["--tls-cert", &cert, "--tls-key", empty], "empty.pem: "),
        (
            vec!["--tls-cert", &cert, "--tls-key", &other],
            "other.key: the key does not belong to the certificate in ",
        ),
        (
            vec![
                "--tls",
                "self-signed",
                "--tls-cert",
                &cert,
                "--tls-key",
                &key,
            ],
            "cannot be set together",
        ),
        (vec!["--tls", "own"], "possible values: self-signed"),
        (vec!["--redirect", "127.0.0.1:80"], "redirect needs https"),
        (
            vec!["--admin", "0.0.0.0:9180"],
            "admin: others can reach 0.0.0.0:9180",
        ),
        (
            vec![
                "--admin",
                "0.0.0.0:9180",
                "--admin-tls-cert",
                &cert,
                "--admin-tls-key",
                &key,
            ],
            "admin: others can reach",
        ),
        (
            vec!["--admin-client-ca", &cert],
            "admin_client_ca needs admin_tls_cert",
        ),
    ] {
        let output = tickcast(&["config", "check"])
            .args(&arguments)
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    for arguments in [
        vec!["--admin", "0.0.0.0:9180", "--admin-open"],
        vec!["--tls-cert", &cert, "--tls-key", &key],
    ] {
        let output = tickcast(&["config", "check"])
            .args(&arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
