//! Which ports of another network namespace have a listener: proc_pid_net(5).

use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// Whether a TCP socket listens on a port in the network namespace of a process.
///
/// # Errors
///
/// The error of reading, for example ENOENT if the process has ended.
pub fn has_listener(pid: i32, port: u16) -> io::Result<bool> {
    let table = |name: &str| File::open(format!("/proc/{pid}/net/{name}")).map(BufReader::new);
    if listens(table("tcp")?, port)? {
        return Ok(true);
    }
    match table("tcp6") {
        Ok(table) => listens(table, port),
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads line by line: a command may have many sockets.
fn listens(table: impl BufRead, port: u16) -> io::Result<bool> {
    for line in table.lines().skip(1) {
        if is_listener(&line?, port) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_listener(line: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, state) = (words.next(), words.nth(1));
    let local = local.and_then(|local| local.rsplit(':').next());
    state == Some(LISTEN) && local.is_some_and(|text| u16::from_str_radix(text, 16) == Ok(port))
}

#[cfg(test)]
mod tests {
    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0051 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1
   1: 0100007F:0052 0100007F:8000 01 00000000:00000000 00:00000000 00000000  1000        0 2 1
   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0";

    fn listens(table: &str, port: u16) -> bool {
        super::listens(table.as_bytes(), port).unwrap()
    }

    #[test]
    fn only_listeners_on_the_port_count() {
        assert!(listens(TABLE, 81));
        assert!(listens(TABLE, 8080));
        assert!(!listens(TABLE, 82));
        assert!(!listens(TABLE, 80));
        assert!(!listens("", 81));
        assert!(!listens("heading\nshort\n 1: x", 81));
    }
}
