/*
 * The floor of an event loop: what a process manager must do that also has other things to wait for.
 *
 *     signalfd COUNT PROGRAM ARGS...     keeps COUNT of PROGRAM alive: epoll, signalfd, waitpid, vfork, execve
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void start(char **argv, const sigset_t *before)
{
	if (vfork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		sigprocmask(SIG_SETMASK, before, NULL);
		execve(argv[0], argv, environ);
		_exit(127);
	}
}

int main(int argc, char **argv)
{
	sigset_t ends, before;
	struct signalfd_siginfo end;
	struct epoll_event event = { .events = EPOLLIN };
	int signals, poll;

	if (argc < 3)
		return 2;
	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ends, &before);
	signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	poll = epoll_create1(EPOLL_CLOEXEC);
	if (signals < 0 || poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, signals, &event) < 0)
		return 1;
	for (int n = 0; n < atoi(argv[1]); n++)
		start(argv + 2, &before);
	for (;;) {
		if (epoll_wait(poll, &event, 1, -1) != 1)
			continue;
		while (read(signals, &end, sizeof end) == sizeof end)
			;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			start(argv + 2, &before);
	}
}
