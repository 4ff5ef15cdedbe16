#include "telemetry/event/layer4.h"

#include "policy/resource/model.h"

namespace sluice::telemetry {
namespace {

// By bit.
constexpr const char* kTcpFlags[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};

}  // namespace

v1::Layer4 MakeLayer4(const Layer4Facts& facts) {
  v1::Layer4 l4;
  l4.set_protocol(policy::ProtocolName(facts.protocol));
  if (facts.protocol == policy::kTcp || facts.protocol == policy::kUdp || facts.protocol == policy::kSctp) {
    l4.set_source_port(facts.source_port);
    l4.set_destination_port(facts.destination_port);
  }
  if (facts.protocol == policy::kTcp) {
    for (std::size_t bit = 0; bit < std::size(kTcpFlags); bit++) {
      if (facts.tcp_flags & (1U << bit)) l4.add_tcp_flags(kTcpFlags[bit]);
    }
  }
  if (facts.protocol == policy::kIcmp || facts.protocol == policy::kIcmpv6) {
    l4.set_icmp_type(facts.icmp_type);
    l4.set_icmp_code(facts.icmp_code);
  }
  return l4;
}

}  // namespace sluice::telemetry
