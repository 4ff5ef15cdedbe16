#include "telemetry/event/event_conditions.h"

#include <algorithm>

#include "base/nearest.h"
#include "policy/network/glob.h"
#include "policy/resource/label_selector.h"
#include "policy/resource/model.h"
#include "policy/resource/resource_syntax.h"
#include "telemetry/event/drop_reason.h"

namespace sluice::telemetry {
namespace {

using Filter = v1::ObserveRequest::Filter;
using MaybeAddress = std::optional<policy::Address>;

constexpr const char* kTypes[] = {"flow", "exec", "fork", "exit", "change", "hook", "alert", "detection", "response"};

bool IsType(const std::string& type) {
  return std::any_of(std::begin(kTypes), std::end(kTypes), [&](const char* known) { return type == known; });
}

template <typename Values, typename Holds>
bool Any(const Values& wanted, const Holds& holds) {
  return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), holds);
}

template <typename Value>
bool Contains(const std::vector<Value>& wanted, const Value& value) {
  return Any(wanted, [&](const Value& one) { return one == value; });
}

// "unknown drop reason Y; did you mean X? Known are A, B, C".
Status NoSuch(const char* what, const std::string& text, const std::vector<std::string>& known) {
  const std::string nearest = Nearest(known, text);
  return InvalidError("unknown {} {}{} Known are {}", what, text,
                      nearest.empty() ? "." : "; did you mean " + nearest + "?", fmt::join(known, ", "));
}

// Errors get the name of the condition in front.
template <typename T>
Status Append(const char* what, StatusOr<T> value, std::vector<T>* to) {
  if (!value.ok()) return Annotate(value.status(), what);
  to->push_back(*std::move(value));
  return OkStatus();
}

StatusOr<std::string> Checked(const std::string& text, std::string (*check)(std::string_view)) {
  const std::string wrong = check(text);
  if (!wrong.empty()) return InvalidError("{}: {}", text, wrong);
  return text;
}

// Converts a name in upper or lower case, or a number, to the name that events have.
StatusOr<std::string> ParseProtocol(const std::string& text) {
  std::vector<std::string> names;
  for (unsigned number = 0; number <= UINT8_MAX; number++) {
    const std::string name = policy::ProtocolName(static_cast<std::uint8_t>(number));
    const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
    const bool named = std::equal(name.begin(), name.end(), text.begin(), text.end(), same);
    if (named || text == std::to_string(number)) return name;
    if (name != std::to_string(number)) names.push_back(name);
  }
  return InvalidError("protocol {}: expected one of {}, or a number from 0 to 255", text, fmt::join(names, ", "));
}

StatusOr<policy::ObjectName> ParsePolicy(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos && !text.empty()) return policy::ObjectName{"", text};
  const auto name = ParseWorkload(text);
  if (!name.ok()) return InvalidError("{}: expected namespace/name, or a name", text);
  return *name;
}

MaybeAddress ParseAddress(const std::string& text) {
  const auto address = policy::Address::Parse(text);
  return address.ok() ? MaybeAddress(*address) : std::nullopt;
}

bool IsSameKind(const std::string& a, const std::string& b) {
  const auto same = [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

bool IsPort(std::uint16_t wanted, const v1::Layer4& l4) {
  return (l4.has_source_port() && l4.source_port() == wanted) ||
         (l4.has_destination_port() && l4.destination_port() == wanted);
}

bool IsPolicy(const policy::ObjectName& wanted, const v1::PolicyRef& policy) {
  return wanted.name == policy.name() && (wanted.ns.empty() || wanted.ns == policy.namespace_());
}

}  // namespace

StatusOr<EventConditions> EventConditions::Make(const Filter& filter) {
  EventConditions conditions;
  SL_RETURN_IF_ERROR(conditions.Read(filter));
  SL_RETURN_IF_ERROR(conditions.ReadTexts(filter));
  SL_RETURN_IF_ERROR(conditions.ReadPeers(filter));
  return conditions;
}

// Reads the fields of older clients, and those that are not text.
Status EventConditions::Read(const Filter& filter) {
  without_forks_ = filter.without_forks();
  without_host_ = filter.without_host();
  types_.assign(filter.types().begin(), filter.types().end());
  if (!filter.type().empty()) types_.push_back(filter.type());
  for (const std::string& type : types_) {
    if (!IsType(type)) return NoSuch("event type", type, {std::begin(kTypes), std::end(kTypes)});
  }
  if (filter.verdict() != v1::Flow::VERDICT_UNSPECIFIED) SL_RETURN_IF_ERROR(AddVerdict(filter.verdict()));
  for (const int verdict : filter.verdicts()) {
    SL_RETURN_IF_ERROR(AddVerdict(static_cast<v1::Flow::Verdict>(verdict)));
  }
  if (filter.workload().empty() && !filter.namespace_().empty()) {
    return InvalidError("workload filter {}/: the workload's name is missing", filter.namespace_());
  }
  if (!filter.workload().empty()) workloads_.push_back({filter.namespace_(), filter.workload()});
  if (filter.port() != 0) SL_RETURN_IF_ERROR(AddPort(filter.port(), ""));
  for (const v1::ObserveRequest::Port& port : filter.ports()) {
    SL_RETURN_IF_ERROR(AddPort(port.port(), port.protocol()));
  }
  return OkStatus();
}

Status EventConditions::AddVerdict(v1::Flow::Verdict verdict) {
  if (!v1::Flow::Verdict_IsValid(verdict) || verdict == v1::Flow::VERDICT_UNSPECIFIED) {
    return InvalidError("verdict {}: expected FORWARDED, DROPPED or AUDIT", static_cast<int>(verdict));
  }
  verdicts_.push_back(verdict);
  return OkStatus();
}

Status EventConditions::AddPort(std::uint32_t port, const std::string& protocol) {
  if (port == 0 || port > UINT16_MAX) return InvalidError("port filter {}: ports go from 1 to {}", port, UINT16_MAX);
  ports_.push_back({static_cast<std::uint16_t>(port), ""});
  if (protocol.empty()) return OkStatus();
  SL_ASSIGN_OR_RETURN(ports_.back().protocol, ParseProtocol(protocol));
  return OkStatus();
}

Status EventConditions::ReadTexts(const Filter& filter) {
  for (const std::string& protocol : filter.protocols()) {
    SL_RETURN_IF_ERROR(Append("protocol filter", ParseProtocol(protocol), &protocols_));
  }
  std::vector<std::string> processes(filter.processes().begin(), filter.processes().end());
  if (!filter.process().empty()) processes.push_back(filter.process());
  for (const std::string& process : processes) {
    SL_RETURN_IF_ERROR(Append("process filter", Checked(process, policy::CheckProgramPattern), &processes_));
  }
  for (const std::string& policy : filter.policies()) {
    SL_RETURN_IF_ERROR(Append("policy filter", ParsePolicy(policy), &policies_));
  }
  for (const std::string& reason : filter.drop_reasons()) {
    const DropReasonInfo* known = FindDropReason(reason);
    if (known == nullptr) {
      std::vector<std::string> names;
      for (const DropReasonInfo& one : DropReasons()) names.emplace_back(one.name);
      return NoSuch("drop reason", reason, names);
    }
    drop_reasons_.emplace_back(known->name);
  }
  return OkStatus();
}

Status EventConditions::ReadPeers(const Filter& filter) {
  for (const std::string& ns : filter.namespaces()) {
    SL_RETURN_IF_ERROR(Append("namespace filter", Checked(ns, policy::CheckDnsLabel), &namespaces_));
  }
  for (const std::string& workload : filter.workloads()) {
    SL_RETURN_IF_ERROR(Append("workload filter", ParseWorkload(workload), &workloads_));
  }
  for (const std::string& owner : filter.owners()) {
    const std::size_t slash = owner.find('/');
    const bool has_kind = slash != std::string::npos;
    Owner wanted{.kind = has_kind ? owner.substr(0, slash) : "", .name = has_kind ? owner.substr(slash + 1) : owner};
    if (wanted.name.empty() || wanted.name.find('/') != std::string::npos || (has_kind && wanted.kind.empty())) {
      return InvalidError("owner filter {}: expected a name, or kind/name as Deployment/web", owner);
    }
    owners_.push_back(std::move(wanted));
  }
  for (const std::string& ip : filter.ips()) {
    SL_RETURN_IF_ERROR(Append("address filter", ParsePrefixOrAddress(ip), &ips_));
  }
  for (const std::string& selector : filter.labels()) {
    SL_RETURN_IF_ERROR(Append("label filter", policy::ParseLabelSelector(selector), &labels_));
  }
  for (const std::string& peer : filter.from()) {
    SL_RETURN_IF_ERROR(Append("source filter", PeerPattern::Parse(peer), &from_));
  }
  for (const std::string& peer : filter.to()) {
    SL_RETURN_IF_ERROR(Append("destination filter", PeerPattern::Parse(peer), &to_));
  }
  return OkStatus();
}

bool EventConditions::HasType(const std::string& type) const {
  if (types_.empty()) return !(without_forks_ && type == "fork");
  return Contains(types_, type);
}

bool EventConditions::NarrowsOnlyFlows() const {
  return !(verdicts_.empty() && ports_.empty() && ips_.empty() && protocols_.empty() && labels_.empty() &&
           drop_reasons_.empty() && from_.empty() && to_.empty());
}

bool EventConditions::IsOf(const std::string& ns, const std::string& workload) const {
  return Contains(namespaces_, ns) && Contains(workloads_, policy::ObjectName{ns, workload});
}

bool EventConditions::IsOwnedBy(const v1::Owner& owner) const {
  return Any(owners_, [&](const Owner& wanted) {
    return wanted.name == owner.name() && (wanted.kind.empty() || IsSameKind(wanted.kind, owner.kind()));
  });
}

// A script also matches by its own name, as in rules.
bool EventConditions::Runs(const v1::Process& process) const {
  return Any(processes_, [&](const std::string& pattern) {
    return policy::GlobMatches(pattern, process.binary()) ||
           (!process.script().empty() && policy::GlobMatches(pattern, process.script()));
  });
}

bool EventConditions::MatchesFlow(const v1::Flow& flow) const {
  const auto either = [&](const auto& holds) { return holds(flow.source()) || holds(flow.destination()); };
  return HasType("flow") && Contains(verdicts_, flow.verdict()) && Contains(drop_reasons_, flow.drop_reason()) &&
         Contains(protocols_, flow.l4().protocol()) &&
         Any(ports_,
             [&](const Port& port) {
               return IsPort(port.port, flow.l4()) && (port.protocol.empty() || port.protocol == flow.l4().protocol());
             }) &&
         MatchesPolicies(flow.policies()) &&
         (processes_.empty() ||
          either([&](const v1::Peer& peer) { return peer.has_process() && Runs(peer.process()); })) &&
         MatchesEnds(flow);
}

bool EventConditions::MatchesPolicies(const google::protobuf::RepeatedPtrField<v1::PolicyRef>& policies) const {
  return Any(policies_, [&](const policy::ObjectName& wanted) {
    return std::any_of(policies.begin(), policies.end(),
                       [&](const v1::PolicyRef& policy) { return IsPolicy(wanted, policy); });
  });
}

bool EventConditions::MatchesEnds(const v1::Flow& flow) const {
  const auto either = [&](const auto& holds) { return holds(flow.source()) || holds(flow.destination()); };
  const bool of_workload = Any(namespaces_,
                               [&](const std::string& ns) {
                                 return either([&](const v1::Peer& peer) { return peer.namespace_() == ns; });
                               }) &&
                           Any(workloads_,
                               [&](const policy::ObjectName& name) {
                                 return either([&](const v1::Peer& peer) {
                                   return peer.namespace_() == name.ns && peer.workload() == name.name;
                                 });
                               }) &&
                           (owners_.empty() || either([&](const v1::Peer& peer) { return IsOwnedBy(peer.owner()); })) &&
                           Any(labels_, [&](const policy::Selector& selector) {
                             return either([&](const v1::Peer& peer) { return HasLabels(peer, selector); });
                           });
  if (!of_workload) return false;
  if (ips_.empty() && from_.empty() && to_.empty()) return true;
  const MaybeAddress source = ParseAddress(flow.ip().source()), destination = ParseAddress(flow.ip().destination());
  return Any(ips_,
             [&](const policy::Prefix& prefix) {
               return (source && prefix.Contains(*source)) || (destination && prefix.Contains(*destination));
             }) &&
         Any(from_, [&](const PeerPattern& peer) { return peer.Matches(flow.source(), source); }) &&
         Any(to_, [&](const PeerPattern& peer) { return peer.Matches(flow.destination(), destination); });
}

// A hook or an alert.
template <typename Message>
bool EventConditions::MatchesPolicy(const Message& event) const {
  return MatchesProcess(event) &&
         Any(policies_, [&](const policy::ObjectName& wanted) { return IsPolicy(wanted, event.policy()); });
}

// Exec, fork, exit, hook, alert, detection and response.
template <typename Message>
bool EventConditions::MatchesProcess(const Message& event) const {
  return HasType(event.type()) && !NarrowsOnlyFlows() && !(without_host_ && event.workload().empty()) &&
         IsOf(event.namespace_(), event.workload()) && IsOwnedBy(event.owner()) && Runs(event.process());
}

// A flow has two workloads and a loss names only one, so any lost flow may have matched.
bool EventConditions::MayHaveMatched(const v1::Lost& lost) const {
  const std::string& type = lost.event();
  if (!IsType(type)) return true;
  if (!HasType(type)) return false;
  if (type == "flow") return true;
  if (type != "hook" && type != "alert" && type != "response" && !policies_.empty()) return false;
  return !NarrowsOnlyFlows() && (lost.workload().empty() || IsOf(lost.namespace_(), lost.workload()));
}

bool EventConditions::Matches(const v1::Event& event) const {
  switch (event.event_case()) {
    case v1::Event::kFlow:
      return MatchesFlow(event.flow());
    case v1::Event::kExec:
      return policies_.empty() && MatchesProcess(event.exec());
    case v1::Event::kFork:
      return policies_.empty() && MatchesProcess(event.fork());
    case v1::Event::kExit:
      return policies_.empty() && MatchesProcess(event.exit());
    case v1::Event::kHook:
      return MatchesPolicy(event.hook());
    case v1::Event::kAlert:
      return MatchesPolicy(event.alert());
    case v1::Event::kDetection:
      return policies_.empty() && MatchesProcess(event.detection());
    case v1::Event::kResponse:
      return MatchesProcess(event.response()) && MatchesPolicies(event.response().cause().policies());
    case v1::Event::kLost:
      return MayHaveMatched(event.lost());
    case v1::Event::kChange:
      return HasType("change") && !NarrowsOnlyFlows() && policies_.empty() && !NarrowsAll();
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return true;
}

std::vector<policy::ObjectName> EventConditions::Names() const {
  std::vector<policy::ObjectName> names = workloads_;
  for (const std::string& ns : namespaces_) names.push_back({ns, ""});
  for (const auto* peers : {&from_, &to_}) {
    for (const PeerPattern& peer : *peers) {
      if (peer.name() != nullptr) names.push_back(*peer.name());
    }
  }
  return names;
}

}  // namespace sluice::telemetry
