#include "telemetry/event_filter.h"

#include <fnmatch.h>

namespace sluice::telemetry {
namespace {

using Filter = v1::ObserveRequest::Filter;

bool IsWorkload(const v1::Peer& peer, const Filter& filter) {
  return peer.namespace_() == filter.namespace_() && peer.workload() == filter.workload();
}

bool RunsProcess(const v1::Peer& peer, const Filter& filter) {
  return peer.has_process() && fnmatch(filter.process().c_str(), peer.process().binary().c_str(), 0) == 0;
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

}  // namespace

Status CheckFilter(const Filter& filter) {
  if (!filter.type().empty() && filter.type() != "flow") {
    return InvalidError("no events of type {}: this agent reports flow", filter.type());
  }
  if (filter.workload().empty() && !filter.namespace_().empty()) {
    return InvalidError("workload filter {}/: the workload's name is missing", filter.namespace_());
  }
  if (filter.port() > UINT16_MAX) return InvalidError("port filter {}: ports end at {}", filter.port(), UINT16_MAX);
  return OkStatus();
}

bool Matches(const Filter& filter, const v1::Event& event) {
  return !event.has_flow() || MatchesFlow(filter, event.flow());
}

}  // namespace sluice::telemetry
