//! The binary against real workers: what a user of pm sees, and what is left when it has ended.
//!
//! Each test starts a pm of its own ([`harness`]), on ports of its own, with workers that do what they are told
//! (`tests/fixtures/worker.rs`), and waits for facts, never for time to pass. Whatever happens in a test, nothing of
//! it stays behind.
//!
//! `PM_TEST_BIN` names another pm to test, such as the release build, the memory of which is limited too;
//! `PM_TEST_FLOOD_MB` and `PM_TEST_IDLE_S` say how long the flood and the look at an idle pm are, and `PM_PROOF` makes
//! them as long as the README claims.

mod after;
mod crash;
mod faults;
mod given;
mod harness;
mod init;
mod lines;
mod matrix;
mod output;
mod processes;
mod procfile;
mod reload;
mod start;
mod stop;
mod terminal;
mod watch;
mod world;
