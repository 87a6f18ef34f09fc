//! The warden's loop: handle requests, start commands, reap children and report ends, until the
//! caller or the last command ends.

use crate::command::{self, POLLED, Running};
use crate::control::{CommandSocket, Control, OWN, RequestBuffer};
use crate::copies::Copies;
use crate::gate::Gate;
use crate::reap;
use crate::setup::FinishedSetup;
use crate::state::WardenState;
use crate::sys::{self, Errno, Fd, Polled, Result, SIGCONT, SIGSTOP, Table};
use crate::template;
use crate::wire::message::{Request, meter, run};

/// What follows the loop.
pub enum Next {
    /// The warden ends, because its last command has ended.
    End,
    /// This process is a new copy of a template. It starts over with its own set-up.
    Begin,
}

/// Runs commands until the caller is gone or the last command has ended.
///
/// # Errors
///
/// An error means that the caller is gone or can no longer be trusted, so everything inside must
/// end. The kernel kills a pid namespace with its PID 1. Without one, this function kills the
/// processes.
pub fn serve(
    control: &Control,
    incoming: &mut RequestBuffer,
    setup: &FinishedSetup,
    namespaces: u64,
) -> Result<Next> {
    let mut state = WardenState::new(setup, namespaces);
    let mut commands = Table::new();
    let served = serve_loop(control, incoming, &mut state, &mut commands);
    if served.is_err() {
        state.thaw();
        if !state.own_tree() || state.thaw.is_some() {
            reap::kill_everything(namespaces);
        }
    }
    served
}

fn serve_loop(
    control: &Control,
    incoming: &mut RequestBuffer,
    state: &mut WardenState<'_>,
    commands: &mut Table<Running>,
) -> Result<Next> {
    let children = sys::child_signal()?;
    // Empty but in a template.
    let mut copies = Copies::new();
    loop {
        let mut few = [Polled::NOTHING; OWN + 2 * POLLED];
        let mut many = Table::new();
        let polled = list(commands, &state.gates, &mut few, &mut many)?;
        let now = sys::now();
        let idle = if copies.has_leftover() { Some(0) } else { None };
        let remaining = commands
            .iter()
            .filter_map(|command| command.remaining(now))
            .chain(idle)
            .chain(state.remaining(now, commands))
            .min();
        let event = match control.wait(Some(&children), polled, remaining) {
            Ok(event) => event,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
        };
        if event.caller_gone {
            // The last message of the caller may carry the file to thaw the sandbox by.
            while control.receive(incoming).is_ok() {
                if let Ok(Request::Frozen {}) = incoming.request() {
                    state.thaw = incoming.take_descriptor(0).ok();
                }
            }
            return Err(Errno::EPROTO);
        }
        let (of_commands, of_gates) = polled[OWN..].split_at(commands.len() * POLLED);
        let ended = of_commands.chunks_exact(POLLED).any(command::process_has_ended);
        if event.child || ended || commands.iter().any(Running::is_awaited) {
            drain(&children);
            reap_ended(state, commands, &mut copies)?;
        }
        for (ready, command) in of_commands.chunks_exact(POLLED).zip(commands.iter_mut()) {
            command.handle_events(ready, state, incoming)?;
        }
        state.answer_gates(of_gates, commands);
        for command in commands.iter_mut() {
            if let Some(listener) = command.take_gate() {
                state.gates.push(Gate::new(listener, command.root()))?;
            }
        }
        state.enforce_limits(commands);
        if event.request {
            match control.receive(incoming) {
                Ok(()) => {}
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            }
            match incoming.request()? {
                Request::Run { .. } if commands.iter().all(Running::is_in_cell) => {
                    if !start_command(state, commands, incoming)? {
                        return Ok(Next::End);
                    }
                    state.command_started();
                }
                Request::Clone { .. } => {
                    if template::clone(incoming, &mut copies)? {
                        // The copy closes all descriptors at once at its start.
                        core::mem::forget(copies);
                        return Ok(Next::Begin);
                    }
                }
                Request::Networks {} => control.report(&copies.report())?,
                Request::Frozen {} => state.thaw = incoming.take_descriptor(0).ok(),
                request => match commands.iter_mut().find(|command| !command.is_in_cell()) {
                    Some(only) => only.handle_request(&request, state)?,
                    None => handle_request(incoming, state, commands)?,
                },
            }
            incoming.clear();
        } else if copies.has_leftover() {
            copies.tidy_one();
        }
        let mut next = 0;
        while let Some(command) = commands.get(next) {
            if !command.is_finished() {
                next += 1;
                continue;
            }
            #[cfg(stage_clock)]
            if command.last {
                crate::stages::report();
            }
            command.report(state.setup)?;
            if command.last {
                return Ok(Next::End);
            }
            state.part_gate(command);
            commands.take(next);
        }
    }
}

/// The descriptors to wait for: in `few`, or in `many` where `few` has no room.
fn list<'a>(
    commands: &[Running],
    gates: &[Gate],
    few: &'a mut [Polled],
    many: &'a mut Table<Polled>,
) -> Result<&'a mut [Polled]> {
    let length = OWN + commands.len() * POLLED + gates.len();
    let polled = if length <= few.len() {
        &mut few[..length]
    } else {
        for _ in 0..length {
            many.push(Polled::NOTHING)?;
        }
        many
    };
    let (of_commands, of_gates) = polled[OWN..].split_at_mut(commands.len() * POLLED);
    for (place, command) in of_commands.chunks_exact_mut(POLLED).zip(commands) {
        place.copy_from_slice(&command.polled());
    }
    of_gates.iter_mut().zip(gates).for_each(|(place, gate)| *place = gate.polled());
    Ok(polled)
}

/// Starts a command. Returns `false` if it could not be started and was to be the last one.
fn start_command(
    state: &WardenState<'_>,
    commands: &mut Table<Running>,
    incoming: &mut RequestBuffer,
) -> Result<bool> {
    let Request::Run { flags, .. } = incoming.request()? else { return Err(Errno::EPROTO) };
    let socket = if flags & run::IN_CELL != 0 {
        let last = incoming.descriptors().len().checked_sub(1).ok_or(Errno::EPROTO)?;
        CommandSocket::own(incoming.take_descriptor(last)?)
    } else {
        CommandSocket::control()
    };
    let last = flags & run::LAST != 0;
    #[cfg(stage_clock)]
    crate::stages::mark(crate::stages::COMMAND_RECEIVED);
    match Running::start(socket, last, state, incoming) {
        Ok(command) => {
            commands.push(command)?;
            Ok(true)
        }
        Err((refused, socket)) => refused.report(&socket).map(|()| !last),
    }
}

/// Handles a request about everything inside.
fn handle_request(
    incoming: &mut RequestBuffer,
    state: &mut WardenState<'_>,
    commands: &mut [Running],
) -> Result<()> {
    match incoming.request()? {
        Request::Kill { how } => {
            state.kill_all((how, 0), commands);
        }
        Request::Limit { limits, meter } => {
            let file = if meter == meter::NONE { None } else { Some(incoming.take_descriptor(0)?) };
            state.set_limits(limits, meter, file);
        }
        Request::Signal { signal } => reap::signal_everything(state.namespaces, signal),
        Request::Stop { on } => {
            reap::signal_everything(state.namespaces, if on { SIGSTOP } else { SIGCONT })
        }
        _ => return Err(Errno::EPROTO),
    }
    Ok(())
}

fn drain(signals: &Fd) {
    let mut buffer = [0u8; 128 * 4];
    while let Ok(1..) = sys::read(signals, &mut buffer) {}
}

/// Reaps every child that has ended.
fn reap_ended(
    state: &mut WardenState<'_>,
    commands: &mut [Running],
    copies: &mut Copies,
) -> Result<()> {
    state.count_unreaped(commands);
    loop {
        match sys::reap() {
            Ok(Some(reaped)) => {
                copies.reaped(reaped.pid);
                if let Some(command) =
                    commands.iter_mut().find(|command| command.awaits(reaped.pid))
                {
                    command.reaped(reaped.status, reaped.usage, state)?;
                }
            }
            Ok(None) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(_) => {
                commands.iter_mut().for_each(Running::no_child_left);
                return Ok(());
            }
        }
    }
}
