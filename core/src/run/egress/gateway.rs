//! The gateway of one sandbox: decides about each connection and datagram by the rules, and carries
//! what is allowed. It runs on the thread of [`Forwarder`].

use super::credentials::{self, Credentials, Target};
use super::decider::Decider;
use super::dns::{self, Answer};
use super::ledger::Ledger;
use super::names::Names;
use super::sockets::{self, Listening};
use crate::host::forward::{Forwarder, Seat, Service, Share, Token, Vendor, datagrams, streams};
use crate::host::network::divert::DOMAIN;
use crate::policy::egress::{Denial, Egress};
use crate::policy::outcome::Attempt;
use crate::policy::ports::Protocol;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Starts the gateway.
pub fn serve(
    forwarder: &Arc<Forwarder>,
    terms: Terms,
    vendor: Vendor,
    listening: Listening,
    ledger: Arc<Ledger>,
) -> Service {
    let share = forwarder.places().share();
    forwarder.serve(|token| {
        let names = Mutex::default();
        let gateway = Gateway { terms, vendor, ledger, names, share, token };
        Arc::new(gateway).run(listening)
    })
}

/// What the policy and the caller say about the way out.
pub struct Terms {
    pub rules: Egress,
    pub decider: Option<Decider>,
    pub credentials: Credentials,
}

struct Gateway {
    terms: Terms,
    vendor: Vendor,
    ledger: Arc<Ledger>,
    names: Mutex<Names>,
    share: Arc<Share>,
    token: Token,
}

/// Where an allowed attempt goes: its addresses, in the order in which they are tried.
type Way = Vec<SocketAddr>;

impl Gateway {
    /// Runs until it is dropped, and everything with it.
    async fn run(self: Arc<Self>, listening: Listening) {
        let mut tasks = self.token.tasks();
        for listener in listening.tcp {
            if let Ok(listener) = TcpListener::from_std(listener) {
                tasks.spawn(self.clone().accept(listener));
            }
        }
        for socket in listening.udp {
            if let Ok(socket) = UdpSocket::from_std(socket) {
                tasks.spawn(self.clone().receive(socket));
            }
        }
        tasks.join().await;
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let carry = |stream, seat| self.clone().connection(stream, seat);
        streams::accept(&listener, self.share.clone(), self.token.tasks(), carry).await;
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, _seat: Seat) {
        let Ok(to) = stream.local_addr() else { return };
        if to.port() == DOMAIN {
            let _ = self.questions(stream).await;
            return;
        }
        let target = self.target(to);
        let port = target.as_ref().map_or(to.port(), |target| target.origin.port);
        let Some(way) = self.decide(Protocol::Tcp, SocketAddr::new(to.ip(), port)).await else {
            return streams::reset(stream);
        };
        if let Some(target) = target {
            let (bytes, token) = (self.ledger.bytes.clone(), self.token.clone());
            return credentials::carry(stream, target, way, bytes, token).await;
        }
        match sockets::reach(&way).await {
            Some(outside) => streams::carry(stream, outside, &self.ledger.bytes).await,
            None => streams::reset(stream),
        }
    }

    /// The server that gets a credential over a connection to this address, if there is one.
    fn target(&self, to: SocketAddr) -> Option<Arc<Target>> {
        let names = self.names();
        let name = names.name(to.ip()).filter(|_| to.port() == credentials::PORT)?;
        self.terms.credentials.of(name)
    }

    /// Answers questions for names over a connection: each comes after its length.
    async fn questions(&self, mut stream: TcpStream) -> io::Result<()> {
        const PATIENCE: Duration = Duration::from_secs(10);
        loop {
            let Ok(length) = timeout(PATIENCE, stream.read_u16()).await else { return Ok(()) };
            let mut message = vec![0; usize::from(length?)];
            let Ok(read) = timeout(PATIENCE, stream.read_exact(&mut message)).await else {
                return Ok(());
            };
            read?;
            let Some(answer) = self.answer(&message).await else { return Ok(()) };
            let length = u16::try_from(answer.len()).unwrap_or(0).to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat()).await?;
        }
    }

    async fn receive(self: Arc<Self>, socket: UdpSocket) {
        let socket = Arc::new(socket);
        let mut tasks = self.token.tasks();
        let mut flows: HashMap<(SocketAddr, SocketAddr), mpsc::Sender<Vec<u8>>> = HashMap::new();
        let mut buffer = vec![0; datagrams::LONGEST];
        loop {
            let (length, from, to) = match datagrams::receive(&socket, &mut buffer).await {
                Ok(received) => received,
                Err(_) => {
                    sleep(Duration::from_millis(1)).await;
                    continue;
                }
            };
            let datagram = buffer[..length].to_vec();
            if to.port() == DOMAIN {
                // Without a place, the question is lost. The program asks again.
                if let Some(seat) = self.share.try_take() {
                    tasks.spawn(self.clone().question(datagram, from, to, seat));
                }
                continue;
            }
            // Datagrams that come before the flow has a socket of its own wait for it here.
            let waiting = flows.get(&(from, to)).map(|flow| flow.try_send(datagram.clone()));
            if let Some(Ok(()) | Err(mpsc::error::TrySendError::Full(_))) = waiting {
                continue;
            }
            flows.retain(|_, flow| !flow.is_closed());
            if let Some(seat) = self.share.try_take() {
                const WAITING: usize = 16;
                let (sender, receiver) = mpsc::channel(WAITING);
                let _ = sender.try_send(datagram);
                flows.insert((from, to), sender);
                tasks.spawn(self.clone().flow(from, to, receiver, seat));
            }
        }
    }

    async fn question(
        self: Arc<Self>,
        message: Vec<u8>,
        from: SocketAddr,
        to: SocketAddr,
        _seat: Seat,
    ) {
        let Some(answer) = self.answer(&message).await else { return };
        // Not connected: the program's next question must not go to this socket.
        let socket = sockets::impersonate(&self.vendor, to);
        if let Ok(Ok(socket)) = socket.map(UdpSocket::from_std) {
            let _ = socket.send_to(&answer, from).await;
        }
    }

    async fn flow(
        self: Arc<Self>,
        from: SocketAddr,
        to: SocketAddr,
        mut waiting: mpsc::Receiver<Vec<u8>>,
        seat: Seat,
    ) {
        let Some(way) = self.decide(Protocol::Udp, to).await else { return };
        let Some(address) = way.first() else { return };
        let any: SocketAddr =
            if address.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
        let Ok(outside) = UdpSocket::bind(any).await else { return };
        if outside.connect(address).await.is_err() {
            return;
        }
        let inside = sockets::flow(&self.vendor, to, from);
        let Ok(Ok(inside)) = inside.map(UdpSocket::from_std) else { return };
        // From here on the kernel hands this flow's datagrams to its own socket.
        waiting.close();
        while let Ok(datagram) = waiting.try_recv() {
            self.ledger.bytes.sent.fetch_add(datagram.len() as u64, Ordering::Relaxed);
            let _ = outside.send(&datagram).await;
        }
        datagrams::carry(inside, outside, self.ledger.bytes.clone(), seat).await;
    }

    /// Decides about an attempt, and enters it in the ledger. `None`: it is denied.
    async fn decide(&self, protocol: Protocol, to: SocketAddr) -> Option<Way> {
        let (address, port) = (to.ip().to_canonical(), to.port());
        let name = self.names().name(address).map(str::to_owned);
        let way = match &name {
            Some(name) => self.way_to_name(protocol, name, port).await,
            None => {
                let permitted =
                    self.terms.rules.permits_address(protocol, address, port, is_hosts(address));
                let attempt = || Attempt::new(protocol, None, Some(address), port);
                self.or_ask(permitted, attempt).await.map(|()| vec![SocketAddr::new(address, port)])
            }
        };
        let reached = match (&way, &name) {
            (Ok(way), _) => way.first().map(SocketAddr::ip),
            (Err(_), None) => Some(address),
            (Err(_), Some(_)) => None,
        };
        let denial = way.as_ref().err().map(|denial| denial.why.clone());
        self.ledger.enter(Attempt { denial, ..Attempt::new(protocol, name, reached, port) });
        way.ok()
    }

    async fn way_to_name(&self, protocol: Protocol, name: &str, port: u16) -> Result<Way, Denial> {
        let permitted = self.terms.rules.permits_name(protocol, name, port);
        let attempt = |address| Attempt::new(protocol, Some(name.to_owned()), address, port);
        if let Some(substitute) = self.terms.rules.substitute(name) {
            self.or_ask(permitted, || attempt(Some(substitute.address))).await?;
            let port = substitute.port.unwrap_or(port);
            return Ok(vec![SocketAddr::new(substitute.address, port)]);
        }
        match permitted {
            // The caller may allow it. The name is looked up first, to tell its address.
            Err(Denial { is_open: true, .. }) if self.terms.decider.is_some() => {}
            Ok(()) => {}
            Err(denial) => return Err(denial),
        }
        let mut denial = Denial::new("the name has no address");
        let mut way = Vec::new();
        for address in self.look_up(name).await {
            let rules = &self.terms.rules;
            match rules.permits_address_of_name(protocol, address, port, is_hosts(address)) {
                Ok(()) => way.push(SocketAddr::new(address, port)),
                Err(why) => denial = why,
            }
        }
        match way.first() {
            Some(first) => self.or_ask(permitted, || attempt(Some(first.ip()))).await.map(|()| way),
            None => Err(denial),
        }
    }

    /// Has the caller decide about an attempt that no rule is about.
    async fn or_ask(
        &self,
        permitted: Result<(), Denial>,
        attempt: impl FnOnce() -> Attempt,
    ) -> Result<(), Denial> {
        match (permitted, &self.terms.decider) {
            (Err(denial), Some(decider)) if denial.is_open => {
                let attempt = Attempt { denial: Some(denial.why), ..attempt() };
                match decider.allows(attempt).await {
                    true => Ok(()),
                    false => Err(Denial::new("the caller denies it")),
                }
            }
            (permitted, _) => permitted,
        }
    }

    /// The real addresses of a name, by the host's configuration.
    async fn look_up(&self, name: &str) -> Vec<IpAddr> {
        const PATIENCE: Duration = Duration::from_secs(15);
        if let Some(found) = self.names().found(name) {
            return found;
        }
        let found = timeout(PATIENCE, lookup_host((name, 0))).await;
        let found = found.map(|result| result.into_iter().flatten());
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.into_iter().flatten().map(|one| one.ip().to_canonical()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if !addresses.is_empty() {
            self.names().keep(name, addresses.clone());
        }
        addresses
    }

    async fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let question = dns::read(message)?;
        let answer = match &question.name {
            Some(name) => self.answer_for(name, question.wants_address).await,
            None => Answer::NoSuchName,
        };
        dns::write(message, answer)
    }

    async fn answer_for(&self, name: &str, wants_address: bool) -> Answer {
        if !self.terms.rules.may_be_asked(name) {
            let is_open = !self.terms.rules.denies(name);
            let attempt = || Attempt::new(Protocol::Udp, Some(name.to_owned()), None, DOMAIN);
            let denied = Err(Denial { is_open, ..Denial::new("no rule allows the name") });
            if let Err(denial) = self.or_ask(denied, attempt).await {
                self.ledger.enter(Attempt { denial: Some(denial.why), ..attempt() });
                return Answer::NoSuchName;
            }
        }
        let Some(address) = self.names().stand_in(name) else { return Answer::Failure };
        if self.terms.rules.substitute(name).is_none() && self.look_up(name).await.is_empty() {
            return Answer::NoSuchName;
        }
        if wants_address { Answer::Address(address) } else { Answer::Nothing }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an address may be one of the host's own.
fn is_hosts(address: IpAddr) -> bool {
    may_be_hosts(std::net::UdpSocket::bind((address, 0)).map(drop))
}

/// The kernel binds a socket to the host's addresses alone. An error that tells nothing about the
/// address, such as a lack of descriptors, does not make it another host's.
fn may_be_hosts(bound: io::Result<()>) -> bool {
    let others = [libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT];
    bound.err().and_then(|error| error.raw_os_error()).is_none_or(|errno| !others.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_hosts_unless_the_kernel_says_that_it_is_not() {
        let failed = |errno| may_be_hosts(Err(io::Error::from_raw_os_error(errno)));
        assert!(may_be_hosts(Ok(())) && failed(libc::EMFILE) && failed(libc::ENOBUFS));
        assert!(!failed(libc::EADDRNOTAVAIL) && !failed(libc::EAFNOSUPPORT));
        assert!(is_hosts([127, 0, 0, 1].into()) && !is_hosts([192, 0, 2, 1].into()));
    }
}
