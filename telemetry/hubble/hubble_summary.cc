#include "telemetry/hubble/hubble_summary.h"

#include <fmt/format.h>

#include <vector>

#include "base/printable.h"

namespace sluice::telemetry {
namespace {

std::string FlagsText(const flow::TCPFlags& flags) {
  std::vector<const char*> names;
  const auto add = [&](bool is_set, const char* name) {
    if (is_set) names.push_back(name);
  };
  add(flags.syn(), "SYN");
  add(flags.ack(), "ACK");
  add(flags.rst(), "RST");
  add(flags.fin(), "FIN");
  add(flags.psh(), "PSH");
  add(flags.urg(), "URG");
  add(flags.ece(), "ECE");
  add(flags.cwr(), "CWR");
  add(flags.ns(), "NS");
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string IcmpText(const char* protocol, std::uint32_t type, std::uint32_t code, std::uint32_t echo_request,
                     std::uint32_t echo_reply) {
  if (type == echo_request) return fmt::format("{} EchoRequest", protocol);
  if (type == echo_reply) return fmt::format("{} EchoReply", protocol);
  return fmt::format("{} type {} code {}", protocol, type, code);
}

std::string PacketText(const v1::Flow& flow, const flow::Layer4& l4) {
  switch (l4.protocol_case()) {
    case flow::Layer4::kTCP:
      return l4.tcp().has_flags() ? "TCP Flags: " + FlagsText(l4.tcp().flags()) : "TCP";
    case flow::Layer4::kUDP:
      return "UDP";
    case flow::Layer4::kSCTP:
      return "SCTP";
    case flow::Layer4::kICMPv4:
      return IcmpText("ICMPv4", l4.icmpv4().type(), l4.icmpv4().code(), 8, 0);
    case flow::Layer4::kICMPv6:
      return IcmpText("ICMPv6", l4.icmpv6().type(), l4.icmpv6().code(), 128, 129);
    default:
      return "IP protocol " + flow.l4().protocol();
  }
}

// A program that is no file has only the kernel's name.
std::string ProgramOf(const v1::Peer& peer) {
  if (!peer.has_process()) return "";
  return Printable(peer.process().binary().empty() ? peer.process().name() : peer.process().binary());
}

}  // namespace

std::string HubbleSummary(const v1::Flow& flow, const flow::Layer4& l4) {
  std::string text = PacketText(flow, l4);
  const std::string from = ProgramOf(flow.source()), to = ProgramOf(flow.destination());
  if (!from.empty() || !to.empty()) text += ";";
  if (!from.empty()) text += " from " + from;
  if (!to.empty()) text += " to " + to;
  return text;
}

}  // namespace sluice::telemetry
