// Everyday work with resources, by the real programs: which document takes effect, dry runs, differences, descriptions,
// and the origin of changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ResourcesE2e : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    directory_ = testing::TempDir() + "/sluice-resources-" + std::to_string(getpid());
    fs::create_directories(directory_);
    WriteDirectory(kDbAtUdp1000);
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {"--resources", directory_}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    auto servers =
        ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kUdp, .port = kPort}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}"));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  ~ResourcesE2e() override { fs::remove_all(directory_); }

  void WriteDirectory(const std::string& yaml) const { std::ofstream(directory_ + "/all.yaml") << yaml; }
  ClientResult Sluice(const std::vector<std::string>& arguments, const std::string& input = "") const {
    const auto result = fixture_->agent().Sluice(arguments, input);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : ClientResult();
  }

  std::string directory_;
  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ProbeServers> servers_;
};

TEST_F(ResourcesE2e, WhoseDocumentCountsIsShownAndSaid) {
  EXPECT_THAT(Sluice({"get", "netpol"}).out, AllOf(HasSubstr("ORIGIN"), HasSubstr("  directory\n")));
  const auto only_there = Sluice({"delete", "netpol", "shop/db"});
  EXPECT_EQ(only_there.exit_code, 1);
  EXPECT_THAT(only_there.err, HasSubstr("comes from the resources directory: remove it from its file there"));

  const std::string closed =
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: db, namespace: shop}, "
      "spec: {podSelector: {matchLabels: {app: db}}}}";
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_THAT(
      Sluice({"apply", "-f", "-"}, closed).out,
      HasSubstr(
          "NetworkPolicy shop/db replaced; it counts instead of another source's (resources directory, Kubernetes)\n"));
  EXPECT_THAT(Sluice({"get", "netpol"}).out, HasSubstr("  api, shadows another source\n"));
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, false), ProbeOutcome::kTimeout);

  ASSERT_TRUE(fixture_->agent().Signal(SIGHUP).ok());
  EXPECT_TRUE(Eventually([&] {
    return fixture_->agent().Log().find("NetworkPolicy shop/db: the applied document hides the one in " + directory_ +
                                        "; `sluice delete networkpolicy.networking.k8s.io db -n shop` restores that") !=
           std::string::npos;
  })) << fixture_->agent().Log();

  EXPECT_THAT(Sluice({"delete", "netpol", "shop/db"}).out,
              HasSubstr("NetworkPolicy shop/db removed; the one in the resources directory is in force now\n"));
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
}

TEST_F(ResourcesE2e, DryRunsAndDifferencesChangeNothing) {
  const auto before = fixture_->Everything();
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_THAT(Sluice({"apply", "--dry-run", "-f", "-"}, kDbFromWeb).out,
              HasSubstr("NetworkPolicy shop/db replaced (dry run)"));
  const auto differs = Sluice({"diff", "-f", "-"}, kDbFromWeb);
  EXPECT_EQ(differs.exit_code, 1) << differs.err;
  EXPECT_THAT(differs.out, AllOf(HasSubstr("--- NetworkPolicy shop/db (in force, from the resources directory)\n"),
                                 HasSubstr("\n+")));
  const auto same = Sluice({"diff", "-f", "-"}, kDbAtUdp1000);
  EXPECT_EQ(same.exit_code, 0) << same.out << same.err;
  EXPECT_EQ(Sluice({"delete", "--dry-run", "workloads", "--all", "-n", "shop"}).exit_code, 0);
  EXPECT_EQ(Sluice({"delete", "pod", "nobody", "--ignore-not-found"}).exit_code, 0);
  const auto after = fixture_->Everything();
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(*after, *before);
  // Applying the same again changes nothing.
  const std::string again = fixture_->WorkloadYaml("web", "{app: web}");
  EXPECT_THAT(Sluice({"apply", "-f", "-"}, again).out, HasSubstr("Workload shop/web unchanged\n"));
  EXPECT_EQ(*fixture_->Everything(), *before);
}

TEST_F(ResourcesE2e, DescribeNamesPoliciesWorkloadsAndFlows) {
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_THAT(Sluice({"describe", "workload", "shop/db"}).out,
              AllOf(HasSubstr("State:      enforced\n"), HasSubstr("Ingress policies:\n  NetworkPolicy shop/db\n"),
                    HasSubstr("shop/web")));
  EXPECT_THAT(Sluice({"describe", "netpol", "db", "-n", "shop"}).out,
              AllOf(HasSubstr("Origin:     directory\n"), HasSubstr("ingress[0]: allow UDP 1000 from everybody\n"),
                    HasSubstr("that it selects:\n  shop/db\n"), HasSubstr("shop/db ingress[0] ALLOW")));
}

TEST_F(ResourcesE2e, EachChangeIsInTheLogAndAnEventWithWhoMadeIt) {
  ASSERT_EQ(Sluice({"apply", "-f", "-"}, kDbFromWeb).exit_code, 0);
  EXPECT_NE(Sluice({"quarantine", "shop/nobody"}).exit_code, 0);
  WriteDirectory("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
  ASSERT_TRUE(fixture_->agent().Signal(SIGHUP).ok());
  const auto events = [&] { return Sluice({"observe", "-o", "json"}).out; };
  EXPECT_TRUE(Eventually([&] { return events().find("\"action\":\"reload\"") != std::string::npos; }));
  EXPECT_THAT(events(), AllOf(HasSubstr(R"("type":"change","action":"apply","caller":"uid 0, pid )"),
                              HasSubstr(R"("name":"db"},"change":"REPLACED","inForce":"API","shadows":true}])"),
                              HasSubstr(R"("action":"quarantine","caller":"uid 0, pid )"),
                              HasSubstr("\"problem\":\"Workload shop/nobody: there is none")));
  EXPECT_THAT(fixture_->agent().Log(),
              AllOf(HasSubstr(": apply: replaced NetworkPolicy shop/db; revision "),
                    HasSubstr(": quarantine: Workload shop/nobody; refused: "),
                    HasSubstr(": reload: created Namespace shop, removed NetworkPolicy shop/db; ")));
}

}  // namespace
}  // namespace sluice::test
