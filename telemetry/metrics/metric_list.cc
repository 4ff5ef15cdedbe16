#include "telemetry/metrics/metric_list.h"

#include <algorithm>
#include <iterator>

#include "bpf/abi/events.h"

namespace sluice::telemetry {
namespace {

using enum MetricKind;

// By sl_counter_id.
constexpr const char* kCounterNames[] = {
#define SL_X(name, label) "sluice_" label "_total",
    SL_COUNTERS(SL_X)
#undef SL_X
};
constexpr const char* kCounterHelp[] = {
    "Flows that were allowed and are tracked.",
    "Live flows that were revoked: a newer policy denies them.",
    "Live flows that were evaluated again under a newer policy.",
    "Answered flows that can still be evicted, because their bucket has the most protected flows that it may have.",
    "Flows that could not be tracked, and were dropped.",
    "Unanswered flows and denied-flow entries that were evicted to make room for others.",
    "Flows that got no entry because their workload has more than its share of the table.",
    "Flow events that were lost because the ring buffer was full.",
    "Flow events that were lost because their workload had used up its share of the ring buffer.",
    "Packets of denied flows that were dropped and counted, but got no denied-flow entry.",
    "Packets that were redirected straight to a local pod.",
    "Packets that were redirected from the network card straight to a local pod.",
    "Local ends of flows whose first packet identified the process behind it.",
    "Local ends of flows whose first packet carried no socket: sent by the kernel, or forwarded.",
    "Local ends of flows whose first packet carried a socket that no known process has used.",
    "Local ends of flows whose first packet came from a process that the sensors do not know.",
};
static_assert(std::size(kCounterHelp) == SL_COUNTER_COUNT);

const char* const kByHook = "hooks x verdicts x drop reasons; all present from the start";
const char* const kByWorkload =
    "`--workload-series` workloads (256), the rest is workload `other`; a drop reason appears with its first packet";
const char* const kByProgram =
    "`--process-series` programs (512), one workload has at most an eighth; the rest is workload and binary `other`";
const char* const kByRule =
    "`--policy-series` rules (512), policies of one namespace have at most an eighth; the rest is policy `other`";
const char* const kByMap = "BPF maps of the agent";
const char* const kBySource = "8 resources, and `container runtime` or `cgroups and /proc`";
const char* const kWithKube = "with `--kube`";
const char* const kByPolicysHook = "512 hooks, and policy `other` for the rest";
const char* const kWithHooks = "with a hook policy";
constexpr char kWithKubeArmor[] = "with a KubeArmor policy";
constexpr char kWithResponse[] = "with a Response";
constexpr char kByLsmTable[] = "as many as there are tables, fixed";
constexpr char kWithRules[] = "with `--rules`";
constexpr char kByRuleName[] = "512 rules, and rule `other` for the rest";
constexpr char kByOutput[] = "2 outputs";
const char* const kWithSensors = "while the process sensors run (`--process-sensors`)";
const char* const kWithStats = "while the kernel counts (`sysctl kernel.bpf_stats_enabled=1`)";
const char* const kWithExport = "with `--export-file`";
constexpr char kBySignal[] = "2 signals";
constexpr char kWithOtlp[] = "with `--otlp`";
constexpr char kByCaptureCause[] = "6 causes";
constexpr char kWithCaptures[] = "while packets can be kept";
const char* const kWithProc = "while `/proc` can be read";

void AddAgent(std::vector<MetricInfo>* out) {
  *out = {
      {"sluice_build_info", kGauge, "Always 1; the labels say what is running.", {"version", "abi"}, "", ""},
      {"sluice_ready",
       kGauge,
       "1: enforcement is in place and intact, and the current resources are in force.",
       {},
       "",
       ""},
      {"sluice_holding",
       kGauge,
       "1: the agent cannot trust its saved resources, and leaves what the kernel enforces as it is.",
       {},
       "",
       ""},
      {"sluice_repairs_total",
       kCounter,
       "Foreign changes in the kernel that the agent repaired.",
       {"what"},
       "kinds of repairs",
       ""},
      {"sluice_policy_revision", kGauge, "Changes of the resources so far.", {}, "", ""},
      {"sluice_policy_generation", kGauge, "Policy generation that is in force in the kernel.", {}, "", ""},
      {"sluice_policy_apply_duration_seconds",
       kHistogram,
       "Time from a change of the resources until the kernel enforces it or it is refused.",
       {"result"},
       "2 results x 15 buckets",
       ""},
      {"sluice_workloads", kGauge, "Local workloads that are enforced on.", {}, "", "with a policy"},
      {"sluice_workloads_unbound",
       kGauge,
       "Local workloads that are not enforced on yet; what is known of them is closed.",
       {},
       "",
       ""},
      {"sluice_workloads_quarantined",
       kGauge,
       "Workloads in quarantine, including those that do not exist now.",
       {},
       "",
       ""},
      {"sluice_peers", kGauge, "Workloads and pods that are known, local or not.", {}, "", "with a policy"},
      {"sluice_policies", kGauge, "Network policies.", {}, "", "with a policy"},
      {"sluice_rulesets", kGauge, "Distinct rulesets that the policies compile to.", {}, "", "with a policy"},
      {"sluice_identities", kGauge, "Distinct identities of peers.", {}, "", "with a policy"},
      {"sluice_observers", kGauge, "Clients that follow events.", {}, "", ""},
      {"sluice_api_refused_total",
       kCounter,
       "Connections and calls of the API that were refused or ended, by cause.",
       {"cause"},
       "causes",
       ""},
      {"sluice_kubernetes_synced",
       kGauge,
       "1: the resource of the API server (or the pods of this node) are read, and no failure has "
       "followed.",
       {"source"},
       kBySource,
       kWithKube},
      {"sluice_kubernetes_objects", kGauge, "Known objects of the resource.", {"source"}, kBySource, kWithKube},
      {"sluice_kubernetes_refused_objects",
       kGauge,
       "Objects whose newest version is bad: their last good version stays in force.",
       {"source"},
       kBySource,
       kWithKube},
      {"sluice_kubernetes_errors_total", kCounter, "Failed requests and watches.", {"source"}, kBySource, kWithKube},
      {"sluice_kubernetes_requests_total",
       kCounter,
       "Requests for lists and watches.",
       {"source"},
       kBySource,
       kWithKube},
      {"sluice_kubernetes_received_bytes_total",
       kCounter,
       "Bytes of the answers, after decompression.",
       {"source"},
       kBySource,
       kWithKube},
      {"sluice_kubernetes_writes_queued",
       kGauge,
       "Events and conditions that wait to be written to the API server.",
       {},
       "",
       kWithKube},
      {"sluice_kubernetes_writes_total",
       kCounter,
       "Events and conditions that were written, that the API server refused for good or did not take after some tries "
       "(failed), or that the full queue lost (dropped).",
       {"result"},
       "3 results",
       kWithKube},
      {"sluice_kubernetes_write_requests_total",
       kCounter,
       "Requests that write Events and conditions; each try counts.",
       {},
       "",
       kWithKube},
      {"sluice_hook_policies",
       kGauge,
       "Hook policies (TracingPolicy) by state: enforced, only counting what they would do, disabled, not in force for "
       "an "
       "error, or for other nodes.",
       {"state"},
       "5 states",
       ""},
      {"sluice_hook_policies_memory_bytes", kGauge, "Memory of the kernel for hook policies.", {}, "", ""},
      {"sluice_hook_matches_total",
       kCounter,
       "Events at a hook that a selector of the policy matched, since the policy came into force.",
       {"namespace", "policy", "hook"},
       kByPolicysHook,
       kWithHooks},
      {"sluice_hook_actions_total",
       kCounter,
       "What was done about them. `would_enforce`: not done, as the policy is in monitor mode; `failed`: it could not "
       "be "
       "done. What is 0 has no series.",
       {"namespace", "policy", "hook", "action"},
       "7 actions for each hook",
       kWithHooks},
      {"sluice_hook_events_lost_total",
       kCounter,
       "Events of hook policies that were lost: the ring was full, or the workload had used its share of it. What a "
       "policy enforces does not depend on them.",
       {"namespace", "policy", "hook"},
       kByPolicysHook,
       kWithHooks},
      {"sluice_hook_records_total",
       kCounter,
       "Records of hook policies that the agent has read, by what became of them: an event; nothing, as they could not "
       "be "
       "decoded (malformed) or their policy was removed or replaced before (policy_gone).",
       {"result"},
       "3 results",
       ""},
      {"sluice_hook_events_incomplete_total",
       kCounter,
       "What events of hook policies lack: an argument or a part of it that had no room (argument), the return that "
       "did "
       "not come in time (return), or the call before a return (call).",
       {"lacks"},
       "3 parts",
       ""},
      {"sluice_hook_runs_missed_total",
       kCounter,
       "Times that hooked functions were not looked at, so that no policy held: programs had interrupted each other "
       "too "
       "deep on the CPU.",
       {},
       "",
       ""},
      {"sluice_kubearmor_policies",
       kGauge,
       "KubeArmor policies by state: enforced, or not in force.",
       {"state"},
       "2 states",
       ""},
      {"sluice_kubearmor_memory_bytes", kGauge, "Memory of the kernel for KubeArmor policies.", {}, "", ""},
      {"sluice_kubearmor_actions_total",
       kCounter,
       "Operations that a rule of the policy refused (Block) or reported (Audit). Its rules about peers are counted as "
       "those of network policies are.",
       {"kind", "namespace", "policy", "action"},
       "2 actions for each of 512 policies, and policy `other` for the rest",
       kWithKubeArmor},
      {"sluice_kubearmor_alerts_lost_total",
       kCounter,
       "Alerts that were lost: the ring was full, or the workload had used its share of it. What a policy enforces "
       "does "
       "not depend on them.",
       {"kind", "namespace", "policy"},
       "512 policies, and policy `other` for the rest",
       kWithKubeArmor},
      {"sluice_kubearmor_table_entries",
       kGauge,
       "Entries of the kernel's tables of KubeArmor policies, of the half that is in force.",
       {"table"},
       kByLsmTable,
       kWithKubeArmor},
      {"sluice_kubearmor_table_capacity", kGauge, "How many there may be.", {"table"}, kByLsmTable, kWithKubeArmor},
      {"sluice_kubearmor_not_judged_total",
       kCounter,
       "Operations that no rule was applied to, because all scratch memory of the CPU was in use.",
       {},
       "",
       ""},
      {"sluice_kubearmor_unreadable_paths_total",
       kCounter,
       "Operations whose path could not be read whole: a section with Block rules refuses them.",
       {},
       "",
       ""},
      {"sluice_response_actions_total",
       kCounter,
       "Actions of Responses, by what became of them: done, failed, or left to a dry run.",
       {"response", "action", "outcome"},
       "4 actions with 3 outcomes for each of 256 Responses, and Response `other` for the rest",
       kWithResponse},
      {"sluice_response_left_out_total",
       kCounter,
       "Answers of Responses that were left out: the workload is one that is never touched (never), or the limit was "
       "used up (rateLimit).",
       {"response", "reason"},
       "2 reasons for each of 256 Responses, and Response `other` for the rest",
       kWithResponse},
      {"sluice_response_events_lost_total",
       kCounter,
       "Events that Responses did not see, because the agent's queue for them was full.",
       {},
       "",
       ""},
      {"sluice_forensic_bytes", kGauge, "Size of all files that Responses collected and that are kept.", {}, "", ""},
      {"sluice_forensic_files", kGauge, "Number of these files.", {}, "", ""},
      {"sluice_forensic_files_removed_total",
       kCounter,
       "Such files that were removed to make room for others.",
       {},
       "",
       ""},
      {"sluice_http_connections_dropped_total",
       kCounter,
       "Connections to this server that were closed because they were too slow or too many.",
       {},
       "",
       ""},
      {"sluice_metrics_read_failures_total",
       kCounter,
       "Times that counters or maps could not be read for the metrics.",
       {},
       "",
       ""},
  };
}

void AddRules(std::vector<MetricInfo>* out) {
  const std::vector<MetricInfo> more = {
      {"sluice_rules", kGauge, "Detection rules that are in force.", {}, "", kWithRules},
      {"sluice_rules_refused",
       kGauge,
       "1: the rules files are wrong, and the rules from before are in force.",
       {},
       "",
       kWithRules},
      {"sluice_rules_loads_total",
       kCounter,
       "Times that the rules files were read: the rules came into force (loaded), or were refused.",
       {"result"},
       "2 results",
       kWithRules},
      {"sluice_rules_loaded_timestamp_seconds",
       kGauge,
       "When the rules in force were loaded, since 1970; 0: never.",
       {},
       "",
       kWithRules},
      {"sluice_rule_events_total", kCounter, "Events that rules were applied to.", {}, "", kWithRules},
      {"sluice_rule_matches_total", kCounter, "Events that met the rule.", {"rule"}, kByRuleName, kWithRules},
      {"sluice_rule_detections_lost_total",
       kCounter,
       "Events that met the rule and made no detection: there were more than `--rules-rate`.",
       {"rule"},
       kByRuleName,
       kWithRules},
      {"sluice_rule_events_missed_total",
       kCounter,
       "Events that were lost before rules could be applied to them, and that the rule might have been for.",
       {"rule"},
       kByRuleName,
       kWithRules},
      {"sluice_rule_output_sent_total",
       kCounter,
       "Detections that a receiver took.",
       {"output"},
       kByOutput,
       kWithRules},
      {"sluice_rule_output_lost_total",
       kCounter,
       "Detections that were not sent: the queue of the receiver was full, or it refused them.",
       {"output"},
       kByOutput,
       kWithRules},
      {"sluice_rule_output_failures_total", kCounter, "Attempts that failed.", {"output"}, kByOutput, kWithRules},
      {"sluice_rule_output_queued", kGauge, "Detections that wait for a receiver.", {"output"}, kByOutput, kWithRules},
      {"falcosecurity_falco_rules_matches_total",
       kCounter,
       "Events that met the rule, under the name and with the labels that Falco has: the priority is a number from 0 "
       "(emergency) to 7 (debug), and each tag is a label `tag_...` with the value true.",
       {"priority", "rule_name", "source", "tag_*"},
       kByRuleName,
       kWithRules},
      {"falcosecurity_falco_sha256_rules_files_info",
       kGauge,
       "Always 1; the labels have the name and the SHA-256 of a rules file in force.",
       {"file_name", "sha256"},
       "rules files",
       kWithRules},
      {"falcosecurity_falco_outputs_queue_num_drops_total",
       kCounter,
       "The sum of sluice_rule_output_lost_total, under Falco's name.",
       {},
       "",
       kWithRules},
      {"falcosecurity_scap_n_evts_total",
       kCounter,
       "The same as sluice_rule_events_total, under Falco's name.",
       {},
       "",
       kWithRules},
      {"falcosecurity_scap_n_drops_total",
       kCounter,
       "Events of system calls that were lost before rules could be applied to them, under Falco's name.",
       {},
       "",
       kWithRules},
  };
  out->insert(out->end(), more.begin(), more.end());
}

void AddTraffic(std::vector<MetricInfo>* out) {
  const std::vector<MetricInfo> more = {
      {"sluice_packets_total",
       kCounter,
       "Packets that got a verdict.",
       {"hook", "direction", "verdict", "reason"},
       kByHook,
       ""},
      {"sluice_bytes_total",
       kCounter,
       "Bytes at layer 2 of the packets that got a verdict.",
       {"hook", "direction", "verdict", "reason"},
       kByHook,
       ""},
      {"sluice_workload_packets_total",
       kCounter,
       "Packets that a workload sent (egress) or received (ingress), or that were dropped on the way.",
       {"namespace", "workload", "direction", "verdict", "reason"},
       kByWorkload,
       ""},
      {"sluice_workload_bytes_total",
       kCounter,
       "Bytes at layer 2 of the packets that a workload sent (egress) or received (ingress), or that were dropped.",
       {"namespace", "workload", "direction", "verdict", "reason"},
       kByWorkload,
       ""},
      {"sluice_policy_flows_total",
       kCounter,
       "Flows that a rule of a policy decided; without a rule: flows that are denied because the policy isolates. "
       "Flows that are gone before the agent reads them are not counted.",
       {"namespace", "policy", "api_version", "rule", "direction", "effect"},
       kByRule,
       ""},
      {"sluice_process_flows_total",
       kCounter,
       "Flows that a program opened (egress) or answered (ingress).",
       {"namespace", "workload", "binary", "direction", "verdict"},
       kByProgram,
       kWithSensors},
      {"sluice_process_bytes_total",
       kCounter,
       "Bytes at layer 3 of allowed flows that a program sent (egress) or received (ingress).",
       {"namespace", "workload", "binary", "direction"},
       kByProgram,
       kWithSensors},
      {"sluice_process_dropped_packets_total",
       kCounter,
       "Packets of denied flows that a program sent (egress) or did not get (ingress).",
       {"namespace", "workload", "binary", "direction", "reason"},
       kByProgram,
       kWithSensors},
      {"sluice_flows_active",
       kGauge,
       "Live flows when the agent last read the flow table.",
       {"table"},
       "4 flow states",
       ""},
      {"sluice_flows_expired_total",
       kCounter,
       "Flows that ended: idle for too long, closed, or followed by another record.",
       {},
       "",
       ""},
  };
  out->insert(out->end(), more.begin(), more.end());
  for (std::size_t id = 0; id < SL_COUNTER_COUNT; id++) {
    if (id == SL_COUNTER_EVENT_LOST_RING_FULL || id == SL_COUNTER_EVENT_LOST_SHARE) continue;
    out->push_back({kCounterNames[id], kCounter, kCounterHelp[id], {}, "", ""});
  }
}

void AddEvents(std::vector<MetricInfo>* out) {
  const std::vector<MetricInfo> more = {
      {"sluice_events_lost_total",
       kCounter,
       "Events that were lost before they reached the clients that follow them.",
       {"cause"},
       "causes",
       ""},
      {"sluice_workload_events_lost_total",
       kCounter,
       "Flow events that were lost because the workload had used up its share of the ring buffer.",
       {"namespace", "workload"},
       "`--workload-series` workloads (256)",
       "once there are any"},
      {"sluice_events_exported_total", kCounter, "Events that were written to the export file.", {}, "", kWithExport},
      {"sluice_events_export_moved_total",
       kCounter,
       "Times that another program moved, removed or truncated the export file.",
       {},
       "",
       kWithExport},
      {"sluice_process_events_total",
       kCounter,
       "Events of the process sensors, by type.",
       {"type"},
       "3 types",
       kWithSensors},
      {"sluice_process_records_malformed_total",
       kCounter,
       "Records of the process sensors that could not be decoded.",
       {},
       "",
       kWithSensors},
      {"sluice_process_healings_total",
       kCounter,
       "Times that all processes were read again after a loss.",
       {},
       "",
       kWithSensors},
      {"sluice_process_lives",
       kGauge,
       "Process instances that are known: running, or ended a short while ago.",
       {},
       "",
       kWithSensors},
      {"sluice_process_image_bytes",
       kGauge,
       "Memory for binaries, arguments and directories of known processes.",
       {},
       "",
       kWithSensors},
      {"sluice_process_lives_refused_total",
       kCounter,
       "Process instances that were not kept because there was no room.",
       {},
       "",
       kWithSensors},
  };
  out->insert(out->end(), more.begin(), more.end());
}

void AddOtlp(std::vector<MetricInfo>* out) {
  const std::vector<MetricInfo> more = {
      {"sluice_otlp_sent_total",
       kCounter,
       "Log records or data points that the OpenTelemetry collector took.",
       {"signal"},
       kBySignal,
       kWithOtlp},
      {"sluice_otlp_lost_total",
       kCounter,
       "Log records or data points that were not sent: there was no room in the queue (queue_full), the collector did "
       "not take some of a request (rejected) or all of it (refused), or it did not answer for too long (given_up).",
       {"signal", "cause"},
       "2 signals x 4 causes",
       kWithOtlp},
      {"sluice_otlp_failures_total",
       kCounter,
       "Attempts to send that failed; many are followed by another one.",
       {"signal"},
       kBySignal,
       kWithOtlp},
  };
  out->insert(out->end(), more.begin(), more.end());
}

void AddCaptures(std::vector<MetricInfo>* out) {
  const std::vector<MetricInfo> more = {
      {"sluice_capture_workloads", kGauge, "Workloads whose packets are kept now.", {}, "", kWithCaptures},
      {"sluice_capture_memory_bytes",
       kGauge,
       "Memory of the kernel for packets that are kept; --capture-memory is its limit.",
       {},
       "",
       kWithCaptures},
      {"sluice_capture_memory_limit_bytes", kGauge, "The most that it may be.", {}, "", kWithCaptures},
      {"sluice_capture_packets_lost_total",
       kCounter,
       "Packets that were not kept (contended: two CPUs wrote in one place), or that were overwritten before a file or "
       "a client had them (overwritten; about).",
       {"cause"},
       "2 causes",
       kWithCaptures},
      {"sluice_capture_files_written_total",
       kCounter,
       "Files of packets that were finished, by what began them.",
       {"cause"},
       kByCaptureCause,
       kWithCaptures},
      {"sluice_capture_files_suppressed_total",
       kCounter,
       "Alerts without a file of their own: too soon after another one of the workload, or too many at once.",
       {},
       "",
       kWithCaptures},
      {"sluice_capture_files_failed_total", kCounter, "Files that could not be written.", {}, "", kWithCaptures},
      {"sluice_capture_files_removed_total", kCounter, "Files that made room for newer ones.", {}, "", kWithCaptures},
      {"sluice_capture_files", kGauge, "Files of packets in --capture-dir.", {}, "", kWithCaptures},
      {"sluice_capture_file_bytes", kGauge, "Size of these files.", {}, "", kWithCaptures},
      {"sluice_capture_file_limit_bytes", kGauge, "The most that it may be.", {}, "", kWithCaptures},
      {"sluice_capture_written_bytes_total", kCounter, "Bytes of the files that were finished.", {}, "", kWithCaptures},
  };
  out->insert(out->end(), more.begin(), more.end());
}

void AddKernel(std::vector<MetricInfo>* out) {
  const std::vector<MetricInfo> more = {
      {"sluice_map_entries", kGauge, "Entries of a BPF map.", {"map"}, kByMap, ""},
      {"sluice_map_capacity", kGauge, "Entries that a BPF map has room for.", {"map"}, kByMap, ""},
      {"sluice_map_refused_total",
       kCounter,
       "Entries that a BPF map refused: it was full, or the workload had used up its share.",
       {"map"},
       "maps that count this: processes, programs, process_classes",
       kWithSensors},
      {"sluice_attached_programs",
       kGauge,
       "Interfaces that a BPF program is attached to, by mode.",
       {"program", "mode"},
       "3 programs x 5 modes",
       "once one is attached"},
      {"sluice_program_runs_total", kCounter, "Times that a BPF program ran.", {"program"}, "3 programs", kWithStats},
      {"sluice_program_run_seconds_total",
       kCounter,
       "Time for which a BPF program ran.",
       {"program"},
       "3 programs",
       kWithStats},
  };
  out->insert(out->end(), more.begin(), more.end());
}

// Names and meanings are those of Prometheus' client libraries.
void AddOwnProcess(std::vector<MetricInfo>* out) {
  const std::vector<MetricInfo> more = {
      {"process_cpu_seconds_total", kCounter, "CPU time of the agent, user and system.", {}, "", kWithProc},
      {"process_resident_memory_bytes", kGauge, "Resident memory of the agent.", {}, "", kWithProc},
      {"process_virtual_memory_bytes", kGauge, "Virtual memory of the agent.", {}, "", kWithProc},
      {"process_open_fds", kGauge, "Open file descriptors of the agent.", {}, "", kWithProc},
      {"process_max_fds", kGauge, "File descriptors that the agent may have open.", {}, "", kWithProc},
      {"process_threads", kGauge, "Threads of the agent.", {}, "", kWithProc},
      {"process_start_time_seconds", kGauge, "When the agent started, in seconds since the epoch.", {}, "", kWithProc},
  };
  out->insert(out->end(), more.begin(), more.end());
}

std::vector<MetricInfo> MakeList() {
  std::vector<MetricInfo> list;
  AddAgent(&list);
  AddRules(&list);
  AddTraffic(&list);
  AddEvents(&list);
  AddOtlp(&list);
  AddCaptures(&list);
  AddKernel(&list);
  AddOwnProcess(&list);
  return list;
}

}  // namespace

const std::vector<MetricInfo>& MetricList() {
  static const std::vector<MetricInfo> list = MakeList();
  return list;
}

const MetricInfo* FindMetric(std::string_view name) {
  const auto& list = MetricList();
  const auto found = std::find_if(list.begin(), list.end(), [&](const MetricInfo& info) { return info.name == name; });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace sluice::telemetry
