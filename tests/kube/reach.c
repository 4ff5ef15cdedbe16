// Tries many addresses at once: reach tcp|udp|sctp PORT +ADDRESS|-ADDRESS...
// `+` is an address that should answer, `-` one that should not. Prints a line for each: "ADDRESS open|closed|refused".
// An address that should answer has 5 s for that, on a busy machine; the others must be silent for 300 ms.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kMaxTargets = 128, kPatienceMs = 5000, kSilenceMs = 300, kRepeatMs = 100 };

struct Target {
  const char* text;
  bool expected;
  int fd;
  const char* answer;
};

static long long NowMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char* NameOf(int error) { return error == 0 ? "open" : error == ECONNREFUSED ? "refused" : "closed"; }

static void Begin(struct Target* target, int type, int protocol, unsigned short port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  target->fd = socket(AF_INET, type | SOCK_NONBLOCK, protocol);
  if (target->fd < 0 || inet_pton(AF_INET, target->text, &address.sin_addr) != 1) {
    fprintf(stderr, "reach: %s: %s\n", target->text, strerror(errno));
    exit(2);
  }
  if (connect(target->fd, (struct sockaddr*)&address, sizeof(address)) != 0 && errno != EINPROGRESS) {
    target->answer = NameOf(errno);
  }
}

static void Finish(struct Target* target, int type) {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(target->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  char byte;
  if (type == SOCK_DGRAM && error == 0 && recv(target->fd, &byte, 1, 0) < 0) {
    if (errno == EAGAIN) return;
    error = errno;
  }
  target->answer = NameOf(error);
}

static bool AllDone(const struct Target* targets, int count, long long elapsed) {
  for (int i = 0; i < count; ++i) {
    if (targets[i].answer == NULL && elapsed < (targets[i].expected ? kPatienceMs : kSilenceMs)) return false;
  }
  return true;
}

int main(int argc, char** argv) {
  int count = argc - 3;
  if (count < 1 || count > kMaxTargets) {
    fprintf(stderr, "usage: reach tcp|udp|sctp PORT +ADDRESS|-ADDRESS...\n");
    return 2;
  }
  int type = strcmp(argv[1], "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
  int protocol = type == SOCK_DGRAM ? IPPROTO_UDP : strcmp(argv[1], "sctp") == 0 ? IPPROTO_SCTP : IPPROTO_TCP;
  struct Target targets[kMaxTargets];
  struct pollfd polled[kMaxTargets];
  for (int i = 0; i < count; ++i) {
    targets[i] = (struct Target){.text = argv[i + 3] + 1, .expected = argv[i + 3][0] == '+'};
    Begin(&targets[i], type, protocol, (unsigned short)atoi(argv[2]));
    polled[i] = (struct pollfd){.fd = targets[i].fd, .events = type == SOCK_DGRAM ? POLLIN : POLLOUT};
  }
  long long start = NowMs();
  long long repeat = start;
  while (!AllDone(targets, count, NowMs() - start)) {
    if (type == SOCK_DGRAM && NowMs() >= repeat) {
      repeat += kRepeatMs;
      for (int i = 0; i < count; ++i) {
        if (targets[i].answer == NULL) send(targets[i].fd, "?", 1, 0);
      }
    }
    for (int i = 0; i < count; ++i) {
      if (targets[i].answer != NULL) polled[i].fd = -1;
    }
    if (poll(polled, (nfds_t)count, 20) <= 0) continue;
    for (int i = 0; i < count; ++i) {
      if (polled[i].fd >= 0 && polled[i].revents != 0) Finish(&targets[i], type);
    }
  }
  for (int i = 0; i < count; ++i) {
    printf("%s %s\n", targets[i].text, targets[i].answer == NULL ? "closed" : targets[i].answer);
    // A reset at the end leaves no TIME_WAIT.
    struct linger reset = {.l_onoff = 1};
    setsockopt(targets[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(targets[i].fd);
  }
  return 0;
}
