//! A pm that has no descriptor left for a client.

use crate::support::api::Api;
use crate::support::pool::Pool;
use crate::support::waiting::eventually;

#[test]
fn a_pm_without_a_descriptor_for_a_client_says_which_limit_that_is_and_takes_it_later() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    let text = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n";
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, text).after("ulimit -n 45");
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.wait_slot_ready(".1", 1);
    let api = Api::at(&socket);
    let clients: Vec<_> = (0..60).map(|_| api.connect()).collect();
    let said = pm.says.wait_for("commands cannot reach this pm: ");
    let limit = ".pm.sock: cannot accept a client: too many open files (each worker needs two, each \
        client one: raise the hard limit, `ulimit -Hn`)";
    assert!(said.ends_with(limit), "{said}");
    drop(clients);
    // None of them is left, but those that wait in the kernel.
    eventually("there is room", || (api.get("/v1/status").status == 200).then_some(()));
    let clients: Vec<_> = (0..60).map(|_| api.connect()).collect();
    drop(clients);
    assert_eq!(api.get("/v1/status").status, 200);
    assert_eq!(pm.says.with("commands cannot reach").len(), 1, "not again within a minute");
    pm.stop();
}
