//! A cell: commands that share what they leave behind, one that may have less than all, and a
//! reset.

use seclude::{MiB, Sandbox};

fn main() -> seclude::Result<()> {
    let cell = Sandbox::new().tmpfs("/tmp", MiB(16)).memory(MiB(512)).cell()?;
    cell.command("sh").args(["-c", "echo hello > /tmp/greeting; sleep 1000 &"]).output()?;
    let output = cell.command("sh").args(["-c", "cat /tmp/greeting; ps ax"]).output()?;
    println!("{}", String::from_utf8_lossy(&output.stdout));
    let greedy =
        cell.command("python3").args(["-c", "bytearray(200 << 20)"]).memory(MiB(64)).output()?;
    println!("{}", greedy.outcome);
    cell.reset()?;
    let output = cell
        .command("sh")
        .args(["-c", "cat /tmp/greeting; ps ax; cat /proc/self/uid_map; id; mount"])
        .output()?;
    println!(
        "{}{}{}",
        output.outcome,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
