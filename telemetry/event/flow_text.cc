#include "telemetry/event/flow_text.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <vector>

#include "base/printable.h"
#include "telemetry/event/alert_text.h"
#include "telemetry/event/change_text.h"
#include "telemetry/event/detection_text.h"
#include "telemetry/event/drop_reason.h"
#include "telemetry/event/event_time.h"
#include "telemetry/event/hook_text.h"
#include "telemetry/event/pod_owner.h"
#include "telemetry/event/process_text.h"
#include "telemetry/event/response_text.h"

namespace sluice::telemetry {
namespace {

using Port = std::optional<std::uint32_t>;

Port SourcePort(const v1::Flow& flow) {
  return flow.l4().has_source_port() ? Port(flow.l4().source_port()) : std::nullopt;
}

Port DestinationPort(const v1::Flow& flow) {
  return flow.l4().has_destination_port() ? Port(flow.l4().destination_port()) : std::nullopt;
}

// "shop/web-0:40112", "[fd00::9]:443".
std::string NameText(const v1::Peer& peer, const std::string& address, Port port) {
  const bool named = !peer.workload().empty();
  std::string name = named ? peer.namespace_() + "/" + peer.workload() : address;
  if (!port) return name;
  const bool v6 = !named && address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", name, v6 ? "]" : "", *port);
}

std::string EndText(const v1::Peer& peer, const std::string& address, Port port) {
  const std::string text = NameText(peer, address, port);
  return !peer.workload().empty() || peer.entity().empty() ? text : fmt::format("{} ({})", text, peer.entity());
}

std::string VerdictText(const v1::Flow& flow, TextForm form = TextForm::kCompact) {
  std::string verdict = v1::Flow::Verdict_Name(flow.verdict());
  if (flow.drop_reason().empty()) return verdict;
  return verdict + "/" + (form == TextForm::kWide ? ReasonText(flow.drop_reason()) : flow.drop_reason());
}

std::string ProtocolText(const v1::Layer4& l4) {
  if (!l4.has_icmp_type()) return l4.protocol();
  return fmt::format("{} type {} code {}", l4.protocol(), l4.icmp_type(), l4.icmp_code());
}

// "shop/web-0:40112 (10.1.0.2, /usr/bin/curl)": adds facts that name and port do not show.
std::string FullEndText(const v1::Peer& peer, const std::string& end, const std::string& address, TextForm form) {
  std::vector<std::string> facts;
  if (!peer.workload().empty() && !address.empty()) facts.push_back(address);
  if (peer.workload().empty() && !peer.entity().empty()) facts.push_back(peer.entity());
  if (form == TextForm::kWide) {
    if (peer.has_identity()) facts.push_back(fmt::format("identity {}", peer.identity()));
    const std::map<std::string, std::string> labels(peer.labels().begin(), peer.labels().end());
    for (const auto& [key, value] : labels) facts.push_back(fmt::format("{}={}", key, value));
    if (peer.has_owner()) facts.push_back(OwnerText(peer.owner()));
  }
  if (peer.has_process()) {
    const v1::Process& process = peer.process();
    facts.push_back(form == TextForm::kWide ? fmt::format("pid {}", process.pid()) : ProgramText(process));
    if (form == TextForm::kWide) facts.push_back(CommandText(process));
    if (form == TextForm::kWide && !process.container_name().empty()) {
      facts.push_back("container " + process.container_name());
    }
  }
  return facts.empty() ? end : fmt::format("{} ({})", end, fmt::join(facts, ", "));
}

std::string WhereText(const v1::Flow& flow, TextForm form) {
  if (flow.hook() == v1::Flow::HOOK_UNSPECIFIED) return "";
  std::string text =
      fmt::format(" {}/{}", v1::Flow::Hook_Name(flow.hook()), v1::Flow::Direction_Name(flow.direction()));
  return form == TextForm::kWide && !flow.interface().empty() ? text + " at " + flow.interface() : text;
}

std::string TrafficText(const v1::Flow& flow) {
  return fmt::format("; sent {} packets {} bytes, answered {} packets {} bytes", flow.forward().packets(),
                     flow.forward().bytes(), flow.backward().packets(), flow.backward().bytes());
}

// " via shop/db", wide " via Service shop/db port pg (10.96.0.10:5432)".
std::string ServiceText(const v1::Flow& flow, TextForm form) {
  if (!flow.has_service()) return "";
  const v1::Service& service = flow.service();
  const std::string name = service.namespace_() + "/" + service.name();
  if (form != TextForm::kWide) return " via " + name;
  const bool v6 = service.address().find(':') != std::string::npos;
  return fmt::format(" via Service {}{}{} ({}{}{}:{})", name, service.port_name().empty() ? "" : " port ",
                     service.port_name(), v6 ? "[" : "", service.address(), v6 ? "]" : "", service.port());
}

std::string FlowText(const v1::Flow& flow, TextForm form) {
  const bool wide = form == TextForm::kWide;
  std::string text =
      fmt::format("{:<6} {}{}", v1::Flow::Kind_Name(flow.event()), VerdictText(flow, form), WhereText(flow, form));
  text += fmt::format(
      " {} -> {} {}{}{}{}",
      FullEndText(flow.source(), NameText(flow.source(), flow.ip().source(), SourcePort(flow)), flow.ip().source(),
                  form),
      FullEndText(flow.destination(), NameText(flow.destination(), flow.ip().destination(), DestinationPort(flow)),
                  flow.ip().destination(), form),
      ProtocolText(flow.l4()),
      wide && flow.l4().tcp_flags_size() != 0 ? fmt::format(" {}", fmt::join(flow.l4().tcp_flags(), "+")) : "",
      ServiceText(flow, form), flow.reply() ? " (reply)" : "");
  const bool is_said =
      wide && flow.policies_size() == 0 && !flow.drop_reason().empty();  // already shown beside the verdict
  const std::string policies = is_said ? "" : PoliciesText(flow);
  if (!policies.empty()) text += " [" + policies + "]";
  return wide ? text + TrafficText(flow) : text;
}

std::string LostText(const v1::Lost& lost) {
  std::string text =
      fmt::format("LOST   {} {}events: {}", lost.count(), lost.event().empty() ? "" : lost.event() + " ", lost.cause());
  if (lost.has_cpu()) text += fmt::format(", CPU {}", lost.cpu());
  if (!lost.workload().empty()) text += fmt::format(", {}/{}", lost.namespace_(), lost.workload());
  return text;
}

// " (container server, Deployment/web)": of an exec, a fork, an exit or a hook.
template <typename Message>
std::string PodText(const Message& event, TextForm form) {
  if (form != TextForm::kWide) return "";
  std::vector<std::string> facts;
  if (const std::string& name = event.process().container_name(); !name.empty()) facts.push_back("container " + name);
  if (event.has_owner()) facts.push_back(OwnerText(event.owner()));
  return facts.empty() ? "" : fmt::format(" ({})", fmt::join(facts, ", "));
}

std::string WhatText(const v1::Event& event, TextForm form) {
  switch (event.event_case()) {
    case v1::Event::kFlow:
      return FlowText(event.flow(), form);
    case v1::Event::kLost:
      return LostText(event.lost());
    case v1::Event::kExec:
      return ExecText(event.exec()) + PodText(event.exec(), form);
    case v1::Event::kFork:
      return ForkText(event.fork()) + PodText(event.fork(), form);
    case v1::Event::kExit:
      return ExitText(event.exit()) + PodText(event.exit(), form);
    case v1::Event::kChange:
      return "CHANGE " + ChangeText(event.change());
    case v1::Event::kHook:
      return HookText(event.hook()) + PodText(event.hook(), form);
    case v1::Event::kAlert:
      return AlertText(event.alert()) + PodText(event.alert(), form);
    case v1::Event::kDetection:
      return DetectionText(event.detection()) + PodText(event.detection(), form);
    case v1::Event::kResponse:
      return ResponseText(event.response()) + PodText(event.response(), form);
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return "";
}

}  // namespace

std::string PolicyName(const v1::PolicyRef& ref) {
  return ref.namespace_().empty() ? ref.name() : ref.namespace_() + "/" + ref.name();
}

std::string PolicyText(const v1::PolicyRef& ref) {
  const std::string place = !ref.rule().empty()                    ? ref.rule()
                            : ref.direction() == v1::Flow::EGRESS  ? "egress"
                            : ref.direction() == v1::Flow::INGRESS ? "ingress"
                                                                   : "";
  std::string text = fmt::format("{}{}{} {}", PolicyName(ref), place.empty() ? "" : " ", place,
                                 v1::PolicyRef::Effect_Name(ref.effect()));
  if (ref.effect() == v1::PolicyRef::AUDIT) {
    text += fmt::format(" (would {})", v1::PolicyRef::Effect_Name(ref.would()));
  }
  return Printable(text);
}

std::string LinkText(const v1::ProgramLink& link) {
  const std::string where =
      fmt::format("in {} {} is a symbolic link or below one", Printable(link.workload()), PrintableWord(link.path()));
  const std::string target = PrintableWord(link.target());
  if (!link.has_policy()) return fmt::format("{}: answered for {}", where, target);
  const v1::PolicyRef& policy = link.policy();
  return fmt::format("{} {}: {}: no program has that path; name {}", Printable(PolicyName(policy)),
                     Printable(policy.rule()), where, target);
}

std::string PoliciesText(const v1::Flow& flow) {
  std::string text;
  for (const v1::PolicyRef& ref : flow.policies()) text += (text.empty() ? "" : ", ") + PolicyText(ref);
  if (flow.exempt() == "FROM_NODE") return "the node is always let in";
  if (flow.exempt() == "TO_ITSELF") return "always reaches itself";
  if (const DropReasonInfo* reason = FindDropReason(flow.drop_reason()); reason != nullptr && text.empty()) {
    return reason->meaning;
  }
  return text.empty() && flow.verdict() == v1::Flow::FORWARDED ? "no policy isolates" : text;
}

std::string SourceText(const v1::Flow& flow) { return EndText(flow.source(), flow.ip().source(), SourcePort(flow)); }

std::string DestinationText(const v1::Flow& flow) {
  return EndText(flow.destination(), flow.ip().destination(), DestinationPort(flow));
}

std::string ReasonText(const std::string& drop_reason) {
  const DropReasonInfo* known = FindDropReason(drop_reason);
  return known == nullptr ? drop_reason : fmt::format("{}: {}", drop_reason, known->meaning);
}

std::string EventText(const v1::Event& event, TextForm form, const google::protobuf::Timestamp* shown_time) {
  if (event.event_case() == v1::Event::EVENT_NOT_SET) {
    return "an event of a newer agent: upgrade this program to see it";
  }
  const std::string own = TimeText(TimeOf(event)), shown = shown_time == nullptr ? own : TimeText(*shown_time);
  const std::string at = shown == own ? "" : fmt::format(" (of {})", own);
  return Printable(fmt::format("{} {}{}", shown, WhatText(event, form), at));
}

Table MakeFlowTable() {
  return Table({{"VERDICT"},
                {"PROTO"},
                {"SOURCE"},
                {"DESTINATION"},
                {"PACKETS", Align::kRight},
                {"BYTES", Align::kRight},
                {"POLICIES"}});
}

void AddFlow(const v1::Flow& flow, Table* table) {
  table->Add({VerdictText(flow), flow.l4().protocol(), SourceText(flow), DestinationText(flow),
              std::to_string(flow.forward().packets() + flow.backward().packets()),
              std::to_string(flow.forward().bytes() + flow.backward().bytes()), PoliciesText(flow)});
}

}  // namespace sluice::telemetry
