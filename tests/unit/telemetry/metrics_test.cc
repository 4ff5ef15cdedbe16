#include "telemetry/metrics/metrics.h"

#include <sstream>

#include "testbed/command.h"
#include "tests/support/environment.h"
#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

// Prometheus' text format: "name{a="b"}" -> value, in the order of the labels as rendered.
std::map<std::string, double> Samples(const std::string& text) {
  std::map<std::string, double> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') continue;
    const std::size_t space = line.rfind(' ');
    EXPECT_TRUE(samples.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second) << "twice: " << line;
  }
  return samples;
}

// Contains all of `samples`, among others.
auto Has(std::vector<std::pair<const std::string, double>> samples) {
  return ::testing::IsSupersetOf(std::move(samples));
}

class MetricsTest : public ::testing::Test {
 protected:
  std::unique_ptr<Metrics> Make(MetricsOptions options = {.version = "1.2.3"}) {
    return std::make_unique<Metrics>(MetricsSources{.datapath = &scene_.datapath,
                                                    .sweeper = &sweeper_,
                                                    .hub = &hub_,
                                                    .policy = scene_.policy(),
                                                    .revision = [] { return std::uint64_t{42}; },
                                                    .unbound_workloads = [] { return std::size_t{3}; },
                                                    .quarantined_workloads = [this] { return quarantined_; },
                                                    .ready = [this] { return ready_; },
                                                    .processes = [this] { return processes_; },
                                                    .traffic = [this] { return traffic_.get(); },
                                                    .verdicts = &verdicts_,
                                                    .kubernetes_writes = kubernetes_writes_,
                                                    .lsm_policies = [this] { return lsm_policies_; },
                                                    .responses = [this] { return responses_; },
                                                    .hook_policies = [this] { return hook_policies_; },
                                                    .hook_records = [this] { return hook_records_; },
                                                    .detection = [this] { return detection_; },
                                                    .otlp = [this] { return otlp_; },
                                                    .captures = [this] { return captures_; }},
                                     std::move(options));
  }
  std::map<std::string, double> Render() { return Samples(Make()->Render()); }

  // Puts something into every counter.
  void FillDatapath() {
    datapath::Counters counters;
    counters.packets[SL_HOOK_TC_FROM_POD][SL_DROP_NONE] = {10, 1000};
    counters.packets[SL_HOOK_TC_FROM_POD][SL_DROP_POLICY_DENIED] = {2, 120};
    counters.packets[SL_HOOK_TC_TO_POD][SL_OUTCOME_AUDITED] = {3, 180};
    counters.packets[SL_HOOK_XDP_UPLINK][SL_DROP_MALFORMED_IPV4] = {1, 33};
    for (std::uint32_t id = 0; id < SL_COUNTER_COUNT; id++) counters.events[id] = 100 + id;
    for (const policy::Endpoint& endpoint : scene_.world.snapshot().endpoints)
      if (endpoint.endpoint != 0) counters.endpoints[endpoint.endpoint].egress[SL_DROP_NONE] = {endpoint.endpoint, 7};
    const std::uint32_t db = scene_.world.snapshot().FindByName({"shop", "db"})->endpoint;
    counters.endpoints[db].ingress[SL_DROP_POLICY_DENIED] = {5, 300};
    scene_.datapath.SetCounters(counters);
    scene_.datapath.SetMaps({{"addresses", 12, 1000}, {"fragments", 0, 8192}});
    scene_.datapath.SetProgramRuns({{"tc_from_pod", 1000, 1'500'000'000}, {"xdp_uplink", 0, 0}});
  }

  // For each of these programs in web: one denied and one allowed flow to db.
  void RunPrograms(std::size_t max_programs, const std::vector<std::string>& binaries) {
    traffic_ =
        std::make_unique<ProcessTraffic>(max_programs, [binaries](sl_process_id id) { return binaries[id - 1]; });
    sweeper_.CountPrograms(traffic_.get());
    ASSERT_TRUE(sweeper_.Sweep().ok());
    for (std::size_t i = 1; i <= binaries.size(); i++) {
      FlowRecord forwarded = scene_.Answered("shop/web", "shop/db", fmt::format("{}/TCP", i));
      FlowRecord denied = scene_.Record("shop/web", "shop/db", fmt::format("{}/UDP", i));
      denied.state = FlowState::kDenied;
      denied.entry.reason = SL_DROP_POLICY_DENIED;
      for (FlowRecord* record : {&forwarded, &denied}) {
        record->entry.initiator_process = i;
        scene_.datapath.AddFlow(*record);
      }
    }
    ASSERT_TRUE(sweeper_.Sweep().ok());
  }

  Scene scene_;
  std::optional<ProcessNumbers> processes_;
  FlowAssembler assembler_ = scene_.Assembler();
  History history_;
  EventHub hub_{{.node = "node-1", .queue_capacity = 1}, [](bool) {}};
  FlowSweeper sweeper_{&scene_.datapath, &assembler_, &history_, &hub_};
  std::unique_ptr<ProcessTraffic> traffic_;
  PolicyVerdicts verdicts_{16};
  SourceWritesNow kubernetes_writes_;
  std::vector<HookPolicyNumbers> hook_policies_;
  HookRecordNumbers hook_records_;
  LsmNumbers lsm_policies_;
  ResponseNumbers responses_;
  std::optional<DetectionNumbers> detection_;
  std::vector<OtlpNumbers> otlp_;
  std::optional<CaptureNumbers> captures_;
  bool ready_ = true;
  StatusOr<std::size_t> quarantined_ = std::size_t{2};
};

TEST_F(MetricsTest, PacketsAndBytesByHookDirectionVerdictAndReason) {
  FillDatapath();
  EXPECT_THAT(
      Render(),
      Has({
          {R"(sluice_packets_total{hook="tc_from_pod",direction="egress",verdict="FORWARDED",reason="NONE"})", 10},
          {R"(sluice_bytes_total{hook="tc_from_pod",direction="egress",verdict="FORWARDED",reason="NONE"})", 1000},
          {R"(sluice_packets_total{hook="tc_from_pod",direction="egress",verdict="DROPPED",reason="POLICY_DENIED"})",
           2},
          {R"(sluice_packets_total{hook="tc_to_pod",direction="ingress",verdict="AUDIT",reason="NONE"})", 3},
          {R"(sluice_bytes_total{hook="xdp_uplink",direction="ingress",verdict="DROPPED",reason="MALFORMED_IPV4"})",
           33},
          // Every reason has its series from the start.
          {R"(sluice_packets_total{hook="xdp_uplink",direction="ingress",verdict="DROPPED",reason="QUARANTINED"})", 0},
      }));
}

TEST_F(MetricsTest, SameByWorkload) {
  FillDatapath();
  const auto samples = Render();
  const double web = scene_.world.snapshot().FindByName({"shop", "web"})->endpoint;
  EXPECT_THAT(
      samples,
      Has({
          {R"(sluice_workload_packets_total{namespace="shop",workload="web",direction="egress",verdict="FORWARDED",reason="NONE"})",
           web},
          {R"(sluice_workload_bytes_total{namespace="shop",workload="db",direction="ingress",verdict="DROPPED",reason="POLICY_DENIED"})",
           300},
          {R"(sluice_workload_packets_total{namespace="",workload="other",direction="egress",verdict="FORWARDED",reason="NONE"})",
           0},
      }));
}

TEST_F(MetricsTest, NumberOfWorkloadsWithSeriesIsBounded) {
  FillDatapath();
  const auto metrics = Make({.max_workloads = 1, .version = "1"});
  std::set<std::string> workloads;
  for (const auto& [name, value] : Samples(metrics->Render()))
    if (name.starts_with("sluice_workload_packets_total"))
      workloads.insert(name.substr(name.find("workload=\""), name.find("\",direction") - name.find("workload=\"")));
  EXPECT_EQ(workloads.size(), 2U);
  EXPECT_THAT(workloads, Contains("workload=\"other"));
}

TEST_F(MetricsTest, FlowsBytesAndDropsByProgram) {
  RunPrograms(16, {"/usr/bin/curl", "/opt/a \"b\""});
  EXPECT_THAT(
      Render(),
      Has({
          {R"(sluice_process_flows_total{namespace="shop",workload="web",binary="/usr/bin/curl",direction="egress",verdict="FORWARDED"})",
           1},
          {R"(sluice_process_flows_total{namespace="shop",workload="web",binary="/usr/bin/curl",direction="egress",verdict="DROPPED"})",
           1},
          {R"(sluice_process_bytes_total{namespace="shop",workload="web",binary="/usr/bin/curl",direction="egress"})",
           60},
          {R"(sluice_process_bytes_total{namespace="shop",workload="web",binary="/usr/bin/curl",direction="ingress"})",
           44},
          {R"(sluice_process_dropped_packets_total{namespace="shop",workload="web",binary="/usr/bin/curl",direction="egress",reason="POLICY_DENIED"})",
           1},
          {R"(sluice_process_bytes_total{namespace="shop",workload="web",binary="/opt/a \"b\"",direction="egress"})",
           60},
          {R"(sluice_process_bytes_total{namespace="",workload="other",binary="other",direction="egress"})", 0},
      }));
}

TEST_F(MetricsTest, NumberOfProgramsWithSeriesIsBounded) {
  RunPrograms(8, {"/bin/a", "/bin/b", "/bin/c"});
  EXPECT_THAT(
      Render(),
      Has({
          {R"(sluice_process_bytes_total{namespace="shop",workload="web",binary="/bin/a",direction="egress"})", 60},
          {R"(sluice_process_bytes_total{namespace="",workload="other",binary="other",direction="egress"})", 120},
          {R"(sluice_process_dropped_packets_total{namespace="",workload="other",binary="other",direction="egress",reason="POLICY_DENIED"})",
           2},
      }));
}

TEST_F(MetricsTest, ProgramsThatNobodySeesHaveNoFamilies) {
  EXPECT_THAT(Render(), Each(Key(Not(StartsWith("sluice_process_flows")))));
}

TEST_F(MetricsTest, Flows) {
  FillDatapath();
  scene_.datapath.AddFlow(scene_.Answered("shop/web", "shop/db", "1/TCP"));
  scene_.datapath.AddFlow(scene_.Record("shop/web", "shop/db", "2/TCP"));
  FlowRecord idle = scene_.Record("shop/web", "shop/db", "3/UDP");
  idle.entry.last_seen_ns -= SL_CT_TIMEOUT_SINGLE + 1;
  scene_.datapath.AddFlow(idle);
  ASSERT_TRUE(sweeper_.Sweep().ok());
  EXPECT_THAT(Render(), Has({{"sluice_flows_new_total", 100 + SL_COUNTER_FLOW_NEW},
                             {R"(sluice_flows_active{table="established"})", 1},
                             {R"(sluice_flows_active{table="pending"})", 1},
                             {R"(sluice_flows_active{table="denied"})", 0},
                             {"sluice_flows_expired_total", 1}}));
}

TEST_F(MetricsTest, EveryEventCounterIsThereOnce) {
  FillDatapath();
  const auto samples = Render();
#define SL_X(name, label)                                                                                            \
  EXPECT_EQ(samples.count("sluice_" label "_total"),                                                                 \
            SL_COUNTER_##name == SL_COUNTER_EVENT_LOST_RING_FULL || SL_COUNTER_##name == SL_COUNTER_EVENT_LOST_SHARE \
                ? 0U                                                                                                 \
                : 1U);
  SL_COUNTERS(SL_X)
#undef SL_X
}

TEST_F(MetricsTest, LostEventsByCause) {
  FillDatapath();
  const auto following = hub_.Subscribe({});
  for (int i = 0; i < 3; i++) hub_.Publish(std::make_shared<v1::Event>());
  EXPECT_THAT(Render(), Has({{R"(sluice_events_lost_total{cause="SUBSCRIBER_QUEUE_FULL"})", 2},
                             {R"(sluice_events_lost_total{cause="RING_FULL"})", 100 + SL_COUNTER_EVENT_LOST_RING_FULL},
                             {R"(sluice_events_lost_total{cause="WORKLOAD_SHARE"})", 100 + SL_COUNTER_EVENT_LOST_SHARE},
                             {"sluice_observers", 1}}));
}

TEST_F(MetricsTest, Maps) {
  FillDatapath();
  EXPECT_THAT(Render(), Has({{R"(sluice_map_entries{map="addresses"})", 12},
                             {R"(sluice_map_capacity{map="addresses"})", 1000},
                             {R"(sluice_map_entries{map="fragments"})", 0},
                             {R"(sluice_map_capacity{map="fragments"})", 8192}}));
}

TEST_F(MetricsTest, TheTableOfProcessesIsOneOfTheMaps) {
  processes_ = ProcessNumbers{.counters = {}, .tree = {}, .fill = bpf::MapFill{5, 65536, 7}};
  EXPECT_THAT(Render(), Has({{R"(sluice_map_entries{map="processes"})", 5},
                             {R"(sluice_map_capacity{map="processes"})", 65536},
                             {R"(sluice_map_refused_total{map="processes"})", 7}}));
}

TEST_F(MetricsTest, Policy) {
  scene_.world.Apply(policy::PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}"));
  ASSERT_TRUE(scene_.datapath.Commit(scene_.world.compiled().tables).ok());
  const auto samples = Render();
  EXPECT_THAT(samples, Has({{"sluice_policy_revision", 42},
                            {"sluice_policy_generation", 1},
                            {"sluice_policies", 1},
                            {"sluice_workloads", 4},
                            {"sluice_peers", 5},
                            {"sluice_workloads_unbound", 3},
                            {"sluice_workloads_quarantined", 2},
                            {"sluice_ready", 1}}));
  EXPECT_EQ(samples.at("sluice_rulesets"), scene_.world.compiled().rulesets.size());
  EXPECT_EQ(samples.at("sluice_identities"), scene_.world.compiled().identities.size());
  EXPECT_GT(samples.at("sluice_identities"), 0);
  ready_ = false;
  EXPECT_EQ(Render().at("sluice_ready"), 0);
}

TEST_F(MetricsTest, WhatIsWrittenToKubernetes) {
  EXPECT_THAT(Render(), Not(Contains(Key(HasSubstr("sluice_kubernetes_write")))));
  kubernetes_writes_ = [] {
    return SourceWrites{.queued = 3, .requests = 9, .succeeded = 4, .failed = 1, .dropped = 2};
  };
  EXPECT_THAT(Render(), Has({{"sluice_kubernetes_writes_queued", 3},
                             {R"(sluice_kubernetes_writes_total{result="succeeded"})", 4},
                             {R"(sluice_kubernetes_writes_total{result="failed"})", 1},
                             {R"(sluice_kubernetes_writes_total{result="dropped"})", 2},
                             {"sluice_kubernetes_write_requests_total", 9}}));
}

TEST_F(MetricsTest, HookPoliciesByStateHookAndAction) {
  EXPECT_THAT(Render(), Has({{R"(sluice_hook_policies{state="enabled"})", 0},
                             {R"(sluice_hook_policies{state="error"})", 0},
                             {R"(sluice_hook_policies{state="other-nodes"})", 0},
                             {"sluice_hook_policies_memory_bytes", 0}}));
  EXPECT_THAT(Render(), Not(Contains(Key(HasSubstr("sluice_hook_matches_total")))));
  HookPolicyNumbers::Hook openat{.hook = "the system call openat", .counts = {}};
  openat.counts[SL_HOOK_COUNT_MATCHED] = 5;
  openat.counts[SL_HOOK_COUNT_SIGNALLED] = 4;
  openat.counts[SL_HOOK_COUNT_LOST] = 2;
  hook_policies_ = {{.name = {"shop", "files"}, .state = "enabled", .memory_bytes = 4096, .hooks = {openat, openat}},
                    {.name = {"", "bad"}, .state = "error", .hooks = {}}};
  const auto samples = Render();
  const std::string labels = R"({namespace="shop",policy="files",hook="the system call openat")";
  EXPECT_THAT(samples, Has({{R"(sluice_hook_policies{state="enabled"})", 1},
                            {R"(sluice_hook_policies{state="monitor"})", 0},
                            {R"(sluice_hook_policies{state="error"})", 1},
                            {"sluice_hook_policies_memory_bytes", 4096},
                            {"sluice_hook_matches_total" + labels + "}", 10},
                            {"sluice_hook_actions_total" + labels + R"(,action="signalled"})", 8},
                            {"sluice_hook_events_lost_total" + labels + "}", 4}}));
  EXPECT_THAT(samples, Not(Contains(Key(HasSubstr("posted")))));
}

TEST_F(MetricsTest, RecordsOfHooksAndWhatEventsLack) {
  hook_records_ = {.events = 7,
                   .malformed = 1,
                   .policy_gone = 2,
                   .cut_arguments = 3,
                   .calls_alone = 4,
                   .returns_alone = 5,
                   .runs_missed = 6};
  EXPECT_THAT(Render(), Has({{R"(sluice_hook_records_total{result="event"})", 7},
                             {R"(sluice_hook_records_total{result="malformed"})", 1},
                             {R"(sluice_hook_records_total{result="policy_gone"})", 2},
                             {R"(sluice_hook_events_incomplete_total{lacks="argument"})", 3},
                             {R"(sluice_hook_events_incomplete_total{lacks="return"})", 4},
                             {R"(sluice_hook_events_incomplete_total{lacks="call"})", 5},
                             {"sluice_hook_runs_missed_total", 6}}));
}

TEST_F(MetricsTest, ManyHooksShareASeries) {
  HookPolicyNumbers many{.name = {"", "many"}, .state = "enabled", .hooks = {}};
  for (int i = 0; i < 600; ++i) {
    HookPolicyNumbers::Hook hook{.hook = fmt::format("f{}", i), .counts = {}};
    hook.counts[SL_HOOK_COUNT_MATCHED] = 1;
    many.hooks.push_back(std::move(hook));
  }
  hook_policies_ = {many};
  const auto samples = Render();
  EXPECT_EQ(samples.at(R"(sluice_hook_matches_total{namespace="",policy="other",hook="other"})"), 88);
  EXPECT_EQ(samples.at(R"(sluice_hook_matches_total{namespace="",policy="many",hook="f511"})"), 1);
  EXPECT_FALSE(samples.contains(R"(sluice_hook_matches_total{namespace="",policy="many",hook="f512"})"));
}

TEST_F(MetricsTest, KubeArmorPoliciesByStateAndAction) {
  EXPECT_THAT(Render(), Has({{R"(sluice_kubearmor_policies{state="enforced"})", 0},
                             {R"(sluice_kubearmor_policies{state="error"})", 0},
                             {"sluice_kubearmor_memory_bytes", 0}}));
  EXPECT_THAT(Render(), Not(Contains(Key(HasSubstr("sluice_kubearmor_actions_total")))));
  lsm_policies_ = {.policies = {{.kind = "KubeArmorPolicy",
                                 .name = {"shop", "files"},
                                 .in_force = true,
                                 .blocked = 5,
                                 .audited = 4,
                                 .lost = 2},
                                {.kind = "KubeArmorHostPolicy", .name = {"", "bad"}}},
                   .tables = {{"rules", 12, 8192}},
                   .memory_bytes = 4096,
                   .not_judged = 1,
                   .unreadable = 3};
  const std::string labels = R"({kind="KubeArmorPolicy",namespace="shop",policy="files")";
  EXPECT_THAT(Render(), Has({{R"(sluice_kubearmor_policies{state="enforced"})", 1},
                             {R"(sluice_kubearmor_policies{state="error"})", 1},
                             {"sluice_kubearmor_memory_bytes", 4096},
                             {"sluice_kubearmor_actions_total" + labels + R"(,action="Block"})", 5},
                             {"sluice_kubearmor_actions_total" + labels + R"(,action="Audit"})", 4},
                             {"sluice_kubearmor_alerts_lost_total" + labels + "}", 2},
                             {R"(sluice_kubearmor_table_entries{table="rules"})", 12},
                             {R"(sluice_kubearmor_table_capacity{table="rules"})", 8192},
                             {"sluice_kubearmor_not_judged_total", 1},
                             {"sluice_kubearmor_unreadable_paths_total", 3}}));
}

TEST_F(MetricsTest, ManyKubeArmorPoliciesShareASeries) {
  for (int i = 0; i < 600; ++i) {
    lsm_policies_.policies.push_back(
        {.kind = "KubeArmorPolicy", .name = {"shop", fmt::format("p{}", i)}, .in_force = true, .blocked = 1});
  }
  const auto samples = Render();
  EXPECT_EQ(samples.at(R"(sluice_kubearmor_actions_total{kind="other",namespace="",policy="other",action="Block"})"),
            88);
  EXPECT_FALSE(samples.contains(
      R"(sluice_kubearmor_actions_total{kind="KubeArmorPolicy",namespace="shop",policy="p512",action="Block"})"));
}

TEST_F(MetricsTest, DetectionRulesUnderOurNamesAndFalcos) {
  EXPECT_THAT(Render(), Not(Contains(Key(HasSubstr("sluice_rule_")))));
  detection_ = DetectionNumbers{.in_force = true,
                                .loads = 2,
                                .refusals = 1,
                                .loaded_ns = 1'790'000'000'500'000'000,
                                .events = 100,
                                .events_lost = 9};
  detection_->files = {{.path = "/etc/falco/falco_rules.yaml", .sha256 = "abc"}};
  detection_->rules = {{.rule = "A shell",
                        .source = "syscall",
                        .priority = policy::rules::Priority::kWarning,
                        .tags = {"T1555", "mitre-x", "mitre_x"},
                        .matches = 7,
                        .lost = 2,
                        .missed = 3}};
  detection_->outputs = {{.name = "http", .sent = 5, .lost = 1, .failures = 4, .queued = 6, .problem = ""}};
  EXPECT_THAT(Render(),
              Has({{"sluice_rules", 1},
                   {"sluice_rules_refused", 0},
                   {R"(sluice_rules_loads_total{result="loaded"})", 2},
                   {R"(sluice_rules_loads_total{result="refused"})", 1},
                   {"sluice_rules_loaded_timestamp_seconds", 1'790'000'000.5},
                   {"sluice_rule_events_total", 100},
                   {R"(sluice_rule_matches_total{rule="A shell"})", 7},
                   {R"(sluice_rule_detections_lost_total{rule="A shell"})", 2},
                   {R"(sluice_rule_events_missed_total{rule="A shell"})", 3},
                   {R"(sluice_rule_output_sent_total{output="http"})", 5},
                   {R"(sluice_rule_output_lost_total{output="http"})", 1},
                   {R"(sluice_rule_output_failures_total{output="http"})", 4},
                   {R"(sluice_rule_output_queued{output="http"})", 6},
                   {R"(falcosecurity_falco_rules_matches_total{priority="4",rule_name="A shell",source="syscall",)"
                    R"(tag_T1555="true",tag_mitre_x="true"})",
                    7},
                   {R"(falcosecurity_falco_sha256_rules_files_info{file_name="falco_rules.yaml",sha256="abc"})", 1},
                   {"falcosecurity_falco_outputs_queue_num_drops_total", 1},
                   {"falcosecurity_scap_n_evts_total", 100},
                   {"falcosecurity_scap_n_drops_total", 9}}));
  detection_->problem = "r.yaml:1:1: wrong";
  for (int i = 0; i < 600; ++i) detection_->rules.push_back({.rule = std::to_string(i), .matches = 1});
  EXPECT_THAT(Render(), Has({{"sluice_rules_refused", 1}, {R"(sluice_rule_matches_total{rule="other"})", 89}}));
}

TEST_F(MetricsTest, ResponsesByActionAndOutcome) {
  EXPECT_THAT(Render(), Has({{"sluice_response_events_lost_total", 0},
                             {"sluice_forensic_bytes", 0},
                             {"sluice_forensic_files", 0},
                             {"sluice_forensic_files_removed_total", 0}}));
  EXPECT_THAT(Render(), Not(Contains(Key(HasSubstr("sluice_response_actions_total")))));
  responses_ = {.responses = {{.name = "cut-off",
                               .answers = {{"KILL", "DONE", 5}, {"KILL", "FAILED", 1}},
                               .spared = 2,
                               .limited = 3}},
                .events_lost = 4,
                .forensic_bytes = 100,
                .forensic_files = 2,
                .forensic_removed = 1};
  const std::string actions = R"(sluice_response_actions_total{response="cut-off",action="KILL",outcome=)";
  const std::string left_out = R"(sluice_response_left_out_total{response="cut-off",reason=)";
  EXPECT_THAT(Render(), Has({{actions + R"("DONE"})", 5},
                             {actions + R"("FAILED"})", 1},
                             {left_out + R"("never"})", 2},
                             {left_out + R"("rateLimit"})", 3},
                             {"sluice_response_events_lost_total", 4},
                             {"sluice_forensic_bytes", 100},
                             {"sluice_forensic_files", 2},
                             {"sluice_forensic_files_removed_total", 1}}));
  const ResponseNumbers::Response one = responses_.responses.front();
  for (int i = 0; i < 299; ++i) {
    responses_.responses.push_back(one);
    responses_.responses.back().name = fmt::format("r{}", i);
  }
  const auto samples = Render();
  EXPECT_EQ(samples.at(R"(sluice_response_actions_total{response="other",action="KILL",outcome="DONE"})"), 5 * 44);
  EXPECT_EQ(samples.at(R"(sluice_response_left_out_total{response="other",reason="never"})"), 2 * 44);
  EXPECT_FALSE(samples.contains(R"(sluice_response_left_out_total{response="r298",reason="never"})"));
}

TEST_F(MetricsTest, CapturesByCauseOfTheirFiles) {
  EXPECT_THAT(Render(), Not(Contains(Key(StartsWith("sluice_capture_")))));
  captures_ = CaptureNumbers{.workloads = 3,
                             .memory_bytes = 4096,
                             .memory_limit = 65536,
                             .contended = 1,
                             .overwritten = 2,
                             .written = {{"denied", 5}, {"response", 6}},
                             .written_bytes = 7,
                             .suppressed = 8,
                             .failed = 9,
                             .removed = 10,
                             .files = 11,
                             .file_bytes = 12,
                             .file_limit = 13};
  EXPECT_THAT(Render(), Has({{"sluice_capture_workloads", 3},
                             {"sluice_capture_memory_bytes", 4096},
                             {"sluice_capture_memory_limit_bytes", 65536},
                             {R"(sluice_capture_packets_lost_total{cause="contended"})", 1},
                             {R"(sluice_capture_packets_lost_total{cause="overwritten"})", 2},
                             {R"(sluice_capture_files_written_total{cause="denied"})", 5},
                             {R"(sluice_capture_files_written_total{cause="response"})", 6},
                             {R"(sluice_capture_files_written_total{cause="hook"})", 0},
                             {"sluice_capture_written_bytes_total", 7},
                             {"sluice_capture_files_suppressed_total", 8},
                             {"sluice_capture_files_failed_total", 9},
                             {"sluice_capture_files_removed_total", 10},
                             {"sluice_capture_files", 11},
                             {"sluice_capture_file_bytes", 12},
                             {"sluice_capture_file_limit_bytes", 13}}));
}

TEST_F(MetricsTest, WhatIsSentToOpenTelemetryAndWhatIsNot) {
  EXPECT_THAT(Render(), Not(Contains(Key(StartsWith("sluice_otlp_")))));
  otlp_ = {{.signal = "logs", .sent = 1, .rejected = 2, .refused = 3, .given_up = 4, .no_room = 5, .failures = 6},
           {.signal = "metrics", .sent = 7}};
  EXPECT_THAT(Render(), Has({{R"(sluice_otlp_sent_total{signal="logs"})", 1},
                             {R"(sluice_otlp_sent_total{signal="metrics"})", 7},
                             {R"(sluice_otlp_lost_total{signal="logs",cause="rejected"})", 2},
                             {R"(sluice_otlp_lost_total{signal="logs",cause="refused"})", 3},
                             {R"(sluice_otlp_lost_total{signal="logs",cause="given_up"})", 4},
                             {R"(sluice_otlp_lost_total{signal="logs",cause="queue_full"})", 5},
                             {R"(sluice_otlp_lost_total{signal="metrics",cause="queue_full"})", 0},
                             {R"(sluice_otlp_failures_total{signal="logs"})", 6}}));
}

// The same numbers on both ways.
TEST_F(MetricsTest, ForOpenTelemetryTheyAreTheSame) {
  FillDatapath();
  const auto metrics = Make();
  metrics->ObserveApply(20ms, true);
  std::map<std::string, double> sums;
  for (const auto& [series, value] : Samples(metrics->Render()))
    sums[series.substr(0, series.find('{'))] += series.find("_bucket{") == std::string::npos ? value : 0;
  std::map<std::string, double> sent;
  for (const auto& request : metrics->ToOtlp({.node = "node-1"}, 100)) {
    for (const auto& metric : request.resource_metrics(0).scope_metrics(0).metrics()) {
      for (const auto& point : metric.sum().data_points()) sent[metric.name()] += point.as_double();
      for (const auto& point : metric.gauge().data_points()) sent[metric.name()] += point.as_double();
      for (const auto& point : metric.histogram().data_points()) {
        sent[metric.name() + "_bucket"] += 0;
        sent[metric.name() + "_sum"] += point.sum();
        sent[metric.name() + "_count"] += static_cast<double>(point.count());
      }
    }
  }
  for (auto* all : {&sums, &sent})  // they grow
    std::erase_if(*all, [](const auto& one) { return one.first.starts_with("process_"); });
  EXPECT_GT(sent.size(), 40U);
  EXPECT_EQ(sums, sent);
}

TEST_F(MetricsTest, ApplyLatencyIsAHistogramByResult) {
  const auto metrics = Make();
  metrics->ObserveApply(3ms, true);
  metrics->ObserveApply(2s, true);
  metrics->ObserveApply(1us, false);
  EXPECT_THAT(Samples(metrics->Render()),
              Has({{R"(sluice_policy_apply_duration_seconds_count{result="applied"})", 2},
                   {R"(sluice_policy_apply_duration_seconds_sum{result="applied"})", 2.003},
                   {R"(sluice_policy_apply_duration_seconds_bucket{result="applied",le="0.005"})", 1},
                   {R"(sluice_policy_apply_duration_seconds_bucket{result="applied",le="+Inf"})", 2},
                   {R"(sluice_policy_apply_duration_seconds_count{result="refused"})", 1}}));
}

TEST_F(MetricsTest, AttachedProgramsByMode) {
  scene_.datapath.AddAttached({"xdp_uplink", "eth0", 1000, "xdp generic"});
  scene_.datapath.AddAttached({"tc_to_pod", "v-old", 77, ""});
  EXPECT_THAT(Render(), Has({{R"(sluice_attached_programs{program="tc_from_pod",mode="tcx"})", 4},
                             {R"(sluice_attached_programs{program="tc_to_pod",mode="tcx"})", 4},
                             {R"(sluice_attached_programs{program="tc_to_pod",mode="inherited"})", 1},
                             {R"(sluice_attached_programs{program="xdp_uplink",mode="xdp generic"})", 1}}));
}

TEST_F(MetricsTest, ProgramRunsOnlyWhereTheKernelCounts) {
  EXPECT_THAT(Render(), Each(Key(Not(StartsWith("sluice_program_run")))));
  FillDatapath();
  EXPECT_THAT(Render(), Has({{R"(sluice_program_runs_total{program="tc_from_pod"})", 1000},
                             {R"(sluice_program_run_seconds_total{program="tc_from_pod"})", 1.5},
                             {R"(sluice_program_runs_total{program="xdp_uplink"})", 0}}));
}

TEST_F(MetricsTest, BuildInfo) {
  EXPECT_THAT(Render(), Contains(Pair(HasSubstr("sluice_build_info{"), 1)));
  EXPECT_THAT(Make()->Render(), HasSubstr(R"(version="1.2.3")"));
}

TEST_F(MetricsTest, WhatCannotBeReadIsAbsentAndCounted) {
  FillDatapath();
  const auto metrics = Make();
  for (const char* const method : {"ReadCounters", "Maps", "ReadProgramRuns"})
    scene_.datapath.FailNext(method, InvalidError("map: no"));
  const auto samples = Samples(metrics->Render());
  EXPECT_THAT(samples, Contains(Pair("sluice_metrics_read_failures_total", 3)));
  EXPECT_THAT(samples, Contains(Pair("sluice_policy_revision", 42)));
  EXPECT_THAT(samples, Each(Key(Not(StartsWith("sluice_packets_total")))));
  EXPECT_THAT(Samples(metrics->Render()), Contains(Key(StartsWith("sluice_packets_total"))));
}

TEST_F(MetricsTest, BeforeThereIsAPolicy) {
  Metrics metrics({.datapath = &scene_.datapath,
                   .sweeper = &sweeper_,
                   .hub = &hub_,
                   .policy = {.compiled = [] { return nullptr; }, .decision = [](auto) { return nullptr; }},
                   .revision = [] { return std::uint64_t{0}; },
                   .unbound_workloads = [] { return std::size_t{0}; },
                   .quarantined_workloads = [] { return std::size_t{0}; },
                   .ready = [] { return false; }},
                  {.version = "1"});
  const auto samples = Samples(metrics.Render());
  EXPECT_EQ(samples.at("sluice_ready"), 0);
  EXPECT_THAT(samples, Each(Key(Not(StartsWith("sluice_rulesets")))));
}

TEST_F(MetricsTest, EveryNameHasThePrefixAndHelp) {
  FillDatapath();
  RunPrograms(8, {"/bin/a", "/bin/b"});
  std::istringstream lines(Make()->Render());
  std::string helped;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) helped = line.substr(7, line.find(' ', 7) - 7);
    if (line.starts_with("# ")) {
      EXPECT_EQ(line.substr(7, line.find(' ', 7) - 7), helped);
      continue;
    }
    EXPECT_THAT(line, StartsWith(helped)) << "has no help of its own";
    EXPECT_THAT(line, ::testing::AnyOf(StartsWith("sluice_"), StartsWith("process_")));
  }
}

TEST_F(MetricsTest, FlowsByPolicyAndRule) {
  scene_.world.Apply(policy::PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}"));
  sweeper_.CountVerdicts(&verdicts_);
  ASSERT_TRUE(sweeper_.Sweep().ok());
  scene_.datapath.AddFlow(scene_.Record("shop/web", "shop/db", "80/TCP"));
  ASSERT_TRUE(sweeper_.Sweep().ok());
  EXPECT_THAT(
      Render(),
      Has({
          {R"(sluice_policy_flows_total{namespace="shop",policy="db",api_version="networking.k8s.io/v1",rule="",direction="ingress",effect="DEFAULT_DENY"})",
           1},
          {R"(sluice_policy_flows_total{namespace="",policy="other",api_version="",rule="",direction="",effect=""})",
           0},
      }));
}

TEST_F(MetricsTest, TheAgentItself) {
  const auto samples = Render();
  EXPECT_GT(samples.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(samples.at("process_virtual_memory_bytes"), samples.at("process_resident_memory_bytes"));
  EXPECT_GT(samples.at("process_cpu_seconds_total"), 0);
  EXPECT_GE(samples.at("process_threads"), 1);
  EXPECT_GE(samples.at("process_open_fds"), 3);
  EXPECT_GE(samples.at("process_max_fds"), samples.at("process_open_fds"));
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(samples.at("process_start_time_seconds"), now, 600) << "this test";
}

TEST_F(MetricsTest, PromtoolIsContent) {
  FillDatapath();
  RunPrograms(8, {"/bin/a", "/opt/\xc3\xa9 \"\\\n"});
  SL_SKIP_OR_FAIL_IF(test::MissingPromtool());
  const auto metrics = Make();
  metrics->ObserveApply(1ms, true);
  const auto check = test::RunCommand({"promtool", "check", "metrics"}, metrics->Render());
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ(check->exit_code, 0) << check->output;
  EXPECT_EQ(check->output, "");
}

}  // namespace
}  // namespace sluice::telemetry
