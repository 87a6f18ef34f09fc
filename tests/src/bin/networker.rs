//! Makes a network with three members that run until this process is killed. The argument is a mark
//! in the arguments of their commands.

use seclude::{Network, Sandbox};

fn main() -> seclude::Result<()> {
    let mark = std::env::args().nth(1).unwrap_or_default();
    let network = Network::new()?;
    let start = |name: &str| {
        let clinging =
            "(setsid sh -c 'while :; do sleep 0.2; done' $0 &); while :; do sleep 0.2; done";
        Sandbox::new()
            .network(&network)
            .hostname(name)
            .command("sh")
            .args(["-c", clinging, &mark])
            .spawn()
    };
    let _members = (start("a")?, start("b")?, start("c")?);
    network.partition([&["a"][..]])?;
    loop {
        std::thread::park();
    }
}
