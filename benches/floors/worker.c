/*
 * What is kept alive: a worker that costs next to nothing.
 *
 *     worker                 does nothing, without end
 *     worker listen PORT     accepts connections on a port of 127.0.0.1, in its queue, and does nothing else
 *     worker exit STATUS     ends with this status
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int yes = 1, socket_fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	return bind(socket_fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(socket_fd, 16) < 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		return atoi(argv[2]);
	if (argc == 3 && strcmp(argv[1], "listen") == 0 && listen_on(atoi(argv[2])))
		return 1;
	for (;;)
		pause();
}
