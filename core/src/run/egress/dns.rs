//! Questions for names, and the answers to them: RFC 1035. The crate simple-dns reads and writes
//! them.

use crate::policy::egress::domain;
use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, OPCODE, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use std::net::Ipv4Addr;

/// A question for a name.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// The name. `None` if it cannot be that of a host.
    pub name: Option<String>,
    /// Whether the IPv4 address is asked for.
    pub wants_address: bool,
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Address(Ipv4Addr),
    /// The name exists, and has nothing of what is asked for.
    Nothing,
    NoSuchName,
    Failure,
}

/// Reads a question. `None`: it is none that could be answered.
pub fn read(message: &[u8]) -> Option<Question> {
    let packet = Packet::parse(message).ok()?;
    let [question] = &*packet.questions else { return None };
    if packet.has_flags(PacketFlag::RESPONSE) || packet.opcode() != OPCODE::StandardQuery {
        return None;
    }
    let labels = question.qname.as_bytes();
    let texts: Option<Vec<&str>> = labels.map(|label| str::from_utf8(label).ok()).collect();
    // A dot within a label would make another name of it.
    let texts = texts.filter(|texts| texts.iter().all(|text| !text.contains('.')));
    Some(Question {
        name: texts.and_then(|texts| domain(&texts.join("."))),
        wants_address: matches!(question.qtype, QTYPE::TYPE(TYPE::A) | QTYPE::ANY),
    })
}

/// Writes the answer to a question that could be read.
pub fn write(message: &[u8], answer: Answer) -> Option<Vec<u8>> {
    /// Seconds for which a program may remember the answer. An address stands for its name as long
    /// as the sandbox lives.
    const KEPT: u32 = 60;
    let asked = Packet::parse(message).ok()?;
    let mut reply = Packet::new_reply(asked.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    if asked.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    match answer {
        Answer::Address(address) => {
            let name = asked.questions.first()?.qname.clone();
            let data = RData::A(A::from(address));
            reply.answers.push(ResourceRecord::new(name, CLASS::IN, KEPT, data));
        }
        Answer::Nothing => {}
        Answer::NoSuchName => *reply.rcode_mut() = RCODE::NameError,
        Answer::Failure => *reply.rcode_mut() = RCODE::ServerFailure,
    }
    reply.questions = asked.questions;
    reply.build_bytes_vec_compressed().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::{Name, QCLASS};

    fn question(name: &str, kind: TYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        let name = Name::new_unchecked(name);
        let question =
            simple_dns::Question::new(name, kind.into(), QCLASS::CLASS(CLASS::IN), false);
        packet.questions.push(question);
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn a_question_is_read_and_answered() {
        let message = question("Example.ORG", TYPE::A);
        let read = read(&message).unwrap();
        assert_eq!(read, Question { name: Some("example.org".into()), wants_address: true });
        let address = Ipv4Addr::new(198, 18, 0, 16);
        let answer = write(&message, Answer::Address(address)).unwrap();
        let answer = Packet::parse(&answer).unwrap();
        assert_eq!((answer.id(), answer.rcode(), answer.questions.len()), (7, RCODE::NoError, 1));
        assert_eq!(answer.answers[0].rdata, RData::A(A::from(address)));
        let none = write(&message, Answer::NoSuchName).unwrap();
        assert_eq!(Packet::parse(&none).unwrap().rcode(), RCODE::NameError);
    }

    #[test]
    fn what_is_no_question_has_no_answer() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[0; 12]), None);
        let message = question("a.test", TYPE::A);
        for length in 0..message.len() {
            assert_eq!(read(&message[..length]), None);
        }
        // An answer is not answered.
        let answer = write(&message, Answer::Nothing).unwrap();
        assert_eq!(read(&answer), None);
        assert!(!read(&question("a.test", TYPE::AAAA)).unwrap().wants_address);
    }

    #[test]
    fn a_name_that_is_no_hosts_is_none() {
        // The label "a.b" is not the two labels a and b.
        let mut message = question("xxxyyy.test", TYPE::A);
        let place = message.windows(6).position(|bytes| bytes == b"xxxyyy").unwrap();
        message[place..place + 6].copy_from_slice(b"evil.b");
        assert_eq!(read(&message).unwrap().name, None);
    }
}
