#include "perf/program/frame.h"

#include <initializer_list>

namespace sluice::perf {
namespace {

constexpr std::size_t kEthernet = 14, kIpv4 = 20, kIpv6 = 40, kTcp = 20, kShortestFrame = 64;

void Put16(std::vector<std::uint8_t>* out, std::uint32_t value) {
  out->push_back(static_cast<std::uint8_t>(value >> 8));
  out->push_back(static_cast<std::uint8_t>(value));
}

void PutAddress(std::vector<std::uint8_t>* out, const policy::Address& address) {
  out->insert(out->end(), address.bytes().begin() + (address.is_v4() ? 12 : 0), address.bytes().end());
}

// RFC 1071, over the IPv4 header at `begin`.
void SetIpv4Checksum(std::vector<std::uint8_t>* frame, std::size_t begin) {
  std::uint32_t sum = 0;
  for (std::size_t i = begin; i < begin + kIpv4; i += 2) sum += (*frame)[i] << 8 | (*frame)[i + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  (*frame)[begin + 10] = static_cast<std::uint8_t>(~sum >> 8);
  (*frame)[begin + 11] = static_cast<std::uint8_t>(~sum);
}

}  // namespace

std::uint32_t Layer4Offset(bool v6) { return kEthernet + (v6 ? kIpv6 : kIpv4); }

std::vector<std::uint8_t> MakeFrame(const Segment& segment) {
  const bool v6 = !segment.source.is_v4();
  std::vector<std::uint8_t> frame = {0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1};
  Put16(&frame, v6 ? 0x86dd : 0x0800);
  if (v6) {
    for (const std::uint32_t word : {0x6000U, 0U, static_cast<unsigned>(kTcp), 0x0640U}) Put16(&frame, word);
  } else {
    // Version and length, total length, identification, do not fragment, TTL 64 and TCP, checksum.
    for (const std::uint32_t word : {0x4500U, static_cast<unsigned>(kIpv4 + kTcp), 0U, 0x4000U, 0x4006U, 0U})
      Put16(&frame, word);
  }
  PutAddress(&frame, segment.source);
  PutAddress(&frame, segment.destination);
  if (!v6) SetIpv4Checksum(&frame, kEthernet);
  Put16(&frame, segment.source_port);
  Put16(&frame, segment.destination_port);
  // Sequence number 1; acknowledges the peer's SYN, which also had sequence number 1.
  for (const std::uint32_t word : {0U, 1U, 0U, 2U, 0x5000U | segment.flags, 64240U, 0U, 0U}) Put16(&frame, word);
  if (frame.size() < kShortestFrame) frame.resize(kShortestFrame);
  return frame;
}

}  // namespace sluice::perf
