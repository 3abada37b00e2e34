/*
 * A worker that writes lines of 100 bytes, numbered from 1.
 *
 *     writer NAME LINES FOLDER PAUSE
 *
 * It writes one line and waits for a byte from the pipe FOLDER/begin. Then it writes LINES lines: as fast as it can if PAUSE is 0,
 * else one by one with PAUSE microseconds between two. Its last line tells its longest write in microseconds. It ends
 * when there is a byte in the pipe FOLDER/end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, BLOCK_LINES = 655 };

static long longest;

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void write_all(const char *bytes, size_t count)
{
	while (count > 0) {
		long began = now();
		ssize_t written = write(1, bytes, count);
		long took = now() - began;

		if (written < 0)
			exit(1);
		if (took > longest)
			longest = took;
		bytes += written;
		count -= written;
	}
}

static void fill(char *line, const char *name, const char *word, long n)
{
	memset(line, '.', LINE);
	line[snprintf(line, LINE, "%s %s %08ld ", name, word, n)] = '.';
	line[LINE - 1] = '\n';
}

/* Waits for a byte from a pipe in the working folder. */
static int wait_for(const char *gate)
{
	char byte;
	int pipe = open(gate, O_RDONLY);

	return read(pipe, &byte, 1) == 1 ? 0 : 1;
}

/* Adds 1 to the number that ends before `end`. */
static void count_up(char *end)
{
	while (*--end == '9')
		*end = '0';
	++*end;
}

int main(int argc, char **argv)
{
	static char block[BLOCK_LINES * LINE];
	char line[LINE];
	long lines;
	useconds_t pause;
	size_t number_end;

	if (argc != 5)
		return 2;
	lines = atol(argv[2]);
	pause = atol(argv[4]);
	if (chdir(argv[3]) < 0)
		return 1;
	fill(line, argv[1], "starts", 0);
	write_all(line, LINE);
	if (wait_for("begin"))
		return 1;
	longest = 0;
	fill(line, argv[1], "line", 0);
	number_end = strlen(argv[1]) + strlen(" line 00000000");
	for (long n = 0; n < lines;) {
		long here = pause ? 1 : lines - n < BLOCK_LINES ? lines - n : BLOCK_LINES;

		for (long i = 0; i < here; i++) {
			count_up(line + number_end);
			memcpy(block + i * LINE, line, LINE);
		}
		write_all(block, here * LINE);
		n += here;
		if (pause)
			usleep(pause);
	}
	fill(line, argv[1], "ends", longest);
	write_all(line, LINE);
	return wait_for("end");
}
