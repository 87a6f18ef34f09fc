//! Hostile programs for `tests/adversary`, all in one: each attacks the process that holds it to
//! its limits, again and again, until it is killed. `adversary WORD REACH MARK`: it waits for a
//! line of its standard input, then does what WORD says to the processes that REACH names: `all`
//! that it can see, its `parent`, or one by its number.
//!
//! No failure of a call ends it: whether an attack succeeds is seen from outside.

mod knobs;
mod load;
mod paths;
mod proc;
mod relay;
mod signals;
mod sys;

use std::process::ExitCode;

/// Whom an attack is for.
#[derive(Clone, Copy)]
enum Reach {
    All,
    One(i32),
}

impl Reach {
    /// The processes, this one never among them.
    fn targets(self) -> Vec<i32> {
        /// A pid namespace gives numbers from 1 on.
        const MOST: i32 = 400;
        match self {
            // PID 1 and the parent again and again between the others: they are the ones that
            // matter.
            Reach::All => (1..MOST)
                .flat_map(|pid| [1, sys::parent(), pid])
                .filter(|pid| *pid != sys::own())
                .collect(),
            Reach::One(pid) => vec![pid],
        }
    }

    fn is_all(self) -> bool {
        matches!(self, Reach::All)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let word = words.get(1).map_or("", String::as_str);
    let reach = match words.get(2).map_or("all", String::as_str) {
        "all" => Reach::All,
        "parent" => Reach::One(sys::parent()),
        number => Reach::One(number.parse().expect("all, parent, or a number")),
    };
    sys::ignore_broken_pipes();
    if !matches!(word, "victim" | "nothing") {
        let _ = std::io::stdin().read_line(&mut String::new());
    }
    match word {
        "relay" => relay::steal(),
        "flood" => relay::flood(),
        "linger" => relay::linger(),
        "victim" => relay::victim(),
        "knobs" => knobs::turn(reach),
        "signals" => signals::send(reach),
        "proc" => proc::attack(reach),
        "spin" => load::spin(),
        "fork" => load::fork_bomb(),
        "odd" => load::odd(),
        "rest" => load::rest_for_ever(),
        "nothing" => ExitCode::SUCCESS,
        "swap" => paths::swap(),
        _ => {
            eprintln!("adversary: no word {word:?}");
            ExitCode::from(99)
        }
    }
}
