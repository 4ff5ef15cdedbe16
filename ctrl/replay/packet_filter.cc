#include "ctrl/replay/packet_filter.h"

#include <pcap/pcap.h>

namespace sluice::replay {
namespace {

constexpr int kSnaplen = 65535;

}  // namespace

struct PacketFilter::Program {
  bpf_program code{};
  ~Program() { pcap_freecode(const_cast<bpf_program*>(&code)); }
};

StatusOr<PacketFilter> PacketFilter::Compile(const std::string& expression) {
  if (expression.empty()) return PacketFilter(nullptr);
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> capture(pcap_open_dead(DLT_EN10MB, kSnaplen), &pcap_close);
  if (capture == nullptr) return MakeError(absl::StatusCode::kResourceExhausted, "libpcap: no memory");
  auto program = std::make_shared<Program>();
  if (pcap_compile(capture.get(), &program->code, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
    return InvalidError("{}: {}", expression, pcap_geterr(capture.get()));
  return PacketFilter(std::move(program));
}

bool PacketFilter::Matches(std::string_view frame, std::uint32_t length) const {
  if (program_ == nullptr) return true;
  pcap_pkthdr header{};
  header.caplen = static_cast<bpf_u_int32>(frame.size());
  header.len = length;
  return pcap_offline_filter(&program_->code, &header, reinterpret_cast<const u_char*>(frame.data())) != 0;
}

}  // namespace sluice::replay
