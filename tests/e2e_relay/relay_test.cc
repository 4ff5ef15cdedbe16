// sluice-relay over two real agents with real traffic, read by the real client: by unix sockets, and by mutual TLS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "testbed/command.h"
#include "testbed/traffic.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"
#include "tests/unit/api_server/certificates.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Json = nlohmann::json;

constexpr std::uint16_t kPort = 1000;
constexpr int kPatience = 30;  // seconds, for what takes less than one

// The complete lines of a program's output that are JSON.
std::vector<Json> Lines(const std::string& output) {
  std::vector<Json> lines;
  std::istringstream in(output);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    Json json = Json::parse(line, nullptr, false);
    if (json.is_object()) lines.push_back(std::move(json));
  }
  return lines;
}

class RelayOverAgents : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    std::string directory = "/tmp/sluice-e2e-relay-XXXXXX";
    ASSERT_NE(mkdtemp(directory.data()), nullptr);
    directory_ = directory;
  }
  void TearDown() override {
    relay_.reset();
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  // A node with web and db, and a server at db.
  struct Site {
    std::unique_ptr<NodeFixture> node;
    std::unique_ptr<ProbeServers> servers;
  };
  Site StartSite(const std::string& name, std::vector<std::string> args = {}) const {
    args.insert(args.end(), {"--node-name", name});
    Site site;
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = args, .outside = false});
    EXPECT_TRUE(fixture.ok()) << fixture.status();
    if (!fixture.ok()) return site;
    site.node = *std::move(fixture);
    auto servers = ProbeServers::Start({{.netns_fd = site.node->netns_fd("db"), .port = kPort}});
    EXPECT_TRUE(servers.ok()) << servers.status();
    if (servers.ok()) site.servers = *std::move(servers);
    const Status applied = site.node->agent().Apply(site.node->WorkloadYaml("web", "{app: web}") +
                                                    site.node->WorkloadYaml("db", "{app: db}"));
    EXPECT_TRUE(applied.ok()) << applied;
    return site;
  }

  std::string RelayAddress() const { return "unix://" + directory_ + "/relay.sock"; }
  void StartRelay(const Arguments& more) {
    Arguments arguments{
        BinDirectory() + "/sluice-relay", "--listen", RelayAddress(), "--metrics", "", "--hold", "3000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto relay = ChildProcess::Start(arguments);
    ASSERT_TRUE(relay.ok()) << relay.status();
    relay_ = std::make_unique<ChildProcess>(*std::move(relay));
    const auto serves = relay_->WaitForOutput("serving at", kPatience);
    ASSERT_TRUE(serves.ok()) << serves.status();
  }
  Arguments Client(const Arguments& verb) const {
    Arguments arguments{BinDirectory() + "/sluice", "--cluster", "--relay", RelayAddress()};
    arguments.insert(arguments.end(), verb.begin(), verb.end());
    return arguments;
  }
  CommandResult Sluice(const Arguments& verb) const {
    const auto result = RunCommand(Client(verb));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }
  // Until each agent has a follower: the relay's.
  bool AwaitFollowed(std::size_t agents) const {
    return Eventually(
        [&] {
          std::size_t followed = 0;
          for (const Json& line : Lines(Sluice({"status", "-o", "json"}).output)) {
            for (const Json& node : line.value("nodes", Json::array())) {
              if (node.value("/agent/followers"_json_pointer, std::string("0")) != "0") ++followed;
            }
          }
          return followed == agents;
        },
        std::chrono::seconds(kPatience));
  }

  std::string directory_;
  std::unique_ptr<ChildProcess> relay_;
};

TEST_F(RelayOverAgents, BothNodesFlowsComeInOrderWhileAnAgentGoesAndComesBack) {
  const Site one = StartSite("node-1");
  const Site two = StartSite("node-2");
  ASSERT_FALSE(HasFailure());
  StartRelay({"--agent", one.node->agent().api_address(), "--agent", "node-2=" + two.node->agent().api_address()});
  const CommandResult healthy = Sluice({"status", "--wait", "20"});
  EXPECT_EQ(healthy.exit_code, 0) << healthy.output << relay_->read();
  EXPECT_THAT(healthy.output, HasSubstr("2 of 2 nodes answer"));

  const std::string seen = directory_ + "/seen";
  Arguments observe{"bash", "-c", "exec \"$@\" >" + seen, "bash"};
  for (const std::string& argument : Client({"observe", "-f", "-o", "json", "--type", "flow"})) {
    observe.push_back(argument);
  }
  const auto observer = ChildProcess::Start(observe);
  ASSERT_TRUE(observer.ok()) << observer.status();
  ASSERT_TRUE(AwaitFollowed(2));
  constexpr int kRounds = 4;
  for (int i = 0; i < kRounds; ++i) {
    EXPECT_EQ(one.node->Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
    EXPECT_EQ(two.node->Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  }
  const auto read = [&] {
    std::ostringstream text;
    text << std::ifstream(seen).rdbuf();
    return text.str();
  };
  const auto await = [&](const std::function<bool(const std::vector<Json>&)>& done) {
    return Eventually([&] { return done(Lines(read())); }, std::chrono::seconds(kPatience));
  };
  const auto count = [](const std::vector<Json>& lines, const std::string& node, const std::string& key,
                        const std::string& value) {
    return std::count_if(lines.begin(), lines.end(), [&](const Json& line) {
      return line.value("node", "") == node && line.value(key, "") == value;
    });
  };
  ASSERT_TRUE(await([&](const auto& lines) {
    return count(lines, "node-1", "event", "NEW") >= kRounds && count(lines, "node-2", "event", "NEW") >= kRounds;
  })) << read();
  std::string last;
  for (const Json& line : Lines(read())) {
    if (line.value("event", "") != "NEW" || line.value("/l4/destinationPort"_json_pointer, 0) != kPort) continue;
    std::string time = line.value("time", "");
    time.erase(time.find('Z'));  // then a time with fewer digits sorts before those that go on
    EXPECT_GE(time, last);
    last = time;
  }

  ASSERT_TRUE(two.node->agent().Kill().ok());
  ASSERT_TRUE(await([&](const auto& lines) { return count(lines, "node-2", "state", "MISSING") == 1; })) << read();
  // A reader's stream may notice it before the relay itself does.
  CommandResult missing;
  EXPECT_TRUE(Eventually([&] {
    missing = Sluice({"status"});
    return missing.output.find("1 of 2 nodes answer") != std::string::npos;
  })) << missing.output;
  EXPECT_EQ(missing.exit_code, 4) << missing.output;
  EXPECT_THAT(missing.output, HasSubstr("node node-2 is missing"));
  const auto before = count(Lines(read()), "node-1", "event", "NEW");
  EXPECT_EQ(one.node->Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  ASSERT_TRUE(await([&](const auto& lines) { return count(lines, "node-1", "event", "NEW") > before; }))
      << "the other node's flows go on: " << read();

  ASSERT_TRUE(two.node->agent().Restart().ok());
  ASSERT_TRUE(await([&](const auto& lines) { return count(lines, "node-2", "state", "CONNECTED") == 1; })) << read();
  const auto flows = count(Lines(read()), "node-2", "event", "NEW");
  EXPECT_EQ(two.node->Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  ASSERT_TRUE(await([&](const auto& lines) { return count(lines, "node-2", "event", "NEW") > flows; })) << read();

  const CommandResult past = Sluice({"observe", "--last", "4", "--type", "flow", "-o", "json"});
  EXPECT_EQ(past.exit_code, 0) << past.output;
  EXPECT_EQ(Lines(past.output).size(), 4U) << past.output;
  const CommandResult table = Sluice({"observe", "--last", "20", "--type", "flow"});
  EXPECT_THAT(table.output, HasSubstr(" node-1 "));
  EXPECT_THAT(table.output, HasSubstr(" node-2 "));

  ASSERT_TRUE(relay_->Signal(SIGTERM).ok());
  const auto ended = relay_->Wait();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 0) << ended->output;
}

TEST_F(RelayOverAgents, ReadsByMutualTlsAndMayNotChange) {
  const Certificates certificates(directory_);
  certificates.MakeCa("ca");
  certificates.MakeCa("other-ca");
  certificates.Issue("agent", "ca", "node.sluice.example");
  certificates.Issue("relay", "ca");
  certificates.Issue("stranger", "other-ca");
  const std::string address = "127.0.0.1:9471";
  const Site site = StartSite(
      "node-1", {"--relay-api", address, "--relay-api-tls-cert", certificates.File("agent.crt"), "--relay-api-tls-key",
                 certificates.File("agent.key"), "--relay-api-tls-ca", certificates.File("ca.crt")});
  ASSERT_FALSE(HasFailure());
  const auto tls = [&](const std::string& name) {
    return Arguments{"--agent-tls-cert", certificates.File(name + ".crt"),
                     "--agent-tls-key",  certificates.File(name + ".key"),
                     "--agent-tls-ca",   certificates.File("ca.crt"),
                     "--agent-tls-name", "node.sluice.example",
                     "--agent",          address};
  };
  // The address is in the node's namespace.
  const auto start = [&](const std::string& name) {
    const Status started = site.node->node().Run([&] {
      StartRelay(tls(name));
      return OkStatus();
    });
    ASSERT_TRUE(started.ok()) << started;
  };
  start("relay");
  const CommandResult healthy = Sluice({"status", "--wait", "20"});
  EXPECT_EQ(healthy.exit_code, 0) << healthy.output << relay_->read();
  EXPECT_EQ(site.node->Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_TRUE(Eventually([&] {
    return Sluice({"observe", "--type", "flow", "-o", "json"}).output.find("\"node\":\"node-1\"") != std::string::npos;
  }));
  const Arguments change{BinDirectory() + "/sluice",
                         "--server",
                         address,
                         "--tls-cert",
                         certificates.File("relay.crt"),
                         "--tls-key",
                         certificates.File("relay.key"),
                         "--tls-ca",
                         certificates.File("ca.crt"),
                         "--tls-name",
                         "node.sluice.example",
                         "quarantine",
                         "shop/db"};
  const auto refused = site.node->Run(change);
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->exit_code, 1) << refused->output;
  EXPECT_THAT(refused->output, HasSubstr("may not change anything here, only read"));

  relay_.reset();
  start("stranger");
  EXPECT_TRUE(Eventually([&] { return Sluice({"status"}).output.find("missing") != std::string::npos; }));
  EXPECT_THAT(Sluice({"status"}).output, HasSubstr("0 of 1 nodes answer"));
}

TEST_F(RelayOverAgents, SaysWhatIsWrongWithItsOptions) {
  const auto none = RunCommand({BinDirectory() + "/sluice-relay"});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->exit_code, 2);
  EXPECT_THAT(none->output, HasSubstr("no agents: give --agent, --agents or --kube"));
  std::ofstream(directory_ + "/agents") << "unix:///run/a.sock\nb = c\n";
  const auto bad = RunCommand({BinDirectory() + "/sluice-relay", "--agents", directory_ + "/agents", "--metrics", "",
                               "--listen", RelayAddress()});
  ASSERT_TRUE(bad.ok()) << bad.status();
  EXPECT_EQ(bad->exit_code, 2) << bad->output;
  EXPECT_THAT(bad->output, HasSubstr(directory_ + "/agents:2: "));
  const CommandResult nobody = Sluice({"observe"});
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_THAT(nobody.output, HasSubstr("is sluice-relay running"));
}

}  // namespace
}  // namespace sluice::test
