//! The protocol between the library and the warden: plans, requests and reports.
//!
//! ```text
//!   library (core/src)                               warden (core/warden)
//!   ------------------                               --------------------
//!   Request::Setup, with the plan   ------------->   applies the steps in order
//!   Request::Admitted               ------------->   continues after Step::Await
//!                                   <-------------   Report::Ready or Report::Refused
//!   Request::Run                    ------------->   starts a command
//!                                   <-------------   Report::Started or Report::Failed
//!   Request::Signal, Kill, ...      ------------->   acts on the command
//!                                   <-------------   Report::Ended
//! ```
//!
//! Each message is one datagram on a `SOCK_SEQPACKET` socket. Descriptors travel beside it
//! (`SCM_RIGHTS`). A template also answers `Request::Clone`, and a warden outside its namespaces
//! starts with `Request::Join`; both answer with `Report::Born`. A command in a cell has a command
//! socket of its own, which carries the requests and reports about this command.
//!
//! The modules; each uses those below it:
//!
//! ```text
//!   message   requests, reports, and the constants in their fields
//!   plan      the steps of set-up          usage   the figures of Report::Ended
//!   unpack    the entries of an image, for the unpacker (core/unpacker)
//!   codec     encoding of plain data, and the macro that defines every type above
//! ```
//!
//! Both sides compile this folder. The code is `no_std`, does not allocate and has no `unsafe`. It
//! does not know how the warden carries out a step. Each side treats the bytes of the other as
//! hostile: every read is bounds-checked, and a surplus byte is an error.

pub mod codec;
pub mod message;
pub mod plan;
pub mod unpack;
pub mod usage;
