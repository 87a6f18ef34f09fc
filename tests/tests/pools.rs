//! Pools: many jobs, and nothing of them stays. SECLUDE_POOL_JOBS: how many (`make soak`: 20,000). One test: what it counts is this whole process's.
#![deny(unsafe_code)]

use seclude::{Ended, MiB, Sandbox, Stdio};
use seclude_tests::caller::as_each;
use seclude_tests::census::{descriptors, mounts};
use seclude_tests::cgroups;
use std::time::Duration;

fn sandbox() -> Sandbox {
    Sandbox::new().tmpfs("/tmp", MiB(16)).wall_time(Duration::from_secs(60))
}

#[test]
fn a_third_of_a_pools_jobs_is_hostile_and_nothing_stays() {
    as_each("a_third_of_a_pools_jobs_is_hostile_and_nothing_stays", |_| {
        let jobs: usize = std::env::var("SECLUDE_POOL_JOBS").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
        let links = || std::fs::read_dir("/sys/class/net").map_or(0, Iterator::count);
        {
            // Whatever is made once for the process.
            let pool = sandbox().pool(1).expect("it starts");
            pool.command("true").status().expect("it starts");
        }
        let before = (descriptors(), mounts(), links());
        {
            let pool = sandbox().pool(8).expect("it starts");
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let pool = &pool;
                    scope.spawn(move || {
                        for job in (thread..jobs).step_by(8) {
                            let (script, limit, ended) = match job % 6 {
                                0 => ("kill -9 $$", None, Ended::Signaled(9)),
                                1 => ("(setsid sleep 1000 &); while :; do :; done", Some(100), Ended::WallTime),
                                _ => ("test ! -e /tmp/left && touch /tmp/left && exit 7", None, Ended::Exited(7)),
                            };
                            let mut command = pool.command("sh");
                            command.args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::null());
                            if let Some(milliseconds) = limit {
                                command.wall_time(Duration::from_millis(milliseconds));
                            }
                            assert_eq!(command.status().expect("it starts").ended, ended, "{script}");
                        }
                    });
                }
            });
            let told = pool.statistics();
            assert_eq!((told.handed_out, told.in_use, told.lost, told.failed), (jobs as u64, 0, 0, 0));
            assert!(told.most_in_use <= 8);
        }
        let more: Vec<_> = descriptors().difference(&before.0).cloned().collect();
        assert!(more.is_empty(), "{more:?}");
        assert_eq!((mounts(), links()), (before.1, before.2));
        assert_eq!(
            cgroups::left_after(Duration::from_secs(2), |owner| owner == std::process::id()),
            Vec::<std::path::PathBuf>::new()
        );
    });
}
