// `sluice replay` on a capture made by the test: only web may reach db, on port 80.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "testbed/command.h"
#include "testbed/packet.h"
#include "tests/unit/client/fake_agent.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

constexpr const char* kResources = R"(
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
status: {phase: Running, podIPs: [{ip: 10.1.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: shop, labels: {app: db}}
status: {phase: Running, podIPs: [{ip: 10.1.0.3}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{port: 80}]
)";

template <typename T>
void Append(T value, std::string* out) {
  char bytes[sizeof(value)];
  std::memcpy(bytes, &value, sizeof(value));
  out->append(bytes, sizeof(value));
}

// A pcap file in this machine's byte order; one frame per second.
std::string Capture(const std::vector<Frame>& frames) {
  std::string out;
  Append<std::uint32_t>(0xa1b2c3d4, &out);
  Append<std::uint16_t>(2, &out);
  Append<std::uint16_t>(4, &out);
  Append<std::uint64_t>(0, &out);
  Append<std::uint32_t>(65535, &out);
  Append<std::uint32_t>(1, &out);  // Ethernet
  std::uint32_t second = 1;
  for (const Frame& frame : frames) {
    Append<std::uint32_t>(second++, &out);
    Append<std::uint32_t>(0, &out);
    Append<std::uint32_t>(static_cast<std::uint32_t>(frame.size()), &out);
    Append<std::uint32_t>(static_cast<std::uint32_t>(frame.size()), &out);
    out.append(frame.begin(), frame.end());
  }
  return out;
}

Frame Syn(std::uint16_t port) {
  return (Eth{} / Ipv4{.src = "10.1.0.2", .dst = "10.1.0.3"} / Tcp{.sport = 40000, .dport = port}).ToFrame();
}

class ReplayProgram : public testing::Test {
 protected:
  ReplayProgram() {
    std::filesystem::create_directory(files_ / "resources");
    Write("resources/all.yaml", kResources);
    Write("capture.pcap", Capture({Syn(80), Syn(81)}));
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(files_ / name, std::ios::binary) << text;
  }
  CommandResult Replay(const std::string& capture, const std::string& output = "table") {
    const char* directory = std::getenv("SLUICE_BIN_DIR");
    const auto result = RunCommand({std::string(directory == nullptr ? "build/bin" : directory) + "/sluice", "replay",
                                    "--pcap", files_ / capture, "--resources", files_ / "resources", "-o", output});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }

  TemporaryDirectory files_;
};

TEST_F(ReplayProgram, Table) {
  const auto result = Replay("capture.pcap");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output,
            "VERDICT                PROTO  SOURCE            DESTINATION   PACKETS  BYTES  POLICIES\n"
            "FORWARDED              TCP    shop/web-0:40000  shop/db-0:80        1     40  shop/db ingress[0] ALLOW\n"
            "DROPPED/POLICY_DENIED  TCP    shop/web-0:40000  shop/db-0:81        1     40  "
            "shop/db ingress DEFAULT_DENY\n"
            "2 flows: 1 would be allowed, 1 dropped\n");
}

TEST_F(ReplayProgram, Json) {
  const auto result = Replay("capture.pcap", "json");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 2);
  EXPECT_THAT(result.output, HasSubstr(R"("destinationPort":81)"));
  EXPECT_THAT(result.output, HasSubstr(R"("effect":"DEFAULT_DENY")"));
}

TEST_F(ReplayProgram, WrongFilesAreAFailureThatNamesThem) {
  Write("no-capture.pcap", "this is no capture");
  for (const char* capture : {"no-capture.pcap", "missing.pcap"}) {
    const auto result = Replay(capture);
    EXPECT_EQ(result.exit_code, 1) << capture;
    EXPECT_THAT(result.output, HasSubstr(capture));
  }
  Write("resources/bad.yaml", "kind: Frob\n");
  const auto result = Replay("capture.pcap");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("bad.yaml"));
}

}  // namespace
}  // namespace sluice::test
