// Sockets that no program translates, as in a virtual machine: the packet path does it, over the host's real stack,
// routed and bridged.
#include <thread>

#include "tests/netns/services/fixture.h"

namespace sluice::test {
using namespace std::chrono_literals;
namespace {

class AtTheVeth : public ServicesFixture, public ::testing::WithParamInterface<TestNode::Wiring> {
 protected:
  void SetUp() override {
    wiring_ = GetParam();
    ServicesFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    SetClients({});
    Enforce();
    Configure(SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS);  // as if nothing but this were in the way
  }
  // The flows that the packet path translates.
  int Translated() const {
    const auto flows = datapath_->Flows();
    EXPECT_TRUE(flows.ok()) << flows.status();
    int count = 0;
    for (const auto& flow : *flows) count += (flow.entry.flags & SL_CT_TRANSLATED) != 0 ? 1 : 0;
    return count;
  }
  // Sends so much both ways that packets are segmented, and says what came back.
  static std::size_t Echo(const Fd& client, const Fd& listener) {
    constexpr std::size_t kBytes = 4 << 20;
    const Fd served(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!served.valid()) return 0;
    std::thread server([&served] {
      std::vector<char> buffer(1 << 16);
      for (std::size_t passed = 0; passed < kBytes;) {
        const ssize_t got = recv(served.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0 || send(served.get(), buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) return;
        passed += static_cast<std::size_t>(got);
      }
    });
    std::thread sender([&client] {
      const std::vector<char> buffer(1 << 16, 'x');
      for (std::size_t sent = 0; sent < kBytes; sent += buffer.size())
        if (send(client.get(), buffer.data(), buffer.size(), MSG_NOSIGNAL) < 0) return;
    });
    std::size_t back = 0;
    std::vector<char> buffer(1 << 16);
    while (back < kBytes) {
      const ssize_t got = recv(client.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      back += static_cast<std::size_t>(got);
    }
    shutdown(client.get(), SHUT_RDWR);
    shutdown(served.get(), SHUT_RDWR);
    sender.join();
    server.join();
    return back;
  }
};

INSTANTIATE_TEST_SUITE_P(Wirings, AtTheVeth, ::testing::Values(TestNode::Wiring::kRouted, TestNode::Wiring::kBridged),
                         [](const auto& info) {
                           return std::string(info.param == TestNode::Wiring::kRouted ? "Routed" : "Bridged");
                         });

TEST_P(AtTheVeth, ConnectionsCarryDataBothWays) {
  Put({{kVip, kTcp, {"db"}}, {kVip6, kTcp, {"db"}, 0, "six", {In("db", AF_INET6)}}});
  const Fd client = Open("web", AF_INET, SOCK_STREAM);
  ASSERT_EQ(Connect(client, kVip), 0);
  EXPECT_EQ(Translated(), 1);
  EXPECT_EQ(Echo(client, db_tcp_), std::size_t{4} << 20);
}

TEST_P(AtTheVeth, ConnectionsByIpv6CarryDataBothWays) {
  Put({{kVip6, kTcp, {}, 0, "six", {In("db", AF_INET6)}}});
  const Fd client = Open("web", AF_INET6, SOCK_STREAM);
  ASSERT_EQ(Connect(client, kVip6), 0);
  EXPECT_EQ(Translated(), 1);
  EXPECT_EQ(Echo(client, db_tcp_), std::size_t{4} << 20);
}

TEST_P(AtTheVeth, DatagramsAreAnsweredByTheService) {
  Put({{kVip, kUdp, {"db"}}});
  const Fd client = Open("web", AF_INET, SOCK_DGRAM);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(Send(client, kVip), 0);
    ASSERT_TRUE(Answer(db_udp_));
    EXPECT_EQ(Receive(client).from, kVip);
  }
  EXPECT_EQ(Translated(), 1);
}

TEST_P(AtTheVeth, PolicyDecidesAboutTheBackend) {
  Enforce(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\n"
      "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress],\n"
      "  egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}\n");
  Put({{kVip, kTcp, {"db"}}, {kVip2, kTcp, {"other"}, 0, "second"}});
  EXPECT_EQ(Connect(Open("web", AF_INET, SOCK_STREAM), kVip), 0);
  EXPECT_TRUE(Accept(db_tcp_));
  EXPECT_NE(Connect(Open("web", AF_INET, SOCK_STREAM, 2s), kVip2), 0);
  EXPECT_EQ(FirstReached({&other_tcp_}, 0ms), nullptr);
}

// A backend that is closed answers by ICMP; the client hears of the address that it used.
TEST_P(AtTheVeth, ErrorsReachTheSocketThatAsked) {
  Put({{kVip, kUdp, {}, 0, "closed", {{In("db").ip, 9}}}});
  const Fd client = Open("web", AF_INET, SOCK_DGRAM);
  ASSERT_EQ(Connect(client, kVip), 0);
  ASSERT_EQ(Send(client, "ask"), 0);
  errno = 0;
  EXPECT_EQ(Receive(client).text, "");
  EXPECT_EQ(errno, ECONNREFUSED) << "the error is of this socket's peer";
}

}  // namespace
}  // namespace sluice::test
