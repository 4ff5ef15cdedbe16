// Sends a datagram by a raw socket, past every socket hook, and waits for the answer: raw_udp ADDRESS PORT
// Prints "open" when an answer came within a second, else "closed". Needs CAP_NET_RAW, which containers have.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kSourcePort = 40000, kPatienceMs = 1000 };

int main(int argc, char** argv) {
  struct sockaddr_in to = {.sin_family = AF_INET};
  if (argc != 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
    fprintf(stderr, "usage: raw_udp ADDRESS PORT\n");
    return 2;
  }
  // The answer comes to an ordinary socket that owns the source port.
  int answers = socket(AF_INET, SOCK_DGRAM, 0);
  int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(kSourcePort)};
  if (answers < 0 || raw < 0 || bind(answers, (struct sockaddr*)&from, sizeof(from)) != 0) {
    perror("raw_udp");
    return EXIT_FAILURE;
  }
  struct {
    struct udphdr header;
    char data[4];
  } packet = {.data = "raw"};
  packet.header.uh_sport = htons(kSourcePort);
  packet.header.uh_dport = htons((uint16_t)atoi(argv[2]));
  packet.header.uh_ulen = htons(sizeof(packet));
  if (sendto(raw, &packet, sizeof(packet), 0, (struct sockaddr*)&to, sizeof(to)) < 0) {
    perror("raw_udp: sendto");
    return EXIT_FAILURE;
  }
  struct pollfd polled = {.fd = answers, .events = POLLIN};
  puts(poll(&polled, 1, kPatienceMs) == 1 ? "open" : "closed");
  return 0;
}
