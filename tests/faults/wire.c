/*
 * Wires of the program kpid-faults: $KPID_FAULT_WIRES names pairs of ports, "7001=9001 7002=9002". Who
 * connects to the first of a pair comes to the second, a proxy that the test can hold up, although a sentinel
 * or a cluster names the first.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static in_port_t wire_of(in_port_t port)
{
    const char *at = getenv("KPID_FAULT_WIRES");

    while (at && *at) {
        char *end;
        unsigned long from = strtoul(at, &end, 10), to = *end == '=' ? strtoul(end + 1, &end, 10) : from;
        if (htons((in_port_t)from) == port)
            return htons((in_port_t)to);
        at = *end == ' ' ? end + 1 : "";
    }
    return port;
}

/* Stands before that of the C library, for hiredis too. */
int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    struct sockaddr_in in;

    if (address->sa_family != AF_INET || len < sizeof in)
        return (int)syscall(SYS_connect, fd, address, len);
    memcpy(&in, address, sizeof in);
    in.sin_port = wire_of(in.sin_port);
    return (int)syscall(SYS_connect, fd, &in, sizeof in);
}
