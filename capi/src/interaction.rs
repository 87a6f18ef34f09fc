//! `seclude_interaction`: commands joined by pipes and started together, each with its own limits
//! and its own end.

use crate::boundary::{Answer, Sticky, change, code, free, made_all, made_all_or_none, set, taken};
use crate::child::seclude_child;
use crate::command::seclude_command;
use crate::error::seclude_error;
use crate::output::seclude_output;
use seclude_core::Interaction;
use std::ffi::c_int;
use std::time::Duration;

/// Commands that talk with each other over pipes: a solution and its judge, say. Each is in its
/// sandbox, with its limits.
///
/// A mistake in a setter sticks: starting it reports the first one, and a command's before its own.
pub struct seclude_interaction {
    interaction: Interaction,
    /// How many commands it has.
    count: usize,
    sticky: Option<seclude_error>,
}

impl seclude_interaction {
    fn sound(&mut self, what: &str, room: usize) -> Answer<&mut Interaction> {
        match &self.sticky {
            Some(error) => Err(error.clone()),
            // Before anything has started.
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

/// An interaction without commands. Never NULL. Free it with `seclude_interaction_free`.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_interaction_new() -> *mut seclude_interaction {
    Box::into_raw(Box::new(seclude_interaction {
        interaction: Interaction::new(),
        count: 0,
        sticky: None,
    }))
}

/// Frees an interaction, the commands that were added to it, and their copies of descriptors. NULL
/// is a no-op. Children that it started are not affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_interaction_free(interaction: *mut seclude_interaction) {
    free(interaction);
}

/// Adds a command, and returns its number, from 0 on; a mistake is a negative `SECLUDE_E...`, and
/// sticks.
///
/// The command is the interaction's from now on, after a mistake too: it is not to be used any
/// more, and not to be freed. Only where `interaction` is NULL is it freed at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_interaction_add(
    interaction: *mut seclude_interaction,
    command: *mut seclude_command,
) -> c_int {
    code(std::ptr::null_mut(), || {
        let command = taken("command", command);
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

/// Joins what the command of number `writer` writes to its descriptor `from` to what the command
/// `reader` reads from its descriptor `to`: `seclude_interaction_pipe(interaction, solution, 1,
/// judge, 0)`. Each descriptor of a command once.
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

/// Sets up all commands, then starts them together. 0, and each of the `count` places at `children`
/// holds a new child, in the order in which the commands were added: free each with
/// `seclude_child_free`. `count` is the number of commands. After a failure nothing runs, and all
/// places are NULL.
///
/// Streams that are not joined are as `seclude_command_spawn` has them. Commands of one pool take
/// their places in it together, and wait for them, as long as that takes; a pool that has fewer is
/// `SECLUDE_EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_interaction_spawn(
    interaction: *mut seclude_interaction,
    children: *mut *mut seclude_child,
    count: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    made_all("children", children, count, err, || {
        let started = change("interaction", interaction)?.sound("children", count)?.spawn()?;
        Ok(started.into_iter().map(seclude_child::new).collect())
    })
}

/// As `seclude_interaction_spawn`, but waits for places in a pool for at most so many milliseconds;
/// with 0 it does not wait. 1, and each of the `count` places at `children` holds a new child; 0 if
/// there were not enough places in the pool: nothing has started then, and all are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_interaction_spawn_timeout(
    interaction: *mut seclude_interaction,
    milliseconds: u64,
    children: *mut *mut seclude_child,
    count: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    made_all_or_none("children", children, count, err, || {
        let interaction = change("interaction", interaction)?.sound("children", count)?;
        let started = interaction.spawn_timeout(Duration::from_millis(milliseconds))?;
        Ok(started.map(|children| children.into_iter().map(seclude_child::new).collect()))
    })
}

/// Starts them together, collects what they write to streams that are not joined, and waits for
/// all. 0 if they ran, however each ended, and each of the `count` places at `outputs` holds a new
/// output, in the order in which the commands were added: free each with `seclude_output_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_interaction_output(
    interaction: *mut seclude_interaction,
    outputs: *mut *mut seclude_output,
    count: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    made_all("outputs", outputs, count, err, || {
        let outputs = change("interaction", interaction)?.sound("outputs", count)?.output()?;
        outputs.into_iter().map(seclude_output::new).collect()
    })
}
