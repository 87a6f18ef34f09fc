//! The warden's one loop: requests in, commands started, ends reaped and reported, until the caller
//! lets go.

use crate::command::{self, POLLED, Running};
use crate::control::{Control, Line, Mail, OWN};
use crate::copies::Copies;
use crate::house::House;
use crate::reap;
use crate::setup::Place;
use crate::sys::{self, Errno, Fd, Polled, Result, SIGCONT, SIGKILL, SIGSTOP, Table};
use crate::template;
use crate::wire::message::{Request, meter, run};

/// What comes after.
pub enum Next {
    /// Nothing: the last command has ended.
    End,
    /// This is a new warden, which a template has made.
    Begin,
}

/// Runs commands until the caller is gone or the last one has ended. An error is the caller's
/// absence, and whatever the error, the kernel ends a namespace with its PID 1; without one, that
/// is ours to do.
pub fn serve(control: &Control, mail: &mut Mail, place: &Place, namespaces: u64) -> Result<Next> {
    let mut house = House::new(place, namespaces);
    let mut commands = Table::new();
    let served = converse(control, mail, &mut house, &mut commands);
    if served.is_err() {
        house.thaw();
        if !house.own_tree() || house.thaw.is_some() {
            reap::end_everything(namespaces);
        }
    }
    served
}

fn converse(
    control: &Control,
    mail: &mut Mail,
    house: &mut House<'_>,
    commands: &mut Table<Running>,
) -> Result<Next> {
    let children = sys::child_signal()?;
    // A template's.
    let mut copies = Copies::new();
    loop {
        let mut few = [Polled::NOTHING; OWN + 2 * POLLED];
        let mut many = Table::new();
        let polled = list(commands, &mut few, &mut many)?;
        let now = sys::now();
        let idle = if copies.is_untidy() { Some(0) } else { None };
        let remaining = commands
            .iter()
            .filter_map(|command| command.remaining(now))
            .chain(idle)
            .chain(house.remaining(now, commands))
            .min();
        let event = match control.wait(Some(&children), polled, remaining) {
            Ok(event) => event,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
        };
        if event.caller_gone {
            // How its last act is undone may still lie here.
            while control.receive(mail).is_ok() {
                if let Ok(Request::Frozen {}) = mail.request() {
                    house.thaw = mail.take_descriptor(0).ok();
                }
            }
            return Err(Errno::EPROTO);
        }
        let ended = polled[OWN..].chunks_exact(POLLED).any(command::has_ended);
        if event.child || ended || commands.iter().any(Running::is_awaited) {
            drain(&children);
            reap_ended(house, commands, &mut copies)?;
        }
        for (ready, command) in polled[OWN..].chunks_exact(POLLED).zip(commands.iter_mut()) {
            command.attend(ready, house, mail)?;
        }
        house.hold_together(commands);
        if event.request {
            match control.receive(mail) {
                Ok(()) => {}
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            }
            match mail.request()? {
                Request::Run { .. } if commands.iter().all(Running::is_among) => {
                    if !begin(house, commands, mail)? {
                        return Ok(Next::End);
                    }
                    house.rouse();
                }
                Request::Clone { .. } => {
                    if template::clone(mail, &mut copies)? {
                        // Its beginning closes all descriptors at once.
                        core::mem::forget(copies);
                        return Ok(Next::Begin);
                    }
                }
                Request::Networks {} => control.report(&copies.told())?,
                Request::Frozen {} => house.thaw = mail.take_descriptor(0).ok(),
                request => match commands.iter_mut().find(|command| !command.is_among()) {
                    Some(only) => only.obey(&request, house)?,
                    None => obey(mail, house, commands)?,
                },
            }
            mail.clear();
        } else if copies.is_untidy() {
            copies.look_after();
        }
        let mut next = 0;
        while let Some(command) = commands.get(next) {
            if !command.is_over() {
                next += 1;
                continue;
            }
            #[cfg(stage_clock)]
            if command.last {
                crate::stages::tell();
            }
            command.report(house.place)?;
            if command.last {
                return Ok(Next::End);
            }
            commands.take(next);
        }
    }
}

/// All that is waited for: in `few`, or where there is more, in `many`.
fn list<'a>(
    commands: &[Running],
    few: &'a mut [Polled],
    many: &'a mut Table<Polled>,
) -> Result<&'a mut [Polled]> {
    let length = OWN + commands.len() * POLLED;
    let polled = if length <= few.len() {
        &mut few[..length]
    } else {
        for _ in 0..length {
            many.push(Polled::NOTHING)?;
        }
        many
    };
    for (place, command) in polled[OWN..].chunks_exact_mut(POLLED).zip(commands) {
        place.copy_from_slice(&command.polled());
    }
    Ok(polled)
}

/// Starts a command. `false`: it was to be the last, and could not be started.
fn begin(house: &House<'_>, commands: &mut Table<Running>, mail: &mut Mail) -> Result<bool> {
    let Request::Run { flags, .. } = mail.request()? else { return Err(Errno::EPROTO) };
    let line = if flags & run::AMONG != 0 {
        let last = mail.descriptors().len().checked_sub(1).ok_or(Errno::EPROTO)?;
        Line::own(mail.take_descriptor(last)?)
    } else {
        Line::control()
    };
    let last = flags & run::LAST != 0;
    #[cfg(stage_clock)]
    crate::stages::mark(crate::stages::ORDERED);
    match Running::start(line, last, house, mail) {
        Ok(command) => {
            commands.push(command)?;
            Ok(true)
        }
        Err((refused, line)) => refused.tell(&line).map(|()| !last),
    }
}

/// A request about everything inside.
fn obey(mail: &mut Mail, house: &mut House<'_>, commands: &mut [Running]) -> Result<()> {
    match mail.request()? {
        Request::Kill { how } => {
            commands.iter_mut().for_each(|command| command.end((how, 0), house));
            reap::signal_everything(house.namespaces, SIGKILL);
            house.thaw();
        }
        Request::Limit { limits, meter } => {
            let file = if meter == meter::NONE { None } else { Some(mail.take_descriptor(0)?) };
            house.limit(limits, meter, file);
        }
        Request::Signal { signal } => reap::signal_everything(house.namespaces, signal),
        Request::Stop { on } => {
            reap::signal_everything(house.namespaces, if on { SIGSTOP } else { SIGCONT })
        }
        _ => return Err(Errno::EPROTO),
    }
    Ok(())
}

fn drain(signals: &Fd) {
    let mut buffer = [0u8; 128 * 4];
    while let Ok(1..) = sys::read(signals, &mut buffer) {}
}

/// Reaps whatever has ended.
fn reap_ended(house: &mut House<'_>, commands: &mut [Running], copies: &mut Copies) -> Result<()> {
    loop {
        match sys::reap() {
            Ok(Some(reaped)) => {
                copies.reaped(reaped.pid);
                if let Some(command) =
                    commands.iter_mut().find(|command| command.awaits(reaped.pid))
                {
                    command.reaped(reaped.status, reaped.usage, house)?;
                }
            }
            Ok(None) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(_) => {
                commands.iter_mut().for_each(Running::nobody_is_left);
                return Ok(());
            }
        }
    }
}
