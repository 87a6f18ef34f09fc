//! Opens files for the library that are closed to it, and reads their attributes.
//!
//! With a range of ids, files belong to subordinate ids of the caller's, whose modes can close them
//! to the caller itself. The sandbox that this runs in has those ids, CAP_DAC_READ_SEARCH, and
//! nothing of the host: each directory comes as a descriptor, and what is opened goes back as one.

use crate::Report;
use crate::sys::{self, Errno, Fd, Polled};
use crate::wire::codec::{Reader, Wire};
use crate::wire::message::BypassToken;
use crate::wire::unpack::{Look, SEEN_MAX, Seen};

const SOCKET: i32 = 0;
/// Room for a name and what describes it.
const REQUEST_MAX: usize = 1024;
/// The longest attribute (xattr(7)).
const VALUE_MAX: usize = 64 * 1024;

/// Answers until the library closes its end.
pub fn serve() -> ! {
    let mut request = [0; REQUEST_MAX];
    let mut value = [0; VALUE_MAX];
    loop {
        let mut given = [-1; 253];
        let _ = sys::wait(&mut [Polled::readable(SOCKET)], None);
        let (length, count) = match sys::receive(SOCKET, &mut request, &mut given) {
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(_) | Ok((0, _)) => sys::exit(0),
            Ok(received) => received,
        };
        let [at, ..] = given;
        if count != 1 {
            sys::exit(1);
        }
        let mut opened = None;
        let seen = match Reader::new(&request[..length]).only() {
            Ok(look) => look_at(&Fd::own(at), &look, &mut opened, &mut value),
            Err(_) => sys::exit(1),
        };
        let mut report = Report::<SEEN_MAX>::new();
        seen.unwrap_or_else(|errno| Seen::Failed { errno: errno.0 }).encode(&mut report);
        let report = &report.bytes[..report.used];
        let token = BypassToken { fourth: 0, fifth: 0 };
        let sent = match &opened {
            Some(file) => sys::send(SOCKET, report, &[file], token),
            None => sys::send(SOCKET, report, &[], token),
        };
        if sent.is_err() {
            sys::exit(1);
        }
    }
}

fn look_at<'a>(
    at: &Fd,
    look: &Look<'_>,
    opened: &mut Option<Fd>,
    value: &'a mut [u8],
) -> sys::Result<Seen<'a>> {
    match *look {
        Look::Open { name, flags } => {
            *opened = Some(sys::open(at.number(), name, flags, 0)?);
            Ok(Seen::Opened {})
        }
        Look::Attribute { name } => {
            let length = sys::attribute_of(at, name, value)?;
            Ok(Seen::Value { value: value.get(..length).unwrap_or_default() })
        }
    }
}
