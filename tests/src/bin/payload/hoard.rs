//! Takes kernel memory and other resources that are not in the pages of a process.

use crate::say;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{ptr, thread};

/// Takes `most` units of one kind, or fewer if the kernel refuses more, and exits with 6.
///
/// Prints the number of units, the KiB of data in them (0 where that is not counted), and the error
/// number of the refusal or 0.
pub fn hoard(kind: &str, most: usize) -> ExitCode {
    // A static array, because an array on the stack would add to the memory that is measured.
    static DATA: [u8; UNIT] = [b'x'; UNIT];
    const UNIT: usize = 64 << 10;
    let file = memory_file(kind);
    let mut step: Box<dyn FnMut(usize) -> bool> = match kind {
        "tcp" => stream_pairs(libc::AF_INET, &DATA),
        "unix" => stream_pairs(libc::AF_UNIX, &DATA),
        "pipe" => Box::new(|_| {
            let mut ends = [0; 2];
            // SAFETY: the array holds two descriptors, and the data has the given length.
            unsafe {
                libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK) == 0
                    && sent(libc::write(ends[1], DATA.as_ptr().cast(), UNIT))
            }
        }),
        // SAFETY: no argument is a pointer.
        "inotify" => Box::new(|_| unsafe { libc::inotify_init1(0) } >= 0),
        // SAFETY: without a sigevent a timer sends SIGALRM. The kernel writes the timer's id to
        // `timer`.
        "timer" => Box::new(|_| unsafe {
            let mut timer: libc::timer_t = std::mem::zeroed();
            libc::syscall(
                libc::SYS_timer_create,
                libc::CLOCK_MONOTONIC,
                ptr::null::<u8>(),
                &raw mut timer,
            ) == 0
        }),
        "signal" => {
            // SAFETY: the set is initialised before it is used.
            unsafe {
                let mut set: libc::sigset_t = std::mem::zeroed();
                libc::sigfillset(&raw mut set);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
            }
            // SAFETY: the signal is blocked, and its value is a number.
            Box::new(|_| unsafe { libc::sigqueue(libc::getpid(), 40, libc::sigval { sival_ptr: ptr::null_mut() }) } == 0)
        }
        "epoll" => {
            // SAFETY: no argument is a pointer.
            let watched: Vec<i32> = (0..400).map(|_| unsafe { libc::eventfd(0, 0) }).collect();
            let mut watcher = -1;
            Box::new(move |number| {
                let place = number % watched.len();
                if place == 0 {
                    // SAFETY: no argument is a pointer.
                    watcher = unsafe { libc::epoll_create1(0) };
                }
                let mut event = libc::epoll_event { events: 1, u64: 0 };
                // SAFETY: the event is of the type that the call takes.
                unsafe {
                    libc::epoll_ctl(watcher, libc::EPOLL_CTL_ADD, watched[place], &raw mut event)
                        == 0
                }
            })
        }
        "message" => {
            let mut queue = -1;
            Box::new(move |number| {
                #[repr(C)]
                struct Message {
                    kind: libc::c_long,
                    text: [u8; 8000],
                }
                static MESSAGE: Message = Message { kind: 1, text: [b'x'; 8000] };
                // A queue holds 16 KiB, which is two of these messages.
                if number % 2 == 0 {
                    // SAFETY: no argument is a pointer.
                    queue = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
                }
                // SAFETY: the message has the given length.
                unsafe {
                    libc::msgsnd(queue, (&raw const MESSAGE).cast(), 8000, libc::IPC_NOWAIT) == 0
                }
            })
        }
        // SAFETY: no argument is a pointer.
        "semaphore" => Box::new(|_| unsafe { libc::semget(libc::IPC_PRIVATE, 10_000, 0o600) } >= 0),
        "queue" => Box::new(|number| {
            let name = std::ffi::CString::new(format!("/{number}")).expect("digits");
            // SAFETY: the name is a C string, and NULL stands for the default attributes.
            unsafe {
                libc::mq_open(name.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o600, ptr::null::<u8>())
                    >= 0
            }
        }),
        // SAFETY: the data has the given length.
        "memfd" => {
            Box::new(move |_| sent(unsafe { libc::write(file, DATA.as_ptr().cast(), UNIT) }))
        }
        "segment" => Box::new(|_| {
            // SAFETY: the segment has this size, is written only while it is attached, and is not
            // used afterwards.
            unsafe {
                let segment = libc::shmget(libc::IPC_PRIVATE, UNIT, 0o600);
                let place = libc::shmat(segment, ptr::null(), 0);
                if segment < 0 || place as isize == -1 {
                    return false;
                }
                ptr::write_bytes(place.cast::<u8>(), 1, UNIT);
                libc::shmdt(place) == 0
            }
        }),
        _ => panic!("no kind {kind:?}"),
    };
    let number = (0..most).take_while(|number| step(*number)).count();
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    say(&format!(
        "{number} {} {}",
        SENT.load(Relaxed) >> 10,
        if number < most { error } else { 0 }
    ));
    ExitCode::from(6)
}

/// The number of bytes written by [`hoard`].
static SENT: AtomicUsize = AtomicUsize::new(0);

/// Whether a write succeeded. Adds its bytes to [`SENT`].
fn sent(result: isize) -> bool {
    SENT.fetch_add(result.max(0).unsigned_abs(), Relaxed);
    result > 0
}

/// A file in memory for the kind `memfd`, or -1.
fn memory_file(kind: &str) -> i32 {
    // SAFETY: the name is a C string.
    if kind == "memfd" { unsafe { libc::memfd_create(c"hoard".as_ptr(), 0) } } else { -1 }
}

/// Connections with the largest buffers that the kernel allows, filled with data. A unit is one
/// write.
fn stream_pairs(family: i32, data: &'static [u8]) -> Box<dyn FnMut(usize) -> bool> {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::fd::{IntoRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    let listener = (family == libc::AF_INET)
        .then(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback"));
    let mut current = -1;
    Box::new(move |_| {
        // SAFETY: the data has the given length.
        let send = |descriptor: i32| {
            sent(unsafe { libc::write(descriptor, data.as_ptr().cast(), data.len()) })
        };
        // A connection takes more while the receiver's buffer grows, so the write is tried again.
        if current >= 0
            && (send(current) || {
                thread::sleep(std::time::Duration::from_millis(1));
                send(current)
            })
        {
            return true;
        }
        let pair: Option<(OwnedFd, OwnedFd)> = match &listener {
            Some(listener) => listener
                .local_addr()
                .and_then(TcpStream::connect)
                .ok()
                .and_then(|sender| Some((sender.into(), listener.accept().ok()?.0.into()))),
            None => {
                UnixStream::pair().ok().map(|(sender, receiver)| (sender.into(), receiver.into()))
            }
        };
        let Some((sender, receiver)) = pair else { return false };
        let (sender, receiver) = (sender.into_raw_fd(), receiver.into_raw_fd());
        let size = 1 << 30;
        for (descriptor, buffer) in [(sender, libc::SO_SNDBUF), (receiver, libc::SO_RCVBUF)] {
            // SAFETY: the option's value is an int of four bytes.
            unsafe {
                libc::setsockopt(descriptor, libc::SOL_SOCKET, buffer, (&raw const size).cast(), 4)
            };
        }
        // SAFETY: no argument is a pointer.
        unsafe { libc::fcntl(sender, libc::F_SETFL, libc::O_NONBLOCK) };
        current = sender;
        send(current)
    })
}
