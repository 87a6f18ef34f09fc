//! Connections: what one side sends, the other receives.

use super::count::{Counted, Counters};
use super::places::{BUFFER, Seat, Share};
use super::tasks::Tasks;
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// Has each connection carried in a task of its own. Runs until it is dropped, and the tasks with
/// it.
pub async fn accept<F>(
    listener: &TcpListener,
    share: Arc<Share>,
    mut tasks: Tasks,
    carry: impl Fn(TcpStream, Seat) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Further connections wait in the kernel until there is a place.
                let seat = share.take().await;
                tasks.spawn(carry(stream, seat));
            }
            // No descriptor is free, or the connection has ended already.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Carries everything between a sandbox's connection and another one, until both directions have
/// ended. The end of one direction is passed on, and the other one goes on.
pub async fn carry(inside: TcpStream, mut outside: TcpStream, counters: &Arc<Counters>) {
    // What one end has sent in small pieces arrives in small pieces.
    let _ = (inside.set_nodelay(true), outside.set_nodelay(true));
    let mut inside = Counted::new(inside, counters.clone());
    let _: io::Result<_> =
        copy_bidirectional_with_sizes(&mut inside, &mut outside, BUFFER, BUFFER).await;
}

/// Closes a connection so that the peer gets ECONNRESET, not the end of a stream.
pub fn reset(stream: TcpStream) {
    let _ = setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
}
