//! The real binary with real workers: what a user of pm sees, and that no process is left when pm has ended.
//!
//! Each test starts its own pm ([`support::pool`]) on its own ports. Its workers obey orders
//! (`tests/fixtures/worker/`). A test waits for facts, not for time to pass. A test that fails ends everything that
//! it has started.
//!
//! `PM_TEST_BIN` names another pm to test, such as the release build; only there the memory of an idle pm is asserted.
//! `PM_TEST_FLOOD_MB` and `PM_TEST_IDLE_S` set the size of the flood and the time for which an idle pm is observed.
//! `PM_PROOF` sets both to the values in the README.

mod attached_clients;
mod commands;
mod control;
mod control_abuse;
mod crash;
mod early_signals;
mod exec_command;
mod exec_environment;
mod hanging_start;
mod health;
mod held_ports;
mod hidden_holders;
mod init_option;
mod log_files;
mod matrix;
mod metrics;
mod orphan_signals;
mod orphans;
mod output;
mod page;
mod pool_order;
mod pool_settings;
mod procfile;
mod prompts;
mod random_ends;
mod real_programs;
mod reload;
mod reload_states;
mod reused_numbers;
mod run_end;
mod sealed;
mod sealed_ports;
mod service_manager;
mod start;
mod stats;
mod stop;
mod superuser;
#[path = "../support/mod.rs"]
mod support;
mod suspension;
mod terminal;
mod terminal_output;
mod traced;
mod view;
mod wakeup;
