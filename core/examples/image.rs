//! Imports an image and runs a command in it:
//!
//! ```sh
//! cargo run --example image -- /srv/images/debian.tar.gz cat /etc/os-release
//! ```

use seclude::{ImageSource, Result, Store};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "/".into());
    let program = arguments.next().unwrap_or_else(|| "/bin/sh".into());
    let image = Store::open()?.import(&ImageSource::found_at(path)?, None)?;
    println!("{}: {} entries in {} layers", image.name(), image.entries(), image.layers());
    let mut command = image.sandbox()?.command(program);
    image.describe(&mut command);
    let outcome = command.args(arguments).status()?;
    println!("{}", outcome.ended);
    Ok(())
}
