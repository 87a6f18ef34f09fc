//! The filter of a port of a switch: which frames do not reach the member behind it.
//!
//! One classic BPF program holds all of it, so one message replaces it: tc-bpf(8). It needs no
//! privilege but that over the switch.

use super::netlink::Message;
use netlink_packet_core::{DefaultNla, NLM_F_CREATE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};

/// What a port drops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drops {
    /// Every frame.
    All,
    /// Of the frames from members with these numbers, this share, in parts of 2^32. None of others.
    From(Vec<(u32, u64)>),
}

/// The share of all frames.
pub const ALWAYS: u64 = 1 << 32;

impl Drops {
    /// Nothing.
    pub const NOTHING: Drops = Drops::From(Vec::new());

    /// The program, in instructions of the form `struct sock_filter`: bpf(4).
    fn program(&self) -> Vec<[u8; 8]> {
        const LOAD_WORD: u16 = 0x20;
        const JUMP_IF_EQUAL: u16 = 0x15;
        const JUMP_IF_AT_LEAST: u16 = 0x35;
        const RETURN: u16 = 0x06;
        const PASS: u32 = 0;
        const DROP: u32 = 2;
        /// The last four bytes of the sender's hardware address, which are the member's number.
        const SENDER: u32 = 8;
        /// SKF_AD_OFF + SKF_AD_RANDOM of <linux/filter.h>: a random word.
        const RANDOM: u32 = (-0x1000i32 + 56).cast_unsigned();
        let instruction = |code: u16, then: u8, otherwise: u8, value: u32| {
            let [a, b] = code.to_ne_bytes();
            let [c, d, e, f] = value.to_ne_bytes();
            [a, b, then, otherwise, c, d, e, f]
        };
        let answer = |verdict| instruction(RETURN, 0, 0, verdict);
        let Drops::From(senders) = self else { return vec![answer(DROP)] };
        let mut program = vec![instruction(LOAD_WORD, 0, 0, SENDER)];
        for &(sender, share) in senders {
            match u32::try_from(share) {
                // The whole share does not fit 32 bits.
                Err(_) => program.extend([instruction(JUMP_IF_EQUAL, 0, 1, sender), answer(DROP)]),
                Ok(share) => program.extend([
                    instruction(JUMP_IF_EQUAL, 0, 4, sender),
                    instruction(LOAD_WORD, 0, 0, RANDOM),
                    instruction(JUMP_IF_AT_LEAST, 1, 0, share),
                    answer(DROP),
                    answer(PASS),
                ]),
            }
        }
        program.push(answer(PASS));
        program
    }
}

/// The messages that give a port its first filter, or another one.
pub fn install(port: u32, drops: &Drops) -> Vec<Message> {
    const OPTION_LENGTH: u16 = 4;
    const OPTION_PROGRAM: u16 = 5;
    const OPTION_FLAGS: u16 = 8;
    /// The program's result is the verdict.
    const DIRECT_ACTION: u32 = 1;
    let program = drops.program();
    let length = u16::try_from(program.len()).unwrap_or(u16::MAX);
    let mut options = vec![
        option(OPTION_LENGTH, length.to_ne_bytes().to_vec()),
        option(OPTION_PROGRAM, program.concat()),
        option(OPTION_FLAGS, DIRECT_ACTION.to_ne_bytes().to_vec()),
    ];
    let mut queue = TcMessage::with_index(port.cast_signed());
    queue.header.handle = TcHandle { major: TcHandle::CLSACT.major, minor: 0 };
    queue.header.parent = TcHandle::CLSACT;
    queue.attributes = vec![TcAttribute::Kind("clsact".into())];
    let mut filter = towards_member(port);
    filter.header.handle = TcHandle::from(1);
    filter.attributes = vec![TcAttribute::Kind("bpf".into())];
    filter.attributes.push(TcAttribute::Options(std::mem::take(&mut options)));
    vec![
        (NLM_F_CREATE, RouteNetlinkMessage::NewQueueDiscipline(queue)),
        (NLM_F_CREATE, RouteNetlinkMessage::NewTrafficFilter(filter)),
    ]
}

fn option(kind: u16, value: Vec<u8>) -> TcOption {
    TcOption::Other(DefaultNla::new(kind, value))
}

/// A message about the one filter for what the switch sends to a port.
fn towards_member(port: u32) -> TcMessage {
    /// ETH_P_ALL in network byte order.
    const ALL_PROTOCOLS: u32 = 3u16.to_be() as u32;
    const PRIORITY: u32 = 1;
    let mut filter = TcMessage::with_index(port.cast_signed());
    filter.header.parent = TcHandle { major: TcHandle::CLSACT.major, minor: TcHandle::MIN_EGRESS };
    filter.header.info = PRIORITY << 16 | ALL_PROTOCOLS;
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program on a frame from a member, with this random word.
    fn verdict(drops: &Drops, sender: u32, random: u32) -> u32 {
        let (mut at, mut word) = (0, 0);
        let program = drops.program();
        loop {
            let [a, b, then, otherwise, value @ ..] = program[at];
            let value = u32::from_ne_bytes(value);
            at += 1;
            let jumps = match u16::from_ne_bytes([a, b]) {
                0x20 if value == 8 => {
                    word = sender;
                    continue;
                }
                0x20 => {
                    word = random;
                    continue;
                }
                0x06 => return value,
                0x15 => word == value,
                0x35 => word >= value,
                other => panic!("instruction {other:#x}"),
            };
            at += usize::from(if jumps { then } else { otherwise });
        }
    }

    #[test]
    fn each_sender_loses_its_own_share() {
        let drops = Drops::From(vec![(1, ALWAYS), (2, ALWAYS / 4), (3, ALWAYS)]);
        for random in [0, u32::MAX] {
            assert_eq!(verdict(&drops, 1, random), 2);
            assert_eq!(verdict(&drops, 3, random), 2);
            assert_eq!(verdict(&drops, 4, random), 0);
            assert_eq!(verdict(&Drops::All, 4, random), 2);
            assert_eq!(verdict(&Drops::NOTHING, 1, random), 0);
        }
        assert_eq!(verdict(&drops, 2, (1 << 30) - 1), 2);
        assert_eq!(verdict(&drops, 2, 1 << 30), 0);
    }
}
