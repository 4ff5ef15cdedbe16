// Sizes that must work, through the real agent into the real maps: 10,000 workloads, of which 1,000 are local with a
// ruleset each, 50,000 identities of pods, 100,000 CIDR entries.
#include <gtest/gtest.h>

#include <chrono>

#include "testbed/command.h"
#include "testbed/netns.h"
#include "tests/e2e/api_client.h"
#include "tests/support/agent_process.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

constexpr int kLocal = 1000;
constexpr int kManyPods = 49000;  // with the local ones: 50,000, each with labels of its own
constexpr int kBlocks = 100;      // of each local workload's policy
constexpr auto kTimeLimit = std::chrono::seconds(60);

std::string Address(int number) {
  return fmt::format("10.{}.{}.{}", 64 + (number >> 16), number >> 8 & 255, number & 255);
}

std::string Yaml() {
  std::string yaml;
  auto out = std::back_inserter(yaml);
  for (int i = 0; i < kLocal; ++i) {
    fmt::format_to(
        out,
        "---\napiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {{name: w{0}, namespace: n{1}, labels: "
        "{{app: w{0}}}}}\nspec: {{hostInterface: v{0}, ips: [{2}]}}\n",
        i, i % 100, Address(i + 1));
    fmt::format_to(
        out,
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{0}, namespace: "
        "n{1}}}\nspec:\n  podSelector: {{matchLabels: {{app: w{0}}}}}\n  ingress:\n  - ports: [{{port: 1000, "
        "endPort: 2000}}]\n    from:\n    - podSelector: {{}}\n",
        i, i % 100);
    for (int b = 0; b < kBlocks; ++b) {
      const int block = i * kBlocks + b;
      fmt::format_to(out, "    - ipBlock: {{cidr: {}.{}.{}.0/24}}\n", 100 + (block >> 16), block >> 8 & 255,
                     block & 255);
    }
  }
  for (int i = 0; i < kManyPods; ++i) {
    fmt::format_to(out,
                   "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: f{0}, namespace: n{1}, labels: {{app: f{0}}}}}\n"
                   "status: {{podIPs: [{{ip: {2}}}]}}\n",
                   i, i % 100, Address(i + kLocal + 1));
  }
  return yaml;
}

class Stopwatch {
 public:
  explicit Stopwatch(std::string what) : what_(std::move(what)) {}
  ~Stopwatch() {
    const auto took = std::chrono::steady_clock::now() - start_;
    std::printf("%-40s %6ld ms\n", what_.c_str(), std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    EXPECT_LT(took, kTimeLimit) << what_;
  }

 private:
  const std::string what_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

TEST(Scale, ThroughTheAgentIntoTheKernel) {
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  const auto node = TestNetNs::Create("scale");
  ASSERT_TRUE(node.ok()) << node.status();
  // None of them needs IPv6.
  ASSERT_TRUE(node->Sysctl("net/ipv6/conf/default/disable_ipv6", "1").ok());
  {
    const Stopwatch timed("make 1,000 veth pairs");
    std::string links;
    for (int i = 0; i < kLocal; ++i)
      fmt::format_to(std::back_inserter(links), "link add v{0} group 1 type veth peer name q{0}\n", i);
    ASSERT_TRUE(node->Ip(links).ok());
  }
  const auto agent = AgentProcess::Start({.netns_fd = node->fd(), .args = {}});
  ASSERT_TRUE(agent.ok()) << agent.status();
  ApiClient api((*agent)->api_address());
  const std::string yaml = Yaml();
  std::printf("%zu bytes of YAML\n", yaml.size());
  {
    const Stopwatch timed("apply everything");
    const Status applied = api.Apply(yaml);
    ASSERT_TRUE(applied.ok()) << applied;
  }
  {
    const Stopwatch timed("apply one more policy");
    const Status applied = api.Apply(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: more, namespace: n1}\n"
        "spec: {podSelector: {matchLabels: {app: w1}}, ingress: [{ports: [{port: 80}]}]}\n");
    ASSERT_TRUE(applied.ok()) << applied;
  }
  ASSERT_TRUE((*agent)->Kill().ok());
  {
    const Stopwatch timed("start again after kill -9");
    const Status started = (*agent)->Restart();
    ASSERT_TRUE(started.ok()) << started;
  }
  const auto status = ApiClient((*agent)->api_address()).ReadStatus();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->workloads(), static_cast<std::uint64_t>(kLocal));
  EXPECT_EQ(status->unbound_size(), 0);
  EXPECT_EQ(status->programs_size(), 2 * kLocal);
  for (const auto& map : status->maps()) {
    if (map.entries() != 0) {
      std::printf("%-16s %8lu of %8lu entries\n", map.name().c_str(), map.entries(), map.capacity());
    }
  }
  const auto allowed = (*agent)->Sluice({"explain", "--from", "100.0.7.1", "--to", "n0/w0", "--port", "1500/TCP"});
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_EQ(allowed->exit_code, 0) << allowed->out << allowed->err;
  const auto denied = (*agent)->Sluice({"explain", "--from", "100.0.107.1", "--to", "n0/w0", "--port", "1500/TCP"});
  ASSERT_TRUE(denied.ok()) << denied.status();
  EXPECT_EQ(denied->exit_code, 3) << denied->out << denied->err;
  // Deletes them one by one, and without the agent, which would detach from each. Deleting all at once holds the lock
  // of all network devices of the machine for half a minute, and tests beside this one wait for it.
  ASSERT_TRUE((*agent)->Kill().ok());
  std::string deletions;
  for (int i = 0; i < kLocal; ++i) deletions += fmt::format("link del v{}\n", i);
  const Status deleted = node->Run([&] { return RunChecked({"ip", "-batch", "-"}, deletions, 300); });
  EXPECT_TRUE(deleted.ok()) << deleted;
}

}  // namespace
}  // namespace sluice::test
