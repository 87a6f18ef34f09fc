//! Published ports, and what commands have reached outside: functions of children and cells.

use crate::boundary::{Structure, code, create, query, read, utf8, write, write_sized};
use crate::cell::{cell, seclude_cell};
use crate::child::{State, seclude_child};
use crate::error::seclude_error;
use crate::output::seclude_output;
use crate::sandbox::{build, seclude_sandbox};
use crate::text::seclude_text;
use seclude_core::{Attempt, EgressReport, Protocol, PublishedPort};
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

/// What has been reached outside by the rules of a policy (`seclude_sandbox_egress`), and what was
/// tried in vain. The fields are 0 without such rules.
///
/// Functions that fill it take its size, `sizeof(seclude_egress)`, as for `seclude_outcome`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct seclude_egress {
    /// The number of attempts that were allowed.
    pub allowed: u64,
    /// The number of attempts that were denied.
    pub denied: u64,
    /// The bytes that were carried out, without the headers of the protocols.
    pub sent_bytes: u64,
    /// The bytes that were carried in.
    pub received_bytes: u64,
}

impl Structure for seclude_egress {}

fn listed(ports: &[PublishedPort]) -> seclude_text {
    seclude_text::new(ports.iter().map(|port| format!("{port}\0")).collect::<String>())
}

/// The port of the host that leads to `inside`, in the form `80` or `53/udp`. 0 if none does.
fn host_port(ports: &[PublishedPort], inside: &str) -> u16 {
    let (inside, protocol) = match inside.strip_suffix("/udp") {
        Some(inside) => (inside, Protocol::Udp),
        None => (inside.strip_suffix("/tcp").unwrap_or(inside), Protocol::Tcp),
    };
    let hits =
        |port: &&PublishedPort| inside.parse() == Ok(port.inside) && port.protocol == protocol;
    ports.iter().find(hits).map_or(0, |port| port.host.port())
}

/// Writes the report. `attempts` may be NULL.
fn tell(
    found: EgressReport,
    report: *mut seclude_egress,
    size: usize,
    attempts: *mut *mut seclude_text,
) {
    let EgressReport { allowed, denied, sent_bytes, received_bytes, .. } = found;
    write_sized(report, size, seclude_egress { allowed, denied, sent_bytes, received_bytes });
    if !attempts.is_null() {
        let lines = found.attempts.iter().map(|attempt| format!("{attempt}\0"));
        let text = seclude_text::new(lines.collect::<String>());
        write(attempts, Box::into_raw(Box::new(text)));
    }
}

/// The function and its argument, which the program vouches for.
struct Callback {
    decide: Decide,
    data: *mut c_void,
}

/// Decides about an attempt: not 0 allows it. `protocol` is "tcp" or "udp". `name` is the name of
/// the host, or NULL. `address` is the destination's address, or NULL if only the name is asked
/// for.
type Decide = extern "C" fn(
    protocol: *const c_char,
    name: *const c_char,
    address: *const c_char,
    port: u16,
    data: *mut c_void,
) -> c_int;

// SAFETY: the header says that the function is called in other threads, several at once.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Callback {
    fn allows(&self, attempt: &Attempt) -> bool {
        let text = |text: String| CString::new(text).unwrap_or_default();
        let protocol = text(attempt.protocol.name().into());
        let name = attempt.name.clone().map(text);
        let address = attempt.address.map(|address| text(address.to_string()));
        let start =
            |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        let answer = (self.decide)(
            protocol.as_ptr(),
            start(&name),
            start(&address),
            attempt.port,
            self.data,
        );
        answer != 0
    }
}

/// Has a function decide about each destination that no rule allows (`seclude_sandbox_egress`) and
/// none denies. It is asked for a name when the program asks for that (port 53 of "udp", no
/// address), and again for each connection and each first datagram, with the address.
///
/// It is called in threads of the library, several at once, with `data`, as long as the sandbox and
/// all that was started from it live. The program waits meanwhile. It cannot open an address that
/// is not public, or is the host's own: that takes a rule. NULL for `decide` is a mistake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_decide_egress(
    sandbox: *mut seclude_sandbox,
    decide: Option<
        extern "C" fn(
            protocol: *const c_char,
            name: *const c_char,
            address: *const c_char,
            port: u16,
            data: *mut c_void,
        ) -> c_int,
    >,
    data: *mut c_void,
) {
    build(sandbox, |sandbox| {
        let decide = decide.ok_or_else(|| seclude_error::null("decide"))?;
        let callback = Callback { decide, data };
        Ok(sandbox.decide_egress(move |attempt| callback.allows(attempt)))
    });
}

/// Returns the command's published ports (`seclude_sandbox_ports`), with a NUL after each, in the
/// order of the policy. Each has the form `127.0.0.1:40123:80/tcp`: the address and port on the
/// host, and the port in the sandbox. The text is empty once the command has ended.
///
/// NULL after the output was collected, and for NULL. Owned: free it with `seclude_text_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_ports(child: *const seclude_child) -> *mut seclude_text {
    query(child, ptr::null_mut(), |child| match &child.state {
        State::Held(child) => Some(Box::into_raw(Box::new(listed(&child.ports())))),
        State::Collected(_) => None,
    })
}

/// Returns the port of the host that leads to the port `inside` of the command's sandbox: "80", or
/// "53/udp". 0 if none does, and once the command has ended.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_port(
    child: *const seclude_child,
    inside: *const c_char,
) -> u16 {
    query(child, 0, |child| match &child.state {
        State::Held(child) => Some(host_port(&child.ports(), utf8("inside", inside).ok()?)),
        State::Collected(_) => None,
    })
}

/// Stores the cell's published ports, as `seclude_child_ports` returns them.
///
/// `*ports` is owned: free it with `seclude_text_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_ports(
    cell: *const seclude_cell,
    ports: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    create("ports", ports, err, || Ok(listed(&self::cell(cell)?.ports()?)))
}

/// Returns the port of the host that leads to the port `inside` of the cell: "80", or "53/udp". 0
/// if none does, and for a closed cell.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_port(
    cell: *const seclude_cell,
    inside: *const c_char,
) -> u16 {
    query(cell, 0, |_| {
        let ports = self::cell(cell).ok()?.ports().ok()?;
        Some(host_port(&ports, utf8("inside", inside).ok()?))
    })
}

/// Writes to `*report` what the command has reached outside. In a cell: what all its commands have.
///
/// `*attempts` receives the last attempts, at most 1000, with a NUL after each, and is owned: free
/// it with `seclude_text_free`. Each is like `tcp example.org:443 (93.184.216.34): allowed`, or
/// ends with the reason why it was denied. It is NULL on failure. `attempts` may be NULL. `size` is
/// the size of `*report` in bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_egress(
    child: *const seclude_child,
    report: *mut seclude_egress,
    size: usize,
    attempts: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    write(attempts, ptr::null_mut());
    code(err, || {
        let found = match &read("child", child)?.state {
            State::Held(child) => child.egress(),
            State::Collected(outcome) => outcome.as_ref().clone()?.egress.unwrap_or_default(),
        };
        tell(found, report, size, attempts);
        Ok(0)
    })
}

/// Writes to `*report` what the cell's commands have reached outside since it was started or reset.
/// Otherwise like `seclude_child_egress`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_egress(
    cell: *const seclude_cell,
    report: *mut seclude_egress,
    size: usize,
    attempts: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    write(attempts, ptr::null_mut());
    code(err, || {
        tell(self::cell(cell)?.egress()?, report, size, attempts);
        Ok(0)
    })
}

/// Writes to `*report` what a finished command has reached outside. Otherwise like
/// `seclude_child_egress`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_output_egress(
    output: *const seclude_output,
    report: *mut seclude_egress,
    size: usize,
    attempts: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    write(attempts, ptr::null_mut());
    code(err, || {
        tell(read("output", output)?.egress.clone(), report, size, attempts);
        Ok(0)
    })
}
