// Watches whether a TCP port can be reached: probe ADDRESS PORT
// It connects again and again, and prints a line when the answer changes: "MILLISECONDS open|closed". The time is
// CLOCK_BOOTTIME, which is the same outside of the container. One connection that is made says open. What was open is
// closed after a second in which none was made, as on a busy machine answers are late; the time is that of the first
// connection that failed.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// A connection that is denied gets no answer. The time-out bounds how late that is noticed.
static const int kTimeoutMs = 50;
static const long long kSilenceMs = 1000;
static const struct timespec kPause = {.tv_nsec = 5 * 1000 * 1000};

static long long NowMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool Reaches(const struct sockaddr_in* address) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    perror("socket");
    exit(EXIT_FAILURE);
  }
  bool reached = connect(fd, (const struct sockaddr*)address, sizeof(*address)) == 0;
  if (!reached && errno == EINPROGRESS) {
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof(error);
    reached =
        poll(&writable, 1, kTimeoutMs) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }
  // Without this, thousands of connections in TIME_WAIT use up the ports.
  struct linger reset = {.l_onoff = 1};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  close(fd);
  return reached;
}

int main(int argc, char** argv) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (argc != 3 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
    fprintf(stderr, "usage: probe ADDRESS PORT\n");
    return 2;
  }
  address.sin_port = htons((unsigned short)atoi(argv[2]));
  setvbuf(stdout, NULL, _IOLBF, 0);
  enum { kUnknown, kOpen, kClosed } last = kUnknown;
  long long silent_since = -1;
  for (;;) {
    if (Reaches(&address)) {
      if (last != kOpen) printf("%lld open\n", NowMs());
      last = kOpen;
      silent_since = -1;
    } else if (silent_since < 0) {
      silent_since = NowMs();
    }
    if (silent_since >= 0 && last != kClosed && (last == kUnknown || NowMs() - silent_since >= kSilenceMs)) {
      printf("%lld closed\n", silent_since);
      last = kClosed;
    }
    nanosleep(&kPause, NULL);
  }
}
