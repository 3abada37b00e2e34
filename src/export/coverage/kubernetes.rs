//! The column of Kubernetes.

use super::Coverage::{Carried, InPart, Not};
use super::Row;

const ANSWER: &str = "the kubelet takes 200 to 399 and reads no body: use `exec` with curl(1)";
const SECONDS: &str = "in whole seconds, rounded up";

pub const ROWS: &[Row] = &[
    ("sealed", Carried("each container is a pid namespace, which ends with its first process")),
    ("log.ring", Not("the kubelet keeps the lines: set `containerLogMaxSize` of the kubelet")),
    ("chaos", Not("only pm kills its own workers on purpose: use `kubectl delete pod`")),
    ("http", Not("only pm has this page: use the tools of the engine")),
    ("command", Carried("`command` of the container")),
    (
        "ports",
        InPart(
            "all workers listen on the first port, each in a pod of its own, behind one Service; `PORT` is that port: name the Service where the other ports were named",
        ),
    ),
    (
        "hold_port",
        Not(
            "no worker waits on a port while its pod is replaced: let clients try again, or run more pods",
        ),
    ),
    (
        "listen",
        Not("no socket is passed to a container: let the server open its port, without `listen`"),
    ),
    ("address", Not("no socket is passed to a container: see `listen`")),
    ("spare", Not("there is no spare pod: run one more worker, which the Service then uses too")),
    ("spares", Not("there is no spare pod: see `spare`")),
    ("spare_max_age", Not("there is no spare: see `spare`")),
    ("workers", Carried("`replicas`; of a Job `completions` and `parallelism`")),
    ("cwd", Carried("`workingDir`, a folder of the image")),
    (
        "path",
        InPart(
            "`PATH`, before the folders of most images; if the image has another PATH, set it in `env`",
        ),
    ),
    ("env", Carried("a ConfigMap, `envFrom`; what asks for `{n}` or `{slot}` stands in `env`")),
    (
        "env_file",
        InPart(
            "`envFrom` a Secret, `web-env-file`; the values are not written: `--secrets` writes them, or create it with kubectl",
        ),
    ),
    (
        "after",
        InPart(
            "a job is an init container; there is no order among others: let a worker try again until what it needs is there",
        ),
    ),
    (
        "ends_run",
        Not(
            "nothing ends with a Job: delete the rest when `kubectl wait --for=condition=complete` returns",
        ),
    ),
    ("restart", Carried("a Job if it is not `always`, with `restartPolicy`")),
    (
        "max_restarts.count",
        Not(
            "the kubelet restarts for ever, with a wait of up to 5 minutes: watch the restart count",
        ),
    ),
    (
        "max_restarts.within",
        Not(
            "the kubelet restarts for ever, with a wait of up to 5 minutes: watch the restart count",
        ),
    ),
    (
        "ready.tcp",
        InPart(
            "`startupProbe` and `readinessProbe`, from outside: the worker must listen on the address of the pod, not only on 127.0.0.1",
        ),
    ),
    (
        "ready.http",
        InPart(
            "`startupProbe` and `readinessProbe`, from outside: the worker must listen on the address of the pod, not only on 127.0.0.1",
        ),
    ),
    ("ready.status", Not(ANSWER)),
    ("ready.text", Not(ANSWER)),
    ("ready.exec", Carried("`startupProbe` and `readinessProbe`")),
    (
        "ready.notify",
        Not(
            "no socket for notifications is passed to a container: use `ready.http` or `ready.exec`",
        ),
    ),
    (
        "ready.line",
        Not("the kubelet does not read the lines of a container: use `ready.http` or `ready.exec`"),
    ),
    (
        "ready.line_regex",
        Not("the kubelet does not read the lines of a container: use `ready.http` or `ready.exec`"),
    ),
    ("ready.exit", Carried("an init container of the pools that come after it, else a Job")),
    (
        "ready.listen",
        InPart(
            "`startupProbe` and `readinessProbe` connect to the port, from outside: the worker must listen on the address of the pod",
        ),
    ),
    (
        "ready.after",
        InPart(
            "`minReadySeconds`, in whole seconds, rounded up: it delays a rollout, not the Service",
        ),
    ),
    (
        "ready.within",
        InPart(
            "`startupProbe.failureThreshold`, in whole seconds, rounded up; of a Job `activeDeadlineSeconds` for all its tries together; lost without a probe",
        ),
    ),
    (
        "alive.tcp",
        InPart(
            "`livenessProbe`, from outside: the worker must listen on the address of the pod, not only on 127.0.0.1",
        ),
    ),
    (
        "alive.http",
        InPart(
            "`livenessProbe`, from outside: the worker must listen on the address of the pod, not only on 127.0.0.1",
        ),
    ),
    ("alive.status", Not(ANSWER)),
    ("alive.text", Not(ANSWER)),
    ("alive.exec", Carried("`livenessProbe`")),
    (
        "alive.notify",
        Not(
            "no socket for notifications is passed to a container: use `alive.http` or `alive.exec`",
        ),
    ),
    (
        "alive.every",
        InPart(
            "`periodSeconds`, in whole seconds, rounded up; with `alive.notify` it is lost, as the notification is",
        ),
    ),
    ("alive.timeout", InPart(SECONDS)),
    ("alive.failures", Carried("`failureThreshold`")),
    (
        "backoff.first",
        Not("the kubelet waits 10 s, doubling up to 5 minutes: nothing can be set for one pod"),
    ),
    (
        "backoff.max",
        Not("the kubelet waits 10 s, doubling up to 5 minutes: nothing can be set for one pod"),
    ),
    (
        "backoff.give_up_after",
        InPart("`backoffLimit` of a Job; any other pod is restarted for ever"),
    ),
    (
        "stop.to",
        InPart(
            "Kubernetes signals the first process alone; `--with-pm` puts one there that passes it on to its child",
        ),
    ),
    (
        "stop.signal",
        InPart(
            "a `preStop` hook sends it and waits, for which the image needs /bin/sh; from Kubernetes 1.33 on `lifecycle.stopSignal` can do it without a hook",
        ),
    ),
    ("stop.grace", InPart("`terminationGracePeriodSeconds`, in whole seconds, rounded up")),
    ("log.file", Not("the kubelet has the lines, `kubectl logs`: write no file in a container")),
    ("log.max_size", Not("set `containerLogMaxSize` of the kubelet; see `log.file`")),
    ("log.keep", Not("set `containerLogMaxFiles` of the kubelet; see `log.file`")),
    ("output.color", Not("there is no terminal: `kubectl logs` prints the lines as they are")),
    ("output.prefix", Not("that is for you to say: `kubectl logs --prefix`")),
    (
        "limits.open_files",
        Not(
            "a pod has the limits of its container runtime: write `ulimit -n N; exec` before the command, as a string",
        ),
    ),
    (
        "limits.processes",
        Not("a pod has the limits of its node: set `podPidsLimit` of the kubelet"),
    ),
    (
        "limits.file_size",
        Not(
            "a pod has the limits of its container runtime: write `ulimit -f N; exec` before the command, as a string",
        ),
    ),
    (
        "limits.core",
        Not(
            "a pod has the limits of its container runtime: write `ulimit -c N; exec` before the command, as a string",
        ),
    ),
    (
        "limits.stack",
        Not(
            "a pod has the limits of its container runtime: write `ulimit -s N; exec` before the command, as a string",
        ),
    ),
    ("limits.memory", Carried("`resources.limits.memory`")),
    (
        "user",
        InPart(
            "`runAsUser`, the number that this user has here: give the number, or let the image have the same users",
        ),
    ),
    (
        "group",
        InPart(
            "`runAsGroup`, the number that this group has here: give the number, or let the image have the same groups",
        ),
    ),
    (
        "umask",
        Not(
            "a container has the umask of its engine: write `umask 027; exec` before the command, as a string",
        ),
    ),
    ("nice", Not("a container has no nice value: use `resources.requests.cpu`")),
    ("pty", Carried("`tty`")),
    ("raw", Carried("`kubectl logs` passes on all that comes")),
    ("stdin", InPart("`stdin`, which does not end; what is typed comes with `kubectl attach -i`")),
];
