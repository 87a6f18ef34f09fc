//! Hostile and honest programs in one binary, for the tests of limits. They need no other file, and
//! the tests know exactly what they do.
//!
//! Usage: `payload WORD [NUMBER]`. A word that prints something prints it before it acts. With
//! `headless-` before it, a word runs in a thread, and the main thread ends.
//!
//! Unless that is its purpose, no word allocates memory on the way to a limit. A failed system call
//! ends a word only where it would end a bomb.

mod hoard;

use std::process::ExitCode;
use std::{fs, ptr, thread};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let number: usize = words.get(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    run(words.get(1).map_or("", String::as_str), number, &words)
}

fn run(word: &str, number: usize, words: &[String]) -> ExitCode {
    match word {
        // Honest programs.
        "exit" => return ExitCode::from(number as u8),
        "touch" => touch(number),
        "burn" => burn(number),
        "count" => count(),
        "spawn" => return spawn(number),
        // Bombs.
        "fork" => fork_bomb(),
        "sessions" => session_bomb(),
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
        "hoard" => return hoard::hoard(&words[3], number),
        "call" => call(&words[2..]),
        _ => match word.strip_prefix("headless-") {
            Some(word) => headless(word, number, words),
            None => {
                eprintln!("payload: no word {word:?}");
                return ExitCode::from(99);
            }
        },
    }
    ExitCode::SUCCESS
}

fn say(text: &str) {
    let line = format!("{text}\n");
    // SAFETY: the buffer has the given length.
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

/// Makes a system call by its number with these arguments, or getpid(2) by the 32-bit entry. Prints
/// the error number, or 0 on success.
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
    // SAFETY: the call affects only this process, which exists for it, and no argument is a
    // pointer.
    let result = unsafe { libc::syscall(number as i64, a, b, c, d, e, f) };
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    say(&if result < 0 { error } else { 0 }.to_string());
}

/// Calls getpid(2) by `int 0x80`, the entry for 32-bit programs, and returns its error number.
#[cfg(target_arch = "x86_64")]
fn gate() -> i64 {
    let result: i64;
    // SAFETY: call 20 of the 32-bit table takes no arguments and changes no memory. It may change
    // r8 to r11.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20i64 => result, lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _);
    }
    // Results of the 32-bit entry have 32 bits.
    match result as i32 {
        failed @ ..0 => i64::from(-failed),
        _ => 0,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn gate() -> i64 {
    i64::from(libc::ENOSYS)
}

/// Maps private memory without touching it. Returns null on failure.
fn map(bytes: usize) -> *mut u8 {
    // SAFETY: a new private mapping touches nothing that exists.
    let place = unsafe {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, kind, -1, 0)
    };
    if place == libc::MAP_FAILED { ptr::null_mut() } else { place.cast() }
}

/// Allocates `bytes` bytes, writes to every page, and frees them.
fn touch(bytes: usize) {
    if bytes > 0 {
        let place = map(bytes);
        assert!(!place.is_null(), "mmap of {bytes} bytes");
        // SAFETY: the mapping has this size.
        unsafe { ptr::write_bytes(place, 1, bytes) };
        // SAFETY: the mapping has this size, and nothing refers to it any more.
        unsafe { libc::munmap(place.cast(), bytes) };
    }
    say("touched");
}

fn touch_for_ever() {
    const STEP: usize = 1 << 20;
    loop {
        let place = map(STEP);
        if !place.is_null() {
            // SAFETY: the mapping has this size.
            unsafe { ptr::write_bytes(place, 1, STEP) };
        }
    }
}

/// Maps address space until none is left, without touching it, and exits with 0. Limits on memory
/// do not count address space.
fn map_for_ever() -> ExitCode {
    let mut step = 1 << 40;
    let mut taken = 0usize;
    // The number of mappings is limited as well, to 65530 by default.
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
    // SAFETY: all zero is a valid value of the type, which the kernel then fills in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64)
}

/// Uses this much processor time, half of it in a child, and prints the sum that getrusage(2)
/// reports in microseconds.
fn burn(milliseconds: usize) {
    let until = |microseconds: u64| {
        while used(libc::RUSAGE_SELF).iter().sum::<u64>() < microseconds {
            std::hint::black_box((0..1000u64).sum::<u64>());
        }
    };
    let half = milliseconds as u64 * 500;
    // SAFETY: this process has one thread, so its child may do anything.
    match unsafe { libc::fork() } {
        0 => {
            until(half);
            std::process::exit(0);
        }
        child => {
            until(half);
            // SAFETY: the status pointer may be NULL.
            unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
        }
    }
    let sum: u64 = used(libc::RUSAGE_SELF).iter().chain(&used(libc::RUSAGE_CHILDREN)).sum();
    say(&sum.to_string());
}

/// Prints increasing numbers, one per line, as fast as they are read.
fn count() {
    for number in 0u64.. {
        say(&number.to_string());
    }
}

/// Runs a word in a thread, and ends the main thread. `/proc` shows the process as ended.
fn headless(word: &str, number: usize, words: &[String]) {
    let (word, words) = (word.to_owned(), words.to_vec());
    thread::spawn(move || run(&word, number, &words));
    // SAFETY: only this thread ends. Its memory stays until the process ends.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Starts `processes` sleeping processes one after another. Prints a line when one is refused or
/// when all are started. Exits with 3 at the end of its input.
fn spawn(processes: usize) -> ExitCode {
    for number in 0..processes {
        // SAFETY: this process has one thread, so its child may do anything.
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
        // SAFETY: this process has one thread, so its child may do anything.
        unsafe { libc::fork() };
    }
}

/// A fork bomb of which each process leaves the process group and the session of its parent.
fn session_bomb() {
    loop {
        // SAFETY: this process has one thread, so its child may do anything.
        unsafe {
            libc::fork();
            libc::setsid();
        }
    }
}

fn thread_bomb() {
    loop {
        let _ = thread::Builder::new().stack_size(64 << 10).spawn(sleep);
    }
}

/// Starts a grandchild that takes more memory than there is. The first process waits and exits with
/// `code`, whatever happens to the grandchild.
fn grandchild(code: usize) -> ExitCode {
    // SAFETY: this process has one thread, so its child may do anything.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let own = libc::fork();
            if own == 0 {
                // Makes the kernel's OOM killer choose this process first.
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

/// Writes to one file until an error, then exits with `code`.
fn fill(directory: &str, code: usize) -> ExitCode {
    let data = vec![1u8; 64 << 10];
    let mut file = fs::File::create(format!("{directory}/full")).expect("there is room for a file");
    while std::io::Write::write_all(&mut file, &data).is_ok() {}
    ExitCode::from(code as u8)
}

/// Creates files until an error, then exits with 1.
fn litter(directory: &str) -> ExitCode {
    for number in 0u64.. {
        if fs::File::create(format!("{directory}/{number}")).is_err() {
            break;
        }
    }
    ExitCode::FAILURE
}

/// Writes without end to descriptor 1 or 2, or, for 3, to both in turn.
fn write_for_ever(descriptors: usize) {
    let data = [b'x'; 64 << 10];
    loop {
        for number in [1, 2] {
            if descriptors & number != 0 {
                // SAFETY: the buffer has the given length.
                unsafe { libc::write(number as i32, data.as_ptr().cast(), data.len()) };
            }
        }
    }
}

/// Opens descriptors until an error, prints the highest one, and exits with 4.
fn open_for_ever() -> ExitCode {
    let mut last = 0;
    // SAFETY: the name is a C string.
    while let descriptor @ 0.. = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) } {
        last = descriptor;
    }
    say(&format!("last {last}"));
    ExitCode::from(4)
}

/// Keeps this many processors busy.
fn spin(processors: usize) {
    for _ in 1..processors {
        // SAFETY: this process has one thread, so its child may do anything.
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
        // SAFETY: the call takes no arguments.
        unsafe { libc::pause() };
    }
}

/// Ignores every signal that can be ignored, prints a line, and sleeps.
fn deaf() {
    for signal in 1..=64 {
        // SAFETY: SIG_IGN installs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    say("deaf");
    sleep();
}

fn stop() {
    loop {
        // SAFETY: the call takes only a number and stops this process.
        unsafe { libc::raise(libc::SIGSTOP) };
    }
}

/// Leaves a sleeping process behind, double-forked and in its own session, and sleeps.
fn daemon() {
    // SAFETY: this process has one thread, so its children may do anything.
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
