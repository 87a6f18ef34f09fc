//! A message bus for one test, and a service on it that plays systemd's manager.

use super::super::SystemdRefusal;
use super::super::bus::Address;
use super::super::request::ask;
use super::UNIT;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

/// A directory for one test's sockets.
pub struct ManagerDirectory(PathBuf);

impl ManagerDirectory {
    pub fn new() -> ManagerDirectory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("seclude-bus-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        ManagerDirectory(path)
    }

    pub fn socket(&self) -> String {
        self.0.join("bus").to_str().unwrap().to_owned()
    }

    pub fn address(&self) -> Address {
        Address::path(&self.socket()).unwrap()
    }
}

impl Drop for ManagerDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A message bus.
pub struct Daemon {
    process: Child,
    pub place: ManagerDirectory,
}

impl Daemon {
    /// Returns `None`, and prints the reason, if there is no dbus-daemon.
    pub fn start() -> Option<Daemon> {
        let place = ManagerDirectory::new();
        let spawned = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--address=unix:path={}", place.socket()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = match spawned {
            Ok(process) => process,
            Err(error) => {
                eprintln!("SKIPPED: dbus-daemon: {error}");
                return None;
            }
        };
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:"), "dbus-daemon says {line:?}");
        Some(Daemon { process, place })
    }

    /// Starts a manager on it that replies as `answer` says.
    pub fn manager(&self, answer: Answer) -> (zbus::blocking::Connection, Arc<Mutex<Vec<Asked>>>) {
        let asked = Arc::default();
        let manager = Manager { answer, asked: Arc::clone(&asked) };
        let connection = zbus::blocking::connection::Builder::address(
            format!("unix:path={}", self.place.socket()).as_str(),
        )
        .unwrap()
        .serve_at("/org/freedesktop/systemd1", manager)
        .unwrap()
        .name("org.freedesktop.systemd1")
        .unwrap()
        .build()
        .unwrap();
        (connection, asked)
    }

    pub fn ask(&self, limit: Duration) -> Result<(), SystemdRefusal> {
        ask(&[self.place.address()], std::process::id(), UNIT, limit)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How the manager replies to a request.
#[derive(Clone, Copy)]
pub enum Answer {
    /// Other jobs end first, then this one with the given result.
    Job(&'static str),
    Denied,
    /// The request gets no reply.
    Silence,
    /// The request gets a job that never ends.
    Endless,
}

/// A request as the manager received it.
#[derive(Debug)]
pub struct Asked {
    pub name: String,
    pub mode: String,
    pub properties: Vec<(String, OwnedValue)>,
    pub others: usize,
    /// How many threads its sender had at that moment.
    pub threads: usize,
}

pub struct Manager {
    answer: Answer,
    asked: Arc<Mutex<Vec<Asked>>>,
}

pub type Properties = Vec<(String, OwnedValue)>;

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    async fn start_transient_unit(
        &self,
        name: String,
        mode: String,
        properties: Properties,
        others: Vec<(String, Properties)>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        let sender = properties
            .iter()
            .find(|(key, _)| key == "PIDs")
            .and_then(|(_, pids)| pids_of(pids).first().copied());
        let threads = sender.map_or(0, threads_of);
        let asked = Asked { name: name.clone(), mode, properties, others: others.len(), threads };
        self.asked.lock().unwrap().push(asked);
        let job = OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/7").unwrap();
        match self.answer {
            Answer::Denied => {
                return Err(zbus::fdo::Error::AccessDenied("not for you.\n".to_owned()));
            }
            Answer::Silence => std::future::pending().await,
            Answer::Endless => {}
            Answer::Job(result) => {
                let (emitter, job) = (emitter.to_owned(), job.clone());
                thread::spawn(move || {
                    // After the reply, as systemd does.
                    thread::sleep(Duration::from_millis(50));
                    let other =
                        OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/6").unwrap();
                    zbus::block_on(async {
                        Manager::job_removed(&emitter, 6, other, "other.service", "failed")
                            .await
                            .unwrap();
                        Manager::job_removed(&emitter, 7, job, &name, result).await.unwrap();
                    });
                });
            }
        }
        Ok(job)
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

pub fn pids_of(value: &OwnedValue) -> Vec<u32> {
    Vec::<u32>::try_from(value.try_clone().unwrap()).unwrap()
}

pub fn threads_of(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}
