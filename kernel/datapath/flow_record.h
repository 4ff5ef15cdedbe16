// One flow, as read from the flow table.
#pragma once

#include <cstdint>

#include "bpf/abi/conntrack.h"

namespace sluice::datapath {

enum class FlowState { kEstablished, kPending, kClosing, kDenied };

struct FlowRecord {
  FlowState state = FlowState::kPending;
  sl_flow_key key{};
  sl_flow_entry entry{};
  std::uint32_t slot = 0;  // in the flow table
};

}  // namespace sluice::datapath
