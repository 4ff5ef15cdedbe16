// The agent's memory for listing a full flow table, or watching `top`: it must not grow with the table.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "testbed/command.h"
#include "tests/e2e/api_client.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

// All of them are 320 MB of text, of which three listings at once had up to 58 MB on a busy machine.
constexpr int kFlows = 40000;
constexpr std::uint64_t kMoreKib = 96U << 10;

// One flow for each source port. The program's arguments are reported with each of its flows.
constexpr const char* kSender = R"(
import socket, sys
for port in range(10000, 10000 + int(sys.argv[2])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('', port))
    s.sendto(b'x', (sys.argv[1], 1000))
    s.close()
)";

class FlowMemory : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {"--max-flows", "131072"}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") + kDbAtUdp1000);
    ASSERT_TRUE(applied.ok()) << applied;
    const Status sent = fixture_->node().netns(fixture_->node().pod("web")).Run([&] {
      return RunChecked({"python3", "-c", kSender, fixture_->ip4("db").ToString(), std::to_string(kFlows),
                         std::string(4096, 'a'), std::string(4096, 'b')});
    });
    ASSERT_TRUE(sent.ok()) << sent;
  }

  std::uint64_t Kib(const std::string& field) const {
    std::ifstream in(fmt::format("/proc/{}/status", fixture_->agent().pid()));
    for (std::string line; std::getline(in, line);)
      if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1));
    return 0;
  }
  // Memory in KiB that `run` takes at its peak, and that stays allocated.
  std::pair<std::int64_t, std::int64_t> Cost(const std::function<void()>& run) const {
    std::ofstream(fmt::format("/proc/{}/clear_refs", fixture_->agent().pid())) << "5";  // resets VmHWM
    const auto before = static_cast<std::int64_t>(Kib("VmRSS"));
    run();
    return {static_cast<std::int64_t>(Kib("VmHWM")) - before, static_cast<std::int64_t>(Kib("VmRSS")) - before};
  }
  // Number of flows in a listing.
  int List(std::uint32_t limit = 0) const {
    ApiClient api(fixture_->agent().api_address());
    v1::GetRequest request;
    request.set_kind("flows");
    request.set_limit(limit);
    grpc::ClientContext context;
    const auto listing = api.stub().Get(&context, request);
    int flows = 0;
    for (v1::Object object; listing->Read(&object);) ++flows;
    const grpc::Status ended = listing->Finish();
    EXPECT_TRUE(ended.ok()) << ended.error_message();
    return flows;
  }

  std::unique_ptr<NodeFixture> fixture_;
};

TEST_F(FlowMemory, ListingsAndTopTakeNoMoreWithAFullTable) {
  if (fixture_ == nullptr) return;
  ASSERT_GE(List(), kFlows * 9 / 10);
  EXPECT_EQ(List(25), 25);
  const auto listed = Cost([&] {
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) readers.emplace_back([&] { List(); });
    for (std::thread& reader : readers) reader.join();
  });
  const auto began = std::chrono::steady_clock::now();
  const auto watched = Cost([&] {
    for (const char* by : {"workload", "program", "peer"}) {
      const auto top = fixture_->agent().Sluice({"top", "--once", "--interval", "1", "--by", by, "-o", "json"});
      ASSERT_TRUE(top.ok()) << top.status();
      EXPECT_EQ(top->exit_code, 0) << top->err;
      EXPECT_NE(top->out.find("\"shop/web\""), std::string::npos) << top->out;
    }
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("three listings at once: %ld KiB more, %ld stay; top: %ld KiB more, %ld stay, %.1f s for three of 1 s\n",
              listed.first, listed.second, watched.first, watched.second, took.count());
  for (const std::int64_t more : {listed.first, listed.second, watched.first, watched.second})
    EXPECT_LT(more, static_cast<std::int64_t>(kMoreKib));
  EXPECT_LT(took.count(), 15);
}

}  // namespace
}  // namespace sluice::test
