/*
 * The yardstick of an event loop: what a process manager must do that also has other things to wait for.
 *
 *     signalfd PROGRAM ARGS...     keeps one PROGRAM alive: epoll, signalfd, waitpid, vfork, execve, and nothing else
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static pid_t start(char **argv, const sigset_t *before)
{
	pid_t worker = vfork();
	if (worker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		sigprocmask(SIG_SETMASK, before, NULL);
		execve(argv[0], argv, environ);
		_exit(127);
	}
	return worker;
}

int main(int argc, char **argv)
{
	sigset_t ends, before;
	struct signalfd_siginfo end;
	struct epoll_event event = { .events = EPOLLIN };
	int signals, poll;
	pid_t worker, dead;

	if (argc < 2)
		return 2;
	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ends, &before);
	signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	poll = epoll_create1(EPOLL_CLOEXEC);
	if (signals < 0 || poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, signals, &event) < 0)
		return 1;
	worker = start(argv + 1, &before);
	while (worker > 0) {
		if (epoll_wait(poll, &event, 1, -1) != 1)
			continue;
		while (read(signals, &end, sizeof end) == sizeof end)
			;
		while ((dead = waitpid(-1, NULL, WNOHANG)) > 0)
			if (dead == worker)
				worker = start(argv + 1, &before);
	}
	return 1;
}
