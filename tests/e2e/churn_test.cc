// Workloads that are added and removed: kernel and state agree, and nothing is left of removed ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
#include "tests/e2e/api_client.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

constexpr int kBatch = 50;
constexpr long kMemoryBoundKiB = 16 << 10;

// Resources of the agent, in the kernel and in its process.
struct Holdings {
  std::map<std::string, std::uint64_t> maps;  // entries, without flows
  std::size_t pins = 0, fds = 0, threads = 0;
  int programs = 0, workloads = 0;
  long memory_kib = 0;

  bool operator==(const Holdings& other) const {
    return maps == other.maps && pins == other.pins && programs == other.programs && workloads == other.workloads;
  }
};

int Number(const char* variable, int otherwise) {
  const char* const asked = std::getenv(variable);
  return asked == nullptr ? otherwise : std::atoi(asked);
}

std::size_t Count(const std::string& directory) {
  std::error_code error;
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory, error), fs::directory_iterator()));
}

long ResidentKiB(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  std::string line;
  while (std::getline(file, line))
    if (line.starts_with("VmRSS:")) return std::atol(line.c_str() + 6);
  return 0;
}

class Churn : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto node = TestNetNs::Create("churn");
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = std::make_unique<TestNetNs>(*std::move(node));
    ASSERT_TRUE(node_->Sysctl("net/ipv6/conf/default/disable_ipv6", "1").ok());
    auto agent = AgentProcess::Start({.netns_fd = node_->fd(), .args = {}});
    ASSERT_TRUE(agent.ok()) << agent.status();
    agent_ = *std::move(agent);
    api_ = std::make_unique<ApiClient>(agent_->api_address());
  }

  static std::string Yaml(int begin, int end) {
    std::string yaml;
    for (int i = begin; i < end; ++i) {
      yaml += fmt::format(
          "---\napiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {{name: w{0}, namespace: shop, labels: "
          "{{app: w{0}}}}}\nspec: {{hostInterface: v{0}, ips: [10.{1}.{2}.{3}]}}\n"
          "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{0}, namespace: shop}}\n"
          "spec: {{podSelector: {{matchLabels: {{app: w{0}}}}}, ingress: [{{ports: [{{port: {4}}}]}}]}}\n",
          i, 64 + (i >> 16), i >> 8 & 255, i & 255, 1000 + i);
    }
    return yaml;
  }

  void Add(int begin, int end) {
    std::string links;
    for (int i = begin; i < end; ++i) links += fmt::format("link add v{0} group 1 type veth peer name q{0}\n", i);
    ASSERT_TRUE(node_->Ip(links).ok());
    const Status applied = api_->Apply(Yaml(begin, end));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  // Half of them lose their interface first, like pods that end; the other half lose their Workload first.
  void Remove(int begin, int end) {
    std::string links, later;
    for (int i = begin; i < end; ++i) (i % 2 == 0 ? links : later) += fmt::format("link del v{}\n", i);
    ASSERT_TRUE(node_->Ip(links).ok());
    v1::DeleteRequest request;
    request.add_documents()->set_yaml(Yaml(begin, end));
    grpc::ClientContext context;
    v1::DeleteReply reply;
    const Status deleted = api::FromGrpc(api_->stub().Delete(&context, request, &reply));
    ASSERT_TRUE(deleted.ok()) << deleted;
    ASSERT_TRUE(node_->Ip(later).ok());
  }

  Holdings Look() {
    Holdings now;
    const auto status = api_->ReadStatus();
    EXPECT_TRUE(status.ok()) << status.status();
    if (!status.ok()) return now;
    for (const auto& map : status->maps())
      if (map.name() != "flows" && !map.name().starts_with("process") && map.name() != "programs")
        now.maps[map.name()] = map.entries();
    now.programs = status->programs_size();
    now.workloads = static_cast<int>(status->workloads());
    now.pins = Count(bpf::PinLayout(agent_->bpf_root()).links_dir());
    now.fds = Count(fmt::format("/proc/{}/fd", agent_->pid()));
    now.threads = Count(fmt::format("/proc/{}/task", agent_->pid()));
    now.memory_kib = ResidentKiB(agent_->pid());
    return now;
  }
  // As found in the kernel, in the generation in force or the previous one.
  std::size_t AddressesInKernel() const {
    const auto fd = bpf::OpenPinnedMap(bpf::PinLayout(agent_->bpf_root()).map("addresses"));
    if (!fd.ok()) return 0;
    const auto map = bpf::Map<__u32, sl_address_entry>::Bind(fd->get(), "addresses");
    std::set<std::string> addresses;
    EXPECT_TRUE(map.ok() && map->ForEachBatch([&](const __u32&, const sl_address_entry& entry) {
                                 if (entry.value.endpoint != 0)
                                   addresses.insert(policy::Address(entry.addr).ToString());
                               })
                                .ok());
    return addresses.size();
  }

  std::unique_ptr<TestNetNs> node_;
  std::unique_ptr<AgentProcess> agent_;
  std::unique_ptr<ApiClient> api_;
};

// Adds all of them at once, then removes all. A second round must not increase the agent's memory.
TEST_F(Churn, WorkloadsThatCameAndWentLeaveNothing) {
  const int workloads = Number("SLUICE_CHURN", kBatch), rounds = Number("SLUICE_CHURN_ROUNDS", 3);
  ASSERT_EQ(workloads % kBatch, 0);
  Add(0, kBatch);  // allocates everything that is allocated once
  Remove(0, kBatch);
  ASSERT_FALSE(HasFatalFailure());
  const Holdings before = Look();
  long first_kib = 0;
  for (int round = 1; round <= rounds; ++round) {
    for (int i = 0; i < workloads && !HasFatalFailure(); i += kBatch) Add(i, i + kBatch);
    ASSERT_FALSE(HasFatalFailure());
    const Holdings full = Look();
    EXPECT_EQ(full.workloads, workloads);
    EXPECT_EQ(full.programs, before.programs + 2 * workloads);
    EXPECT_EQ(full.maps.at("interfaces"), before.maps.at("interfaces") + workloads);
    EXPECT_EQ(AddressesInKernel(), static_cast<std::size_t>(workloads));
    for (int i = 0; i < workloads && !HasFatalFailure(); i += kBatch) Remove(i, i + kBatch);
    ASSERT_FALSE(HasFatalFailure());
    Holdings after;
    EXPECT_TRUE(
        Eventually([&] { return (after = Look()) == before && after.fds <= before.fds && AddressesInKernel() == 0; },
                   std::chrono::seconds(60)));
    for (const auto& [map, entries] : before.maps) EXPECT_EQ(after.maps[map], entries) << map;
    EXPECT_EQ(after.pins, before.pins);
    EXPECT_EQ(after.programs, before.programs);
    EXPECT_EQ(after.workloads, 0);
    EXPECT_LE(after.fds, before.fds);
    EXPECT_LE(after.threads, before.threads + 8) << "the API's own, which come and go";
    if (round == 1) first_kib = after.memory_kib;
    EXPECT_LT(after.memory_kib, first_kib + kMemoryBoundKiB);
    std::printf("%d workloads: %zu, %zu and %zu descriptors, %ld, %ld and %ld MiB before, with all and after\n",
                workloads, before.fds, full.fds, after.fds, before.memory_kib >> 10, full.memory_kib >> 10,
                after.memory_kib >> 10);
  }
  EXPECT_EQ(agent_->Log().find("pins were gone"), std::string::npos) << "it took away its own";
  const auto left = agent_->Sluice({"get", "workloads", "-o", "json"});
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->out.find("\"w"), std::string::npos) << left->out;
  // The next start finds the same state.
  ASSERT_TRUE(agent_->Kill().ok());
  const Status started = agent_->Restart();
  ASSERT_TRUE(started.ok()) << started;
  api_ = std::make_unique<ApiClient>(agent_->api_address());
  const Holdings again = Look();
  EXPECT_EQ(again.workloads, 0);
  EXPECT_EQ(again.pins, before.pins);
  EXPECT_EQ(again.maps.at("interfaces"), before.maps.at("interfaces"));
}

}  // namespace
}  // namespace sluice::test
