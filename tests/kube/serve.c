// Answers at ports: serve PORT...
// Each port by TCP (accepts, echoes), UDP (echoes) and, where the kernel has it, SCTP (accepts, closes).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kMaxSockets = 256, kBacklog = 512 };
enum Role { kListener, kDatagrams, kConnection };

static struct pollfd sockets[kMaxSockets];
static enum Role roles[kMaxSockets];
static nfds_t count;

static bool Add(int fd, enum Role role) {
  if (count == kMaxSockets) {
    close(fd);
    return false;
  }
  sockets[count] = (struct pollfd){.fd = fd, .events = POLLIN};
  roles[count++] = role;
  return true;
}

static void Remove(nfds_t index) {
  close(sockets[index].fd);
  --count;
  sockets[index] = sockets[count];
  roles[index] = roles[count];
}

// False when the kernel has no such sockets.
static bool Serve(int type, int protocol, unsigned short port) {
  int fd = socket(AF_INET, type | SOCK_NONBLOCK, protocol);
  if (fd < 0 && errno == EPROTONOSUPPORT) return false;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int yes = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
      bind(fd, (struct sockaddr*)&address, sizeof(address)) != 0 ||
      (type == SOCK_STREAM && listen(fd, kBacklog) != 0)) {
    perror("serve");
    exit(EXIT_FAILURE);
  }
  Add(fd, type == SOCK_STREAM ? kListener : kDatagrams);
  return true;
}

static void Accept(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  if (fd >= 0) Add(fd, kConnection);
}

static void Echo(int fd) {
  char data[2048];
  struct sockaddr_in peer;
  socklen_t size = sizeof(peer);
  ssize_t length;
  while ((length = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr*)&peer, &size)) >= 0) {
    sendto(fd, data, (size_t)length, 0, (struct sockaddr*)&peer, size);
  }
}

// False when the connection has ended.
static bool EchoConnection(int fd) {
  char data[2048];
  ssize_t length = read(fd, data, sizeof(data));
  if (length <= 0) return length < 0 && errno == EAGAIN;
  return write(fd, data, (size_t)length) == length;
}

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  for (int i = 1; i < argc; ++i) {
    unsigned short port = (unsigned short)atoi(argv[i]);
    Serve(SOCK_STREAM, IPPROTO_TCP, port);
    Serve(SOCK_DGRAM, IPPROTO_UDP, port);
    if (!Serve(SOCK_STREAM, IPPROTO_SCTP, port)) fprintf(stderr, "this kernel has no SCTP\n");
  }
  if (count == 0) {
    fprintf(stderr, "usage: serve PORT...\n");
    return 2;
  }
  for (;;) {
    if (poll(sockets, count, -1) < 0) continue;
    for (nfds_t i = count; i-- > 0;) {
      if (sockets[i].revents == 0) continue;
      if (roles[i] == kListener) {
        Accept(sockets[i].fd);
      } else if (roles[i] == kDatagrams) {
        Echo(sockets[i].fd);
      } else if (!EchoConnection(sockets[i].fd)) {
        Remove(i);
      }
    }
  }
}
