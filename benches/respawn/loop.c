/*
 * The yardstick: the least that any process manager must do between a death and the next worker.
 *
 *     loop PROGRAM ARGS...     keeps one PROGRAM alive: waitpid, vfork, execve, and nothing else
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	for (;;) {
		pid_t worker = vfork();
		if (worker == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			execve(argv[1], argv + 1, environ);
			_exit(127);
		}
		if (worker < 0 || waitpid(worker, NULL, 0) != worker)
			return 1;
	}
}
