//! What the tests of limits run inside: hostile and honest programs in one, so that they need
//! nothing but this file and know exactly what they do. `payload WORD [NUMBER]`; what it says, it
//! says before the deed.
//!
//! Nothing here allocates on the way to a limit but where that is the deed, and no failure of a
//! system call ends it that a bomb would shrug off.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{fs, ptr, thread};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let number: usize = words.get(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    let word = words.get(1).map_or("", String::as_str);
    match word {
        // ---- honest
        "exit" => return ExitCode::from(number as u8),
        "touch" => touch(number),
        "burn" => burn(number),
        "count" => count(),
        "spawn" => return spawn(number),
        // ---- bombs
        "fork" => fork_bomb(),
        "threads" => thread_bomb(),
        "grandchild" => return grandchild(number),
        "memory" => touch_for_ever(),
        "mapping" => return map_for_ever(),
        "disk" => return fill(&words[3], number),
        "inodes" => return litter(&words[3]),
        "write" => write_for_ever(number),
        "descriptors" => return open_for_ever(),
        "spin" => spin(number),
        "sleep" => sleep(),
        "deaf" => deaf(),
        "stop" => stop(),
        "daemon" => daemon(),
        "hoard" => return hoard(&words[3], number),
        "call" => call(&words[2..]),
        _ => {
            eprintln!("payload: no word {word:?}");
            return ExitCode::from(99);
        }
    }
    ExitCode::SUCCESS
}

fn say(text: &str) {
    let line = format!("{text}\n");
    // SAFETY: it is a buffer of so many bytes.
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

/// Makes a system call by its number with these arguments, or getpid by the 32-bit gate, and says
/// its error number; 0 if it succeeded.
fn call(words: &[String]) {
    let value = |text: &String| {
        let (digits, base) = match text.get(..2) {
            Some("0x") => (&text[2..], 16),
            Some("0o") => (&text[2..], 8),
            _ => (text.as_str(), 10),
        };
        u64::from_str_radix(digits, base).unwrap_or_else(|_| panic!("{text:?} is no number"))
    };
    if words[0] == "gate" {
        return say(&gate().to_string());
    }
    let mut numbers = [0; 7];
    numbers.iter_mut().zip(words).for_each(|(number, word)| *number = value(word));
    let [number, a, b, c, d, e, f] = numbers;
    // SAFETY: whatever it does, it does to this process, which is made for that; no argument points
    // anywhere.
    let result = unsafe { libc::syscall(number as i64, a, b, c, d, e, f) };
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    say(&if result < 0 { error } else { 0 }.to_string());
}

/// getpid by `int 0x80`, where programs of 32 bits enter the kernel: its error number.
#[cfg(target_arch = "x86_64")]
fn gate() -> i64 {
    let result: i64;
    // SAFETY: call 20 of that gate takes no arguments and changes no memory; it may change r8 to
    // r11.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20i64 => result, lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _);
    }
    // The gate's results have 32 bits.
    match result as i32 {
        failed @ ..0 => i64::from(-failed),
        _ => 0,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn gate() -> i64 {
    i64::from(libc::ENOSYS)
}

/// Memory of its own, so many bytes, not yet touched; null if there is none.
fn map(bytes: usize) -> *mut u8 {
    // SAFETY: a new private mapping touches nothing that exists.
    let place = unsafe {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, kind, -1, 0)
    };
    if place == libc::MAP_FAILED { ptr::null_mut() } else { place.cast() }
}

/// Allocates so many bytes, writes to every page, and gives them back.
fn touch(bytes: usize) {
    if bytes > 0 {
        let place = map(bytes);
        assert!(!place.is_null(), "mmap of {bytes} bytes");
        // SAFETY: the mapping has so many bytes.
        unsafe { ptr::write_bytes(place, 1, bytes) };
        // SAFETY: as above; nobody refers to it any more.
        unsafe { libc::munmap(place.cast(), bytes) };
    }
    say("touched");
}

fn touch_for_ever() {
    const STEP: usize = 1 << 20;
    loop {
        let place = map(STEP);
        if !place.is_null() {
            // SAFETY: the mapping has so many bytes.
            unsafe { ptr::write_bytes(place, 1, STEP) };
        }
    }
}

/// Takes address space until there is none, touching nothing: no limit on memory is about that.
/// Then ends well.
fn map_for_ever() -> ExitCode {
    let mut step = 1 << 40;
    let mut taken = 0usize;
    // The number of mappings is limited too: 65530 by default.
    for _ in 0..60_000 {
        while map(step).is_null() {
            step /= 2;
            if step < 1 << 20 {
                say(&format!("mapped {}", taken >> 30));
                return ExitCode::SUCCESS;
            }
        }
        taken += step;
    }
    say(&format!("mapped {}", taken >> 30));
    ExitCode::SUCCESS
}

fn used(who: i32) -> [u64; 2] {
    // SAFETY: all zero is a value of the type, and the kernel fills it in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64)
}

/// Uses so many milliseconds of processor time, half in a child, some of it in the kernel; tells
/// what getrusage(2) says, in microseconds.
fn burn(milliseconds: usize) {
    let until = |microseconds: u64| {
        while used(libc::RUSAGE_SELF).iter().sum::<u64>() < microseconds {
            std::hint::black_box((0..1000u64).sum::<u64>());
        }
    };
    let half = milliseconds as u64 * 500;
    // SAFETY: this process has one thread, so the new one may do anything.
    match unsafe { libc::fork() } {
        0 => {
            until(half);
            std::process::exit(0);
        }
        child => {
            until(half);
            // SAFETY: no status is wanted.
            unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
        }
    }
    let sum: u64 = used(libc::RUSAGE_SELF).iter().chain(&used(libc::RUSAGE_CHILDREN)).sum();
    say(&sum.to_string());
}

/// Counts upwards on its standard output, a line a number, as fast as somebody reads.
fn count() {
    for number in 0u64.. {
        say(&number.to_string());
    }
}

/// Starts so many processes that wait, one after the other, and says when one is refused, or all
/// are there; ends at the end of its input.
fn spawn(processes: usize) -> ExitCode {
    for number in 0..processes {
        // SAFETY: this process has one thread, so the new one may do anything.
        match unsafe { libc::fork() } {
            0 => sleep(),
            -1 => {
                say(&format!("refused after {number}"));
                break;
            }
            _ if number + 1 == processes => say(&format!("all {processes}")),
            _ => {}
        }
    }
    let _ = std::io::read_to_string(std::io::stdin());
    ExitCode::from(3)
}

fn fork_bomb() {
    loop {
        // SAFETY: this process has one thread, so the new one may do anything.
        unsafe { libc::fork() };
    }
}

fn thread_bomb() {
    loop {
        let _ = thread::Builder::new().stack_size(64 << 10).spawn(sleep);
    }
}

/// A grandchild takes more memory than there is; what becomes of it is nothing to the first
/// process, which exits with this code.
fn grandchild(code: usize) -> ExitCode {
    // SAFETY: this process has one thread, so the new one may do anything.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let own = libc::fork();
            if own == 0 {
                // The kernel's favourite victim.
                let _ = fs::write("/proc/self/oom_score_adj", "1000");
                touch_for_ever();
            }
            libc::waitpid(own, ptr::null_mut(), 0);
            libc::_exit(0);
        }
        libc::waitpid(child, ptr::null_mut(), 0);
    }
    ExitCode::from(code as u8)
}

/// Writes one file until it cannot; then ends with this code.
fn fill(directory: &str, code: usize) -> ExitCode {
    let data = vec![1u8; 64 << 10];
    let mut file = fs::File::create(format!("{directory}/full")).expect("there is room for a file");
    while std::io::Write::write_all(&mut file, &data).is_ok() {}
    ExitCode::from(code as u8)
}

/// Makes files until it cannot; then ends with code 1.
fn litter(directory: &str) -> ExitCode {
    for number in 0u64.. {
        if fs::File::create(format!("{directory}/{number}")).is_err() {
            break;
        }
    }
    ExitCode::FAILURE
}

/// Writes for ever: to descriptor 1 or 2, or, for 3, to both in turn.
fn write_for_ever(descriptors: usize) {
    let data = [b'x'; 64 << 10];
    loop {
        for number in [1, 2] {
            if descriptors & number != 0 {
                // SAFETY: it is a buffer of so many bytes.
                unsafe { libc::write(number as i32, data.as_ptr().cast(), data.len()) };
            }
        }
    }
}

/// Opens descriptors until it cannot; says how many there are then.
fn open_for_ever() -> ExitCode {
    let mut last = 0;
    // SAFETY: the name is a text that ends with NUL.
    while let descriptor @ 0.. = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) } {
        last = descriptor;
    }
    say(&format!("last {last}"));
    ExitCode::from(4)
}

/// Uses up so many processors at once.
fn spin(processors: usize) {
    for _ in 1..processors {
        // SAFETY: this process has one thread, so the new one may do anything.
        if unsafe { libc::fork() } == 0 {
            break;
        }
    }
    loop {
        std::hint::spin_loop();
    }
}

fn sleep() {
    loop {
        // SAFETY: it waits.
        unsafe { libc::pause() };
    }
}

/// Ignores every signal that can be ignored, says so, and sleeps.
fn deaf() {
    for signal in 1..=64 {
        // SAFETY: ignoring is no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    say("deaf");
    sleep();
}

fn stop() {
    loop {
        // SAFETY: it stops this process.
        unsafe { libc::raise(libc::SIGSTOP) };
    }
}

/// Leaves a double-forked process in a session of its own behind, which sleeps; and sleeps itself.
fn daemon() {
    // SAFETY: this process has one thread, so the new ones may do anything.
    unsafe {
        if libc::fork() == 0 {
            libc::setsid();
            if libc::fork() == 0 {
                libc::setsid();
                sleep();
            }
            libc::_exit(0);
        }
    }
    sleep();
}

// ---- kernel memory and other things that are not in a process's own pages

/// Takes one kind of thing until it is refused or has so many; says how many it got, how many KiB
/// of data they hold where that is known, and why there are no more. Exits with 6.
fn hoard(kind: &str, most: usize) -> ExitCode {
    // Not an array on the stack: what is sent must be no memory to speak of.
    static DATA: [u8; UNIT] = [b'x'; UNIT];
    const UNIT: usize = 64 << 10;
    let file = memory_file(kind);
    let mut step: Box<dyn FnMut(usize) -> bool> = match kind {
        "tcp" => stream_pairs(libc::AF_INET, &DATA),
        "unix" => stream_pairs(libc::AF_UNIX, &DATA),
        "pipe" => Box::new(|_| {
            let mut ends = [0; 2];
            // SAFETY: there is room for two descriptors, and the data has so many bytes.
            unsafe {
                libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK) == 0
                    && sent(libc::write(ends[1], DATA.as_ptr().cast(), UNIT))
            }
        }),
        // SAFETY: no argument points anywhere.
        "inotify" => Box::new(|_| unsafe { libc::inotify_init1(0) } >= 0),
        // SAFETY: without a sigevent a timer sends SIGALRM; the kernel writes its number.
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
            // SAFETY: the set is filled in before it is used.
            unsafe {
                let mut set: libc::sigset_t = std::mem::zeroed();
                libc::sigfillset(&raw mut set);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
            }
            // SAFETY: the signal is blocked, and its value is a number.
            Box::new(|_| unsafe { libc::sigqueue(libc::getpid(), 40, libc::sigval { sival_ptr: ptr::null_mut() }) } == 0)
        }
        "epoll" => {
            // SAFETY: no argument points anywhere.
            let watched: Vec<i32> = (0..400).map(|_| unsafe { libc::eventfd(0, 0) }).collect();
            let mut watcher = -1;
            Box::new(move |number| {
                let place = number % watched.len();
                if place == 0 {
                    // SAFETY: no argument points anywhere.
                    watcher = unsafe { libc::epoll_create1(0) };
                }
                let mut event = libc::epoll_event { events: 1, u64: 0 };
                // SAFETY: the event is a value of the type that the call takes.
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
                // A queue holds 16 KiB: two of these.
                if number % 2 == 0 {
                    // SAFETY: no argument points anywhere.
                    queue = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
                }
                // SAFETY: the message has so many bytes.
                unsafe {
                    libc::msgsnd(queue, (&raw const MESSAGE).cast(), 8000, libc::IPC_NOWAIT) == 0
                }
            })
        }
        // SAFETY: no argument points anywhere.
        "semaphore" => Box::new(|_| unsafe { libc::semget(libc::IPC_PRIVATE, 10_000, 0o600) } >= 0),
        "queue" => Box::new(|number| {
            let name = std::ffi::CString::new(format!("/{number}")).expect("digits");
            // SAFETY: the name is a text that ends with NUL, and without attributes the usual ones
            // are taken.
            unsafe {
                libc::mq_open(name.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o600, ptr::null::<u8>())
                    >= 0
            }
        }),
        // SAFETY: the data has so many bytes.
        "memfd" => {
            Box::new(move |_| sent(unsafe { libc::write(file, DATA.as_ptr().cast(), UNIT) }))
        }
        "segment" => Box::new(|_| {
            // SAFETY: the segment has so many bytes, is written to where it was attached, and not
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

/// Bytes that were taken from the program.
static SENT: AtomicUsize = AtomicUsize::new(0);

/// Whether so many bytes were taken; counts them.
fn sent(result: isize) -> bool {
    SENT.fetch_add(result.max(0).unsigned_abs(), Relaxed);
    result > 0
}

/// A file in memory, if it is what is hoarded.
fn memory_file(kind: &str) -> i32 {
    // SAFETY: the name is a text that ends with NUL.
    if kind == "memfd" { unsafe { libc::memfd_create(c"hoard".as_ptr(), 0) } } else { -1 }
}

/// Connections whose buffers are as large as they may be, and filled. A unit is one write.
fn stream_pairs(family: i32, data: &'static [u8]) -> Box<dyn FnMut(usize) -> bool> {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::fd::{IntoRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    let listener = (family == libc::AF_INET)
        .then(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback"));
    let mut current = -1;
    Box::new(move |_| {
        // SAFETY: the data has so many bytes.
        let send = |descriptor: i32| {
            sent(unsafe { libc::write(descriptor, data.as_ptr().cast(), data.len()) })
        };
        // A connection takes more as long as its receiver's buffer grows.
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
            // SAFETY: the option's value is a number.
            unsafe {
                libc::setsockopt(descriptor, libc::SOL_SOCKET, buffer, (&raw const size).cast(), 4)
            };
        }
        // SAFETY: no argument points anywhere.
        unsafe { libc::fcntl(sender, libc::F_SETFL, libc::O_NONBLOCK) };
        current = sender;
        send(current)
    })
}
