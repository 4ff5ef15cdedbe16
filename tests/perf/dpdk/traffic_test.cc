// sluice-traffic over a veth pair between two namespaces, by DPDK's net_af_packet: every packet of a small number
// arrives, they belong to the requested number of flows, and the kernel's own stack accepts them.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/fd.h"
#include "perf/rate/frame.h"
#include "testbed/netns.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

constexpr char kSenderMac[] = "02:00:00:00:00:01", kReceiverMac[] = "02:00:00:00:00:02";
constexpr int kPackets = 240, kFlows = 24;  // fits into a port's ring

std::string Traffic() {
  const char* const dir = std::getenv("SLUICE_BIN_DIR");
  return std::string(dir != nullptr ? dir : "build/bin") + "/sluice-traffic";
}

struct Family {
  const char* name;
  const char* source;
  const char* destination;
};
constexpr Family kFamilies[] = {{"IPv4", "10.9.0.1", "10.9.0.2"}, {"IPv6", "fd09::1", "fd09::2"}};

// The JSON after the lines on standard error.
nlohmann::json JsonIn(const std::string& output) {
  const std::size_t begin = output.find("{\n");
  return begin == std::string::npos ? nlohmann::json() : nlohmann::json::parse(output.substr(begin), nullptr, false);
}

class DpdkTraffic : public testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    auto sender = TestNetNs::Create("sender"), receiver = TestNetNs::Create("receiver");
    ASSERT_TRUE(sender.ok()) << sender.status();
    ASSERT_TRUE(receiver.ok()) << receiver.status();
    sender_.emplace(*std::move(sender));
    receiver_.emplace(*std::move(receiver));
    Status made =
        sender_->Ip(fmt::format("link add eth0 address {} type veth peer name eth0 address {} netns {}\n"
                                "addr add 10.9.0.1/24 dev eth0\naddr add fd09::1/64 dev eth0 nodad\nlink set eth0 up\n",
                                kSenderMac, kReceiverMac, receiver_->name()));
    if (made.ok())
      made = receiver_->Ip("addr add 10.9.0.2/24 dev eth0\naddr add fd09::2/64 dev eth0 nodad\nlink set eth0 up\n");
    ASSERT_TRUE(made.ok()) << made;
  }

  Arguments Generate() const {
    const Family& family = GetParam();
    return {Traffic(),       "generate",
            "--port",        "net_af_packet0,iface=eth0",
            "--source",      family.source,
            "--destination", family.destination,
            "--count",       std::to_string(kPackets),
            "--flows",       std::to_string(kFlows),
            "--json",        "--destination-mac",
            kReceiverMac};
  }

  static CommandResult RunIn(const TestNetNs& netns, const Arguments& arguments) {
    StatusOr<CommandResult> result = InvalidError("not run");
    const Status status = netns.Run([&] {
      result = RunCommand(arguments);
      return result.status();
    });
    EXPECT_TRUE(status.ok()) << status;
    return result.value_or(CommandResult{});
  }

  std::optional<TestNetNs> sender_, receiver_;
};

TEST_P(DpdkTraffic, EveryPacketArrivesAndTheFlowsAreThoseAskedFor) {
  StatusOr<ChildProcess> sink = InvalidError("not started");
  const Status started = receiver_->Run([&] {
    sink = ChildProcess::Start({Traffic(), "sink", "--port", "net_af_packet0,iface=eth0", "--count",
                                std::to_string(kPackets), "--seconds", "20", "--count-flows", "--json"});
    return sink.status();
  });
  ASSERT_TRUE(started.ok()) << started;
  const auto ready = sink->WaitForOutput("receives at ");
  ASSERT_TRUE(ready.ok()) << ready.status();

  const CommandResult sent = RunIn(*sender_, Generate());
  ASSERT_EQ(sent.exit_code, 0) << sent.output;
  const auto received = sink->Wait();
  ASSERT_TRUE(received.ok()) << received.status();
  ASSERT_EQ(received->exit_code, 0) << received->output;

  const nlohmann::json out = JsonIn(sent.output), in = JsonIn(received->output);
  ASSERT_TRUE(out.is_object() && in.is_object()) << sent.output << received->output;
  EXPECT_EQ(out["sent"]["packets"], kPackets);
  EXPECT_EQ(in["received"]["packets"], kPackets);
  EXPECT_EQ(in["received"]["bytes"], kPackets * perf::kFrameBytes);
  EXPECT_EQ(in["received"]["flows"], kFlows);
  EXPECT_EQ(in["dropped"], 0);
}

// Both in one process, with two ports in one namespace.
TEST_P(DpdkTraffic, OneProcessSendsAndReceives) {
  Status made = sender_->Ip("link add left type veth peer name right\nlink set left up\nlink set right up\n");
  ASSERT_TRUE(made.ok()) << made;
  const CommandResult result =
      RunIn(*sender_, {Traffic(), "both", "--port", "net_af_packet0,iface=left", "--port", "net_af_packet1,iface=right",
                       "--source", GetParam().source, "--destination", GetParam().destination, "--random", "--flows",
                       "100000", "--count", std::to_string(kPackets), "--count-flows"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find(fmt::format("sent     {} packets", kPackets)), std::string::npos) << result.output;
  EXPECT_NE(result.output.find(fmt::format("received {} packets", kPackets)), std::string::npos) << result.output;
}

// The kernel drops packets with a wrong checksum.
TEST_P(DpdkTraffic, KernelDeliversIt) {
  Fd socket;
  const Status bound = receiver_->Run([&]() -> Status {
    socket = Fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    const int room = 1 << 20;
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(PERF_FIRST_SERVICE_PORT);
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) != 0)
      return ErrnoError(errno, "bind port {}", PERF_FIRST_SERVICE_PORT);
    return OkStatus();
  });
  ASSERT_TRUE(bound.ok()) << bound;
  const CommandResult sent = RunIn(*sender_, Generate());
  ASSERT_EQ(sent.exit_code, 0) << sent.output;

  std::set<int> ports;
  for (int i = 0; i < kPackets; ++i) {
    char payload[2048];
    sockaddr_in6 from{};
    socklen_t size = sizeof(from);
    ASSERT_GE(recvfrom(socket.get(), payload, sizeof(payload), 0, reinterpret_cast<sockaddr*>(&from), &size), 0)
        << "packet " << i << ": " << strerror(errno);
    ports.insert(ntohs(from.sin6_port));
  }
  EXPECT_EQ(ports.size(), static_cast<std::size_t>(kFlows));
  EXPECT_EQ(*ports.begin(), PERF_FIRST_CLIENT_PORT);
  EXPECT_EQ(*ports.rbegin(), PERF_FIRST_CLIENT_PORT + kFlows - 1);
}

TEST_P(DpdkTraffic, InterfaceThatIsNotThereIsNamed) {
  const CommandResult result = RunIn(*sender_, {Traffic(), "sink", "--port", "net_af_packet0,iface=nosuch"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_NE(result.output.find("there is no interface nosuch"), std::string::npos) << result.output;
}

TEST_P(DpdkTraffic, NextHopIsNeeded) {
  const CommandResult result =
      RunIn(*sender_, {Traffic(), "generate", "--port", "net_af_packet0,iface=eth0", "--source", GetParam().source,
                       "--destination", GetParam().destination, "--count", "1"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_NE(result.output.find("--destination-mac"), std::string::npos) << result.output;
}

TEST_P(DpdkTraffic, SignalEndsItWithItsFigures) {
  StatusOr<ChildProcess> sink = InvalidError("not started");
  const Status started = receiver_->Run([&] {
    sink = ChildProcess::Start({Traffic(), "sink", "--port", "net_af_packet0,iface=eth0", "--json"});
    return sink.status();
  });
  ASSERT_TRUE(started.ok()) << started;
  ASSERT_TRUE(sink->WaitForOutput("receives at ").ok()) << sink->read();
  ASSERT_TRUE(sink->Signal(SIGINT).ok());
  const auto ended = sink->Wait();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 0) << ended->output;
  EXPECT_TRUE(JsonIn(ended->output).contains("received")) << ended->output;
}

INSTANTIATE_TEST_SUITE_P(Families, DpdkTraffic, testing::ValuesIn(kFamilies),
                         [](const auto& family) { return family.param.name; });

TEST(DpdkTrafficUsage, PortIsRequired) {
  for (const std::string command : {"generate", "sink", "both"}) {
    const auto result = RunCommand({Traffic(), command});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 2) << result->output;
    EXPECT_NE(result->output.find("--port is required"), std::string::npos) << result->output;
  }
}

}  // namespace
}  // namespace sluice::test
