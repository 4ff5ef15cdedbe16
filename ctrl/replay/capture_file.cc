#include "ctrl/replay/capture_file.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace sluice::replay {
namespace {

constexpr std::size_t kEthernetHeader = 14;

// Bytes before the network header, and the offset of the ethertype in them (-1: none, the IP version tells).
struct LinkLayer {
  std::size_t header = 0;
  int ethertype_at = -1;
};

StatusOr<LinkLayer> LinkLayerOf(const std::string& path, int type) {
  switch (type) {
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
      return LinkLayer{0, -1};
    case DLT_LINUX_SLL:
      return LinkLayer{16, 14};
    case DLT_LINUX_SLL2:
      return LinkLayer{20, 0};
    default: {
      const char* name = pcap_datalink_val_to_name(type);
      return InvalidError("{}: link type {} ({}) is not supported; capture on Ethernet or with \"any\"", path, type,
                          name == nullptr ? "unknown" : name);
    }
  }
}

// The frame with an Ethernet header in place of its own link layer; empty: too short to have a network layer.
std::vector<std::uint8_t> AsEthernet(const LinkLayer& link, std::span<const std::uint8_t> bytes) {
  if (bytes.size() <= link.header) return {};
  const auto network = bytes.subspan(link.header);
  std::vector<std::uint8_t> frame(kEthernetHeader);
  if (link.ethertype_at >= 0) {
    frame[12] = bytes[link.ethertype_at];
    frame[13] = bytes[link.ethertype_at + 1];
  } else {
    const bool v6 = network[0] >> 4 == 6;
    frame[12] = v6 ? 0x86 : 0x08;
    frame[13] = v6 ? 0xdd : 0x00;
  }
  frame.insert(frame.end(), network.begin(), network.end());
  return frame;
}

}  // namespace

Status ReadCapture(const std::string& path, const std::function<void(const CapturedFrame&)>& visit) {
  char message[PCAP_ERRBUF_SIZE] = {};
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> capture(
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, message), &pcap_close);
  if (capture == nullptr) return InvalidError("{}: {}", path, message);
  const int type = pcap_datalink(capture.get());
  LinkLayer link;
  if (type != DLT_EN10MB) {
    SL_ASSIGN_OR_RETURN(link, LinkLayerOf(path, type));
  }
  for (std::uint64_t number = 1;; ++number) {
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    const int rc = pcap_next_ex(capture.get(), &header, &data);
    if (rc == PCAP_ERROR_BREAK) return OkStatus();
    if (rc != 1)
      return MakeError(absl::StatusCode::kDataLoss, "{}: frame {}: {}", path, number, pcap_geterr(capture.get()));
    CapturedFrame frame;
    frame.time_ns = static_cast<std::uint64_t>(header->ts.tv_sec) * 1000000000ULL + header->ts.tv_usec;
    frame.bytes = {data, header->caplen};
    frame.original_length = std::max(header->len, header->caplen);  // some writers leave `len` out
    if (type == DLT_EN10MB) {
      visit(frame);
      continue;
    }
    const auto ethernet = AsEthernet(link, frame.bytes);
    frame.bytes = ethernet;
    frame.original_length += kEthernetHeader - std::min<std::uint32_t>(link.header, frame.original_length);
    visit(frame);
  }
}

}  // namespace sluice::replay
