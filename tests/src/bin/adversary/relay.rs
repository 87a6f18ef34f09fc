//! Attacks through the standard streams: bytes taken back from a pipe between the reader's poll and
//! its read, endless output, and a socket that blocks in close(2).

use crate::sys::{at, at_mut, call, now, number, rest, text};

const STREAMS: [&str; 2] = ["/proc/self/fd/1", "/proc/self/fd/2"];

/// Writes a byte and takes it back, each time a little later, so that the reader's poll reports
/// data and its read finds none. When the reader does not come back to the other stream, it stops:
/// its next byte would wake the reader.
pub fn steal() -> ! {
    let open = |path: &&str| {
        let flags = number(libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC);
        call(libc::SYS_openat, [number(libc::AT_FDCWD), at(text(path).as_c_str()), flags, 0, 0, 0])
    };
    let readers = STREAMS.each_ref().map(open);
    let mut buffer = [0u8; 4096];
    for round in 0u64.. {
        let stream = usize::from(round % 512 >= 384);
        let (stolen, other) = (stream as u64 + 1, 2 - stream as u64);
        let delay = round % 128 * 1000;
        call(libc::SYS_write, [stolen, at(b"x"), 1, 0, 0, 0]);
        let written = now();
        while now() - written < delay {}
        if let Ok(reader) = u64::try_from(readers[stream]) {
            while call(libc::SYS_read, [reader, at_mut(&mut buffer), buffer.len() as u64, 0, 0, 0])
                > 0
            {}
        }
        call(libc::SYS_write, [other, at(b"."), 1, 0, 0, 0]);
        let written = now();
        while waiting(other) > 0 && now() - written < A_MOMENT {
            rest(100);
        }
        while waiting(other) > 0 && readers[stream] >= 0 {
            rest(10_000);
        }
    }
    unreachable!("an endless count")
}

/// A reader that has not come back after this time is held or has no processor.
const A_MOMENT: u64 = 20_000_000;

/// The number of unread bytes in a pipe.
fn waiting(pipe: u64) -> i32 {
    let mut bytes = 0i32;
    call(libc::SYS_ioctl, [pipe, libc::FIONREAD as _, at_mut(&mut bytes), 0, 0, 0]);
    bytes
}

/// Writes to both streams without end.
pub fn flood() -> ! {
    let data = [b'x'; 64 << 10];
    let flags = number(libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC);
    loop {
        for (index, path) in STREAMS.iter().enumerate() {
            // Skips a stream that would block, so that the other one is filled too.
            let own = call(
                libc::SYS_openat,
                [number(libc::AT_FDCWD), at(text(path).as_c_str()), flags, 0, 0, 0],
            );
            let stream = if own >= 0 { own.cast_unsigned() } else { index as u64 + 1 };
            while call(libc::SYS_write, [stream, at(&data), data.len() as u64, 0, 0, 0]) > 0 {}
            if own >= 0 {
                call(libc::SYS_close, [stream, 0, 0, 0, 0, 0]);
            }
        }
        rest(100);
    }
}

/// Makes the last close(2) of descriptor 3 block. It is a TCP socket that other processes share,
/// and close(2) then waits until its unsent data is sent, which nothing reads.
pub fn linger() -> ! {
    let linger = [1i32, 3600];
    let length = size_of_val(&linger) as u64;
    call(
        libc::SYS_setsockopt,
        [3, number(libc::SOL_SOCKET), number(libc::SO_LINGER), at(&linger), length, 0],
    );
    let data = [b'x'; 64 << 10];
    let flags = number(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
    loop {
        while call(libc::SYS_sendto, [3, at(&data), data.len() as u64, flags, 0, 0]) > 0 {}
        rest(1000);
    }
}

/// The control: a reader that makes the warden's possible mistake. It polls two pipes, descriptors
/// 0 and 2, then reads with a blocking read.
pub fn victim() -> ! {
    let mut buffer = [0u8; 4096];
    loop {
        let mut polled = [0, 2].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        call(libc::SYS_ppoll, [at_mut(&mut polled), polled.len() as u64, 0, 0, 0, 0]);
        for pipe in polled.iter().filter(|pipe| pipe.revents & libc::POLLIN != 0) {
            call(
                libc::SYS_read,
                [number(pipe.fd), at_mut(&mut buffer), buffer.len() as u64, 0, 0, 0],
            );
        }
    }
}
