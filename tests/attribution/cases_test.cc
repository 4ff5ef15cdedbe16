// The process behind a flow: the one that last connected, accepted or sent. docs/attribution.md gives the reason for
// each case. All over real interfaces between two pods.
#include <netinet/ip_icmp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attribution/fixture.h"
#include "tests/attribution/uring.h"

namespace sluice::test {
namespace {

constexpr std::uint16_t kTcp = 1000, kUdp = 1001;

class Attribution : public AttributionFixture, public ::testing::WithParamInterface<bpf::SocketBackEnd> {
 protected:
  void SetUp() override {
    AttributionFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    // Every kernel must support at least one of them.
    if (const std::string missing = MissingForBackEnd(GetParam()); !missing.empty()) {
      ASSERT_EQ(MissingForBackEnd(bpf::SocketBackEnd::kAuto), "");
      GTEST_SKIP() << missing;
    }
    Begin(GetParam());
    if (IsSkipped() || HasFatalFailure()) return;
    tcp_ = Open("db", SOCK_STREAM, kTcp);
    udp_ = Open("db", SOCK_DGRAM, kUdp);
  }
  // A worker for this process's listener: accepts one connection and serves it.
  pid_t Worker(const std::function<void(int)>& serve) const {
    return Fork([&] {
      alarm(60);
      const int fd = accept(tcp_.get(), nullptr, nullptr);
      Require(fd >= 0);
      serve(fd);
    });
  }
  pid_t UdpWorker(int datagrams = 1) const {
    return Fork([&] {
      alarm(60);
      for (int i = 0; i < datagrams; ++i) AnswerOne();
    });
  }
  void AnswerOne() const {
    char byte;
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    auto* const address = reinterpret_cast<sockaddr*>(&from);
    Require(recvfrom(udp_.get(), &byte, 1, 0, address, &length) == 1);
    Require(sendto(udp_.get(), &byte, 1, 0, address, length) == 1);
  }
  void ExpectDone(pid_t child) { EXPECT_EQ(Reap(child), 0); }

  Fd tcp_, udp_;
};

TEST_P(Attribution, TheConnectingAndTheAcceptingProcess) {
  const pid_t server = Worker(Echo);
  const pid_t client = In("web", [&] { SwapBytes(Connected(Address("db", kTcp))); });
  ExpectDone(client);
  ExpectDone(server);
  ExpectProcesses(IPPROTO_TCP, kTcp, client, server);
}

TEST_P(Attribution, UntilSomebodyAcceptsItIsTheListenersProcess) {
  const pid_t client = In("web", [&] { Connected(Address("db", kTcp)); });
  ExpectDone(client);
  ExpectProcesses(IPPROTO_TCP, kTcp, client, getpid());
}

TEST_P(Attribution, AWorkerThatAcceptsAndOnlyCloses) {
  const pid_t server = Worker([](int fd) { close(fd); });
  const pid_t client = In("web", [&] { ReceiveByte(Connected(Address("db", kTcp))); });
  ExpectDone(client);
  ExpectDone(server);
  ExpectProcesses(IPPROTO_TCP, kTcp, client, server);
}

TEST_P(Attribution, AWorkerThatAcceptsAndOnlyReads) {
  Gate end;
  const pid_t server = Worker([&](int fd) {
    ReceiveByte(fd);
    end.Wait();
  });
  const pid_t client = In("web", [&] {
    const int fd = Connected(Address("db", kTcp));
    SendByte(fd);
    SendByte(fd);  // is acknowledged after the first was read
    end.Wait();
  });
  const auto found = [&] { return Flow(IPPROTO_TCP, kTcp); };
  while (!found() || found()->entry.forward_packets < 4) std::this_thread::yield();
  end.Open();
  ExpectDone(client);
  ExpectDone(server);
  ExpectProcesses(IPPROTO_TCP, kTcp, client, server);
}

TEST_P(Attribution, ASocketThatAChildInherited) {
  const pid_t server = Worker(Echo);
  const pid_t client = In("web", [&] {
    const int fd = Connected(Address("db", kTcp));
    pids()[0] = Fork([&] { SwapBytes(fd); });
    Require(Reap(pids()[0]) == 0);
  });
  ExpectDone(client);
  ExpectDone(server);
  ExpectProcesses(IPPROTO_TCP, kTcp, pids()[0], server);
}

TEST_P(Attribution, TheFirstDatagramOfAChildOnAConnectedSocket) {
  const pid_t server = UdpWorker();
  const pid_t client = In("web", [&] {
    const int fd = Connected(Address("db", kUdp), SOCK_DGRAM);
    pids()[0] = Fork([&] { SwapBytes(fd); });
    Require(Reap(pids()[0]) == 0);
  });
  ExpectDone(client);
  ExpectDone(server);
  ExpectProcesses(IPPROTO_UDP, kUdp, pids()[0], server);
}

TEST_P(Attribution, ASocketPassedOverAUnixSocket) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const Fd left(pair[0]), right(pair[1]);
  const pid_t server = Worker(Echo);
  struct Message {
    char byte = 'f';
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{&byte, 1};
    msghdr header{nullptr, 0, &part, 1, control, sizeof(control), 0};
  };
  const pid_t first = In("web", [&] {
    const int fd = Connected(Address("db", kTcp));
    SwapBytes(fd);
    Message message;
    cmsghdr* const rights = CMSG_FIRSTHDR(&message.header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
    Require(sendmsg(left.get(), &message.header, 0) == 1);
  });
  ExpectDone(first);
  ExpectProcesses(IPPROTO_TCP, kTcp, first, server);
  const pid_t second = Fork([&] {
    Message message;
    Require(recvmsg(right.get(), &message.header, 0) == 1);
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message.header)), sizeof(fd));
    SwapBytes(fd);
  });
  ExpectDone(second);
  close(right.get());
  ExpectDone(server);
  ExpectProcesses(IPPROTO_TCP, kTcp, second, server);
}

TEST_P(Attribution, AChildAfterItsParentDied) {
  const pid_t server = Worker(Echo);
  Gate parent_died;
  int done[2];
  ASSERT_EQ(pipe(done), 0);
  const pid_t client = In("web", [&] {
    const int fd = Connected(Address("db", kTcp));
    pids()[0] = Fork([&] {
      close(done[0]);
      parent_died.Wait();
      SwapBytes(fd);
    });
  });
  ExpectDone(client);
  ExpectProcesses(IPPROTO_TCP, kTcp, client, getpid());
  parent_died.Open();
  close(done[1]);
  char byte;
  EXPECT_EQ(read(done[0], &byte, 1), 0);
  close(done[0]);
  ExpectDone(server);
  ExpectProcesses(IPPROTO_TCP, kTcp, pids()[0], server);
}

TEST_P(Attribution, AnExecWithTheSocketOpenIsANewLife) {
  Gate executed;
  const pid_t server = Worker([&](int fd) {
    executed.Wait();
    SendByte(fd);
  });
  const pid_t client = In("web", [&] {
    Require(dup2(Connected(Address("db", kTcp)), 9) == 9);
    Exec("/bin/sh", {"sh", "-c", "read -r x <&9; exit 0"});  // it only receives; the acknowledgement is its packet
  });
  ASSERT_TRUE(fixture().WaitForExec(client).ok());
  executed.Open();
  ExpectDone(client);
  ExpectDone(server);
  const auto found = ExpectProcesses(IPPROTO_TCP, kTcp, client, server);
  ASSERT_TRUE(found.initiator && found.initiator->image);
  EXPECT_EQ(found.initiator->image->argument0, "sh");
  EXPECT_NE(found.initiator->previous, 0U);
}

TEST_P(Attribution, UnconnectedDatagramsAndTheirServer) {
  const pid_t server = UdpWorker();
  const pid_t client = In("web", [&] {
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    const sockaddr_in to = Address("db", kUdp);
    Require(sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 1);
    ReceiveByte(fd);
  });
  ExpectDone(client);
  ExpectDone(server);
  ExpectProcesses(IPPROTO_UDP, kUdp, client, server);
}

TEST_P(Attribution, MappedAddressesOfDualStackSockets) {
  const pid_t tcp_server = Worker(Echo);
  const pid_t udp_server = UdpWorker();
  const auto mapped = [this](std::uint16_t port) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    inet_pton(AF_INET6, ("::ffff:" + Pod("db").ip4).c_str(), &address.sin6_addr);
    return address;
  };
  const pid_t client = In("web", [&] {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
      const sockaddr_in6 to = mapped(type == SOCK_STREAM ? kTcp : kUdp);
      const auto* const address = reinterpret_cast<const sockaddr*>(&to);
      const int fd = socket(AF_INET6, type, 0);
      if (type == SOCK_STREAM) Require(connect(fd, address, sizeof(to)) == 0);
      Require(sendto(fd, "x", 1, 0, type == SOCK_STREAM ? nullptr : address, type == SOCK_STREAM ? 0 : sizeof(to)) ==
              1);
      ReceiveByte(fd);
    }
  });
  ExpectDone(client);
  ExpectDone(tcp_server);
  ExpectDone(udp_server);
  ExpectProcesses(IPPROTO_TCP, kTcp, client, tcp_server);
  ExpectProcesses(IPPROTO_UDP, kUdp, client, udp_server);
}

TEST_P(Attribution, RawAndIcmpSockets) {
  constexpr int kProtocol = 253;
  constexpr std::uint16_t kId = 4242;
  const pid_t raw = In("web", [&] {
    const int fd = socket(AF_INET, SOCK_RAW, kProtocol);
    const sockaddr_in to = Address("db", 0);
    Require(sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 1);
  });
  ExpectDone(raw);
  ExpectProcesses(kProtocol, 0, raw, 0);
  const auto ping = [&](int type) {
    return In("web", [&, type] {
      const int fd = socket(AF_INET, type, IPPROTO_ICMP);
      sockaddr_in to = Address("db", 0), from{};
      from.sin_family = AF_INET;
      from.sin_port = htons(kId + 1);  // a ping socket's port is its identifier
      if (type == SOCK_DGRAM) Require(bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof(from)) == 0);
      icmphdr echo{};
      echo.type = ICMP_ECHO;
      echo.un.echo.id = htons(kId);
      echo.checksum = static_cast<std::uint16_t>(~((ICMP_ECHO) + htons(kId)));
      Require(sendto(fd, &echo, sizeof(echo), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == sizeof(echo));
      ReceiveByte(fd);
    });
  };
  const pid_t icmp = ping(SOCK_RAW);
  ExpectDone(icmp);
  ExpectProcesses(IPPROTO_ICMP, kId, icmp, 0);  // the kernel answers
  ASSERT_TRUE(node_->netns(Pod("web")).Sysctl("net/ipv4/ping_group_range", "0 2147483647").ok());
  const pid_t datagram = ping(SOCK_DGRAM);
  ExpectDone(datagram);
  ExpectProcesses(IPPROTO_ICMP, kId + 1, datagram, 0);
}

TEST_P(Attribution, ConnectAndSendByIoUring) {
  if (const std::string missing = MissingUring(); !missing.empty()) GTEST_SKIP() << missing;
  const pid_t server = Worker(Echo);
  const pid_t udp_server = UdpWorker();
  const pid_t client = In("web", [&] {
    Uring ring;
    const sockaddr_in to = Address("db", kTcp);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    Require(ring.Connect(fd, to) == 0);
    Require(ring.Send(fd) == 1);
    ReceiveByte(fd);
  });
  const pid_t udp_client = In("web", [&] {
    const int fd = Connected(Address("db", kUdp), SOCK_DGRAM);
    pids()[0] = Fork([&] {
      Uring ring;
      Require(ring.Send(fd) == 1);
      ReceiveByte(fd);
    });
    Require(Reap(pids()[0]) == 0);
  });
  ExpectDone(client);
  ExpectDone(server);
  ExpectDone(udp_client);
  ExpectDone(udp_server);
  ExpectProcesses(IPPROTO_TCP, kTcp, client, server);
  ExpectProcesses(IPPROTO_UDP, kUdp, pids()[0], udp_server);
}

TEST_P(Attribution, NobodyIsBehindAClosedPort) {
  const pid_t client = In("web", [&] {
    const sockaddr_in to = Address("db", kTcp + 5);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    Require(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 && errno == ECONNREFUSED);
  });
  ExpectDone(client);
  ExpectProcesses(IPPROTO_TCP, kTcp + 5, client, 0);
  EXPECT_GE(Count(SL_COUNTER_SENDER_UNOWNED) + Count(SL_COUNTER_SENDER_NO_SOCKET), 1U) << "the RST";
  EXPECT_GE(Count(SL_COUNTER_SENDER_FOUND), 1U) << "the SYN";
}

TEST_P(Attribution, ADeniedFlowHasItsProcessToo) {
  Enforce(DbPolicy());
  const pid_t client = In("web", [&] {
    const int fd = Connected(Address("db", kUdp + 5), SOCK_DGRAM);
    SendByte(fd);
  });
  ExpectDone(client);
  ExpectProcesses(IPPROTO_UDP, kUdp + 5, client, 0);
  EXPECT_EQ(Flow(IPPROTO_UDP, kUdp + 5)->entry.reason, SL_DROP_POLICY_DENIED);
}

// Two processes alternate on one socket: each flow belongs to its last sender, whatever else the socket does.
TEST_P(Attribution, WorkersThatShareADatagramSocket) {
  constexpr int kClients = 40;
  std::vector<pid_t> servers(kClients), clients(kClients);
  for (int i = 0; i < kClients; ++i) {
    servers[i] = UdpWorker();
    clients[i] = In("web", [&] {
      const int fd = socket(AF_INET, SOCK_DGRAM, 0);
      sockaddr_in self{};
      self.sin_family = AF_INET;
      self.sin_port = htons(static_cast<std::uint16_t>(2000 + i));
      const sockaddr_in to = Address("db", kUdp);
      Require(bind(fd, reinterpret_cast<const sockaddr*>(&self), sizeof(self)) == 0);
      Require(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
      SwapBytes(fd);
    });
    ExpectDone(clients[i]);
    ExpectDone(servers[i]);
  }
  for (int i = 0; i < kClients; ++i)
    ExpectProcesses(IPPROTO_UDP, static_cast<std::uint16_t>(2000 + i), clients[i], servers[i]);
}

INSTANTIATE_TEST_SUITE_P(BackEnds, Attribution,
                         testing::Values(bpf::SocketBackEnd::kTracepoint, bpf::SocketBackEnd::kFunction),
                         [](const auto& info) { return std::string(bpf::ToString(info.param)); });

class AttributionLater : public AttributionFixture {};

// The sensors start while connections are open.
TEST_F(AttributionLater, FlowsFromBeforeTheSensors) {
  BeginPackets();
  const Fd listener = Open("db", SOCK_STREAM, kTcp);
  Gate go;
  const pid_t server = Fork([&] {
    alarm(60);
    const int fd = accept(listener.get(), nullptr, nullptr);
    pids()[0] = 1;
    go.Wait();
    SendByte(fd);
    ReceiveByte(fd);
  });
  const pid_t client = In("web", [&] {
    const int fd = Connected(Address("db", kTcp));
    go.Wait();
    ReceiveByte(fd);  // only receives
  });
  while (pids()[0] == 0) std::this_thread::yield();
  ASSERT_EQ(Flow(IPPROTO_TCP, kTcp)->entry.initiator_process, 0U);
  BeginSensors(bpf::SocketBackEnd::kAuto);
  go.Open();
  EXPECT_EQ(Reap(client), 0);
  EXPECT_EQ(Reap(server), 0);
  ExpectProcesses(IPPROTO_TCP, kTcp, client, server);
}

TEST_F(AttributionLater, WithoutSensorsNobodyIsGuessed) {
  BeginPackets();
  EXPECT_EQ(Probe("web", "db"), ProbeOutcome::kAllowed);
  const auto flow = Flow(IPPROTO_TCP, kPort);
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->entry.initiator_process, 0U);
  EXPECT_EQ(flow->entry.responder_process, 0U);
}

}  // namespace
}  // namespace sluice::test
