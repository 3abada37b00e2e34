/*
 * The first floor: the least that any process manager must do.
 *
 *     vfork COUNT PROGRAM ARGS...     keeps COUNT of PROGRAM alive: waitpid, vfork, execve, and nothing else
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void start(char **argv)
{
	if (vfork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execve(argv[0], argv, environ);
		_exit(127);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	for (int n = 0; n < atoi(argv[1]); n++)
		start(argv + 2);
	while (waitpid(-1, NULL, 0) > 0)
		start(argv + 2);
	return 1;
}
