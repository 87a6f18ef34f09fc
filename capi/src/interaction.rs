//! `seclude_interaction`: commands that are joined by pipes and started together, each with its own
//! limits and end.

use crate::boundary::{Answer, Sticky, change, code, create_all, free, set, take, try_create_all};
use crate::child::seclude_child;
use crate::command::seclude_command;
use crate::error::seclude_error;
use crate::output::seclude_output;
use seclude_core::Interaction;
use std::ffi::c_int;
use std::time::Duration;

/// Commands that are joined by pipes and started together: a solution and its judge, for example.
/// Each has its own sandbox, limits and end.
///
/// A mistake in a setter sticks to the interaction. Starting it reports the first mistake, that of
/// a command before its own.
pub struct seclude_interaction {
    interaction: Interaction,
    /// The number of commands.
    count: usize,
    sticky: Option<seclude_error>,
}

impl seclude_interaction {
    fn sound(&mut self, what: &str, room: usize) -> Answer<&mut Interaction> {
        match &self.sticky {
            Some(error) => Err(error.clone()),
            // Checked before any command starts.
            None if room != self.count => Err(seclude_error::invalid(
                what,
                &format!("there is room for {room}, and there are {} commands", self.count),
            )),
            None => Ok(&mut self.interaction),
        }
    }
}

impl Sticky for seclude_interaction {
    fn sticky(&mut self) -> &mut Option<seclude_error> {
        &mut self.sticky
    }
}

/// Makes an interaction without commands. Never NULL. Owned: free it with
/// `seclude_interaction_free`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn seclude_interaction_new() -> *mut seclude_interaction {
    Box::into_raw(Box::new(seclude_interaction {
        interaction: Interaction::new(),
        count: 0,
        sticky: None,
    }))
}

/// Frees an interaction, its commands, and their copies of descriptors. NULL is a no-op. Children
/// that it started are not affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_interaction_free(interaction: *mut seclude_interaction) {
    free(interaction);
}

/// Adds a command and returns its number, from 0. A mistake sticks, and returns a negative
/// `SECLUDE_E...`.
///
/// The interaction takes ownership of the command, on failure too: the caller neither uses nor
/// frees it afterwards. If `interaction` is NULL, the command is freed at once.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_interaction_add(
    interaction: *mut seclude_interaction,
    command: *mut seclude_command,
) -> c_int {
    code(std::ptr::null_mut(), || {
        let command = take("command", command);
        change("interaction", interaction)?;
        let mut number = Ok(0);
        set(interaction, |object| {
            let place = object.interaction.add(command?.into_sound()?);
            object.count += 1;
            number = c_int::try_from(place)
                .map_err(|_| seclude_error::invalid("command", "is one too many"));
            number.clone().map(|_| ())
        });
        match change("interaction", interaction)?.sticky() {
            Some(error) => Err(error.clone()),
            None => number,
        }
    })
}

/// Connects the descriptor `from` of the command `writer` to the descriptor `to` of the command
/// `reader` by a pipe.
///
/// `seclude_interaction_pipe(interaction, solution, 1, judge, 0)` connects the solution's output to
/// the judge's input. Each descriptor of a command is connected once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_interaction_pipe(
    interaction: *mut seclude_interaction,
    writer: c_int,
    from: c_int,
    reader: c_int,
    to: c_int,
) {
    set(interaction, |object| {
        let count = object.count;
        let command = |number: c_int| {
            let known = usize::try_from(number).ok().filter(|place| *place < count);
            known.ok_or_else(|| {
                seclude_error::invalid(&format!("command {number}"), "no command has this number")
            })
        };
        object.interaction.pipe((command(writer)?, from), (command(reader)?, to));
        Ok(())
    });
}

/// Sets up all commands, then starts them together.
///
/// Streams that are not connected are those of `seclude_command_spawn`. Commands of one pool take
/// their places together, and wait for them without a time limit. A pool with fewer places is
/// `SECLUDE_EINVAL`.
///
/// `children` is an array of `count` elements, the number of commands. Each receives a child, in
/// the order in which the commands were added. Owned: free each with `seclude_child_free`. On
/// failure nothing runs, and all are NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_interaction_spawn(
    interaction: *mut seclude_interaction,
    children: *mut *mut seclude_child,
    count: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    create_all("children", children, count, err, || {
        let started = change("interaction", interaction)?.sound("children", count)?.spawn()?;
        Ok(started.into_iter().map(seclude_child::new).collect())
    })
}

/// Starts the commands, and waits at most `milliseconds` for places in a pool. With 0 it does not
/// wait. Otherwise like `seclude_interaction_spawn`.
///
/// Returns 1 if they run, and 0 if the pool had too few free places in that time: nothing was
/// started then, and all `children` are NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_interaction_spawn_timeout(
    interaction: *mut seclude_interaction,
    milliseconds: u64,
    children: *mut *mut seclude_child,
    count: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    try_create_all("children", children, count, err, || {
        let interaction = change("interaction", interaction)?.sound("children", count)?;
        let started = interaction.spawn_timeout(Duration::from_millis(milliseconds))?;
        Ok(started.map(|children| children.into_iter().map(seclude_child::new).collect()))
    })
}

/// Starts the commands together, collects the output of streams that are not connected, and waits
/// for all.
///
/// Returns 0 if they ran, however each ended. `outputs` is an array of `count` elements, the number
/// of commands. Each receives an output, in the order in which the commands were added. Owned: free
/// each with `seclude_output_free`. On failure all are NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_interaction_output(
    interaction: *mut seclude_interaction,
    outputs: *mut *mut seclude_output,
    count: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    create_all("outputs", outputs, count, err, || {
        let outputs = change("interaction", interaction)?.sound("outputs", count)?.output()?;
        outputs.into_iter().map(seclude_output::new).collect()
    })
}
