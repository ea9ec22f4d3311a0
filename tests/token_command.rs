//! `tickcast token`: signs and shows the tokens that the server accepts.

use std::io::Write;

use rcgen::KeyPair;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::server::{TestServer, tickcast};

const SECRET: &str = "a secret of at least thirty-two bytes";

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// Returns the exit code, standard output and standard error.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = tickcast(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_token_lets_its_reader_in() {
    let config = file(&format!(
        "[access]\nreaders = \"token\"\n[[access.key]]\nalg = \"HS256\"\nkid = \"k1\"\nsecret = \"{SECRET}\"\nissuer = \"https://login.example\"\naudience = \"prices\"\n"
    ));
    let sign = |more: &[&str]| {
        let (code, token, error) =
            run(&[&["token", "sign", "--config", path(&config)], more].concat());
        assert_eq!(code, Some(0), "{error}");
        token
    };
    let token = sign(&[
        "--subject",
        "ada",
        "--symbols",
        "A,BTC*",
        "--rate",
        "2",
        "--streams",
        "3",
    ]);
    let server = TestServer::with(&["--source", "none", "--config", path(&config)]);
    server
        .publish(&[("A", "1"), ("B", "2"), ("BTC1", "3")])
        .await;
    let read = async |token: &str| {
        let url = format!("{}/v1/prices", server.public);
        server
            .http
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
    };
    let prices: Value = read(&token).await.json().await.unwrap();
    let names = |prices: &Value| -> Vec<String> {
        let list = prices["prices"].as_array().unwrap().iter();
        list.map(|price| price["symbol"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&prices), ["A", "BTC1"]);

    let (code, shown, _) = run(&["token", "show", &token, "--config", path(&config)]);
    assert_eq!(code, Some(0));
    for part in [
        r#""kid": "k1""#,
        r#""sub": "ada""#,
        r#""iss": "https://login.example""#,
        r#""streams": 3"#,
        "expires: 20",
        "the server accepts the token",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let (code, shown, error) = run(&[
        "token",
        "show",
        &sign(&["--audience", "other"]),
        "--config",
        path(&config),
    ]);
    assert_eq!(
        (code, error.as_str()),
        (Some(1), "tickcast: the token is for another audience")
    );
    assert!(shown.contains("the server refuses the token"), "{shown}");
    assert_eq!(read(&sign(&["--audience", "other"])).await.status(), 401);
}

/// A token of a month is accepted, and its name revokes it. Another token of the same reader stays
/// valid.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_be_valid_for_long_and_is_revoked_by_its_name() {
    let key = format!("[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n");
    let config = file(&format!(
        "[access]\nreaders = \"token\"\nrevoked_tokens = [\"march\"]\n{key}"
    ));
    let server = TestServer::with(&["--source", "none", "--config", path(&config)]);
    let status = async |id: &str| {
        let (code, token, error) = run(&[
            "token",
            "sign",
            "--config",
            path(&config),
            "--subject",
            "acme",
            "--expires",
            "30d",
            "--jti",
            id,
        ]);
        assert_eq!(code, Some(0), "{error}");
        let (_, shown, _) = run(&["token", "show", &token]);
        let claim = format!("\"jti\": \"{id}\"");
        assert!(shown.contains(&claim), "{shown}");
        // A moment has passed since then.
        assert!(
            ["(in 30days)", "(in 29days"]
                .iter()
                .any(|left| shown.contains(left)),
            "{shown}"
        );
        let url = format!("{}/v1/prices", server.public);
        let answer = server.http.get(url).bearer_auth(token).send();
        answer.await.unwrap().status().as_u16()
    };
    assert_eq!((status("march").await, status("april").await), (401, 200));
}

#[test]
fn a_private_key_signs_too() {
    let algorithms = [
        ("ES256", &rcgen::PKCS_ECDSA_P256_SHA256),
        ("EdDSA", &rcgen::PKCS_ED25519),
        ("RS256", &rcgen::PKCS_RSA_SHA256),
    ];
    for (name, algorithm) in algorithms {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let (private, public) = (file(&key.serialize_pem()), file(&key.public_key_pem()));
        let config = file(&format!(
            "[access]\nreaders = \"token\"\n[[access.key]]\nalg = \"{name}\"\npublic_key_file = \"{}\"\n",
            path(&public)
        ));
        let sign = [
            "token",
            "sign",
            "--private-key-file",
            path(&private),
            "--alg",
            name,
        ];
        let (code, token, error) = run(&sign);
        assert_eq!(code, Some(0), "{error}");
        let (code, shown, error) = run(&["token", "show", &token, "--config", path(&config)]);
        assert_eq!(code, Some(0), "{shown}{error}");
        // A public key cannot sign, and the configuration has no other.
        let (code, _, error) = run(&["token", "sign", "--config", path(&config)]);
        assert!(
            code == Some(2) && error.contains("public keys cannot sign"),
            "{error}"
        );
    }
}

#[test]
fn what_the_server_would_refuse_is_not_signed() {
    let (secret, short) = (file(SECRET), file("short"));
    let sign = |more: &[&str]| {
        let (code, token, error) =
            run(&[&["token", "sign", "--secret-file", path(&secret)], more].concat());
        assert_eq!((code, token.as_str()), (Some(2), ""), "{more:?}: {error}");
        error
    };
    for (arguments, expected) in [
        (&["--symbols", "A B"][..], "--symbols: "),
        (&["--symbols", ""], "--symbols: "),
        (
            &["--rate", "0"],
            "--rate: 0 updates per second is outside 0.1 ..= 100",
        ),
        (&["--streams", "1"], "--subject"),
        (&["--expires", "0s"], "a time from 1s to 10years"),
        (&["--expires", "soon"], "a time from 1s to 10years"),
        (
            &["--expires", "3653d"],
            "'--expires <TIME>': \"3653d\" is longer than 10 years",
        ),
        (&["--jti", ""], "--jti"),
        (&["--config", "/x"], "cannot be used with"),
    ] {
        let error = sign(arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let (code, _, error) = run(&["token", "sign", "--secret-file", path(&short)]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("--secret-file: the secret has 5 bytes, at least 32 are needed"),
        "{error}"
    );
    let (code, _, error) = run(&["token", "sign"]);
    assert!(
        code == Some(2) && error.contains("a key is needed: --config, "),
        "{error}"
    );
    let (code, _, error) = run(&[
        "token",
        "sign",
        "--private-key-file",
        path(&secret),
        "--alg",
        "ES256",
    ]);
    assert!(
        code == Some(2) && error.contains("is not a private P-256 key"),
        "{error}"
    );
    let (code, _, error) = run(&["token", "show", "nonsense"]);
    assert_eq!(
        (code, error.as_str()),
        (Some(2), "tickcast: this is not a JSON Web Token")
    );
}
