//! What a reload does with slots that have no worker, with links, and with files that mean the same.

use crate::support::pool::Pool;

#[test]
fn variables_in_another_order_replace_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'stay']
        ready   = { after = '0s' }
        env     = { A = '1', B = '2' }
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.wait_slot_ready(".1", 1);
    pm.reload(&text.replace("A = '1', B = '2'", "B = '2', A = '1'"));
    pm.says.wait_for("reload: kept 1 worker");
    pm.stop();
}
