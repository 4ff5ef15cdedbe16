// A filter expression of tcpdump and Wireshark's capture filters ("tcp port 80", pcap-filter(7)), compiled by libpcap.
//   SL_ASSIGN_OR_RETURN(const PacketFilter filter, PacketFilter::Compile("tcp port 80"));
//   if (filter.Matches(frame, length)) ...
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace sluice::replay {

class PacketFilter {
 public:
  // InvalidArgument: what libpcap says is wrong. An empty expression matches everything.
  static StatusOr<PacketFilter> Compile(const std::string& expression);

  // `frame`: from an Ethernet header on, perhaps cut short; `length`: before that.
  bool Matches(std::string_view frame, std::uint32_t length) const;

 private:
  struct Program;
  explicit PacketFilter(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;  // null: matches everything
};

}  // namespace sluice::replay
