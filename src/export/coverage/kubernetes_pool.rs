//! The column of Kubernetes where a pod has a whole pool: what pm in the pod does not do as it does elsewhere.

use super::Coverage::{Carried, InPart, Not};
use super::Row;

const GIVEN_UP: &str = "pm gives up; when all slots have, it ends, and the kubelet starts the container again, after 10 s at first and up to 5 minutes: watch the restart count";

pub const ROWS: &[Row] = &[
    ("sealed", Carried("each container is a pid namespace, which ends with its first process")),
    (
        "http",
        InPart(
            "each pod has a page of its own, for its pool alone: `kubectl port-forward` brings it to you",
        ),
    ),
    (
        "ports",
        InPart(
            "each port is one of the pod and of the Service, under its own number: the workers must listen on the address of the pod, not only on 127.0.0.1",
        ),
    ),
    (
        "hold_port",
        InPart(
            "pm in the pod holds the ports, if the seccomp profile of the pod allows pidfd_getfd(2), as most do with the capability SYS_PTRACE; `pm check` says so",
        ),
    ),
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
    ("restart", Carried("pm in the pod does it; the pod is that of a Job if it is not `always`")),
    ("max_restarts.count", InPart(GIVEN_UP)),
    (
        "ready.exit",
        Carried("an init container of the pools that come after it, else a Job; pm runs it"),
    ),
    ("backoff.give_up_after", InPart(GIVEN_UP)),
    ("stop.grace", Carried("pm in the pod does it; `terminationGracePeriodSeconds` is 2 s longer")),
    (
        "log.file",
        InPart("pm writes it in the container, and it is gone with it: mount a volume there"),
    ),
    (
        "limits.memory",
        InPart(
            "`resources.limits.memory`, for all slots together and 16 MiB for pm: one worker may use what the others leave",
        ),
    ),
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
        "nice",
        InPart(
            "pm in the pod sets it; a negative one needs root in the container, and its capability SYS_NICE",
        ),
    ),
];
