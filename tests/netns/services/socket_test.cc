// Services at the sockets of pods.
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "tests/netns/services/fixture.h"

namespace sluice::test {
namespace {

using Services = ServicesFixture;

TEST_F(Services, AConnectionReachesABackendAndHasTheServiceAsItsPeer) {
  Put({{kVip, kTcp, {"db"}}});
  const Fd client = Open("web", AF_INET, SOCK_STREAM);
  ASSERT_EQ(Connect(client, kVip), 0);
  EXPECT_TRUE(Accept(db_tcp_));
  EXPECT_EQ(PeerOf(client), kVip);
}

TEST_F(Services, IPv6) {
  Put({{kVip6, kTcp, {"db"}}, {kVip6, kUdp, {"other"}}});
  const Fd client = Open("web", AF_INET6, SOCK_STREAM);
  ASSERT_EQ(Connect(client, kVip6), 0);
  EXPECT_TRUE(Accept(db_tcp_));
  EXPECT_EQ(PeerOf(client), kVip6);
  const Fd sender = Open("web", AF_INET6, SOCK_DGRAM);
  ASSERT_EQ(Send(sender, kVip6), 0);
  ASSERT_TRUE(Answer(other_udp_));
  EXPECT_EQ(Receive(sender).from, kVip6);
}

TEST_F(Services, SocketsOfIPv6ThatUseIPv4) {
  Put({{kVip, kTcp, {"db"}}, {kVip, kUdp, {"other"}}});
  const Fd client = Open("web", AF_INET6, SOCK_STREAM);
  ASSERT_EQ(Connect(client, kMapped), 0);
  EXPECT_TRUE(Accept(db_tcp_));
  EXPECT_EQ(PeerOf(client), kMapped);
  const Fd connected = Open("web", AF_INET6, SOCK_DGRAM);
  ASSERT_EQ(Connect(connected, kMapped), 0);
  ASSERT_EQ(Send(connected), 0);
  ASSERT_TRUE(Answer(other_udp_));
  EXPECT_EQ(Receive(connected).from, kMapped);
  EXPECT_EQ(PeerOf(connected), kMapped);
  const Fd sender = Open("web", AF_INET6, SOCK_DGRAM);
  ASSERT_EQ(Send(sender, kMapped), 0);
  ASSERT_TRUE(Answer(other_udp_));
  EXPECT_EQ(Receive(sender).from, kMapped);
}

TEST_F(Services, DatagramsOfAConnectedSocket) {
  Put({{kVip, kUdp, {"db"}}});
  const Fd client = Open("web", AF_INET, SOCK_DGRAM);
  ASSERT_EQ(Connect(client, kVip), 0);
  ASSERT_EQ(Send(client), 0);
  ASSERT_TRUE(Answer(db_udp_));
  const Datagram answer = Receive(client);
  EXPECT_EQ(answer.text, "answer");
  EXPECT_EQ(answer.from, kVip);
  EXPECT_EQ(PeerOf(client), kVip);
}

TEST_F(Services, DatagramsToAnAddressStayWithOneBackend) {
  Put({{kVip, kUdp, {"db", "other"}}});
  for (int socket = 0; socket < 8; ++socket) {
    const Fd client = Open("web", AF_INET, SOCK_DGRAM);
    ASSERT_EQ(Send(client, kVip), 0);
    const Fd* reached = FirstReached({&db_udp_, &other_udp_});
    ASSERT_NE(reached, nullptr);
    const Fd& server = *reached;
    ASSERT_TRUE(Answer(server));
    EXPECT_EQ(Receive(client).from, kVip);
    for (int i = 0; i < 8; ++i) {
      ASSERT_EQ(Send(client, kVip), 0);
      ASSERT_TRUE(Answer(server)) << "datagram " << i;
      EXPECT_EQ(Receive(client).from, kVip);
    }
  }
}

TEST_F(Services, ConnectionsUseAllBackends) {
  Put({{kVip, kTcp, {"db", "other"}}});
  int at_db = 0, at_other = 0;
  for (int i = 0; i < 64; ++i) {
    const Fd client = Open("web", AF_INET, SOCK_STREAM);
    ASSERT_EQ(Connect(client, kVip), 0);
    const Fd* reached = FirstReached({&db_tcp_, &other_tcp_});
    ASSERT_TRUE(reached != nullptr && Accept(*reached));
    ++(reached == &db_tcp_ ? at_db : at_other);
  }
  EXPECT_EQ(at_db + at_other, 64);
  EXPECT_GT(at_db, 8);
  EXPECT_GT(at_other, 8);
}

TEST_F(Services, WithoutBackendsACallFailsAsARefusedConnection) {
  Put({{kVip, kTcp, {}}, {kVip, kUdp, {}}, {kVip6, kUdp, {}}});
  const int refused = programs_->features().front().present ? ECONNREFUSED : EPERM;
  EXPECT_EQ(Connect(Open("web", AF_INET, SOCK_STREAM), kVip), refused);
  EXPECT_EQ(Connect(Open("web", AF_INET, SOCK_DGRAM), kVip), refused);
  EXPECT_EQ(Send(Open("web", AF_INET, SOCK_DGRAM), kVip), refused);
  EXPECT_EQ(Send(Open("web", AF_INET6, SOCK_DGRAM), kVip6), refused);
}

TEST_F(Services, WhoIsNoClientIsNotTouched) {
  Put({{In("other"), kTcp, {"db"}}});
  const Fd web = Open("web", AF_INET, SOCK_STREAM);
  ASSERT_EQ(Connect(web, In("other")), 0);
  EXPECT_TRUE(Accept(db_tcp_)) << "a client";
  SetClients({});
  EXPECT_EQ(PeerOf(web), In("other")) << "what was translated is translated back";
  const Fd again = Open("web", AF_INET, SOCK_STREAM);
  ASSERT_EQ(Connect(again, In("other")), 0);
  EXPECT_TRUE(Accept(other_tcp_));
}

TEST_F(Services, ProtocolsAndPortsAreDifferentServices) {
  Put({{kVip, kTcp, {"db"}}, {kVip, kUdp, {"other"}}, {{kVip.ip, 81}, kTcp, {"other"}}});
  ASSERT_EQ(Connect(Open("web", AF_INET, SOCK_STREAM), kVip), 0);
  EXPECT_TRUE(Accept(db_tcp_));
  ASSERT_EQ(Send(Open("web", AF_INET, SOCK_DGRAM), kVip), 0);
  EXPECT_TRUE(Answer(other_udp_));
  ASSERT_EQ(Connect(Open("web", AF_INET, SOCK_STREAM), {kVip.ip, 81}), 0);
  EXPECT_TRUE(Accept(other_tcp_));
}

TEST_F(Services, APodReachesItselfByItsService) {
  Put({{kVip, kTcp, {"web"}}});
  const Fd listener = Serve("web", SOCK_STREAM);
  const Fd client = Open("web", AF_INET, SOCK_STREAM);
  ASSERT_EQ(Connect(client, kVip), 0);
  EXPECT_TRUE(Accept(listener));
  EXPECT_EQ(PeerOf(client), kVip);
}

TEST_F(Services, ASocketConnectsAgain) {
  Put({{kVip, kUdp, {"db"}}, {kVip2, kUdp, {"other"}}});
  const Fd client = Open("web", AF_INET, SOCK_DGRAM);
  ASSERT_EQ(Connect(client, kVip), 0);
  ASSERT_EQ(Connect(client, kVip2), 0);
  EXPECT_EQ(PeerOf(client), kVip2);
  ASSERT_EQ(Send(client), 0);
  ASSERT_TRUE(Answer(other_udp_));
  EXPECT_EQ(Receive(client).from, kVip2);
  ASSERT_EQ(Connect(client, In("db")), 0);
  EXPECT_EQ(PeerOf(client), In("db")) << "a backend's own address, which it had not asked for as a Service";
  ASSERT_EQ(Connect(client, kVip), 0);
  ASSERT_EQ(Disconnect(client), 0);
  ASSERT_EQ(Send(client, In("db")), 0);
  ASSERT_TRUE(Answer(db_udp_));
  EXPECT_EQ(Receive(client).from, In("db")) << "it has sent there directly since";
}

TEST_F(Services, AConnectedSocketSendsToAnotherServiceToo) {
  Put({{kVip, kUdp, {"db"}}, {kVip2, kUdp, {"other"}}});
  const Fd client = Open("web", AF_INET, SOCK_DGRAM);
  ASSERT_EQ(Connect(client, kVip), 0);
  ASSERT_EQ(Send(client, kVip2), 0);
  EXPECT_TRUE(Answer(other_udp_));
  ASSERT_EQ(Send(client), 0);
  EXPECT_TRUE(Answer(db_udp_));
  EXPECT_EQ(Receive(client).from, kVip);
  EXPECT_EQ(PeerOf(client), kVip);
}

TEST_F(Services, OneSocketUsesTwoServicesWithOneBackend) {
  Put({{kVip, kUdp, {"db"}, 0, "first"}, {kVip2, kUdp, {"db"}, 0, "second"}});
  const Fd client = Open("web", AF_INET, SOCK_DGRAM);
  for (const End& vip : {kVip, kVip2, kVip}) {
    ASSERT_EQ(Send(client, vip), 0);
    ASSERT_TRUE(Answer(db_udp_));
    EXPECT_EQ(Receive(client).from, vip) << "the one that it asked last";
  }
}

TEST_F(Services, ASocketThatAChildInheritsStaysTranslated) {
  Put({{kVip, kTcp, {"db"}}});
  const Fd client = Open("web", AF_INET, SOCK_STREAM);
  ASSERT_EQ(Connect(client, kVip), 0);
  const pid_t child = fork();
  if (child == 0) _exit(PeerOf(client) == kVip ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sluice::test
