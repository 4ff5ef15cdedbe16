// Each panel of the dashboards, and each alert, with a real Prometheus that scrapes a real agent with real traffic.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"
#include "tests/support/open_policy.h"
#include "tests/support/run_in_pod.h"
#include "tests/unit/otlp/otlp_collector.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// What has no series here, and why.
const Arguments kAbsent = {
    "sluice_program_runs_total",           // kernel.bpf_stats_enabled is of the whole machine
    "sluice_program_run_seconds_total",    // likewise
    "sluice_kubearmor_actions_total",      // this kernel may have no programs at LSM hooks
    "sluice_kubearmor_alerts_lost_total",  // likewise
};

constexpr char kPolicies[] = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{ports: [{protocol: UDP, port: 1000}]}]
---
apiVersion: sluice.dev/v1alpha1
kind: NetworkPolicy
metadata: {name: trial, namespace: shop}
spec:
  mode: Audit
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
---
apiVersion: sluice.dev/v1alpha1
kind: Response
metadata: {name: watch}
spec:
  dryRun: true
  match: [{sources: [Rule], rules: ["Other read"]}]
  do: {quarantine: {}}
)";

class Dashboards : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    if (!RunChecked({"sh", "-c", "command -v prometheus"}).ok()) GTEST_SKIP() << "needs the package prometheus";
    std::string name = "/tmp/sluice-dashboards-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    for (const char* file : {"secret", "other"}) std::ofstream(File(file)) << file << "\n";
    std::ofstream(File("rules.yaml")) << fmt::format(
        "- rule: Other read\n  desc: d\n  condition: evt.type in (open, openat, openat2) and fd.name = {}\n"
        "  output: \"%proc.name\"\n  priority: WARNING\n",
        File("other"));
    collector_ = std::make_unique<OtlpCollector>(OtlpCollector::Options{.address = "unix://" + File("otlp.sock")});
    // Nobody listens at the address of --rules-http.
    auto fixture = NodeFixture::Create(
        {.pods = {"web", "db"},
         .args = {"--capture", "shop/*", "--capture-on", "denied", "--capture-interval", "0", "--capture-after", "0",
                  "--rules", File("rules.yaml"), "--rules-http", "http://127.0.0.1:1/", "--otlp",
                  "unix://" + File("otlp.sock"), "--otlp-metrics-interval", "1", "--event-rate", "5"},
         .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    workloads_ = fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}");
    Apply(kPolicies + HookPolicy());
  }
  ~Dashboards() override {
    fixture_.reset();
    collector_.reset();
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  std::string File(const std::string& name) const { return directory_ + "/" + name; }
  void Apply(const std::string& policies) {
    const Status applied = fixture_->agent().Apply(workloads_ + policies);
    ASSERT_TRUE(applied.ok()) << applied;
  }
  // Kills whoever opens the file `secret`.
  std::string HookPolicy() const { return OpenPolicyYaml(File("secret"), {.action = "{action: Sigkill}"}); }
  void StartPrometheus() {
    std::ofstream(File("prometheus.yml")) << fmt::format(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n"
        "- {{job_name: sluice, honor_labels: true, static_configs: [{{targets: ['{}']}}]}}\n",
        fixture_->agent().metrics_address());
    Run(
        [&] {
          return ChildProcess::Start({"prometheus", "--config.file", File("prometheus.yml"), "--storage.tsdb.path",
                                      File("data"), "--web.listen-address", "127.0.0.1:9090", "--log.level", "warn"});
        },
        &prometheus_);
  }
  void StartQueries(int seconds) {
    Arguments command = {"/usr/bin/env",
                         "no_proxy=*",
                         "PYTHONDONTWRITEBYTECODE=1",
                         "SLUICE_SOURCE_DIR=" + SourceDirectory(),
                         "/usr/bin/python3",
                         SourceDirectory() + "/tests/deploy/live_queries.py",
                         "http://127.0.0.1:9090",
                         std::to_string(seconds)};
    command.insert(command.end(), kAbsent.begin(), kAbsent.end());
    Run([&] { return ChildProcess::Start(command); }, &queries_);
  }
  template <typename Start>
  void Run(const Start& start, std::optional<ChildProcess>* out) {
    const Status ran = fixture_->node().Run([&]() -> Status {
      SL_ASSIGN_OR_RETURN(ChildProcess child, start());
      out->emplace(std::move(child));
      return OkStatus();
    });
    ASSERT_TRUE(ran.ok()) << ran;
  }
  static std::string SourceDirectory() {
    const char* const source = std::getenv("SLUICE_SOURCE_DIR");
    return source == nullptr ? "." : source;
  }
  // A bash in `from` sends some datagrams to `to`, each in its own flow.
  void Send(const std::string& from, const std::string& to, int port, int count) {
    const std::string command =
        fmt::format("for i in $(seq {}); do echo x > /dev/udp/{}/{}; done", count, fixture_->ip4(to).ToString(), port);
    EXPECT_EQ(ExitCodeIn(*fixture_, from, {"/bin/bash", "-c", command}), 0);
  }
  // Some of everything that there are metrics for.
  void Work(int round) {
    Send("web", "db", 1000, 20);
    Send("web", "db", 2000, 20);  // denied
    Send("db", "web", 3000, 2);   // a policy in audit would deny it
    EXPECT_EQ(ExitCodeIn(*fixture_, "web", {"/bin/cat", File("secret")}), 128 + SIGKILL);
    EXPECT_EQ(ExitCodeIn(*fixture_, "web", {"/bin/cat", File("other")}), 0);
    // A change of the policies, and one that is refused.
    Apply(kPolicies + HookPolicy() +
          (round % 2 == 0 ? "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
                            "metadata: {name: more, namespace: shop}\nspec: {podSelector: {matchLabels: {app: db}}, "
                            "ingress: [{ports: [{protocol: UDP, port: 1001}]}]}\n"
                          : ""));
  }

  std::string directory_;
  std::string workloads_;
  std::unique_ptr<OtlpCollector> collector_;
  std::unique_ptr<NodeFixture> fixture_;
  std::optional<ChildProcess> prometheus_;
  std::optional<ChildProcess> queries_;
};

TEST_F(Dashboards, EachQueryIsAnswered) {
  if (HasFatalFailure() || IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(StartPrometheus());
  constexpr int kSeconds = 45;
  ASSERT_NO_FATAL_FAILURE(StartQueries(kSeconds));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kSeconds + 10);
  for (int round = 0; std::chrono::steady_clock::now() < end && !HasFailure(); ++round) {
    Work(round);
    siginfo_t ended{};
    if (waitid(P_PID, static_cast<id_t>(queries_->pid()), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        ended.si_pid != 0)
      break;
  }
  const auto result = queries_->Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->output;
}

}  // namespace
}  // namespace sluice::test
