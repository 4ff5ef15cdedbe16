// A real agent's denials and metrics at an OpenTelemetry collector, which may be away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>

#include "testbed/tcp_udp_probe.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"
#include "tests/support/run_in_pod.h"
#include "tests/unit/otlp/otlp_collector.h"
#include "tests/unit/otlp/wire_reader.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class OtlpAgent : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
  }
  ~OtlpAgent() override { unlink(path_.c_str()); }
  void Start(const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = {"--otlp", endpoint_, "--node-name", "node-7"};
    args.insert(args.end(), more.begin(), more.end());
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = args, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") + kDbAtUdp1000);
    ASSERT_TRUE(applied.ok()) << applied;
  }
  // A bash in web sends a datagram to db.
  void Send(int port) {
    const std::string command = fmt::format("echo x > /dev/udp/{}/{}", fixture_->ip4("db").ToString(), port);
    EXPECT_EQ(ExitCodeIn(*fixture_, "web", {"/bin/bash", "-c", command}), 0);
  }
  // The denial of a datagram to this port; attributes are empty if there is none.
  static OtlpCollector::Log DenialAt(const OtlpCollector& collector, int port) {
    for (OtlpCollector::Log& log : collector.Logs()) {
      const auto found = log.attributes.find("destination.port");
      if (log.event == "sluice.flow" && found != log.attributes.end() && found->second == std::to_string(port))
        return std::move(log);
    }
    return {};
  }
  // The value of the agent's own metric; -1: it is absent.
  double Metric(const std::string& series) const {
    const auto result = fixture_->Run(
        {"curl", "--silent", "--noproxy", "*", "http://" + fixture_->agent().metrics_address() + "/metrics"});
    EXPECT_TRUE(result.ok()) << result.status();
    const std::size_t at = result.ok() ? result->output.find("\n" + series + " ") : std::string::npos;
    return at == std::string::npos ? -1 : std::stod(result->output.substr(at + series.size() + 2));
  }

  const std::string path_ = "/tmp/sluice-e2e-otlp-" + std::to_string(getpid()) + ".sock";
  const std::string endpoint_ = "unix://" + path_;
  std::unique_ptr<NodeFixture> fixture_;
};

TEST_F(OtlpAgent, ADenialArrivesWithItsProgramAndItsPolicy) {
  OtlpCollector collector({.address = endpoint_});
  Start({"--otlp-metrics-interval", "1"});
  Send(1000);  // passes
  Send(2000);
  ASSERT_TRUE(Eventually([&] { return !DenialAt(collector, 2000).attributes.empty(); }));
  const OtlpCollector::Log log = DenialAt(collector, 2000);
  EXPECT_EQ(log.severity_text, "WARN");
  EXPECT_THAT(log.body, HasSubstr("shop/db"));
  EXPECT_EQ(log.resource.at("service.name"), "sluice");
  EXPECT_EQ(log.resource.at("host.name"), "node-7");
  const OtlpCollector::Attributes& is = log.attributes;
  EXPECT_EQ(is.at("network.transport"), "udp");
  EXPECT_EQ(is.at("source.address"), fixture_->ip4("web").ToString());
  EXPECT_EQ(is.at("destination.address"), fixture_->ip4("db").ToString());
  EXPECT_EQ(is.at("k8s.namespace.name"), "shop");
  EXPECT_EQ(is.at("k8s.pod.name"), "web");
  EXPECT_EQ(is.at("sluice.destination.k8s.pod.name"), "db");
  EXPECT_THAT(is.at("process.executable.path"), HasSubstr("bash"));
  EXPECT_THAT(is.at("process.command_args"), HasSubstr("echo x > /dev/udp/"));
  EXPECT_EQ(is.at("sluice.drop_reason"), "POLICY_DENIED");
  EXPECT_EQ(is.at("security_rule.ruleset.name"), "shop/db");
  EXPECT_EQ(is.at("security_rule.category"), "NetworkPolicy");
  EXPECT_TRUE(DenialAt(collector, 1000).attributes.empty()) << "flows that pass were not asked for";

  // Metrics, with the same names as /metrics.
  bool found = false;
  ASSERT_TRUE(Eventually([&] {
    for (const OtlpCollector::Request& request : collector.requests()) {
      if (!request.path.ends_with("MetricsService/Export")) continue;
      for (const WireReader& metric : WireReader(request.body).All(1).front().All(2).front().All(2)) {
        if (metric.Text(1) != "sluice_packets_total") continue;
        for (const WireReader& point : metric.All(7).front().All(1)) {
          std::string labels;
          for (const WireReader& pair : point.All(7)) labels += pair.All(2).front().Text(1) + " ";
          found = found || (labels.find("POLICY_DENIED") != std::string::npos && point.Double(4).value_or(0) >= 1);
        }
      }
    }
    return found;
  })) << "no packet was counted as denied";
  EXPECT_GE(Metric(R"(sluice_otlp_sent_total{signal="logs"})"), 1);
  EXPECT_GE(Metric(R"(sluice_otlp_sent_total{signal="metrics"})"), 100);
  EXPECT_EQ(Metric(R"(sluice_otlp_lost_total{signal="logs",cause="queue_full"})"), 0);
}

TEST_F(OtlpAgent, ACollectorThatIsAwayDelaysNothingAndGetsAllLater) {
  Start();
  if (HasFatalFailure()) return;
  const auto servers =
      ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kUdp, .port = 1000}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  Send(2001);
  EXPECT_EQ(fixture_->Udp("web", "db", 1000, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Udp("web", "db", 1001, false), ProbeOutcome::kTimeout);
  ASSERT_TRUE(Eventually([&] { return Metric(R"(sluice_otlp_failures_total{signal="logs"})") >= 2; }));
  EXPECT_EQ(Metric(R"(sluice_otlp_sent_total{signal="logs"})"), 0);
  EXPECT_THAT(fixture_->agent().Log(), HasSubstr("OTLP: logs are not sent: UNAVAILABLE"));
  {
    OtlpCollector collector({.address = endpoint_});
    EXPECT_TRUE(Eventually([&] { return !DenialAt(collector, 2001).attributes.empty(); }, 40s));
    EXPECT_TRUE(
        Eventually([&] { return fixture_->agent().Log().find("OTLP: logs are sent again") != std::string::npos; }));
  }
  Send(2002);
  const Status stopped = fixture_->agent().Stop();
  EXPECT_TRUE(stopped.ok()) << stopped << ": the agent ends in time also with records that nobody takes";
}

TEST_F(OtlpAgent, WrongOptionsAreNamed) {
  Start();
  const auto problem = [&](const Arguments& arguments) {
    const auto result = fixture_->Sluiced(arguments);
    EXPECT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result.ok() ? result->exit_code : -1, 2);
    return result.ok() ? result->output : "";
  };
  EXPECT_THAT(problem({"--otlp", "otel.example:4317"}), HasSubstr("--otlp: otel.example:4317: no such address"));
  EXPECT_THAT(problem({"--otlp", endpoint_, "--otlp-logs", "denied,flows"}),
              HasSubstr("--otlp-logs: flows: expected denied, flow,"));
  EXPECT_THAT(problem({"--otlp", endpoint_, "--otlp-headers", "/nowhere"}), HasSubstr("/nowhere: cannot be opened"));
  EXPECT_THAT(problem({"--otlp-metrics-interval", "10"}), HasSubstr("need --otlp"));
}

}  // namespace
}  // namespace sluice::test
