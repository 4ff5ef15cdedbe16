// Flow events in little memory, for the history. What many flows have in common is kept once: each end with its
// process, and all that does not differ from flow to flow between the same ends (addresses, the responder's port,
// policies, ...). The parts are serialized events, which add up to the whole one.
//   FlowPacker packer;
//   const auto [packed, bytes] = packer.Pack(*event);
//   const EventPtr same = Unpack(packed);
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "telemetry/event/fair_queue.h"
#include "telemetry/event/interned_texts.h"

namespace sluice::telemetry {

struct PackedFlow {
  std::int64_t time_ns = 0;  // of the event, since 1970
  InternedTexts::Text common, source, destination;
  std::string own;
};

class FlowPacker {
 public:
  struct Packed {
    PackedFlow flow;
    std::size_t bytes = 0;  // of memory that it needs in addition to those packed before
  };
  Packed Pack(const v1::Event& event);  // of a flow
  // Memory of all parts that packed flows share.
  std::size_t shared_bytes() const { return texts_.bytes(); }

 private:
  InternedTexts texts_;
};

EventPtr Unpack(const PackedFlow& flow);

}  // namespace sluice::telemetry
