#include "telemetry/event/flow_text.h"

#include <fmt/format.h>

#include <ctime>

#include "base/printable.h"
#include "telemetry/event/process_text.h"

namespace sluice::telemetry {
namespace {

std::string EndText(const v1::Peer& peer, const std::string& address, bool has_port, std::uint32_t port) {
  const bool named = !peer.workload().empty();
  std::string text = named ? peer.namespace_() + "/" + peer.workload() : address;
  if (has_port) {
    const bool v6 = !named && address.find(':') != std::string::npos;
    text = fmt::format("{}{}{}:{}", v6 ? "[" : "", text, v6 ? "]" : "", port);
  }
  return named || peer.entity().empty() ? text : fmt::format("{} ({})", text, peer.entity());
}

std::string VerdictText(const v1::Flow& flow) {
  const std::string verdict = v1::Flow::Verdict_Name(flow.verdict());
  return flow.drop_reason().empty() ? verdict : verdict + "/" + flow.drop_reason();
}

std::string ProtocolText(const v1::Layer4& l4) {
  if (!l4.has_icmp_type()) return l4.protocol();
  return fmt::format("{} type {} code {}", l4.protocol(), l4.icmp_type(), l4.icmp_code());
}

std::string ProgramBehind(const v1::Peer& peer) {
  return peer.has_process() ? fmt::format(" ({})", ProgramText(peer.process())) : "";
}

std::string FlowText(const v1::Flow& flow) {
  std::string text =
      fmt::format("{} {:<6} {}", TimeText(flow.time()), v1::Flow::Kind_Name(flow.event()), VerdictText(flow));
  if (flow.hook() != v1::Flow::HOOK_UNSPECIFIED) {
    text += fmt::format(" {}/{}", v1::Flow::Hook_Name(flow.hook()), v1::Flow::Direction_Name(flow.direction()));
  }
  text += fmt::format(" {}{} -> {}{} {}{}", SourceText(flow), ProgramBehind(flow.source()), DestinationText(flow),
                      ProgramBehind(flow.destination()), ProtocolText(flow.l4()), flow.reply() ? " (reply)" : "");
  const std::string policies = PoliciesText(flow);
  return policies.empty() ? text : fmt::format("{} [{}]", text, policies);
}

std::string LostText(const v1::Lost& lost) {
  std::string text = fmt::format("{} LOST   {} {}events: {}", TimeText(lost.time()), lost.count(),
                                 lost.event().empty() ? "" : lost.event() + " ", lost.cause());
  if (lost.has_cpu()) text += fmt::format(", CPU {}", lost.cpu());
  if (!lost.workload().empty()) text += fmt::format(", {}/{}", lost.namespace_(), lost.workload());
  return text;
}

// "... CHANGE apply by uid 0, pid 42: revision 7, 2 created"; what was refused says why instead.
std::string ChangeText(const v1::Change& change) {
  std::string text = fmt::format("{} CHANGE {}", TimeText(change.time()), change.action());
  if (!change.caller().empty()) text += " by " + change.caller();
  if (!change.problem().empty()) return text + ", refused: " + change.problem();
  return text + fmt::format(": revision {}, {} resources", change.revision(),
                            static_cast<std::size_t>(change.changes_size()) + change.more_changes());
}

std::string LineText(const v1::Event& event) {
  switch (event.event_case()) {
    case v1::Event::kFlow:
      return FlowText(event.flow());
    case v1::Event::kLost:
      return LostText(event.lost());
    case v1::Event::kExec:
      return TimeText(event.exec().time()) + " " + ExecText(event.exec());
    case v1::Event::kFork:
      return TimeText(event.fork().time()) + " " + ForkText(event.fork());
    case v1::Event::kExit:
      return TimeText(event.exit().time()) + " " + ExitText(event.exit());
    case v1::Event::kChange:
      return ChangeText(event.change());
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return "an event of a newer agent: upgrade this program to see it";
}

}  // namespace

std::string TimeText(const google::protobuf::Timestamp& time) {
  const std::time_t seconds = time.seconds();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, time.nanos() / 1000000);
}

std::string PolicyText(const v1::PolicyRef& ref) {
  const std::string place = !ref.rule().empty()                    ? ref.rule()
                            : ref.direction() == v1::Flow::EGRESS  ? "egress"
                            : ref.direction() == v1::Flow::INGRESS ? "ingress"
                                                                   : "";
  std::string text = fmt::format("{}/{}{}{} {}", ref.namespace_(), ref.name(), place.empty() ? "" : " ", place,
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
  return fmt::format("{}/{} {}: {}: no program has that path; name {}", Printable(policy.namespace_()),
                     Printable(policy.name()), Printable(policy.rule()), where, target);
}

std::string PoliciesText(const v1::Flow& flow) {
  std::string text;
  for (const v1::PolicyRef& ref : flow.policies()) text += (text.empty() ? "" : ", ") + PolicyText(ref);
  if (flow.exempt() == "FROM_NODE") return "the node is always let in";
  if (flow.exempt() == "TO_ITSELF") return "always reaches itself";
  return text.empty() && flow.verdict() == v1::Flow::FORWARDED ? "no policy isolates" : text;
}

std::string SourceText(const v1::Flow& flow) {
  return EndText(flow.source(), flow.ip().source(), flow.l4().has_source_port(), flow.l4().source_port());
}

std::string DestinationText(const v1::Flow& flow) {
  return EndText(flow.destination(), flow.ip().destination(), flow.l4().has_destination_port(),
                 flow.l4().destination_port());
}

std::string EventText(const v1::Event& event) { return Printable(LineText(event)); }

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
