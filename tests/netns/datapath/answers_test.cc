// Workloads come under policy while they communicate: their sockets are older than the agent. Answers to their requests
// pass, and flows that were never allowed are denied.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "tests/netns/datapath/fixture.h"

namespace sluice::test {
namespace {

// Both families, with both wirings.
class Answers : public DatapathFixture, public testing::WithParamInterface<std::tuple<TestNode::Wiring, bool>> {
 protected:
  void SetUp() override {
    DatapathFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Build({.wiring = std::get<0>(GetParam()), .pods = {}});
    if (!HasFatalFailure()) Open();
  }

  struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  };
  // "": any.
  static Address At(const std::string& pod_address, std::uint16_t port) {
    Address address;
    if (std::get<1>(GetParam())) {
      auto* const in6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
      in6->sin6_family = AF_INET6;
      in6->sin6_port = htons(port);
      if (!pod_address.empty()) inet_pton(AF_INET6, pod_address.c_str(), &in6->sin6_addr);
      address.size = sizeof(*in6);
    } else {
      auto* const in = reinterpret_cast<sockaddr_in*>(&address.storage);
      in->sin_family = AF_INET;
      in->sin_port = htons(port);
      if (!pod_address.empty()) inet_pton(AF_INET, pod_address.c_str(), &in->sin_addr);
      address.size = sizeof(*in);
    }
    return address;
  }
  Address Of(const std::string& pod, std::uint16_t port) const {
    return At(std::get<1>(GetParam()) ? Pod(pod).ip6 : Pod(pod).ip4, port);
  }
  Fd Socket(const std::string& pod, int type, std::uint16_t port) {
    Fd fd;
    const Status opened = node_->RunIn(Pod(pod), [&]() -> Status {
      Address any = At("", port);
      fd = Fd(socket(any.storage.ss_family, type | SOCK_CLOEXEC, 0));
      if (!fd.valid() || bind(fd.get(), any.get(), any.size) != 0 ||
          (type == SOCK_STREAM && port != kClient && listen(fd.get(), 8) != 0))
        return ErrnoError(errno, "open port {} in {}", port, pod);
      return OkStatus();
    });
    EXPECT_TRUE(opened.ok()) << opened;
    return fd;
  }
  static bool Send(const Fd& fd, Address to) { return sendto(fd.get(), "x", 1, 0, to.get(), to.size) == 1; }
  static bool Send(const Fd& fd) { return send(fd.get(), "x", 1, MSG_NOSIGNAL) == 1; }
  // The default time is for an expected packet; use kQuiet for a packet that must not arrive.
  static bool Hears(const Fd& fd, int milliseconds = 3000) {
    pollfd poll_fd{.fd = fd.get(), .events = POLLIN, .revents = 0};
    char byte;
    return poll(&poll_fd, 1, milliseconds) == 1 && recv(fd.get(), &byte, 1, 0) == 1;
  }
  static constexpr int kQuiet = 300;
  static constexpr std::uint16_t kDns = 53, kClient = 40000;

  // Connects web to db, from a client's port.
  void Connect() {
    listener_ = Socket("db", SOCK_STREAM, 5432);
    client_ = Socket("web", SOCK_STREAM, kClient);
    Address db = Of("db", 5432);
    ASSERT_EQ(connect(client_.get(), db.get(), db.size), 0) << strerror(errno);
    server_ = Fd(accept(listener_.get(), nullptr, nullptr));
    ASSERT_TRUE(server_.valid());
  }
  static const char* IsolateDb() {
    return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed-db, namespace: shop}\n"
           "spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}\n---\n";
  }

  Fd listener_, client_, server_;
};

TEST_P(Answers, ToAQuestionFromBeforeThePolicy) {
  const Fd server = Socket("db", SOCK_DGRAM, kDns), client = Socket("web", SOCK_DGRAM, kClient);
  Address db = Of("db", kDns);
  ASSERT_EQ(connect(client.get(), db.get(), db.size), 0);
  ASSERT_TRUE(Send(client) && Hears(server));
  Enforce(IsolateWeb());
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(Send(server, Of("web", kClient)));
  EXPECT_TRUE(Hears(client));
  ASSERT_TRUE(Send(client));
  EXPECT_TRUE(Hears(server));
}

TEST_P(Answers, OnlyFromWhoWasAsked) {
  const Fd server = Socket("db", SOCK_DGRAM, kDns), other = Socket("other", SOCK_DGRAM, kDns);
  const Fd client = Socket("web", SOCK_DGRAM, kClient), unconnected = Socket("web", SOCK_DGRAM, kClient + 1);
  Address db = Of("db", kDns);
  ASSERT_EQ(connect(client.get(), db.get(), db.size), 0);
  Enforce(IsolateWeb());
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(Send(other, Of("web", kClient)));
  EXPECT_FALSE(Hears(client, kQuiet));
  ASSERT_TRUE(Send(server, Of("web", kClient + 1)));
  EXPECT_FALSE(Hears(unconnected, kQuiet)) << "it never asked";
  ASSERT_TRUE(Send(unconnected, Of("db", kDns)) && Hears(server));
  ASSERT_TRUE(Send(server, Of("web", kClient + 1)));
  EXPECT_TRUE(Hears(unconnected)) << "now it has";
  EXPECT_GT(Packets(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED), 1u);
}

TEST_P(Answers, AQuestionThatPolicyForbidsHasNone) {
  const Fd server = Socket("db", SOCK_DGRAM, kDns), client = Socket("web", SOCK_DGRAM, kClient);
  Address db = Of("db", kDns);
  ASSERT_EQ(connect(client.get(), db.get(), db.size), 0);
  ASSERT_TRUE(Send(client) && Hears(server));
  Enforce(std::string(IsolateWeb()) + IsolateDb());
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(Send(server, Of("web", kClient)));
  EXPECT_FALSE(Hears(client, kQuiet));
}

// The answer is the first that is seen, and the server may send: the flow is still the client's.
TEST_P(Answers, AnAnswerOpensNoWayForAQuestionThatPolicyForbids) {
  const Fd server = Socket("db", SOCK_DGRAM, kDns), client = Socket("web", SOCK_DGRAM, kClient);
  const Fd unconnected = Socket("web", SOCK_DGRAM, kClient + 1);
  Address db = Of("db", kDns);
  ASSERT_EQ(connect(client.get(), db.get(), db.size), 0);
  ASSERT_TRUE(Send(client) && Hears(server));
  Enforce(IsolateDb());
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(Send(server, Of("web", kClient)));
  EXPECT_FALSE(Hears(client, kQuiet));
  ASSERT_TRUE(Send(client));
  EXPECT_FALSE(Hears(server, kQuiet));
  ASSERT_TRUE(Send(server, Of("web", kClient + 1)));
  EXPECT_TRUE(Hears(unconnected)) << "it asked for nothing, and db may send";
}

TEST_P(Answers, TheServerOfAnOlderConnectionSpeaksFirst) {
  Connect();
  if (HasFatalFailure()) return;
  Enforce(IsolateWeb());
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(Send(server_));
  EXPECT_TRUE(Hears(client_));
  ASSERT_TRUE(Send(client_));
  EXPECT_TRUE(Hears(server_));
}

TEST_P(Answers, AnOlderConnectionThatPolicyForbidsDoesNotGoOn) {
  Connect();
  if (HasFatalFailure()) return;
  Enforce(IsolateDb());
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(Send(server_));
  EXPECT_FALSE(Hears(client_, kQuiet));
  ASSERT_TRUE(Send(client_));
  EXPECT_FALSE(Hears(server_, kQuiet));
}

INSTANTIATE_TEST_SUITE_P(Wirings, Answers,
                         testing::Combine(testing::Values(TestNode::Wiring::kRouted, TestNode::Wiring::kBridged),
                                          testing::Bool()),
                         [](const auto& info) {
                           const bool routed = std::get<0>(info.param) == TestNode::Wiring::kRouted;
                           return std::string(routed ? "Routed" : "Bridged") +
                                  (std::get<1>(info.param) ? "Ipv6" : "Ipv4");
                         });

}  // namespace
}  // namespace sluice::test
