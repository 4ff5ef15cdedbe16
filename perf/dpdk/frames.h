// Frames as the suite `rate` sends them: Ethernet, IPv4 or IPv6, UDP, each of a flow by its number.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perf/bpf/load.h"
#include "policy/address.h"

namespace sluice::perf {

// Flow n has a pair of ports as perf/bpf/rotation.h says, or, with a stride, the address `source` + n * stride.
struct Traffic {
  std::string source_mac;
  std::string destination_mac;
  policy::Address source;
  policy::Address destination;  // of the same family
  std::uint32_t flows = 1;
  std::uint32_t stride = 0;
  std::uint64_t first_flow = 0;  // in turn: where to begin
  bool random = false;           // each frame of any of the flows; else in turn
  bool answer = false;           // from the service's ports
  std::size_t bytes = 60;        // without the frame check sequence
};

class FrameWriter {
 public:
  // InvalidArgument names what cannot be sent.
  static StatusOr<FrameWriter> Create(const Traffic& traffic);
  // As perf_write_packet() writes the next one of a load, whose bytes are given in hexadecimal.
  static StatusOr<FrameWriter> FromLoad(const std::string& load, std::size_t bytes);

  std::size_t bytes() const { return frame_.size(); }
  // The next flow's frame, whole.
  void Write(std::uint8_t* to);

 private:
  FrameWriter() = default;
  std::uint32_t NextFlow();

  Traffic traffic_;
  std::vector<std::uint8_t> frame_;  // of flow 0; what a flow changes is zero, and so are the checksums
  std::size_t source_at_ = 0;        // of the address's last four bytes
  std::size_t ports_at_ = 0;
  std::uint32_t first_source_ = 0;  // these bytes, host byte order
  std::uint32_t ip_sum_ = 0;        // of the rest of the IPv4 header
  std::uint32_t udp_sum_ = 0;       // of the rest of what UDP sums up, with IPv6
  std::uint64_t state_ = 0;
  std::optional<perf_load> load_;
};

// What tells flows apart: addresses and ports, as they stand in the frame. Nothing: no UDP.
using FlowKey = std::array<std::uint8_t, 36>;
std::optional<FlowKey> FlowOf(const std::uint8_t* frame, std::size_t bytes);

}  // namespace sluice::perf
