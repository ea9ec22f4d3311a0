use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use tickcast_core::{Filter, SourceOptions, Symbol, Tick};
use tower::ServiceExt;

use super::EntityTag;
use crate::access::Viewer;
use crate::hub::Hub;
use crate::source_state::SourceState;

/// An answer: its status, its tag and its body.
type Answer = (StatusCode, HeaderValue, String);

/// Requests a path, as a client that has the answer with a tag.
async fn get(hub: &Hub, path: &str, viewer: &Viewer, known: Option<&HeaderValue>) -> Answer {
    let mut request = Request::builder().uri(path).extension(viewer.clone());
    if let Some(known) = known {
        request = request.header(header::IF_NONE_MATCH, known);
    }
    let app: Router = hub.router();
    let answer = app
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let headers = answer.headers();
    assert_eq!(headers[header::CACHE_CONTROL], "private, no-cache");
    assert_eq!(headers[header::VARY], "authorization, cookie");
    let (status, tag) = (answer.status(), headers[header::ETAG].clone());
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, tag, String::from_utf8(body.to_vec()).unwrap())
}

fn tick(json: &str) -> Tick {
    Tick::from_json(json.as_bytes()).unwrap()
}

#[test]
fn a_tag_is_known_if_one_of_the_lists_has_it() {
    let known = |lists: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(list));
        }
        EntityTag::new("a-1.x").is_known(&headers)
    };
    for lists in [
        &["\"a-1.x\""][..],
        &["W/\"a-1.x\""],
        &["\"b\" ,\t\"a-1.x\""],
        &["\"b\"", "\"a-1.x\",\"c\""],
    ] {
        assert!(known(lists), "{lists:?}");
    }
    for lists in [
        &[][..],
        &["*"],
        &[""],
        &["a-1.x"],
        &["\"a-1.x"],
        &["\"a-1.x.\""],
        &["w/\"a-1.x\""],
    ] {
        assert!(!known(lists), "{lists:?}");
    }
}

/// Different answers have different tags, and each answer holds only for who asks for the same.
#[tokio::test]
async fn a_tag_tells_what_a_reader_asks_for_and_may_read() {
    let hub = Hub::builder().lanes(1).build();
    for symbol in ["A", "B1", "B2"] {
        hub.try_publish(&tick(&format!(r#"{{"symbol":"{symbol}","price":1}}"#)))
            .unwrap();
    }
    let viewer = |entry| Viewer::of(Filter::parse([entry]).unwrap());
    let all = Viewer::default();
    let requests = [
        ("/v1/prices", &all),
        ("/v1/prices?symbols=A", &all),
        ("/v1/prices?symbols=A,B1", &all),
        ("/v1/prices?symbols=B*", &all),
        ("/v1/symbols", &all),
        ("/v1/symbols?q=b", &all),
        ("/v1/symbols?limit=1", &all),
        ("/v1/prices", &viewer("*1")),
        ("/v1/symbols", &viewer("*1")),
    ];
    let mut answers: Vec<Answer> = Vec::new();
    for (path, viewer) in requests {
        let (status, tag, body) = get(&hub, path, viewer, None).await;
        assert_eq!(status, StatusCode::OK);
        for (_, other, theirs) in &answers {
            assert_ne!(tag, other, "{path}");
            assert_ne!(body, *theirs, "{path}");
            let again = get(&hub, path, viewer, Some(other)).await;
            assert_eq!(again, (StatusCode::OK, tag.clone(), body.clone()));
        }
        let again = get(&hub, path, viewer, Some(&tag)).await;
        assert_eq!(
            again,
            (StatusCode::NOT_MODIFIED, tag.clone(), String::new())
        );
        answers.push((status, tag, body));
    }
    // The same question in other words, and as a reader with the same permission.
    for (path, viewer, same) in [
        ("/v1/prices?symbols=*", &all, 0),
        ("/v1/prices?symbols=B1,A&symbols=A", &all, 2),
        ("/v1/prices", &viewer("B*"), 3),
        ("/v1/symbols?q=B&limit=9", &viewer("B*"), 5),
    ] {
        let (status, ..) = get(&hub, path, viewer, Some(&answers[same].1)).await;
        assert_eq!(status, StatusCode::NOT_MODIFIED, "{path}");
    }
}

/// What changes an answer changes its tag, also if there is no new entry on the tape.
#[tokio::test]
async fn a_tag_changes_with_its_answer() {
    let hub = Hub::builder().lanes(1).build();
    let source = hub.source("feed", SourceOptions::default().drop_unchanged(true));
    let publish = async |json: &str| source.publish(&tick(json)).await.unwrap();
    let all = Viewer::default();
    publish(r#"{"symbol":"A","price":1,"time":1782907200123}"#).await;
    let prices = get(&hub, "/v1/prices", &all, None).await;
    let symbols = get(&hub, "/v1/symbols", &all, None).await;

    // The prices are the same, and the time of the symbol is not.
    publish(r#"{"symbol":"A","price":1,"time":1782907200456}"#).await;
    let again = get(&hub, "/v1/prices", &all, Some(&prices.1)).await;
    assert_eq!(again.0, StatusCode::NOT_MODIFIED);
    let later = get(&hub, "/v1/symbols", &all, Some(&symbols.1)).await;
    assert!(later.2.contains("1782907200456"), "{}", later.2);

    source.set_state(&SourceState::Down("broken".to_owned()));
    let down = get(&hub, "/v1/symbols", &all, Some(&later.1)).await;
    assert!(down.2.contains(r#""state":"down""#), "{}", down.2);
    let again = get(&hub, "/v1/symbols", &all, Some(&down.1)).await;
    assert_eq!(again.0, StatusCode::NOT_MODIFIED);

    publish(r#"{"symbol":"A","price":2,"time":1782907200789}"#).await;
    let new = get(&hub, "/v1/prices", &all, Some(&prices.1)).await;
    assert!(new.2.contains(r#""price":2"#), "{}", new.2);
    source.remove(&Symbol::new("A").unwrap()).await.unwrap();
    let removed = get(&hub, "/v1/prices", &all, Some(&new.1)).await;
    assert!(removed.2.contains(r#""prices":[]"#), "{}", removed.2);
}
