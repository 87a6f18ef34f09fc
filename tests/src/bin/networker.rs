//! Makes a network with three members that run until this process is killed. The argument is a mark
//! in the arguments of their commands.

use seclude::{Link, Network, Sandbox};
use std::time::Duration;

fn main() -> seclude::Result<()> {
    let mark = std::env::args().nth(1).unwrap_or_default();
    let network = Network::new()?;
    let start = |name: &str| {
        let clinging =
            "(setsid sh -c 'while :; do sleep 0.2; done' $0 &); while :; do sleep 0.2; done";
        Sandbox::new()
            .network(&network)
            .hostname(name)
            .ports(["80", "53/udp"])
            .egress(["example.org"])
            .command("sh")
            .args(["-c", clinging, &mark])
            .spawn()
    };
    let _members = (start("a")?, start("b")?, start("c")?);
    network.partition([&["a"][..]])?;
    network.set_link("b", "c", &Link::new().delay(Duration::from_millis(1)))?;
    loop {
        std::thread::park();
    }
}
