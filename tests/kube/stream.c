// Keeps an echo server busy, and counts what is lost: stream ADDRESS PORT
// A numbered datagram each 2 ms, and one TCP connection with a message each 10 ms. Prints each second:
//   udp SENT LOST LONGEST-GAP-MS tcp MESSAGES LONGEST-GAP-MS
// LOST counts datagrams without an answer after a second. The gaps are between two answers, since the start. The
// program ends with an error when the connection ends, so a restart of the container shows that.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kUdpMs = 2, kTcpMs = 10, kMost = 1 << 20, kLateMs = 1000 };

static unsigned char answered[kMost];
static long long sent_at[kMost];

struct Gap {
  long long last;
  long long longest;
};

static long long NowMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void Answered(struct Gap* gap) {
  long long now = NowMs();
  if (gap->last != 0 && now - gap->last > gap->longest) gap->longest = now - gap->last;
  gap->last = now;
}

static int Open(int type, const struct sockaddr_in* address) {
  int fd = socket(AF_INET, type, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr*)address, sizeof(*address)) != 0) {
    perror("stream: connect");
    exit(EXIT_FAILURE);
  }
  return fd;
}

int main(int argc, char** argv) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (argc != 3 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
    fprintf(stderr, "usage: stream ADDRESS PORT\n");
    return 2;
  }
  address.sin_port = htons((unsigned short)atoi(argv[2]));
  setvbuf(stdout, NULL, _IOLBF, 0);
  int tcp = Open(SOCK_STREAM, &address);
  int udp = Open(SOCK_DGRAM, &address);
  int size = 4 << 20;
  setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));

  struct Gap udp_gap = {0};
  struct Gap tcp_gap = {0};
  unsigned sent = 0;
  unsigned checked = 0;
  unsigned lost = 0;
  unsigned messages = 0;
  long long next_udp = NowMs();
  long long next_tcp = next_udp;
  long long next_line = next_udp + 1000;
  const struct timespec pause = {.tv_nsec = 500 * 1000};
  for (;;) {
    long long now = NowMs();
    if (now >= next_udp && sent < kMost) {
      next_udp = now + kUdpMs;
      sent_at[sent] = now;
      send(udp, &sent, sizeof(sent), 0);
      ++sent;
    }
    if (now >= next_tcp) {
      next_tcp = now + kTcpMs;
      if (send(tcp, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
        perror("stream: the connection ended");
        return EXIT_FAILURE;
      }
    }
    unsigned number;
    while (recv(udp, &number, sizeof(number), MSG_DONTWAIT) == sizeof(number)) {
      if (number < sent) answered[number] = 1;
      Answered(&udp_gap);
    }
    char data[512];
    ssize_t length = recv(tcp, data, sizeof(data), MSG_DONTWAIT);
    if (length == 0 || (length < 0 && errno != EAGAIN)) {
      fprintf(stderr, "stream: the connection ended: %s\n", length == 0 ? "closed" : strerror(errno));
      return EXIT_FAILURE;
    }
    if (length > 0) {
      messages += (unsigned)length;
      Answered(&tcp_gap);
    }
    while (checked < sent && sent_at[checked] + kLateMs < now) lost += answered[checked++] == 0;
    if (now >= next_line) {
      next_line = now + 1000;
      printf("udp %u %u %lld tcp %u %lld\n", sent, lost, udp_gap.longest, messages, tcp_gap.longest);
    }
    nanosleep(&pause, NULL);
  }
}
