// The state file is lost, empty, damaged, from a newer version, or has a bad row: pins stay until an operator decides
// otherwise. After a boot the last good copy is used, or everything is closed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// With kDbFromWeb: web answers nobody.
constexpr const char* kNobodyToWeb = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
)";

class LostState : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kPort},
                                        {.netns_fd = fixture_->netns_fd("web"), .port = kPort}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
    all_ = fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}") + kDbFromWeb +
           kNobodyToWeb;
    ASSERT_TRUE(fixture_->agent().Apply(all_).ok());
    ExpectEnforced();
  }

  std::string File() const { return fixture_->agent().state_dir() + "/state.db"; }
  void Damage() const { std::ofstream(File()) << std::string(16384, 'x'); }
  void Sql(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(File().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  // Removes the pins, like a boot.
  void Boot() const {
    std::error_code error;
    fs::remove_all(fixture_->agent().bpf_root(), error);
    for (const TestPod& pod : fixture_->node().pods())
      ASSERT_TRUE(Eventually([&] { return TcPrograms(fixture_->node(), pod.host_ifindex) == 0; }));
  }
  void ExpectEnforced() const {
    EXPECT_EQ(fixture_->Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
    EXPECT_EQ(fixture_->Tcp("db", "web", kPort, false), ProbeOutcome::kTimeout);
  }
  void ExpectAllClosed() const {
    EXPECT_EQ(fixture_->Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);
    EXPECT_EQ(fixture_->Tcp("db", "web", kPort, false), ProbeOutcome::kTimeout);
    for (const TestPod& pod : fixture_->node().pods()) EXPECT_EQ(TcPrograms(fixture_->node(), pod.host_ifindex), 2);
  }
  std::string Http(const std::string& path) const {
    const auto answer =
        fixture_->Run({"curl", "--silent", "--noproxy", "*", "http://" + fixture_->agent().metrics_address() + path});
    return answer.ok() ? answer->output : Message(answer.status());
  }
  void ExpectHolds(const std::string& why) const {
    const auto status = fixture_->agent().Sluice({"status"});
    ASSERT_TRUE(status.ok()) << status.status();
    EXPECT_NE(status->exit_code, 0);
    EXPECT_THAT(status->out, AllOf(HasSubstr("not ready"), HasSubstr("holding"), HasSubstr(why)));
    EXPECT_THAT(fixture_->agent().Log(), HasSubstr(why));
    EXPECT_THAT(Http("/readyz"), AllOf(HasSubstr("holding: "), HasSubstr(why)));
    EXPECT_THAT(Http("/metrics"), AllOf(HasSubstr("\nsluice_ready 0\n"), HasSubstr("\nsluice_holding 1\n")));
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ProbeServers> servers_;
  std::string all_;
};

TEST_F(LostState, AStateThatIsGoneTakesNothingDownAndWhoAppliesAgainGoesOn) {
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  fs::remove_all(fixture_->agent().state_dir());
  for (int start = 0; start < 2; start++) {
    const Status started = fixture_->agent().RestartHolding();
    ASSERT_TRUE(started.ok()) << started;
    ExpectHolds("nothing is saved");
    ExpectEnforced();
    ASSERT_TRUE(fixture_->agent().Kill().ok());
  }
  ASSERT_TRUE(fixture_->agent().RestartHolding().ok());
  const Status applied = fixture_->agent().Apply(all_);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(fixture_->agent().Sluice({"status"})->exit_code, 0);
  ExpectEnforced();
}

TEST_F(LostState, ADamagedOneHoldsWhatIsPinnedAndAfterABootTheCopyGoesOn) {
  ASSERT_TRUE(fixture_->agent().Stop().ok());  // saves a copy
  Damage();
  const Status started = fixture_->agent().RestartHolding();
  ASSERT_TRUE(started.ok()) << started;
  ExpectHolds("damaged");
  ExpectEnforced();
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  Damage();
  Boot();
  const Status booted = fixture_->agent().Restart();
  ASSERT_TRUE(booted.ok()) << booted;
  ExpectEnforced();
}

TEST_F(LostState, WithoutACopyEverythingIsClosedAfterABootUntilSomebodyApplies) {
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  Damage();
  fs::remove(File() + ".good");
  Boot();
  const Status booted = fixture_->agent().RestartHolding();
  ASSERT_TRUE(booted.ok()) << booted;
  ExpectHolds("damaged");
  ExpectAllClosed();
  const Status applied = fixture_->agent().Apply(all_);
  ASSERT_TRUE(applied.ok()) << applied;
  ExpectEnforced();
}

TEST_F(LostState, ABadRowComesFromTheCopyAndWithoutOneHoldsUntilItIsReplaced) {
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  const std::string spoil = "UPDATE resource SET yaml = 'kind: Nothing' WHERE kind = 'NetworkPolicy' AND name = 'web'";
  Sql(spoil);
  Boot();
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  ExpectEnforced();
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  Sql(spoil);
  fs::remove(File() + ".good");
  Boot();
  const Status booted = fixture_->agent().RestartHolding();
  ASSERT_TRUE(booted.ok()) << booted;
  ExpectHolds("NetworkPolicy shop/web");
  ExpectAllClosed();
  const Status applied = fixture_->agent().Apply(std::string(kDbFromWeb) + kNobodyToWeb);
  ASSERT_TRUE(applied.ok()) << applied;
  ExpectEnforced();
}

TEST_F(LostState, ABadFileOfTheDirectoryHoldsUntilItIsMended) {
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  const std::string directory = fixture_->agent().directory() + "/resources";
  fs::create_directories(directory);
  std::ofstream(directory + "/bad.yaml") << "apiVersion: v1\nkind: Nothing\n";
  Boot();
  const Status booted = fixture_->agent().RestartHolding({"--resources", directory});
  ASSERT_TRUE(booted.ok()) << booted;
  ExpectHolds(directory + "/bad.yaml");
  ExpectAllClosed();
  EXPECT_FALSE(fixture_->agent().Apply(kNobodyToWeb).ok());
  fs::remove(directory + "/bad.yaml");
  ASSERT_TRUE(fixture_->agent().Signal(SIGHUP).ok());
  EXPECT_TRUE(Eventually([&] { return fixture_->agent().Sluice({"status"})->exit_code == 0; }));
  EXPECT_TRUE(Eventually([&] { return fixture_->agent().Log().find("no longer holding") != std::string::npos; }));
  ExpectEnforced();
}

}  // namespace
}  // namespace sluice::test
