//! A private network: a server in one sandbox, and a client in another that finds it by its name.
//! No other program on the machine can reach either.

use seclude::{Network, Sandbox, Stdio};
use std::io::{BufRead, BufReader};
use std::time::Duration;

const SERVER: &str = "
import socket
server = socket.create_server(('', 80))
print('it listens', flush=True)
guest, (address, port) = server.accept()
guest.sendall(b'hello, ' + guest.recv(100))
";

const CLIENT: &str = "
import socket
server = socket.create_connection(('server', 80))
server.sendall(socket.gethostname().encode())
print(server.recv(100).decode())
";

fn main() -> seclude::Result<()> {
    let network = Network::new()?;
    let member = |name: &str| {
        Sandbox::new().network(&network).hostname(name).wall_time(Duration::from_secs(10))
    };
    let mut server =
        member("server").command("python3").args(["-c", SERVER]).stdout(Stdio::piped()).spawn()?;
    println!("the server's addresses are {:?}", server.addresses());
    if let Some(stdout) = &mut server.stdout {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        print!("{line}");
    }
    let output = member("client").command("python3").args(["-c", CLIENT]).output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    println!("{}", output.outcome);
    Ok(())
}
