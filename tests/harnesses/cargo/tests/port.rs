//! cargo test and nextest: `#[seclude_test::test]` in place of `#[test]`.

use std::net::TcpListener;
use std::time::Duration;

/// Fails while another test does the same in the same network or `/tmp`.
fn needs_its_own() {
    let _listener = TcpListener::bind("127.0.0.1:4711").expect("the port is free");
    std::fs::File::create_new("/tmp/seclude-harness-sample").expect("/tmp is empty");
    std::thread::sleep(Duration::from_millis(300));
}

#[seclude_test::test]
fn one() {
    needs_its_own();
}

#[seclude_test::test]
fn two() -> Result<(), String> {
    needs_its_own();
    Ok(())
}

mod inner {
    #[seclude_test::test]
    fn three() {
        super::needs_its_own();
    }
}

#[seclude_test::test]
#[ignore = "fails as told"]
fn a_failure_shows_its_line() {
    assert_eq!(1 + 1, 3, "failed as told");
}
