// Takes over the layout of an older version, at the first start of a new one. Meanwhile nothing is unprotected, and no
// allowed traffic is cut off.
//   1. RefuseNewerLayouts (kernel/bpf/pin_layout.h)
//   2. create our maps; CarryMaps: data that is not in the state file and must not be lost
//   3. fill the tables for the policy in force; the older programs still use theirs
//   4. Attachments::TakeOver: our programs replace theirs, link by link
//   5. RemoveLayouts: the older probes end with their pins
// If a start is killed in between, the next one continues with what is left.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/datapath/attachments.h"

namespace sluice::datapath {

// Layouts older than ours, oldest first.
StatusOr<std::vector<bpf::PinLayout>> FindOlderLayouts(const bpf::PinLayout& ours);

// Copies quarantine and process data from `older` into the maps of `object`, which no program of ours reads yet.
// Existing entries stay.
Status CarryMaps(const std::vector<bpf::PinLayout>& older, const bpf::DatapathObject& object);

// The quarantine maps that the programs of `older` use.
StatusOr<std::vector<Fd>> OpenQuarantines(const std::vector<bpf::PinLayout>& older);

// Endpoint numbers of the workloads that `older` enforces on, by ifindex.
StatusOr<std::map<std::uint32_t, std::uint32_t>> ReadEndpoints(const std::vector<bpf::PinLayout>& older,
                                                               const bpf::AdminCalls& calls);

// All attached programs, of any version, without a pin in our layout: found by the pins of older layouts, and in the
// kernel by programs that use their maps or ours.
StatusOr<std::vector<LeftLink>> FindLeftLinks(const bpf::PinLayout& ours, const std::vector<bpf::PinLayout>& older,
                                              const bpf::DatapathObject& object);

Status RemoveLayouts(const std::vector<bpf::PinLayout>& layouts);

}  // namespace sluice::datapath
