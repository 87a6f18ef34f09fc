use seclude::Sandbox;
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut bad = 0;
    for i in 0..n {
        let sb = Sandbox::new();
        let sb = if i % 2 == 0 { sb.no_landlock() } else { sb };
        let pool = match sb.pool(1) {
            Ok(p) => p,
            Err(e) => {
                println!("{i}: pool: {e}");
                bad += 1;
                continue;
            }
        };
        match pool.command("true").output() {
            Ok(o) if o.outcome.success() => {}
            Ok(o) => {
                println!("{i}: {}", o.outcome);
                bad += 1
            }
            Err(e) => {
                println!("{i}: {e}");
                bad += 1
            }
        }
    }
    println!("{bad} bad of {n}");
}
