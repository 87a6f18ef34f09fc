//! A thread of the caller's process that carries connections and datagrams between the host and
//! sandboxes.
//!
//! There is one thread for all sandboxes. It starts with the first port that is published, or the
//! first way out, and ends with the last. It runs an executor (the crate tokio), never the caller's
//! code, and has all signals blocked.

pub mod count;
pub mod datagrams;
pub mod places;
pub mod streams;
pub mod tasks;
mod vendor;

pub use count::Counters;
pub use places::{Places, Seat, Share};
pub use tasks::Token;
pub use vendor::Vendor;

use crate::base::error::{Error, Result};
use nix::sys::signal::{SigSet, SigmaskHow};
use std::future::Future;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// The thread.
#[derive(Debug)]
pub struct Forwarder {
    handle: Handle,
    /// The process that it is part of.
    creator: u32,
    end: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
    places: Arc<Places>,
}

static CURRENT: Mutex<Weak<Forwarder>> = Mutex::new(Weak::new());

impl Forwarder {
    /// The thread of this process. Starts it if there is none.
    pub fn get() -> Result<Arc<Forwarder>> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        match current.upgrade() {
            Some(forwarder) if forwarder.creator == std::process::id() => Ok(forwarder),
            found => {
                // In a process that was forked, the thread does not exist.
                std::mem::forget(found);
                let forwarder = Arc::new(Forwarder::start()?);
                *current = Arc::downgrade(&forwarder);
                Ok(forwarder)
            }
        }
    }

    fn start() -> Result<Forwarder> {
        const ACTION: &str = "start the thread that forwards connections";
        let failed = |error| Error::io(ACTION, error);
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .thread_name("seclude-resolve")
            .max_blocking_threads(16)
            .thread_keep_alive(Duration::from_millis(100))
            .build()
            .map_err(failed)?;
        let (handle, end) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let ended = end.clone();
        let all = SigSet::all();
        let before =
            all.thread_swap_mask(SigmaskHow::SIG_SETMASK).map_err(|errno| failed(errno.into()))?;
        let thread = thread::Builder::new().name("seclude-forward".into()).spawn(move || {
            runtime.block_on(ended.notified());
            // A thread that looks up a name may take long, and ends by itself.
            runtime.shutdown_background();
        });
        let _ = before.thread_set_mask();
        let thread = Some(thread.map_err(failed)?);
        let places = Places::new();
        Ok(Forwarder { handle, creator: std::process::id(), end, thread, places })
    }

    /// The bound on all connections together.
    pub fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Runs a service until it is dropped. It starts further tasks by the token.
    pub fn serve<F>(self: &Arc<Self>, service: impl FnOnce(Token) -> F) -> Service
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (alive, ended) = channel();
        let token = Token::new(alive);
        let task = self.handle.spawn(token.task(service(token.clone())));
        Service { task: task.abort_handle(), ended: Mutex::new(ended), forwarder: self.clone() }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.creator != std::process::id() {
            // There is no such thread to wait for.
            std::mem::forget(thread);
            return;
        }
        self.end.notify_one();
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

/// Something that the thread does, such as a published port. Dropping it ends that: its sockets are
/// closed then.
#[derive(Debug)]
pub struct Service {
    task: AbortHandle,
    ended: Mutex<Receiver<()>>,
    forwarder: Arc<Forwarder>,
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.forwarder.creator != std::process::id() {
            return;
        }
        self.task.abort();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // The token is dropped with the last task. The thread is never busy for as long as this.
        let _ = ended.recv_timeout(Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tasks_of_a_service_hold_is_gone_with_the_service() {
        let forwarder = Forwarder::get().unwrap();
        for _ in 0..100 {
            let held = Arc::new(());
            let (started, all_started) = channel();
            let service = forwarder.serve(|token| {
                let held = held.clone();
                async move {
                    let mut tasks = token.tasks();
                    for _ in 0..20 {
                        let (held, mut inner) = (held.clone(), token.tasks());
                        tasks.spawn(async move {
                            inner.spawn(async move {
                                std::future::pending::<()>().await;
                                drop(held);
                            });
                            inner.join().await;
                        });
                    }
                    let _ = started.send(());
                    tasks.join().await;
                }
            });
            all_started.recv().unwrap();
            drop(service);
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }
}
