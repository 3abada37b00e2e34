//! The reader of notifications (sd_notify).

use std::time::Instant;

use fastrand::Rng;
use pm::sys::notify::{self, Notification};

use crate::changes::changed_bytes;
use crate::{TIME_MAX, seeds};

#[test]
fn the_reader_of_notifications_survives_random_datagrams() {
    const DATAGRAMS: [&str; 3] = [
        "READY=1\nSTATUS=half way\nMAINPID=12\n",
        "WATCHDOG=1",
        "STOPPING=1\nERRNO=2\nFDSTORE=1\nWATCHDOG=trigger\nX_A=b=c\n",
    ];
    let mut count = 0;
    for seed in seeds() {
        let bytes = changed_bytes(&mut Rng::with_seed(seed), &DATAGRAMS);
        let began = Instant::now();
        let notices = std::panic::catch_unwind(|| notify::parse(&bytes));
        let notices = notices.unwrap_or_else(|_| panic!("PM_SEED={seed} panics: {bytes:?}"));
        assert!(began.elapsed() < TIME_MAX, "PM_SEED={seed} takes too long: {bytes:?}");
        count += notices.len();
        for notice in notices {
            if let Notification::Status(text) | Notification::MainPid(text) = notice {
                let is_fit = text.chars().count() <= 200 && !text.contains(char::is_control);
                assert!(is_fit, "PM_SEED={seed}: control characters or too long: {text:?}");
            }
        }
    }
    println!("{count} notifications");
    assert!(count > 0);
}
