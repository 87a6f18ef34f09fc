//! Hostile programs for `tests/tests/adversary`, all in one binary. Each attacks the process that
//! enforces its limits, over and over, until it is killed.
//!
//! Usage: `adversary WORD REACH MARK`. It waits for a line of standard input, then attacks as WORD
//! says. REACH names the targets: `all` processes that it can see, its `parent`, or one by its id.
//!
//! A failed call does not end it: the tests see from outside whether an attack succeeds.

mod knobs;
mod load;
mod paths;
mod proc;
mod relay;
mod signals;
mod sys;

use std::process::ExitCode;

/// The targets of an attack.
#[derive(Clone, Copy)]
enum Reach {
    All,
    One(i32),
}

impl Reach {
    /// The target processes, without this one.
    fn targets(self) -> Vec<i32> {
        /// A new pid namespace assigns ids from 1 upwards.
        const MOST: i32 = 400;
        match self {
            // PID 1 and the parent come back between the others, because they are the targets that
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
