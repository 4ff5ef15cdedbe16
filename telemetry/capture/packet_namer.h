// Packets of a workload's rings -> messages with names. One namer for each stream: it numbers the stream's flows, and
// names each of them once. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "api/sluice.pb.h"
#include "bpf/abi/capture.h"
#include "policy/resource/model.h"
#include "telemetry/event/event_filter.h"
#include "telemetry/flow/flow_assembler.h"

namespace sluice::telemetry {

class PacketNamer {
 public:
  // `max_flows`: that have a number at one time. The number of the oldest is used again.
  explicit PacketNamer(EventFilter filter, std::uint32_t max_flows = 65536)
      : filter_(std::move(filter)), max_flows_(max_flows) {}

  // Adds the packet to `reply`, with its flow if the stream does not have it yet. False: the filter leaves it out.
  // `workload`: whose ring it is from. At most `snaplen` of its bytes.
  bool Add(const FlowContext& context, const policy::ObjectName& workload, const sl_capture_packet& facts,
           std::span<const std::uint8_t> bytes, std::uint32_t snaplen, v1::CaptureReply* reply);

 private:
  struct Named {
    std::uint32_t number = 0;
    bool wanted = false;
  };
  Named Name(const FlowContext& context, const policy::ObjectName& workload, const sl_capture_packet& facts,
             v1::CaptureReply* reply);

  const EventFilter filter_;
  const std::uint32_t max_flows_;
  std::map<std::string, Named> named_;  // by what packets of one flow have in common
  std::map<std::uint32_t, std::string> by_number_;
  std::uint32_t next_ = 0;
};

// The flow of a packet, as it was then: verdict, drop reason, direction, hook, interface and `reply` are the packet's.
v1::CapturedFlow DescribePacket(const FlowContext& context, const policy::ObjectName& workload,
                                const sl_capture_packet& facts);

}  // namespace sluice::telemetry
