// Packets from before an alert: a denial leaves a file that Wireshark's tools read, `sluice capture`, one pod's flood
// beside another, translated addresses, and an agent that takes over an older one's programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "testbed/traffic.h"
#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"
#include "tests/support/open_policy.h"
#include "tests/support/run_in_pod.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;

// tshark's answer for one packet.
struct CapturedRow {
  std::string source, destination, port, comment, interface;
};

class Capture : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    if (!RunChecked({"sh", "-c", "command -v tshark && command -v capinfos"}).ok())
      GTEST_SKIP() << "needs the packages tshark and wireshark-common";
  }
  void Start(const std::vector<std::string>& args) {
    auto fixture = NodeFixture::Create({.pods = {"web", "db", "idle"}, .args = args, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") +
                                                   fixture_->WorkloadYaml("idle", "{app: idle}") + kDbAtUdp1000);
    ASSERT_TRUE(applied.ok()) << applied;
  }
  ClientResult Sluice(const Arguments& arguments) const {
    const auto result = fixture_->agent().Sluice(arguments);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : ClientResult{};
  }
  // Datagrams from web to db, each in its own flow.
  void Send(std::uint16_t port, std::uint64_t count, const std::string& from = "web") const {
    const auto pinger = Pinger::Start({.netns_fd = fixture_->netns_fd(from),
                                       .destination = fixture_->ip4("db"),
                                       .port = port,
                                       .interval = 1ms,
                                       .new_flows = true,
                                       .patience = 0ms});
    ASSERT_TRUE(pinger.ok()) << pinger.status();
    ASSERT_TRUE(Eventually([&] { return (*pinger)->counts().sent >= count; }));
  }
  // Whose packets are kept.
  bool IsKept(const std::string& workload) const {
    const ClientResult status = Sluice({"status", "-o", "json"});
    return status.out.find("\"" + workload + "\"") != std::string::npos &&
           status.out.find("\"captures\"") != std::string::npos;
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    std::error_code none;
    for (const auto& one : fs::directory_iterator(fixture_->agent().state_dir() + "/captures", none))
      if (one.path().extension() == ".pcapng") files.push_back(one.path());
    return files;
  }
  std::string Path(const std::string& name) const { return fixture_->agent().directory() + "/" + name; }

  static std::vector<CapturedRow> Read(const std::string& path) {
    const auto result =
        RunCommand({"tshark", "-r", path, "-T", "fields", "-E", "separator=|", "-E", "occurrence=f", "-e", "ip.src",
                    "-e", "ip.dst", "-e", "udp.dstport", "-e", "frame.comment", "-e", "frame.interface_name"});
    EXPECT_TRUE(result.ok()) << result.status();
    std::vector<CapturedRow> rows;
    if (!result.ok()) return rows;
    EXPECT_EQ(result->exit_code, 0) << result->output;
    std::istringstream lines(result->output);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream fields(line);
      CapturedRow row;
      for (std::string* const field : {&row.source, &row.destination, &row.port, &row.comment, &row.interface})
        std::getline(fields, *field, '|');
      if (!row.interface.empty()) rows.push_back(row);  // else it is a note of tshark's
    }
    return rows;
  }
  static std::vector<std::string> Comments(const std::vector<CapturedRow>& rows) {
    std::vector<std::string> comments;
    for (const CapturedRow& row : rows) comments.push_back(row.comment);
    return comments;
  }

  void ExpectAFileWhenWebReads(const std::string& secret, const std::string& suffix) const {
    Send(kOpen, 5);
    EXPECT_TRUE(Files().empty());
    ASSERT_EQ(ExitCodeIn(*fixture_, "web", {"/bin/cat", secret}), 0);
    ASSERT_TRUE(Eventually([&] { return Files().size() == 1; }, 20s)) << fixture_->agent().Log();
    EXPECT_THAT(Files()[0], AllOf(HasSubstr("/shop_web_"), HasSubstr(suffix)));
    EXPECT_GE(Read(Files()[0]).size(), 5u) << "packets from before";
  }

  std::unique_ptr<NodeFixture> fixture_;
};

TEST_F(Capture, ADenialLeavesAFileWithThePacketsBeforeAndAfterItAndTheProgram) {
  ASSERT_NO_FATAL_FAILURE(Start({"--capture", "shop/*", "--capture-on", "denied", "--capture-after", "2"}));
  ASSERT_TRUE(Eventually([&] { return IsKept("shop/web"); }));
  Send(kOpen, 5);
  // A copy of bash with a name of its own is denied.
  const std::string program = Path("nosy-client");
  fs::copy_file("/bin/bash", program);
  const std::string hello = "echo hello > /dev/udp/" + fixture_->ip4("db").ToString() + "/1001";
  ASSERT_EQ(ExitCodeIn(*fixture_, "web", {program, "-c", hello}), 0);
  Send(kOpen, 5, "idle");
  Send(kOpen, 5);
  ASSERT_TRUE(Eventually([&] { return Files().size() >= 2; }, 20s)) << "one of each end";
  std::string of_web;
  for (const std::string& file : Files())
    if (file.find("shop_web_") != std::string::npos) of_web = file;
  ASSERT_NE(of_web, "");
  EXPECT_THAT(of_web, HasSubstr("_denied.pcapng"));
  const auto rows = Read(of_web);
  std::size_t denied = rows.size();
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i].port == "1001") denied = i;
  ASSERT_LT(denied, rows.size());
  EXPECT_GE(denied, 5u) << "packets from before";
  EXPECT_GE(rows.size() - denied, 6u) << "packets from after";
  EXPECT_THAT(rows[denied].comment, AllOf(HasSubstr("DROPPED/POLICY_DENIED at tc_from_pod of shop/web"),
                                          HasSubstr("nosy-client"), HasSubstr("policy shop/db ingress DEFAULT_DENY")));
  for (const CapturedRow& row : rows) {
    EXPECT_TRUE(row.source == fixture_->ip4("web").ToString() || row.destination == fixture_->ip4("web").ToString() ||
                row.source.empty())
        << row.source << " -> " << row.destination << ": another pod's packet";
  }
  const auto infos = RunCommand({"capinfos", "-T", "-r", "-c", of_web});
  ASSERT_TRUE(infos.ok() && infos->exit_code == 0) << infos.status();
  EXPECT_THAT(infos->output, HasSubstr(std::to_string(rows.size())));
}

TEST_F(Capture, AHookHitLeavesAFileOfItsWorkload) {
  ASSERT_NO_FATAL_FAILURE(Start({"--capture", "shop/web", "--capture-on", "hook", "--capture-after", "1"}));
  const std::string secret = Path("secret");
  std::ofstream(secret) << "secret\n";
  const Status applied = fixture_->agent().Apply(
      OpenPolicyYaml(secret, {.kind = "TracingPolicyNamespaced", .metadata = "{name: secret, namespace: shop}"}));
  ASSERT_TRUE(applied.ok()) << applied;
  ASSERT_TRUE(Eventually([&] { return IsKept("shop/web"); }));
  ExpectAFileWhenWebReads(secret, "_hook.pcapng");
}

TEST_F(Capture, ARulesMatchLeavesAFileOfItsWorkload) {
  const std::string directory = testing::TempDir() + "sluice-capture-" + std::to_string(getpid());
  const std::string secret = directory + "/secret", rules = directory + "/rules.yaml";
  fs::create_directories(directory);
  std::ofstream(secret) << "secret\n";
  std::ofstream(rules) << fmt::format(
      "- rule: read\n  desc: d\n  condition: evt.type in (open, openat, openat2) and fd.name = {}\n"
      "  output: read\n  priority: ERROR\n",
      secret);
  ASSERT_NO_FATAL_FAILURE(
      Start({"--capture", "shop/web", "--capture-on", "detection", "--capture-after", "1", "--rules", rules}));
  ASSERT_TRUE(Eventually([&] { return IsKept("shop/web"); }));
  ExpectAFileWhenWebReads(secret, "_detection.pcapng");
  fs::remove_all(directory);
}

TEST_F(Capture, OnRequestFromNowOnOrWithWhatWasKept) {
  ASSERT_NO_FATAL_FAILURE(Start({"--capture", "shop/web"}));
  ASSERT_TRUE(Eventually([&] { return IsKept("shop/web"); }));
  EXPECT_FALSE(IsKept("shop/db"));
  Send(kOpen, 5);
  Send(kClosed, 5);
  const ClientResult before = Sluice({"capture", "shop/web", "-w", Path("before.pcapng"), "--after", "0"});
  EXPECT_EQ(before.exit_code, 0) << before.err;
  EXPECT_GE(Read(Path("before.pcapng")).size(), 10u);
  const ClientResult dropped = Sluice({"capture", "shop/web", "-w", Path("dropped.pcapng"), "--after", "0", "--verdict",
                                       "DROPPED", "--filter", "udp port 1001"});
  EXPECT_EQ(dropped.exit_code, 0) << dropped.err;
  const auto rows = Read(Path("dropped.pcapng"));
  EXPECT_GE(rows.size(), 5u);
  EXPECT_THAT(Comments(rows), Each(HasSubstr("DROPPED/POLICY_DENIED")));
  const ClientResult none = Sluice({"capture", "shop/db", "-w", Path("none.pcapng"), "--after", "0"});
  EXPECT_EQ(none.exit_code, 0) << none.err;
  EXPECT_TRUE(Read(Path("none.pcapng")).empty()) << "db's packets were not kept";
  EXPECT_FALSE(IsKept("shop/db")) << "any more";
  const ClientResult wrong = Sluice({"capture", "shop/wep", "-w", Path("wrong.pcapng")});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("shop/wep"));
  const ClientResult expression = Sluice({"capture", "shop/web", "-w", Path("wrong.pcapng"), "--filter", "udp prot 1"});
  EXPECT_EQ(expression.exit_code, 2);
  EXPECT_THAT(expression.err, HasSubstr("--filter"));
}

TEST_F(Capture, AFloodOfOnePodLeavesAnothersPackets) {
  ASSERT_NO_FATAL_FAILURE(Start({"--capture", "*", "--capture-bytes", "16384"}));
  ASSERT_TRUE(Eventually([&] { return IsKept("shop/idle"); }));
  Send(kOpen, 3, "idle");
  Send(kOpen, 2000);
  Send(kClosed, 2000);
  const ClientResult idle = Sluice({"capture", "shop/idle", "-w", Path("idle.pcapng"), "--after", "0"});
  EXPECT_EQ(idle.exit_code, 0) << idle.err;
  std::size_t datagrams = 0;
  for (const CapturedRow& row : Read(Path("idle.pcapng"))) datagrams += row.port == "1000";
  EXPECT_GE(datagrams, 3u);
  const ClientResult web = Sluice({"capture", "shop/web", "-w", Path("web.pcapng"), "--after", "0"});
  EXPECT_EQ(web.exit_code, 0) << web.err;
  const auto rows = Read(Path("web.pcapng"));
  EXPECT_LE(rows.size(), 128u) << "two rings of 64";
  EXPECT_THAT(Comments(rows), Contains(HasSubstr("FORWARDED"))) << "pushed out by what was denied";
}

// The client's packets carry the Service's address, the backend's carry its own: each ring has what its pod sees.
TEST_F(Capture, ATranslatedFlowIsThereAsEachEndSeesIt) {
  ASSERT_NO_FATAL_FAILURE(Start({"--capture", "shop/*"}));
  const auto translated = fixture_->Run(
      {"nft", fmt::format("table ip services {{ chain prerouting {{ type nat hook prerouting priority dstnat; "
                          "ip daddr 10.96.0.10 udp dport 80 dnat to {}:1000; }}; }}",
                          fixture_->ip4("db").ToString())});
  ASSERT_TRUE(translated.ok() && translated->exit_code == 0) << translated->output;
  ASSERT_TRUE(Eventually([&] { return IsKept("shop/db"); }));
  auto echo = EchoServer::Start(fixture_->netns_fd("db"), {kOpen});
  ASSERT_TRUE(echo.ok()) << echo.status();
  const auto pinger = Pinger::Start({.netns_fd = fixture_->netns_fd("web"),
                                     .destination = *policy::Address::Parse("10.96.0.10"),
                                     .port = 80,
                                     .interval = 1ms});
  ASSERT_TRUE(pinger.ok()) << pinger.status();
  ASSERT_TRUE(Eventually([&] { return (*pinger)->counts().answered >= 5; }));
  (*pinger)->Stop();
  std::map<std::string, std::set<std::pair<std::string, std::string>>> seen;
  for (const std::string pod : {"web", "db"}) {
    const std::string path = Path(pod + ".pcapng");
    ASSERT_EQ(Sluice({"capture", "shop/" + pod, "-w", path, "--after", "0"}).exit_code, 0);
    for (const CapturedRow& row : Read(path)) seen[pod].emplace(row.source, row.destination);
  }
  const std::string web = fixture_->ip4("web").ToString(), db = fixture_->ip4("db").ToString();
  EXPECT_TRUE(seen["web"].contains({web, "10.96.0.10"}));
  EXPECT_TRUE(seen["web"].contains({"10.96.0.10", web}));
  EXPECT_FALSE(seen["web"].contains({web, db}));
  EXPECT_TRUE(seen["db"].contains({web, db}));
  EXPECT_TRUE(seen["db"].contains({db, web}));
}

TEST_F(Capture, AnAgentThatWasKilledKeepsOnFromTheNextStart) {
  ASSERT_NO_FATAL_FAILURE(Start({"--capture", "shop/web"}));
  ASSERT_TRUE(Eventually([&] { return IsKept("shop/web"); }));
  Send(kOpen, 3);
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  Send(kOpen, 3);  // the programs still write into the rings
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  ASSERT_TRUE(Eventually([&] { return IsKept("shop/web"); }));
  Send(kOpen, 3);
  ASSERT_EQ(Sluice({"capture", "shop/web", "-w", Path("web.pcapng"), "--after", "0"}).exit_code, 0);
  EXPECT_GE(Read(Path("web.pcapng")).size(), 3u);
}

}  // namespace
}  // namespace sluice::test
