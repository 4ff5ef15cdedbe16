#include "ctrl/api/status.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <map>

#include "ctrl/api/convert.h"
#include "telemetry/event/text.h"
#include "telemetry/falco/falco_event.h"

namespace sluice::api {
namespace {

using google::protobuf::util::TimeUtil;

void AddUnbound(const reconcile::View& view, v1::AgentStatus* status) {
  for (const auto& [name, problem] : view.unbound) {
    v1::AgentStatus::Unbound& unbound = *status->add_unbound();
    unbound.set_namespace_(name.ns);
    unbound.set_name(name.name);
    unbound.set_problem(problem);
    unbound.set_open(view.open.contains(name));
  }
}

void AddClosed(const reconcile::View& view, const datapath::PathReader& datapath, v1::AgentStatus* status) {
  std::map<std::uint32_t, std::string> names;
  for (const datapath::AttachedProgram& attached : datapath.Attached()) names[attached.ifindex] = attached.interface;
  for (const auto& [ifindex, problem] : view.closed) {
    v1::AgentStatus::Closed& closed = *status->add_closed();
    closed.set_interface(names[ifindex]);
    closed.set_ifindex(ifindex);
    closed.set_problem(problem);
  }
}

void AddPrograms(const datapath::PathReader& datapath, v1::AgentStatus* status) {
  for (const datapath::AttachedProgram& attached : datapath.Attached()) {
    v1::AgentStatus::Program& program = *status->add_programs();
    program.set_program(attached.program);
    program.set_interface(attached.interface);
    program.set_ifindex(attached.ifindex);
    program.set_mode(attached.mode);
  }
}

void AddMap(const std::string& name, std::uint64_t entries, std::uint64_t capacity, std::uint64_t refused,
            v1::AgentStatus* status) {
  v1::AgentStatus::Map& map = *status->add_maps();
  map.set_name(name);
  map.set_entries(entries);
  map.set_capacity(capacity);
  map.set_refused(refused);
}

void AddLost(const char* cause, std::uint64_t count, v1::AgentStatus* status) {
  v1::AgentStatus::LostEvents& lost = *status->add_lost();
  lost.set_cause(cause);
  lost.set_count(count);
}

void AddIntegrity(const datapath::Integrity& integrity, v1::AgentStatus* status) {
  status->set_integrity_problem(integrity.problem);
  for (std::size_t i = 0; i < integrity.repairs.size(); ++i) {
    if (integrity.repairs[i] == 0) continue;
    v1::AgentStatus::Repair& repair = *status->add_repairs();
    repair.set_what(datapath::kRepairedNames[i]);
    repair.set_count(integrity.repairs[i]);
  }
}

Status AddProcesses(const telemetry::ProcessSensor& sensor, v1::AgentStatus* status) {
  status->set_process_sensors(ToString(sensor.back_end()));
  SL_ASSIGN_OR_RETURN(const bpf::MapFill fill, sensor.ReadFill());
  AddMap("processes", fill.entries, fill.capacity, fill.refused, status);
  const auto counters = sensor.counters();
  for (std::uint32_t cause = 0; cause < SL_PROCESS_LOSS_COUNT; cause++) {
    AddLost(telemetry::ProcessLossName(cause), counters.lost[cause], status);
  }
  return OkStatus();
}

}  // namespace

Status AddNumbers(const reconcile::View& view, datapath::PathReader& datapath, telemetry::Telemetry& telemetry,
                  v1::AgentStatus* status) {
  const datapath::Integrity integrity = datapath.integrity();
  status->set_ready(integrity.problem.empty() &&
                    view.holding.empty());  // the API is served only once enforcement is in place
  AddIntegrity(integrity, status);
  status->set_holding(view.holding);
  status->set_revision(view.revision);
  status->set_generation(datapath.generation());
  const auto& endpoints = view.compiled.snapshot->endpoints;
  status->set_workloads(static_cast<std::uint64_t>(
      std::count_if(endpoints.begin(), endpoints.end(), [](const auto& endpoint) { return endpoint.ifindex != 0; })));
  AddUnbound(view, status);
  AddClosed(view, datapath, status);
  AddPrograms(datapath, status);
  SL_ASSIGN_OR_RETURN(const auto maps, datapath.Maps());
  for (const datapath::MapUsage& usage : maps) AddMap(usage.name, usage.entries, usage.capacity, usage.refused, status);
  SL_ASSIGN_OR_RETURN(const auto counters, datapath.ReadEventCounters());
  AddLost("RING_FULL", counters[SL_COUNTER_EVENT_LOST_RING_FULL], status);
  AddLost("WORKLOAD_SHARE", counters[SL_COUNTER_EVENT_LOST_SHARE], status);
  AddLost("SUBSCRIBER_QUEUE_FULL", telemetry.hub().lost(), status);
  if (telemetry.processes() != nullptr) SL_RETURN_IF_ERROR(AddProcesses(*telemetry.processes(), status));
  if (const telemetry::EventExport* exported = telemetry.event_export(); exported != nullptr) {
    AddLost("EXPORT_RATE", exported->lost_by_rate(), status);
    AddLost("EXPORT_SHARE", exported->lost_by_share(), status);
    AddLost("EXPORT_WRITE", exported->lost_by_errors(), status);
  }
  status->set_followers(telemetry.hub().subscribers());
  return OkStatus();
}

void AddSources(const std::string& server, const std::vector<telemetry::SourceState>& sources,
                v1::AgentStatus::Kubernetes* kubernetes) {
  kubernetes->set_server(server);
  for (const telemetry::SourceState& source : sources) {
    v1::AgentStatus::Source& out = *kubernetes->add_sources();
    out.set_name(source.name);
    out.set_state(source.state);
    out.set_synced(source.synced);
    if (source.since) {
      *out.mutable_since() = TimeUtil::MillisecondsToTimestamp(
          std::chrono::duration_cast<std::chrono::milliseconds>(source.since->time_since_epoch()).count());
    }
    out.set_objects(source.objects);
    out.set_refused(source.refused);
    out.set_problem(source.problem);
    out.set_errors(source.errors);
    out.set_bytes_received(source.bytes_received);
    out.set_requests(source.requests);
  }
}

void AddHookPolicies(const hooks::PolicyReports& reports, v1::AgentStatus* status) {
  for (const auto& [id, report] : reports) {
    v1::AgentStatus::HookPolicy& out = *status->add_hook_policies();
    *out.mutable_ref() = ToRef(id);
    *out.mutable_facts() = ToFacts(report);
  }
}

void AddLsmPolicies(const lsm::LsmReports& reports, const reconcile::View& view, v1::AgentStatus* status) {
  for (const auto& [id, report] : reports) {
    if (!view.resources.contains(id)) continue;  // it goes or comes just now
    v1::AgentStatus::KubeArmorPolicy& out = *status->add_kubearmor_policies();
    *out.mutable_ref() = ToRef(id);
    *out.mutable_facts() = ToFacts(*view.resources.at(id).lsm, report);
  }
}

void AddDetectionRules(const telemetry::DetectionNumbers& numbers, v1::AgentStatus* status) {
  v1::AgentStatus::DetectionRules& out = *status->mutable_detection_rules();
  out.set_in_force(numbers.in_force);
  out.set_problem(numbers.problem);
  out.set_missing(numbers.missing);
  out.set_events(numbers.events);
  out.set_loads(numbers.loads);
  out.set_refusals(numbers.refusals);
  if (numbers.loaded_ns != 0) *out.mutable_loaded() = TimeUtil::NanosecondsToTimestamp(numbers.loaded_ns);
  for (const telemetry::DetectionNumbers::File& file : numbers.files) out.add_files(file.path);
  for (const telemetry::RuleNumbers& rule : numbers.rules) {
    v1::AgentStatus::DetectionRules::Rule& one = *out.add_rules();
    one.set_rule(telemetry::ToUtf8(rule.rule));
    one.set_priority(telemetry::ToProto(rule.priority));
    one.set_matches(rule.matches);
    one.set_lost(rule.lost);
    one.set_missed(rule.missed);
  }
  for (const telemetry::RuleLoss& loss : numbers.losses) {
    v1::AgentStatus::DetectionRules::Loss& one = *out.add_losses();
    one.set_rule(telemetry::ToUtf8(loss.rule));
    one.set_namespace_(loss.workload.ns);
    one.set_workload(loss.workload.name);
    one.set_lost(loss.lost);
    one.set_missed(loss.missed);
    one.set_unsent(loss.unsent);
  }
  for (const telemetry::DetectionOutputNumbers& output : numbers.outputs) {
    v1::AgentStatus::DetectionRules::Output& one = *out.add_outputs();
    one.set_output(output.name);
    one.set_sent(output.sent);
    one.set_lost(output.lost);
    one.set_failures(output.failures);
    one.set_queued(output.queued);
    one.set_problem(telemetry::ToUtf8(output.problem));
  }
}

void AddTunnels(const Tunnels& tunnels, v1::AgentStatus* status) {
  for (v1::AgentStatus::Program& program : *status->mutable_programs()) {
    const auto over = tunnels.find(program.ifindex());
    if (program.program() != "xdp_uplink" || over == tunnels.end()) continue;
    for (const std::string& tunnel : over->second) program.add_tunnels(tunnel);
  }
}

std::vector<std::string> ClosedLines(const reconcile::View& view) {
  std::vector<std::string> lines;
  for (const auto& [name, problem] : view.unbound) lines.push_back(fmt::format("{}: {}", name.ToString(), problem));
  for (const auto& [ifindex, problem] : view.closed)
    lines.push_back(fmt::format("interface number {}: {}", ifindex, problem));
  return lines;
}

}  // namespace sluice::api
