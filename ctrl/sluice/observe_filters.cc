#include "ctrl/sluice/observe_filters.h"

#include <algorithm>
#include <charconv>

#include "base/nearest.h"

namespace sluice::client {
namespace {

using Filter = v1::ObserveRequest::Filter;

Status AddVerdict(const std::string& value, Filter* filter) {
  std::string upper = value;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  v1::Flow::Verdict verdict = v1::Flow::VERDICT_UNSPECIFIED;
  if (!v1::Flow::Verdict_Parse(upper, &verdict) || verdict == v1::Flow::VERDICT_UNSPECIFIED) {
    const std::string nearest = Nearest({"FORWARDED", "DROPPED", "AUDIT"}, value);
    return InvalidError("{}: there are FORWARDED, DROPPED and AUDIT{}", value,
                        nearest.empty() ? "" : "; did you mean " + nearest + "?");
  }
  filter->add_verdicts(verdict);
  return OkStatus();
}

// "5432", "5432/TCP".
Status AddPort(const std::string& value, Filter* filter) {
  const std::size_t slash = value.find('/');
  const std::string_view digits = std::string_view(value).substr(0, slash);
  std::uint16_t number = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || number == 0) {
    return InvalidError("{}: expected a port from 1 to 65535, or with its protocol as 5432/TCP", value);
  }
  v1::ObserveRequest::Port* port = filter->add_ports();
  port->set_port(number);
  if (slash != std::string::npos) port->set_protocol(value.substr(slash + 1));
  return OkStatus();
}

// For values that the agent parses (telemetry/event/event_conditions.h).
template <void (Filter::*kAdd)(const std::string&)>
Status AddText(const std::string& value, Filter* filter) {
  (filter->*kAdd)(value);
  return OkStatus();
}

}  // namespace

const std::vector<FilterFlag>& FilterFlags() {
  static const std::vector<FilterFlag> flags = {
      {"--type",
       "events of this type: flow, exec, exit, fork, change, hook, alert, detection; default: all but fork; all: fork "
       "too",
       true, AddText<&Filter::add_types>},
      {"--verdict", "flows that were FORWARDED, DROPPED, or AUDIT (on trial)", true, AddVerdict},
      {"-n,--namespace", "flows with an end in this namespace, and events of its processes", true,
       AddText<&Filter::add_namespaces>},
      {"--workload", "flows with this end, and events of its processes: namespace/name, or a name with -n", true,
       AddText<&Filter::add_workloads>},
      {"--owner", "flows with an end that belongs to this, and events of its processes: Deployment/web, or a name",
       true, AddText<&Filter::add_owners>},
      {"--from",
       "flows that this end opened: namespace/name, namespace/, an address, a CIDR, a label selector, node or world",
       false, AddText<&Filter::add_from>},
      {"--to", "flows that were opened to this end, given as for --from", false, AddText<&Filter::add_to>},
      {"--ip", "flows with this address or CIDR at either end", true, AddText<&Filter::add_ips>},
      {"--port", "flows with this port at either end: 5432 or 5432/TCP", true, AddPort},
      {"--protocol", "flows of this protocol: TCP, UDP, SCTP, ICMP, ICMPv6 or a number", true,
       AddText<&Filter::add_protocols>},
      {"--label", "flows with such a workload at either end: app=web,tier!=db,zone in (a,b)", false,
       AddText<&Filter::add_labels>},
      {"--policy",
       "flows that this policy decided, and events of its hooks: namespace/name, or a name in any namespace", true,
       AddText<&Filter::add_policies>},
      {"--drop-reason", "flows that were dropped for this reason, as POLICY_DENIED", true,
       AddText<&Filter::add_drop_reasons>},
      {"--process",
       "events of programs with this path, and their flows: a pattern as in policies (* within a directory, ** any)",
       false, AddText<&Filter::add_processes>},
  };
  return flags;
}

std::string LongName(const FilterFlag& flag) {
  const std::string names = flag.names;
  return names.substr(names.find("--"));
}

const FilterFlag* FindFilterFlag(const std::string& name) {
  const auto& flags = FilterFlags();
  const auto found =
      std::find_if(flags.begin(), flags.end(), [&](const FilterFlag& flag) { return LongName(flag) == name; });
  return found == flags.end() ? nullptr : &*found;
}

}  // namespace sluice::client
