//! What a service does at the same time, and how its end is waited for.

use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};
use tokio::task::JoinSet;

/// Tells that some task of a service is not over.
#[derive(Debug, Clone)]
pub struct Token {
    _alive: Sender<()>,
}

/// Some tasks of a service. Dropping it ends them.
#[derive(Debug)]
pub struct Tasks {
    set: JoinSet<()>,
    token: Token,
}

/// A task. The order of the fields matters: what the task holds, such as a socket, is dropped
/// before the token.
pub struct Task<F> {
    future: Pin<Box<F>>,
    _token: Token,
}

impl Token {
    pub fn new(alive: Sender<()>) -> Token {
        Token { _alive: alive }
    }

    pub fn task<F: Future<Output = ()>>(&self, future: F) -> Task<F> {
        Task { future: Box::pin(future), _token: self.clone() }
    }

    pub fn tasks(&self) -> Tasks {
        Tasks { set: JoinSet::new(), token: self.clone() }
    }
}

impl Tasks {
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while self.set.try_join_next().is_some() {}
        self.set.spawn(self.token.task(task));
    }

    /// Waits until none is left.
    pub async fn join(mut self) {
        while self.set.join_next().await.is_some() {}
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.future.as_mut().poll(context)
    }
}
