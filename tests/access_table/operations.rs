//! The operations of the server: the routes of its router, and what `/openapi.json` says of them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::TestServer;

/// All routes of the router. A unit test of the program compares this list with the router.
const ROUTES: &str = include_str!("../routes.txt");

/// The name of a stream that does not exist.
const NO_STREAM: &str = "0123456789abcdef0123456789abcdef";

/// What an operation asks of a client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Nothing: the pages and the probes.
    Open,
    /// The permission to read.
    Reading,
    /// The name of a stream.
    Stream,
    /// The permission to publish.
    Publishing,
}

/// A method of a route.
pub(super) struct Operation {
    pub(super) kind: Kind,
    pub(super) method: Method,
    pub(super) path: String,
    /// The parameters of the query that name symbols, each with whether it asks for them.
    parameters: Vec<(String, Mention)>,
}

/// How a request mentions a symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mention {
    No,
    /// It asks for the symbol, which needs the permission.
    Wanted,
    /// It searches among the symbols that the reader may read.
    Sought,
}

/// A request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) mention: Mention,
}

/// Returns all operations of the server.
pub(super) async fn operations(server: &TestServer) -> Vec<Operation> {
    let (_, api) = server.get("/openapi.json").await;
    let asset = asset(server).await;
    let mut operations = Vec::new();
    for route in ROUTES.lines() {
        let (methods, path) = route.split_once(' ').unwrap();
        for method in methods.split(',') {
            let described = method.replace("HEAD", "GET").to_lowercase();
            let described = &api["paths"][path][described];
            operations.push(Operation {
                kind: kind(path, described),
                method: method.parse().unwrap(),
                path: path.replace("{name}", &asset),
                parameters: parameters(described),
            });
        }
    }
    operations
}

/// Returns the name of a file of the dashboard.
async fn asset(server: &TestServer) -> String {
    let page = server.http.get(&server.public).send().await.unwrap();
    let page = page.text().await.unwrap();
    let (_, asset) = page.split_once("assets/").unwrap();
    asset.split('"').next().unwrap().to_owned()
}

/// Returns the kind that the description of an operation promises. What is not described, or needs
/// no login, has to answer everyone.
fn kind(path: &str, described: &Value) -> Kind {
    let needs_login = !described["responses"]["401"].is_null();
    // The routes for readers of a server with tokens have schemes of their own.
    match described["security"][0]["publish_token"].is_null() {
        false => Kind::Publishing,
        true if path.contains("{stream}") => Kind::Stream,
        true if needs_login => Kind::Reading,
        true => Kind::Open,
    }
}

fn parameters(described: &Value) -> Vec<(String, Mention)> {
    let all = described["parameters"].as_array().into_iter().flatten();
    let names = all.map(|parameter| parameter["name"].as_str().unwrap());
    let mentions = names.filter_map(|name| match name {
        "symbols" => Some((name.to_owned(), Mention::Wanted)),
        "q" | "after" => Some((name.to_owned(), Mention::Sought)),
        _ => None,
    });
    mentions.collect()
}

impl Operation {
    /// Returns the requests that mention `symbol` in each possible way, and those that mention none.
    pub(super) fn asks(&self, symbol: &str) -> Vec<Ask> {
        let ask = |path: String, body, mention| Ask {
            method: self.method.clone(),
            path,
            body,
            mention,
        };
        let path = self.path.replace("{stream}", NO_STREAM);
        let mut asks = Vec::new();
        if path.contains("{symbol}") {
            let path = path.replace("{symbol}", symbol);
            asks.push(ask(path, None, Mention::Wanted));
        } else if self.method == Method::POST || self.method == Method::PATCH {
            asks.push(ask(path.clone(), Some(self.body(symbol)), Mention::Wanted));
            asks.push(ask(path, Some(json!({})), Mention::No));
        } else {
            asks.push(ask(path.clone(), None, Mention::No));
            for (name, mention) in &self.parameters {
                asks.push(ask(format!("{path}?{name}={symbol}"), None, *mention));
            }
        }
        asks
    }

    /// Returns a body that asks for `symbol`.
    pub(super) fn body(&self, symbol: &str) -> Value {
        match (self.method.as_str(), self.path.as_str()) {
            ("POST", "/v1/prices") => json!({"symbol": symbol, "price": 1}),
            ("POST", "/v1/streams") => json!({"symbols": [symbol]}),
            ("PATCH", "/v1/streams/{stream}") => json!({"add": [symbol]}),
            (method, path) => panic!("which body of {method} {path} names a symbol?"),
        }
    }
}
