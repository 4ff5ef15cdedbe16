// Actions of programs in a pod are reported, with their process and workload.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "telemetry/metrics/metric_list.h"
#include "tests/support/environment.h"
#include "tests/support/metrics_text.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using nlohmann::json;

constexpr std::uint16_t kOpenPort = 1000;
constexpr std::uint16_t kClosedPort = 1001;

// The value of the sample whose name and labels are `series`; -1: not found.
double SampleOf(const std::string& metrics, const std::string& series) {
  const std::size_t at = metrics.find("\n" + series + " ");
  return at == std::string::npos ? -1 : std::stod(metrics.substr(at + series.size() + 2));
}

// The objects of a file of JSON lines, except a last line that is still being written.
std::vector<json> CompleteLines(const std::string& path) {
  std::vector<json> objects;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line) && !file.eof();) objects.push_back(json::parse(line));
  return objects;
}

class Processes : public testing::Test {
 protected:
  static void TearDownTestSuite() { shared_.reset(); }

  // Tests share a node, because each start of an agent takes seconds; with arguments, the test gets its own.
  void Start(const Arguments& agent_arguments = {}) {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    std::unique_ptr<NodeFixture>& place = agent_arguments.empty() ? shared_ : own_;
    if (place == nullptr) {
      auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = agent_arguments, .outside = false});
      ASSERT_TRUE(fixture.ok()) << fixture.status();
      place = *std::move(fixture);
      const Status applied =
          place->agent().Apply(place->WorkloadYaml("web", "{app: web}") + place->WorkloadYaml("db", "{app: db}"));
      ASSERT_TRUE(applied.ok()) << applied;
    }
    fixture_ = place.get();
  }

  // Runs `sluice ARGUMENTS -o json`; one object for each line.
  std::vector<json> Ask(Arguments arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    const auto result = fixture_->agent().Sluice(arguments);
    EXPECT_TRUE(result.ok() && result->exit_code == 0) << (result.ok() ? result->err : result.status().ToString());
    std::vector<json> objects;
    std::istringstream lines(result.ok() ? result->out : "");
    for (std::string line; std::getline(lines, line);) objects.push_back(json::parse(line));
    return objects;
  }
  std::string Table(const Arguments& arguments) {
    const auto result = fixture_->agent().Sluice(arguments);
    EXPECT_TRUE(result.ok() && result->exit_code == 0) << (result.ok() ? result->err : result.status().ToString());
    return result.ok() ? result->out : "";
  }

  // The agent's current /metrics.
  std::string Metrics() {
    const auto got = fixture_->Run(
        {"curl", "--silent", "--noproxy", "*", "http://" + fixture_->agent().metrics_address() + "/metrics"});
    EXPECT_TRUE(got.ok() && got->exit_code == 0) << got.status();
    return got.ok() ? got->output : "";
  }
  // A shell in web that keeps sending datagrams to db, to an open port and to a closed one.
  StatusOr<ChildProcess> StartSender() {
    const std::string to = "/dev/udp/" + fixture_->ip4("db").ToString() + "/";
    StatusOr<ChildProcess> child = Status(absl::StatusCode::kInternal, "not started");
    SL_RETURN_IF_ERROR(fixture_->node().netns(fixture_->node().pod("web")).Run([&] {
      child = ChildProcess::Start({"/bin/bash", "-c",
                                   fmt::format("exec 3<>{0}{1} 4<>{0}{2}; while :; do echo x >&3; echo x >&4; "
                                               "read -t 0.01 -u 3; done",
                                               to, kOpenPort, kClosedPort)});
      return child.status();
    }));
    return child;
  }

  Status RunIn(const std::string& pod, const Arguments& command) {
    return fixture_->node().netns(fixture_->node().pod(pod)).Run([&] { return RunChecked(command); });
  }
  // The only event of `type` by a program called with `argument`.
  json Event(const std::string& type, const std::string& argument) {
    json found;
    Eventually([&] {
      for (json& event : Ask({"observe", "--all", "--type", type})) {
        const json arguments = event["process"].value("arguments", json::array());
        if (std::find(arguments.begin(), arguments.end(), argument) != arguments.end()) found = std::move(event);
      }
      return !found.is_null();
    });
    return found;
  }

  NodeFixture* fixture_ = nullptr;  // null: skipped, or failed

 private:
  static inline std::unique_ptr<NodeFixture> shared_;
  std::unique_ptr<NodeFixture> own_;
};

TEST_F(Processes, ProgramInAPodIsAnExecAndAnExit) {
  Start();
  if (fixture_ == nullptr) return;
  ASSERT_TRUE(RunIn("web", {"/bin/sh", "-c", "/bin/sleep 0.0173; exit 0"}).ok());
  const json exec = Event("exec", "0.0173");
  ASSERT_FALSE(exec.is_null());
  EXPECT_EQ(exec["namespace"], "shop");
  EXPECT_EQ(exec["workload"], "web");
  EXPECT_TRUE(exec["process"]["binary"].get<std::string>().ends_with("/sleep")) << exec;
  EXPECT_EQ(exec["process"]["arguments"], json({"0.0173"}));
  const json parent = Event("exec", "/bin/sleep 0.0173; exit 0");
  ASSERT_FALSE(parent.is_null());
  EXPECT_EQ(exec["process"]["parentExecId"], parent["process"]["execId"]);
  EXPECT_EQ(exec["process"]["ancestors"][0], parent["process"]["binary"]);
  const json exit = Event("exit", "0.0173");
  ASSERT_FALSE(exit.is_null());
  EXPECT_EQ(exit["workload"], "web");
  EXPECT_EQ(exit["process"]["execId"], exec["process"]["execId"]);
  EXPECT_EQ(exit["exitCode"], 0);
}

TEST_F(Processes, FiltersHoldForThem) {
  Start();
  if (fixture_ == nullptr) return;
  ASSERT_TRUE(RunIn("web", {"/bin/date", "+0.0174"}).ok());
  ASSERT_TRUE(RunIn("db", {"/bin/cat", "/dev/null"}).ok());
  ASSERT_FALSE(Event("exit", "+0.0174").is_null());
  ASSERT_FALSE(Event("exit", "/dev/null").is_null());
  for (const json& event : Ask({"observe", "--all", "--workload", "shop/db", "--type", "exec"}))
    EXPECT_EQ(event["workload"], "db") << event;
  // The agent sees the whole machine, where other users may run it too.
  const auto dates = Ask({"observe", "--process", "**/date", "--workload", "shop/web"});
  EXPECT_EQ(dates.size(), 2U) << "an exec and an exit";
  EXPECT_TRUE(Ask({"observe", "--process", "**/date", "--verdict", "DROPPED"}).empty());
  EXPECT_TRUE(Ask({"observe", "--process", "**/date", "--port", "80"}).empty());
  const std::string table = Table({"observe", "--process", "**/date", "--workload", "shop/web"});
  EXPECT_NE(table.find(" EXEC   shop/web "), std::string::npos) << table;
  EXPECT_NE(table.find(" EXIT   shop/web "), std::string::npos) << table;
}

TEST_F(Processes, LivingOnesAreListedAsATree) {
  Start();
  if (fixture_ == nullptr) return;
  StatusOr<ChildProcess> child = Status(absl::StatusCode::kInternal, "not started");
  ASSERT_TRUE(fixture_->node()
                  .netns(fixture_->node().pod("web"))
                  .Run([&] {
                    child = ChildProcess::Start({"/bin/sh", "-c", "sleep 1000 & echo started; wait"});
                    return child.status();
                  })
                  .ok());
  ASSERT_TRUE(child->WaitForOutput("started").ok());
  std::string table;
  EXPECT_TRUE(Eventually([&] {
    table = Table({"get", "processes", "-n", "shop"});
    return table.find("sleep 1000") != std::string::npos && table.find("  shop/web  ") != std::string::npos;
  })) << table;
  const auto listed = Ask({"get", "processes", "web", "-n", "shop"});
  ASSERT_EQ(listed.size(), 2U) << table;
  EXPECT_EQ(listed[0]["process"]["pid"], child->pid());
  EXPECT_EQ(listed[1]["parentPid"], child->pid());
  const std::string pid = listed[1]["process"]["pid"].dump();
  const auto none = fixture_->agent().Sluice({"get", "processes", "db", "-n", "shop"});
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->exit_code, 1) << none->out;
  ASSERT_TRUE(RunChecked({"kill", pid}).ok());
  EXPECT_TRUE(Eventually([&] { return Table({"get", "processes", "-n", "shop"}).find("sleep 1000") == table.npos; }));
}

// Changes of a process without an event: it drops rights, moves to another workload, executes itself.
TEST_F(Processes, TheListShowsThemAsTheyAreNow) {
  Start({});
  if (fixture_ == nullptr) return;
  const std::string script = fixture_->agent().directory() + "/worker.pl";
  std::ofstream(script) << fmt::format(
      "use POSIX; my $n = shift; exec($^X, $0, $n - 1, @ARGV) if $n > 0; "
      "open(my $ns, '<', shift) or die; syscall({}, fileno($ns), {}) == 0 or die $!; "
      "POSIX::setgid(33); POSIX::setuid(33) or die; $| = 1; print \"ready\\n\"; sleep 60;",
      SYS_setns, CLONE_NEWNET);
  auto child = ChildProcess::Start({"/usr/bin/perl", script, "40", fixture_->node().pod("web").netns_path});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(child->WaitForOutput("ready").ok());
  const auto listed = Ask({"get", "processes", "web", "-n", "shop"});
  ASSERT_EQ(listed.size(), 1U) << "it is web's since it moved there";
  EXPECT_EQ(listed[0]["process"]["pid"], child->pid());
  EXPECT_EQ(listed[0]["process"]["uid"], 33);
  EXPECT_EQ(listed[0]["parentPid"], getpid()) << "after 40 execs of itself";
}

TEST_F(Processes, AgentEnforcesWithoutSensorsAndSaysWhatThatCosts) {
  Start({"--process-sensors", "off"});
  if (fixture_ == nullptr) return;
  const auto status = Ask({"status"});
  ASSERT_EQ(status.size(), 1U);
  EXPECT_FALSE(status[0].contains("processSensors"));
  const auto& features = status[0]["features"];
  const auto feature =
      std::find_if(features.begin(), features.end(), [](const json& one) { return one["name"] == "process_sensors"; });
  ASSERT_NE(feature, features.end());
  EXPECT_EQ((*feature)["present"], false);
  EXPECT_NE((*feature)["cost"].get<std::string>().find("--process-sensors"), std::string::npos);
  const auto processes = fixture_->agent().Sluice({"get", "processes"});
  ASSERT_TRUE(processes.ok());
  EXPECT_EQ(processes->exit_code, 1);
  EXPECT_NE(processes->err.find("sees no processes"), std::string::npos) << processes->err;
  EXPECT_TRUE(Ask({"observe", "--all", "--host", "--type", "exec"}).empty());
}

TEST_F(Processes, EventsAreExportedToFilesThatRotate) {
  std::string directory = "/tmp/sluice-export-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/events.json";
  constexpr std::size_t kBytes = 100000;
  Start({"--export-file", path, "--export-max-bytes", std::to_string(kBytes), "--export-max-files", "2"});
  if (fixture_ != nullptr) {
    // Events of other programs on this machine are exported too and rotate web's events out, so web continues until
    // they are seen.
    EXPECT_TRUE(Eventually([&] {
      for (int i = 0; i < 10; i++) EXPECT_TRUE(RunIn("web", {"/bin/sleep", "0.000" + std::to_string(i)}).ok());
      std::set<std::string> types;
      for (const std::string& name : {path + ".1", path}) {
        for (const json& event : CompleteLines(name)) {
          if (event.value("workload", "") == "web") types.insert(event["type"]);
        }
      }
      return std::filesystem::exists(path + ".1") && types.contains("exec") && types.contains("exit");
    }));
    ASSERT_TRUE(fixture_->agent().Stop().ok());
    EXPECT_FALSE(std::filesystem::exists(path + ".2"));
    for (const std::string& name : {path + ".1", path}) {
      EXPECT_FALSE(CompleteLines(name).empty()) << name;
      EXPECT_LE(std::filesystem::file_size(name), kBytes) << name;
    }
  }
  std::filesystem::remove_all(directory);
}

TEST_F(Processes, MetricsCountThem) {
  Start();
  if (fixture_ == nullptr) return;
  ASSERT_TRUE(RunIn("web", {"/bin/sleep", "0.0175"}).ok());
  ASSERT_FALSE(Event("exit", "0.0175").is_null());
  const std::string metrics = Metrics();
  EXPECT_GE(SampleOf(metrics, "sluice_process_events_total{type=\"exec\"}"), 1);
  EXPECT_NE(metrics.find("cause=\"PROCESS_RING_FULL\"} 0\n"), std::string::npos);
}

TEST_F(Processes, MetricsNameTheProgramThatSendsAndTheOneThatIsDropped) {
  Start({"--process-series", "64"});
  if (fixture_ == nullptr) return;
  const auto servers =
      ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kUdp, .port = kOpenPort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  ASSERT_TRUE(fixture_->agent().Apply(kDbAtUdp1000).ok());
  const auto sender = StartSender();
  ASSERT_TRUE(sender.ok()) << sender.status();
  const std::string bash = std::filesystem::canonical("/bin/bash");
  const std::string web = R"({namespace="shop",workload="web",binary=")" + bash + R"(",direction=)";
  const std::string db = R"({namespace="shop",workload="db",binary=")" +
                         std::filesystem::read_symlink("/proc/self/exe").string() + R"(",direction=)";
  const auto all = [&](const std::string& metrics) {
    return std::vector<double>{
        SampleOf(metrics, "sluice_process_bytes_total" + web + "\"egress\"}"),
        SampleOf(metrics, "sluice_process_bytes_total" + web + "\"ingress\"}"),
        SampleOf(metrics, "sluice_process_bytes_total" + db + "\"ingress\"}"),
        SampleOf(metrics, "sluice_process_dropped_packets_total" + web + "\"egress\",reason=\"POLICY_DENIED\"}")};
  };
  std::string metrics;
  std::vector<double> first;
  ASSERT_TRUE(Eventually([&] {
    first = all(metrics = Metrics());
    return std::all_of(first.begin(), first.end(), [](double value) { return value > 0; });
  })) << metrics;
  std::vector<double> later;
  EXPECT_TRUE(Eventually(
      [&] {
        later = all(metrics = Metrics());
        return std::equal(later.begin(), later.end(), first.begin(), std::greater<double>());
      },
      std::chrono::seconds(30)))
      << metrics;
  EXPECT_EQ(SampleOf(metrics, "sluice_process_flows_total" + web + "\"egress\",verdict=\"FORWARDED\"}"), 1);
  EXPECT_EQ(SampleOf(metrics, "sluice_process_flows_total" + web + "\"egress\",verdict=\"DROPPED\"}"), 1);
  EXPECT_EQ(SampleOf(metrics, "sluice_process_flows_total" + db + "\"ingress\",verdict=\"FORWARDED\"}"), 1);
  SL_SKIP_OR_FAIL_IF(MissingPromtool());
  const auto checked = RunCommand({"promtool", "check", "metrics"}, metrics);
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->exit_code, 0) << checked->output;
}

TEST_F(Processes, MetricsAreThoseOfTheList) {
  Start();
  if (fixture_ == nullptr) return;
  const auto families = FamiliesOf(Metrics());
  for (const telemetry::MetricInfo& info : telemetry::MetricList()) {
    const auto found = families.find(info.name);
    if (found == families.end()) {
      EXPECT_NE(info.when, "") << info.name << " is not there";
      continue;
    }
    EXPECT_EQ(found->second.help, info.help) << info.name;
    const std::set<std::string> labels(info.labels.begin(), info.labels.end());
    if (!found->second.labels.empty() || labels.empty()) {
      EXPECT_EQ(found->second.labels, labels) << info.name;
    }
  }
  for (const auto& [name, family] : families) {
    const telemetry::MetricInfo* const info = telemetry::FindMetric(name);
    ASSERT_NE(info, nullptr) << name << " is not in the list";
    EXPECT_EQ(family.type, info->kind == telemetry::MetricKind::kCounter ? "counter"
                           : info->kind == telemetry::MetricKind::kGauge ? "gauge"
                                                                         : "histogram")
        << name;
  }
  EXPECT_TRUE(families.contains("process_resident_memory_bytes")) << "the agent may read /proc/self";
  EXPECT_TRUE(families.contains("sluice_policy_flows_total"));
}

TEST_F(Processes, TopNamesWorkloadsAndTheirPrograms) {
  Start();
  if (fixture_ == nullptr) return;
  const auto servers =
      ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kUdp, .port = kOpenPort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  ASSERT_TRUE(fixture_->agent().Apply(kDbAtUdp1000).ok());
  const auto sender = StartSender();
  ASSERT_TRUE(sender.ok()) << sender.status();
  const std::string bash = std::filesystem::canonical("/bin/bash");
  const auto row = [](const std::vector<json>& rows, const std::string& workload, const std::string& binary) {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const json& one) {
      return one["workload"] == workload && one.value("binary", "") == binary;
    });
    return found == rows.end() ? json() : *found;
  };
  std::vector<json> rows;
  ASSERT_TRUE(Eventually([&] {
    rows = Ask({"top", "--once", "--interval", "0.2"});
    const json program = row(rows, "shop/web", bash);
    return !program.is_null() && program["packetsPerSecond"] > 0 && program["bytesPerSecond"] > 0 &&
           program["dropsPerSecond"] > 0;
  })) << json(rows);
  for (const std::string workload : {"shop/web", "shop/db"}) {
    const json sum = row(rows, workload, "");
    ASSERT_FALSE(sum.is_null()) << json(rows);
    EXPECT_GT(sum["packetsPerSecond"], 0) << sum;
  }
  EXPECT_FALSE(row(rows, "shop/db", std::filesystem::read_symlink("/proc/self/exe")).is_null()) << json(rows);

  const std::string table = Table({"top", "--iterations", "2", "--interval", "0.1"});
  std::size_t headings = 0;
  for (std::size_t at = 0; (at = table.find("WORKLOAD", at)) != table.npos; ++at) headings++;
  EXPECT_EQ(headings, 2U) << table;
  EXPECT_NE(table.find(bash), std::string::npos) << table;
  EXPECT_NE(table.find("shop/db"), std::string::npos) << table;
}

TEST_F(Processes, StatusNamesTheBackEndAndItsTable) {
  Start({"--process-sensors", "tracepoint"});
  if (fixture_ == nullptr) return;
  const json status = Ask({"status"}).at(0);
  EXPECT_EQ(status["processSensors"], "tracepoint");
  const auto named = [](const json& list, const char* key, const char* name) {
    return std::find_if(list.begin(), list.end(), [&](const json& one) { return one[key] == name; });
  };
  const auto map = named(status["maps"], "name", "processes");
  ASSERT_NE(map, status["maps"].end());
  EXPECT_GT(std::stoull((*map)["entries"].get<std::string>()), 1U);
  EXPECT_NE(named(status["lost"], "cause", "PROCESS_RING_FULL"), status["lost"].end());
}

}  // namespace
}  // namespace sluice::test
