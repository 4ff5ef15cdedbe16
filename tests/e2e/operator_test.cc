// Commands for an operator when traffic does not pass, with a real agent: `explain` and `sysdump`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Operator : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    std::string db = fixture_->WorkloadYaml("db", "{app: db}");
    db.replace(db.rfind('}'), 1, ", ports: [{name: sql, port: 5432}]}");
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") + db + kDbFromWeb);
    ASSERT_TRUE(applied.ok()) << applied;
  }

  ClientResult Explain(const std::string& from, const std::string& to, const std::string& port) const {
    const auto result = fixture_->agent().Sluice({"explain", "--from", from, "--to", to, "--port", port});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : ClientResult{};
  }

  std::unique_ptr<NodeFixture> fixture_;
};

TEST_F(Operator, ExplainTakesNamesOfPortsTheNodeAndTheWorld) {
  const ClientResult allowed = Explain("shop/web", "shop/db", "sql");
  EXPECT_EQ(allowed.exit_code, 0) << allowed.err;
  EXPECT_THAT(allowed.out, AllOf(HasSubstr("5432/TCP"), HasSubstr("shop/db ingress[0] allows it at shop/db.\n")));
  const ClientResult node = Explain("node", "shop/db", "sql");
  EXPECT_EQ(node.exit_code, 0) << node.err;
  EXPECT_THAT(node.out, HasSubstr("The node itself always reaches shop/db; no policy is asked.\n"));
  const ClientResult world = Explain("world", "shop/db", "sql");
  EXPECT_EQ(world.exit_code, 3) << world.err;
  EXPECT_THAT(world.out,
              AllOf(HasSubstr("192.0.2.1 (world) -> "), HasSubstr("  shop/db ingress[0] would allow it, but for:\n"),
                    HasSubstr("    peer: 192.0.2.1 is not a workload or pod, and the rule asks for one\n")));
  EXPECT_EQ(Explain("shop/web", "shop/db", "http").exit_code, 2);
}

TEST_F(Operator, SysdumpHasWhatAReportNeeds) {
  const AgentProcess& agent = fixture_->agent();
  const std::string archive = agent.directory() + "/dump.tar.gz";
  // In the node's namespace, which has its interfaces and metrics.
  const auto made = fixture_->Run({BinDirectory() + "/sluice", "--server", agent.api_address(), "sysdump", "-o",
                                   archive, "--metrics", agent.metrics_address()},
                                  120);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->exit_code, 0) << made->output;
  const std::string directory = agent.directory() + "/dump";
  const auto unpacked = fixture_->Run(
      {"sh", "-c", "mkdir " + directory + " && tar -xzf " + archive + " --strip-components=1 -C " + directory});
  ASSERT_TRUE(unpacked.ok() && unpacked->exit_code == 0);
  const auto read = [&](const std::string& file) {
    std::stringstream text;
    text << std::ifstream(directory + "/" + file).rdbuf();
    return text.str();
  };
  EXPECT_THAT(read("versions.txt"), HasSubstr("sluiced "));
  EXPECT_THAT(read("status.json"), AllOf(HasSubstr("\"ready\":true"), HasSubstr("\"features\"")));
  EXPECT_THAT(read("resources.json"), AllOf(HasSubstr("\"Workload\""), HasSubstr("\"NetworkPolicy\"")));
  EXPECT_THAT(read("identities.json"), HasSubstr("\"shop\""));
  EXPECT_THAT(read("rulesets.json"), HasSubstr("\"INGRESS\""));
  EXPECT_THAT(read("metrics.txt"), HasSubstr("sluice_build_info"));
  EXPECT_THAT(read("bpf-programs.json"), HasSubstr("\"sched_cls\""));
  EXPECT_THAT(read("bpf-maps.json"), HasSubstr("\"name\""));
  EXPECT_THAT(read("bpf-links.json"), HasSubstr("["));
  EXPECT_THAT(read("pins.txt"), HasSubstr(agent.bpf_root()));
  EXPECT_THAT(read("interfaces.json"), HasSubstr("\"lo\""));
  EXPECT_THAT(read("routes4.json"), HasSubstr("\"dst\""));
}

}  // namespace
}  // namespace sluice::test
