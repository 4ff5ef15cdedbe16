// Sends to many addresses without a pause, from its first instruction on, and says who was reached: hammer MS TARGET...
// A target is an address, or ADDRESS/24: the addresses of its network from this one upwards, as a CNI plugin gives them
// out, up to 32 above the last that was heard from. Every MS milliseconds each target gets a datagram "HOSTNAME
// NUMBER", which counts from 0 for each address, and a part of them a TCP connection. It listens at the same port by
// both. Prints a line for each peer, at the first time:
//   ADDRESS udp-from HOSTNAME NUMBER    a datagram came, with this number
//   ADDRESS tcp-from                    a connection was accepted
//   ADDRESS tcp-to RETRANSMITS          a connection was made; how often its first packet was sent again
//   - ip-before COUNT                   IPv4 packets reached this network namespace before the start
//   - ip-in SOURCE DESTINATION PROTOCOL the first one after it, by any interface but loopback. On that one the kernel
//                                       sends errors to this program itself, as for an address that nobody has
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kPort = 7000, kMaxRanges = 8, kFirstHost = 2, kHosts = 253, kAhead = 32, kConnections = 64, kTcpEvery = 16 };
enum Seen { kUdpFrom = 1, kTcpFrom = 2, kTcpTo = 4 };

// The hosts of a /24 in the order in which they are given out, beginning at `start`. A single address: one of it.
struct Range {
  unsigned network;  // host byte order
  int start;
  bool single;
  int window;
  unsigned numbers[kHosts];
};

static struct Range ranges[kMaxRanges];
static int range_count;
static unsigned char seen[1 << 16];  // by the two low bytes of the address
static int datagrams, listener;
static struct pollfd connections[kConnections];
static unsigned connection_addresses[kConnections];
static int next_connection;
static char name[64];

static unsigned AddressAt(const struct Range* range, int index) {
  if (range->single) return range->network | (unsigned)range->start;
  return range->network | (unsigned)(kFirstHost + (range->start - kFirstHost + index) % kHosts);
}

// True at the first time.
static bool Note(unsigned address, enum Seen what) {
  unsigned char* known = &seen[address & 0xffff];
  if ((*known & what) != 0) return false;
  *known |= (unsigned char)what;
  return true;
}

static const char* TextOf(unsigned address) { return inet_ntoa((struct in_addr){htonl(address)}); }

static struct sockaddr_in SocketAddress(unsigned address) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(kPort), .sin_addr = {htonl(address)}};
}

// Moves the window of a range behind the last address that was heard from.
static void Widen(unsigned address) {
  for (int i = 0; i < range_count; ++i) {
    struct Range* range = &ranges[i];
    if (range->single || range->network != (address & 0xffffff00)) continue;
    int index = ((int)(address & 0xff) - range->start + kHosts) % kHosts;
    if (index + kAhead > range->window) range->window = index + kAhead;
    if (range->window > kHosts) range->window = kHosts;
  }
}

static void CloseConnection(int index) {
  if (connections[index].fd < 0) return;
  struct linger reset = {.l_onoff = 1};
  setsockopt(connections[index].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  close(connections[index].fd);
  connections[index].fd = -1;
}

static void Connect(unsigned address) {
  int index = next_connection++ % kConnections;
  CloseConnection(index);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in to = SocketAddress(address);
  if (fd < 0) return;
  // One that fails at once has no error left to ask for, and would look like one that was made.
  if (connect(fd, (struct sockaddr*)&to, sizeof(to)) != 0 && errno != EINPROGRESS) {
    close(fd);
    return;
  }
  connections[index] = (struct pollfd){.fd = fd, .events = POLLOUT};
  connection_addresses[index] = address;
}

static void CheckConnections(void) {
  if (poll(connections, kConnections, 0) <= 0) return;
  for (int i = 0; i < kConnections; ++i) {
    if (connections[i].fd < 0 || connections[i].revents == 0) continue;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(connections[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    struct tcp_info info = {0};
    size = sizeof(info);
    getsockopt(connections[i].fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    unsigned address = connection_addresses[i];
    if (error == 0 && Note(address, kTcpTo)) printf("%s tcp-to %u\n", TextOf(address), info.tcpi_total_retrans);
    CloseConnection(i);
  }
}

static void Send(struct Range* range, int index, bool by_tcp) {
  char text[96];
  unsigned address = AddressAt(range, index);
  struct sockaddr_in to = SocketAddress(address);
  int length = snprintf(text, sizeof(text), "%s %u", name, range->numbers[index]++);
  sendto(datagrams, text, (size_t)length, 0, (struct sockaddr*)&to, sizeof(to));
  if (by_tcp) Connect(address);
}

static void Receive(void) {
  char text[96];
  struct sockaddr_in from;
  socklen_t size = sizeof(from);
  ssize_t length;
  while ((length = recvfrom(datagrams, text, sizeof(text) - 1, 0, (struct sockaddr*)&from, &size)) >= 0) {
    unsigned address = ntohl(from.sin_addr.s_addr);
    text[length] = '\0';
    if (Note(address, kUdpFrom)) printf("%s udp-from %s\n", TextOf(address), text);
    Widen(address);
  }
  int fd;
  while ((fd = accept4(listener, (struct sockaddr*)&from, &size, SOCK_NONBLOCK)) >= 0) {
    unsigned address = ntohl(from.sin_addr.s_addr);
    if (Note(address, kTcpFrom)) printf("%s tcp-from\n", TextOf(address));
    close(fd);
  }
}

static void Open(void) {
  struct sockaddr_in any = SocketAddress(INADDR_ANY);
  int yes = 1;
  datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (bind(datagrams, (struct sockaddr*)&any, sizeof(any)) != 0 ||
      bind(listener, (struct sockaddr*)&any, sizeof(any)) != 0 || listen(listener, 512) != 0) {
    perror("hammer");
    exit(EXIT_FAILURE);
  }
  for (int i = 0; i < kConnections; ++i) connections[i].fd = -1;
}

// IPv4 packets that have reached this network namespace, whatever became of them.
static unsigned long long Received(void) {
  char line[512];
  unsigned long long received = 0;
  FILE* file = fopen("/proc/net/snmp", "r");
  if (file == NULL) return 0;
  // The first line of a protocol has the names, the second one the values.
  while (fgets(line, sizeof(line), file) != NULL && sscanf(line, "Ip: %*u %*u %llu", &received) != 1) {
  }
  fclose(file);
  return received;
}

// Gets a copy of each IPv4 packet that comes in, from now on.
static int OpenPackets(void) {
  int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(ETH_P_IP));
  if (fd < 0) {
    perror("hammer: packet socket");
    exit(EXIT_FAILURE);
  }
  return fd;
}

// Prints the first packet that has come in by an interface other than loopback, and closes the socket then.
static void NoteIncoming(int* packets) {
  const int loopback = (int)if_nametoindex("lo");
  struct iphdr packet;
  struct sockaddr_ll from;
  socklen_t size = sizeof(from);
  ssize_t length;
  while (*packets >= 0 &&
         (length = recvfrom(*packets, &packet, sizeof(packet), 0, (struct sockaddr*)&from, &size)) >= 0) {
    if (from.sll_ifindex == loopback || length < (ssize_t)sizeof(packet)) continue;
    printf("- ip-in %s", TextOf(ntohl(packet.saddr)));
    printf(" %s %u\n", TextOf(ntohl(packet.daddr)), packet.protocol);  // TextOf has one buffer
    close(*packets);
    *packets = -1;
  }
}

static bool AddTarget(const char* text) {
  char address[INET_ADDRSTRLEN] = {0};
  const char* slash = strchr(text, '/');
  size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
  struct in_addr parsed;
  if (range_count == kMaxRanges || length >= sizeof(address) || (slash != NULL && strcmp(slash, "/24") != 0))
    return false;
  memcpy(address, text, length);
  if (inet_pton(AF_INET, address, &parsed) != 1) return false;
  unsigned value = ntohl(parsed.s_addr);
  ranges[range_count++] = (struct Range){.network = value & 0xffffff00,
                                         .start = (int)(value & 0xff),
                                         .single = slash == NULL,
                                         .window = slash == NULL ? 1 : kAhead};
  return true;
}

static long long NowMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void ReceiveUntil(long long deadline) {
  for (;;) {
    struct pollfd polled[] = {{.fd = datagrams, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
    long long left = deadline - NowMs();
    poll(polled, 2, left > 0 ? (int)left : 0);
    Receive();
    CheckConnections();
    if (left <= 0) return;
  }
}

// Sends to all targets once, spread over the time of a sweep.
static void Sweep(int sweep, int milliseconds, int* packets) {
  long long start = NowMs();
  int total = 0;
  for (int i = 0; i < range_count; ++i) total += ranges[i].window;
  int sent = 0;
  for (int i = 0; i < range_count; ++i) {
    for (int index = 0; index < ranges[i].window; ++index) {
      Send(&ranges[i], index, ranges[i].single || (index + sweep) % kTcpEvery == 0);
      ++sent;
      // The first datagrams leave at once.
      long long due = start + (sweep == 0 && ranges[i].single ? 0 : (long long)milliseconds * sent / total);
      if (due > NowMs()) ReceiveUntil(due);
    }
  }
  ReceiveUntil(start + milliseconds);
  NoteIncoming(packets);
}

int main(int argc, char** argv) {
  int packets = OpenPackets();
  unsigned long long before = Received();
  setvbuf(stdout, NULL, _IOLBF, 0);
  gethostname(name, sizeof(name) - 1);
  bool valid = argc > 2 && atoi(argv[1]) > 0;
  for (int i = 2; valid && i < argc; ++i) valid = AddTarget(argv[i]);
  if (!valid) {
    fprintf(stderr, "usage: hammer MILLISECONDS ADDRESS|ADDRESS/24...\n");
    return 2;
  }
  Open();
  if (before != 0) printf("- ip-before %llu\n", before);
  for (int sweep = 0;; ++sweep) Sweep(sweep, atoi(argv[1]), &packets);
}
