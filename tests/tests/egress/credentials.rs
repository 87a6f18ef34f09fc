//! Credentials: the server gets them with each request, and the program never sees them.

use seclude::{ErrorKind, Sandbox};
use seclude_tests::caller::{as_each, driver};
use seclude_tests::job::{Action, Job, Stream, read_told};
use seclude_tests::scratch;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A server of HTTP on 127.0.0.1, over TLS if it is given a certificate and its key. Prints its
/// port, and each request as a line.
const SERVER: &str = "
import hashlib, http.server, json, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self):
        chunked = self.headers.get('Transfer-Encoding') == 'chunked'
        body = b''
        if chunked:
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        secrets = self.headers.get_all('Authorization') or []
        print(json.dumps([self.command, self.path, self.headers.get_all('Host'), secrets,
            hashlib.sha256(body).hexdigest()[:8], chunked]), flush=True)
        answer = b'seen' if self.command != 'POST' else body
        self.send_response(302 if self.path == '/moved' else 200)
        if self.path == '/moved':
            self.send_header('Location', f'{sys.argv[1]}://api.test/there')
        if self.path == '/close':
            self.send_header('Connection', 'close')
        self.send_header('Content-Length', str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    do_GET = do_POST = do_TRACE = do_CONNECT = do_PUT = answer
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
";

/// `raw(text)`: what comes back for these bytes, sent to port 80 of `api.test`. `status(line, …)`:
/// the status of each answer to a request.
const ASKING: &str = "
import hashlib, http.client, socket
def raw(text, port=80):
    with socket.create_connection(('api.test', port), 60) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = b''
        try:
            while more := connection.recv(65536): answer += more
        except ConnectionResetError: pass
        return answer
def status(line, *headers, host='api.test', body=''):
    request = '\\r\\n'.join([f'{line} HTTP/1.1', f'Host: {host}', *headers, '', body])
    answer = raw(request.encode())
    return [int(line.split()[1]) for line in answer.split(b'\\r\\n') if line.startswith(b'HTTP/')]
";

struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let mut process = Command::new("python3")
            .args(["-c", SERVER])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it is open");
        let port = line.trim().parse().expect("it prints its port");
        Server { process, output, port }
    }

    /// Ends it, and returns the requests that it has seen.
    fn seen(mut self) -> Vec<Value> {
        self.process.kill().expect("it runs");
        let lines = (&mut self.output).lines().map_while(Result::ok);
        lines.map(|line| serde_json::from_str(&line).expect("it prints JSON")).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

/// The digest of an empty body, as the server prints it.
const NOTHING: &str = "e3b0c442";

fn seen(method: &str, path: &str) -> Value {
    json!([method, path, ["api.test"], ["Bearer secret"], NOTHING, false])
}

/// A sandbox whose program speaks to `server` as `api.test`, with a credential.
fn sandbox(server: &Server, scheme: &str, directory: &Path) -> Sandbox {
    let file = directory.join("credential");
    std::fs::write(&file, "Authorization: Bearer secret\n").expect("it can be written");
    Sandbox::new()
        .egress(["api.test"])
        .egress_names([format!("api.test=127.0.0.1:{}", server.port)])
        .egress_credentials([format!("{scheme}://api.test={}", file.display())])
}

fn python(sandbox: &Sandbox, program: &str) -> String {
    let program = format!("{ASKING}{program}");
    let output = sandbox.command("python3").args(["-c", &program]).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.outcome.success(), "{} {}", output.outcome, text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_server_gets_the_credential_and_the_program_does_not() {
    as_each("a_server_gets_the_credential_and_the_program_does_not", |_| {
        let (place, server) = (scratch::directory(), Server::start(&["http"]));
        let sandbox = sandbox(&server, "http", place.path());
        let printed = python(
            &sandbox,
            "
connection = http.client.HTTPConnection('api.test', timeout=60)
for path in '/a?b=c', '/close', '/after', '/moved':
    connection.request('GET', path, headers={'Authorization': 'mine'})
    answer = connection.getresponse()
    print(answer.status, answer.read().decode(), answer.headers['Location'])
data = bytes(number % 251 for number in range(1 << 20)) * 3
connection.request('POST', '/data', body=iter([data, b'end']), encode_chunked=True,
    headers={'Transfer-Encoding': 'chunked'})
answer = connection.getresponse()
print(answer.status, answer.read() == data + b'end')
connection.request('POST', '/known', body=b'12345')
print(connection.getresponse().read())
",
        );
        let expected = "200 seen None\n200 seen None\n200 seen None\n\
                        302 seen http://api.test/there\n200 True\nb'12345'\n";
        assert_eq!(printed, expected);
        let all = server.seen();
        let paths = ["/a?b=c", "/close", "/after", "/moved"];
        assert_eq!(all[..4], paths.map(|path| seen("GET", path)));
        assert_eq!(all[4][5], json!(true), "{all:?}");
        assert_eq!((&all[5][3], &all[5][5]), (&json!(["Bearer secret"]), &json!(false)));
    });
}

#[test]
fn no_trick_leads_the_credential_elsewhere_or_back() {
    as_each("no_trick_leads_the_credential_elsewhere_or_back", |_| {
        let (place, server) = (scratch::directory(), Server::start(&["http"]));
        let sandbox = sandbox(&server, "http", place.path());
        let program = r"
# A header of the program's own, and one that has the next server drop the credential.
print(status('GET /own', 'Authorization: a', 'authorization: b', 'Connection: Authorization'))
# Another host of the same server, in each place that can name one.
print(status('GET /host', host='other.test'))
print(status('GET http://other.test/uri'))
print(status('GET http://api.test@other.test/user'))
# What has the server repeat the request, or speak something else.
print(status('TRACE /trace'))
print(status('CONNECT api.test:80'))
print(status('GET /up', 'Connection: upgrade', 'Upgrade: websocket'))
# A second request hidden in the body of the first: of two lengths one holds.
hidden = '0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: other.test\r\n\r\n'
print(status('POST /two', 'Content-Length: 4', 'Transfer-Encoding: chunked', body=hidden))
print(status('POST /lengths', 'Content-Length: 4', 'Content-Length: 40', body='1234'))
print(status('GET /a', 'X: 1\r2'))
# What is no HTTP. Another port carries what is sent, without a credential.
print(raw(b'\x16\x03\x01\x02\x00' * 20)[:12])
print(raw(b'GET /plain HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n', 443)[:12])
print(b'secret' in raw(b'GET /last HTTP/1.1\r\nHost: api.test\r\n\r\n'))
";
        let printed = python(&sandbox, program);
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[..7], ["[200]", "[421]", "[421]", "[421]", "[405]", "[405]", "[200]"]);
        // After a request of two lengths the connection is over.
        assert_eq!(lines[7..10], ["[200]", "[400]", "[400]"]);
        assert_eq!(lines[10..], ["b'HTTP/1.1 400'", "b'HTTP/1.1 200'", "False"]);
        let all = server.seen();
        let paths: Vec<&str> = all.iter().filter_map(|one| one[1].as_str()).collect();
        assert_eq!(paths, ["/own", "/up", "/two", "/plain", "/last"]);
        for one in all {
            let expected = if one[1] == "/plain" { json!([]) } else { json!(["Bearer secret"]) };
            assert_eq!(one[3], expected, "{one}");
        }
    });
}

/// Runs a program by the driver, which trusts the certificate.
fn run_trusting(certificate: &Path, policy: &str, program: &str, place: &Path) -> String {
    let job = Job {
        action: Action::Output,
        policy: policy.into(),
        program: "python3".into(),
        arguments: ["-c", program].map(Into::into).to_vec(),
        streams: [Stream::Null, Stream::Piped(Vec::new()), Stream::Piped(Vec::new())],
        ..Job::default()
    };
    let (asked, told) = (place.join("job"), place.join("told"));
    std::fs::write(&asked, job.write()).expect("it can be written");
    let mut driver = Command::new(driver());
    driver.args([&asked, &told]).env("SSL_CERT_FILE", certificate);
    assert!(driver.status().expect("it starts").success());
    let text = std::fs::read_to_string(&told).expect("it was written");
    let mut told = read_told(&text).expect("it is well formed");
    let stdout = told.remove("stdout").unwrap_or_else(|| panic!("{text}"));
    String::from_utf8(stdout).expect("it is text")
}

#[test]
fn the_caller_speaks_tls_to_a_server_that_it_can_trust_alone() {
    as_each("the_caller_speaks_tls_to_a_server_that_it_can_trust_alone", |_| {
        let place = scratch::directory();
        let certificate = |name: &str| {
            let (certificate, key) = (
                place.path().join(format!("{name}.pem")),
                place.path().join(format!("{name}.key")),
            );
            let made = Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-nodes", "-days", "2", "-subj", "/CN=test", "-keyout"])
                .args([&key, Path::new("-out"), &certificate])
                .args(["-addext", &format!("subjectAltName=DNS:{name}")])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .output()
                .expect("openssl is there");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            (certificate, key)
        };
        let [own, other] = ["api.test", "other.test"].map(certificate);
        let ask = |(shown, key): &(_, _), trusted: &(std::path::PathBuf, _)| {
            let path = |path: &std::path::PathBuf| path.to_str().expect("it is text").to_owned();
            let server = Server::start(&["https", &path(shown), &path(key)]);
            let sandbox = sandbox(&server, "https", place.path());
            let policy = sandbox.to_json().expect("it can be written");
            let program = format!("{ASKING}print(status('GET /'))");
            let printed = run_trusting(&trusted.0, &policy, &program, place.path());
            (printed, server.seen())
        };
        let (good, bad) = ("[200]\n", "[502]\n");
        assert_eq!(ask(&own, &own), (good.to_owned(), vec![seen("GET", "/")]));
        assert_eq!(ask(&own, &other), (bad.to_owned(), vec![]), "an authority that is not trusted");
        assert_eq!(ask(&other, &other), (bad.to_owned(), vec![]), "the name of another server");
    });
}

#[test]
fn a_credential_that_cannot_be_read_is_an_error_before_anything_starts() {
    as_each("a_credential_that_cannot_be_read_is_an_error_before_anything_starts", |_| {
        let place = scratch::directory();
        let path = place.path().join("credential");
        let start = || {
            let credential = format!("http://api.test={}", path.display());
            let sandbox = Sandbox::new().egress(["api.test"]).egress_credentials([credential]);
            sandbox.command("true").spawn().expect_err("it has no credential")
        };
        assert_eq!(start().raw_os_error(), Some(libc::ENOENT));
        for text in ["", "no header", "Host: a", "Authorization: \u{1}"] {
            std::fs::write(&path, text).expect("it can be written");
            let error = start();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
        std::fs::write(&path, vec![b'a'; 70_000]).expect("it can be written");
        assert!(start().to_string().contains("longer"));
        std::fs::remove_file(&path).expect("it is there");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
        assert!(start().to_string().contains("no regular file"));
    });
}
