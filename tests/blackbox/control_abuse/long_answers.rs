//! Long answers that many clients do not read.

use std::io::Write;

use super::memory;
use crate::support::api::Api;
use crate::support::pool::Pool;
use crate::support::waiting::eventually;

#[test]
fn the_memory_of_answers_that_were_not_read_goes_back_to_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    // The second pool waits for ever.
    let text = "[pool.POOL-a]\ncommand = ['WORKER', 'stay']\nready = { line = 'never' }\n\
                [pool.POOL-b]\ncommand = ['WORKER', 'stay']\nworkers = 1000\nafter = ['POOL-a']\n";
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.says.wait_for("keeping");
    let api = Api::at(&socket);
    let length = api.get("/v1/status").body.len();
    assert!(length > 200_000, "{length}");
    let before = memory(&pm);
    let client = |_| {
        let mut client = api.connect();
        client.write_all(b"GET /v1/status HTTP/1.1\r\nHost: pm\r\n\r\n").unwrap();
        // Whatever comes later in pm's memory keeps what was freed below it.
        assert_eq!(api.get("/v1/status").status, 200);
        client
    };
    let clients = Vec::from_iter((0..30).map(client));
    let all = length as u64 * 30 / 1_024 / 2;
    eventually("the answers wait", || (memory(&pm) > before + all).then_some(()));
    for client in clients {
        drop(client);
        assert_eq!(api.get("/v1/status").status, 200);
    }
    let left = || memory(&pm).saturating_sub(before);
    eventually("they are given back", || (left() < 1_500).then_some(()));
    pm.stop();
}
