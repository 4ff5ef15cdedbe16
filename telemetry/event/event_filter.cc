#include "telemetry/event/event_filter.h"

#include <fnmatch.h>

#include <algorithm>

namespace sluice::telemetry {
namespace {

using Filter = v1::ObserveRequest::Filter;

bool IsWorkload(const v1::Peer& peer, const Filter& filter) {
  return peer.namespace_() == filter.namespace_() && peer.workload() == filter.workload();
}

bool IsProcess(const v1::Process& process, const Filter& filter) {
  return fnmatch(filter.process().c_str(), process.binary().c_str(), 0) == 0;
}

bool RunsProcess(const v1::Peer& peer, const Filter& filter) {
  return peer.has_process() && IsProcess(peer.process(), filter);
}

bool HasPort(const v1::Layer4& l4, std::uint32_t port) {
  return (l4.has_source_port() && l4.source_port() == port) ||
         (l4.has_destination_port() && l4.destination_port() == port);
}

bool MatchesFlow(const Filter& filter, const v1::Flow& flow) {
  const auto either = [&](bool (*holds)(const v1::Peer&, const Filter&)) {
    return holds(flow.source(), filter) || holds(flow.destination(), filter);
  };
  return (filter.type().empty() || filter.type() == flow.type()) &&
         (filter.verdict() == v1::Flow::VERDICT_UNSPECIFIED || filter.verdict() == flow.verdict()) &&
         (filter.workload().empty() || either(IsWorkload)) && (filter.process().empty() || either(RunsProcess)) &&
         (filter.port() == 0 || HasPort(flow.l4(), filter.port()));
}

// Exec, fork and exit. They have neither verdict nor port.
template <typename Message>
bool MatchesProcess(const Filter& filter, const Message& event) {
  return (filter.type().empty() || filter.type() == event.type()) &&
         filter.verdict() == v1::Flow::VERDICT_UNSPECIFIED && filter.port() == 0 &&
         (filter.workload().empty() ||
          (event.namespace_() == filter.namespace_() && event.workload() == filter.workload())) &&
         (filter.process().empty() || IsProcess(event.process(), filter));
}

constexpr const char* kTypes[] = {"flow", "exec", "fork", "exit"};

// Whether some of those that were lost may have matched, as far as it is known what they were. Flows are of two
// workloads and a loss names one, so those of any may be of the one that is asked for.
bool MatchesLost(const Filter& filter, const v1::Lost& lost) {
  const std::string& type = lost.event();
  if (std::ranges::find(kTypes, type) == std::end(kTypes)) return true;
  if (filter.type().empty() ? filter.without_forks() && type == "fork" : filter.type() != type) return false;
  if (type == "flow") return true;
  return filter.verdict() == v1::Flow::VERDICT_UNSPECIFIED && filter.port() == 0 &&
         (filter.workload().empty() || lost.workload().empty() ||
          (lost.namespace_() == filter.namespace_() && lost.workload() == filter.workload()));
}

}  // namespace

Status CheckFilter(const Filter& filter) {
  if (!filter.type().empty() && std::ranges::find(kTypes, filter.type()) == std::end(kTypes)) {
    return InvalidError("no events of type {}: this agent reports {}", filter.type(), fmt::join(kTypes, ", "));
  }
  if (filter.workload().empty() && !filter.namespace_().empty()) {
    return InvalidError("workload filter {}/: the workload's name is missing", filter.namespace_());
  }
  if (filter.port() > UINT16_MAX) return InvalidError("port filter {}: ports end at {}", filter.port(), UINT16_MAX);
  return OkStatus();
}

bool MatchesEveryFlow(const Filter& filter) {
  return (filter.type().empty() || filter.type() == "flow") && filter.verdict() == v1::Flow::VERDICT_UNSPECIFIED &&
         filter.workload().empty() && filter.process().empty() && filter.port() == 0;
}

bool Matches(const Filter& filter, const v1::Event& event) {
  switch (event.event_case()) {
    case v1::Event::kFlow:
      return MatchesFlow(filter, event.flow());
    case v1::Event::kExec:
      return MatchesProcess(filter, event.exec());
    case v1::Event::kFork:
      return !(filter.without_forks() && filter.type().empty()) && MatchesProcess(filter, event.fork());
    case v1::Event::kExit:
      return MatchesProcess(filter, event.exit());
    case v1::Event::kLost:
      return MatchesLost(filter, event.lost());
    case v1::Event::kChange:
      return filter.type().empty() || filter.type() == "change";
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return true;
}

}  // namespace sluice::telemetry
