//! Nothing is left of a network when its caller has been killed. `endurance` proves the same for
//! its last handle.

use seclude_tests::caller::{as_each, program};
use seclude_tests::census::{here, marked, survivors};
use seclude_tests::payload::{mark, rounds};
use std::process::Command;
use std::time::Duration;

#[test]
fn nothing_of_a_network_outlives_a_killed_caller() {
    as_each("nothing_of_a_network_outlives_a_killed_caller", |_| {
        let mark = mark();
        let mut state = u64::from(std::process::id()) | 1;
        let mut alive = 0;
        for _ in 0..rounds(25) {
            let mut caller =
                Command::new(program("networker")).arg(&mark).spawn().expect("it is there");
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            std::thread::sleep(here(Duration::from_micros(state % 150_000)));
            alive += usize::from(!marked(&mark).is_empty());
            caller.kill().expect("it is ours");
            caller.wait().expect("it is ours");
        }
        assert_eq!(survivors(&mark, Duration::from_secs(1)), Vec::<u32>::new());
        assert!(alive > 0, "every caller was killed before it had started a member");
    });
}
