//! The process that becomes a command which is to be process 1 of its tree (`as_pid_1`).
//!
//! The warden is process 1 of its own tree, so the command needs a tree below that one. `/proc` is
//! to show this tree, and a proc shows the tree of the process that begins to mount it. So the
//! first process of the tree is made during set-up. It begins that mount, repeats the steps by
//! which the warden gives up its privileges, and waits. Then it becomes the command, by the same
//! code as a process that is made for one.
//!
//! Until then it runs this program alone and shares the warden's descriptors. Its memory is a copy.
//! The two take turns: the warden asks, and waits for the answer.

use crate::control::LentRequest;
use crate::setup;
use crate::start::{self, KeptDescriptors, Made, Refused};
use crate::sys::{self, Errno, ErrorPage, Fd, FileSystem, Lent, Polled, Result, Shared};
use crate::wire::codec::{List, Reader};
use crate::wire::message::{DESCRIPTORS_MAX, Request, stage};
use crate::wire::plan::Step;
use core::cell::Cell;

/// What the warden asks for.
mod question {
    /// To begin to mount a proc.
    pub const OPEN_PROC: usize = 1;
    /// To carry out the step with this number, too.
    pub const REPEAT: usize = 2;
    /// To become the command.
    pub const BECOME: usize = 3;
}

/// The words of the shared memory.
mod word {
    pub const QUESTION: usize = 0;
    pub const ARGUMENT: usize = 1;
    /// The answer: an errno or 0, and two values.
    pub const ERRNO: usize = 2;
    pub const VALUES: usize = 3;
    /// The descriptors that the process needs: [`super::KeptDescriptors`], each plus one.
    pub const KEPT: usize = 5;
    pub const STREAMS: usize = 9;
    /// How many descriptors the command has, and how many cgroup entries there are.
    pub const COUNTS: usize = 10;
    /// Their numbers.
    pub const NUMBERS: usize = 12;
}

/// Where the request of the command is in the shared memory.
const REQUEST: usize = 4096;
/// The longest request. Only what is used of this takes memory. The arguments and the environment
/// of a program have at most 6 MiB (execve(2)).
const LONGEST: usize = 8 << 20;

const _: () = assert!((word::NUMBERS + DESCRIPTORS_MAX) * size_of::<usize>() <= REQUEST);

/// The process, as the warden has it.
pub struct First {
    pid: i32,
    pidfd: Cell<Option<Fd>>,
    asked: Fd,
    answered: Fd,
    shared: Shared,
    error_page: ErrorPage,
    _page: Lent,
}

impl First {
    /// Makes the process. `user` is whom the warden has become.
    pub fn make(plan: List<'_, Step<'_>>, user: (u32, u32)) -> Result<First> {
        let (asked, answered) = (sys::gate()?, sys::gate()?);
        let shared = Shared::new(REQUEST + LONGEST)?;
        let (page, error_page) = start::shared_error_page()?;
        match sys::fork_first()? {
            Some((pid, pidfd)) => {
                let pidfd = Cell::new(Some(pidfd));
                Ok(First { pid, pidfd, asked, answered, shared, error_page, _page: page })
            }
            None => Waiting { asked, answered, shared, error_page }.serve(plan, user),
        }
    }

    /// Has it begin to mount a proc, which will show its tree.
    pub fn open_proc(&self) -> Result<FileSystem> {
        let [number, _] = self.ask(question::OPEN_PROC, 0)?;
        Ok(FileSystem::own(number as i32))
    }

    /// Has it carry out a step, too. Returns the ABI of a Landlock ruleset, and protections.
    pub fn repeat(&self, step: usize) -> Result<(u32, u64)> {
        let [landlock, protections] = self.ask(question::REPEAT, step)?;
        Ok((landlock as u32, protections as u64))
    }

    /// Has it become the command of this request.
    pub fn become_command(
        &self,
        request: &LentRequest,
        [given, cgroup_entries]: [&[i32]; 2],
        kept: &KeptDescriptors,
        streams: u32,
    ) -> core::result::Result<Made, Refused> {
        let bytes = request.bytes();
        self.shared.put(REQUEST, bytes).map_err(Refused::because(stage::REQUEST))?;
        let KeptDescriptors { pipe, socket, ruleset, terminal } = *kept;
        let of_kept = [Some(pipe), socket, ruleset, terminal];
        let plus_one = |number: Option<i32>| number.map_or(0, |number| number as usize + 1);
        for (place, number) in (word::KEPT..).zip(of_kept) {
            self.shared.set(place, plus_one(number));
        }
        self.shared.set(word::STREAMS, streams as usize);
        for (place, count) in (word::COUNTS..).zip([given.len(), cgroup_entries.len()]) {
            self.shared.set(place, count);
        }
        for (place, number) in (word::NUMBERS..).zip(given.iter().chain(cgroup_entries)) {
            self.shared.set(place, *number as usize);
        }
        let at = sys::now();
        self.ask(question::BECOME, bytes.len()).map_err(Refused::because(stage::CLONE))?;
        let pidfd = self.pidfd.take().ok_or(Errno::EPROTO);
        let pidfd = pidfd.map_err(Refused::because(stage::CLONE))?;
        Ok(Made { pid: self.pid, pidfd, at, error_page: self.error_page, memory: [None, None] })
    }

    /// Asks, and waits for the answer. ESRCH if the process has ended.
    fn ask(&self, question: usize, argument: usize) -> Result<[usize; 2]> {
        let pidfd = self.pidfd.take().ok_or(Errno::ESRCH)?;
        self.shared.set(word::QUESTION, question);
        self.shared.set(word::ARGUMENT, argument);
        sys::write(&self.asked, &1u64.to_ne_bytes())?;
        let answer = loop {
            let mut polled =
                [Polled::readable(self.answered.number()), Polled::readable(pidfd.number())];
            match sys::wait(&mut polled, None) {
                Err(Errno::EINTR) => continue,
                waited => waited?,
            }
            if polled[0].is_ready() {
                sys::read(&self.answered, &mut [0; 8])?;
                break match self.shared.get(word::ERRNO) {
                    0 => Ok([0, 1].map(|value| self.shared.get(word::VALUES + value))),
                    errno => Err(Errno(errno as i32)),
                };
            }
            if polled[1].is_ready() {
                break Err(Errno::ESRCH);
            }
        };
        self.pidfd.set(Some(pidfd));
        answer
    }
}

/// The process itself.
struct Waiting {
    asked: Fd,
    answered: Fd,
    shared: Shared,
    error_page: ErrorPage,
}

impl Waiting {
    /// Answers until it becomes the command.
    fn serve(self, plan: List<'_, Step<'_>>, user: (u32, u32)) -> ! {
        loop {
            match sys::read(&self.asked, &mut [0; 8]) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(_) => sys::exit(1),
            }
            let (question, argument) =
                (self.shared.get(word::QUESTION), self.shared.get(word::ARGUMENT));
            let answer = match question {
                question::OPEN_PROC => {
                    FileSystem::open(c"proc").map(|begun| [begun.into_number() as usize, 0])
                }
                question::REPEAT => plan
                    .iter()
                    .nth(argument)
                    .ok_or(Errno::EPROTO)
                    .and_then(|step| setup::repeated(&step, user))
                    .map(|(landlock, protections)| [landlock as usize, protections as usize]),
                // From here on, the warden may close what the command has been given.
                question::BECOME => sys::stand_alone().map(|()| [0, 0]),
                _ => Err(Errno::EPROTO),
            };
            let becomes = question == question::BECOME && answer.is_ok();
            self.shared.set(word::ERRNO, answer.err().map_or(0, |errno| errno.0 as usize));
            for (place, value) in (word::VALUES..).zip(answer.unwrap_or([0; 2])) {
                self.shared.set(place, value);
            }
            if sys::write(&self.answered, &1u64.to_ne_bytes()).is_err() {
                sys::exit(1);
            }
            if becomes {
                self.become_command(argument);
            }
        }
    }

    fn become_command(self, length: usize) -> ! {
        let error_page = self.error_page;
        match self.order(length) {
            Ok(laid) => start::become_command(laid.order),
            Err(errno) => start::give_up(&error_page, stage::REQUEST, errno),
        }
    }

    fn order(self, length: usize) -> Result<start::LaidOut> {
        let number = |place: usize| (self.shared.get(place) as i32).checked_sub(1);
        let kept = |place: usize| number(word::KEPT + place).filter(|number| *number >= 0);
        let kept = KeptDescriptors {
            pipe: kept(0).ok_or(Errno::EPROTO)?,
            socket: kept(1),
            ruleset: kept(2),
            terminal: kept(3),
        };
        let streams = self.shared.get(word::STREAMS) as u32;
        let [given, entries] = [0, 1].map(|place| self.shared.get(word::COUNTS + place));
        let mut numbers = [0i32; DESCRIPTORS_MAX];
        for (place, number) in numbers.iter_mut().enumerate() {
            *number = self.shared.get(word::NUMBERS + place) as i32;
        }
        let numbers = numbers.get(..given + entries).ok_or(Errno::EPROTO)?;
        let (given, entries) = numbers.split_at_checked(given).ok_or(Errno::EPROTO)?;
        let (how, page) = ((streams, false), Some(self.error_page));
        let bytes = self.shared.keep(REQUEST, length)?;
        let request: Request<'static> = Reader::new(bytes).only().map_err(|_| Errno::EPROTO)?;
        start::lay_out(&request, [given, entries], &kept, how, page)
    }
}
