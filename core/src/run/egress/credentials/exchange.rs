//! Requests of a program and the answers to them, with a credential added.

use super::super::sockets;
use super::headers;
use super::target::Target;
use crate::host::forward::count::Counted;
use crate::host::forward::places::BUFFER;
use crate::host::forward::tasks::Tasks;
use crate::host::forward::{Counters, Token};
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// A program's connection.
struct Exchange {
    target: Arc<Target>,
    /// The addresses of the server.
    way: Vec<SocketAddr>,
    upstream: Mutex<Upstream>,
    token: Token,
}

/// The caller's connection to the server. It ends with the program's.
struct Upstream {
    sender: Option<SendRequest<Incoming>>,
    connection: Tasks,
}

type Body = Either<Incoming, Full<Bytes>>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Answers the requests that come over a program's connection.
pub async fn carry(
    inside: TcpStream,
    target: Arc<Target>,
    way: Vec<SocketAddr>,
    counters: Arc<Counters>,
    token: Token,
) {
    let _ = inside.set_nodelay(true);
    let inside = TokioIo::new(Counted::new(inside, counters));
    let upstream = Mutex::new(Upstream { sender: None, connection: token.tasks() });
    let exchange = Arc::new(Exchange { target, way, upstream, token });
    let service = service_fn(move |request| {
        let exchange = exchange.clone();
        async move { Ok::<_, Infallible>(exchange.answer(request).await) }
    });
    let mut server = server::Builder::new();
    server.half_close(true).max_buf_size(BUFFER);
    let _ = server.serve_connection(inside, service).await;
}

impl Exchange {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let origin = &self.target.origin;
        if let Some((status, why)) = refusal(&request, &origin.name) {
            return refused(status, why);
        }
        let (mut parts, body) = request.into_parts();
        parts.version = Version::HTTP_11;
        parts.uri = parts.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
        headers::outgoing(&mut parts.headers, origin, &self.target.added);
        match self.send(Request::from_parts(parts, body)).await {
            Ok(mut response) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
                headers::incoming(response.headers_mut(), origin);
                response.map(Either::Left)
            }
            Ok(_) => refused(StatusCode::BAD_GATEWAY, "the server left HTTP unasked"),
            Err(why) => refused(StatusCode::BAD_GATEWAY, &format!("{origin}: {why}")),
        }
    }

    async fn send(&self, request: Request<Incoming>) -> Result<Response<Incoming>, String> {
        let mut upstream = self.upstream.lock().await;
        let is_ready = match &mut upstream.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !is_ready {
            self.connect(&mut upstream).await?;
        }
        let Some(sender) = &mut upstream.sender else { return Err("there is no way".into()) };
        let mut error = match sender.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        // The server has closed an idle connection, and nothing was sent.
        if let Some(request) = error.take_message() {
            self.connect(&mut upstream).await?;
            if let Some(sender) = &mut upstream.sender {
                return sender.send_request(request).await.map_err(|error| error.to_string());
            }
        }
        Err(error.into_error().to_string())
    }

    async fn connect(&self, upstream: &mut Upstream) -> Result<(), String> {
        const PATIENCE: Duration = Duration::from_secs(30);
        *upstream = Upstream { sender: None, connection: self.token.tasks() };
        let stream = sockets::reach(&self.way).await.ok_or("it does not answer")?;
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Stream> = match &self.target.tls {
            None => Box::new(stream),
            Some(tls) => {
                let secured = tls.connector.connect(tls.name.clone(), stream);
                let secured = timeout(PATIENCE, secured).await.map_err(|_| "it is silent")?;
                Box::new(secured.map_err(|error| error.to_string())?)
            }
        };
        let mut client = client::Builder::new();
        client.max_buf_size(BUFFER);
        let connected = client.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = connected.map_err(|error| error.to_string())?;
        upstream.connection.spawn(async move { drop(connection.await) });
        upstream.sender = Some(sender);
        Ok(())
    }
}

/// Why a request is not passed on, if it is not.
fn refusal(request: &Request<Incoming>, name: &str) -> Option<(StatusCode, &'static str)> {
    // An answer to TRACE contains the request, with the credential: RFC 9110, 9.3.8.
    let traces = ["TRACE", "TRACK"];
    let method = request.method();
    if *method == Method::CONNECT || traces.iter().any(|trace| method.as_str() == *trace) {
        return Some((StatusCode::METHOD_NOT_ALLOWED, "this method is not passed on"));
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let hosts = [request.uri().authority().map(|authority| authority.as_str()), host];
    if hosts.into_iter().flatten().any(|host| !is_of(host, name)) {
        return Some((StatusCode::MISDIRECTED_REQUEST, "the request is for another host"));
    }
    None
}

/// Whether `HOST[:PORT]` names this host.
fn is_of(host: &str, name: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(name)
}

fn refused(status: StatusCode, why: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(format!("seclude: {why}\n")));
    let mut response = Response::new(Either::Right(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
