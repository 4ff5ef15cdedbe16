// From the layout of an older version to ours, at the first start of a new one: nothing is open, and nothing that is
// allowed is cut off, meanwhile.
//   1. RefuseNewerLayouts (kernel/bpf/pin_layout.h)
//   2. our maps are made; CarryMaps: what is not in the state file and must not be lost
//   3. the tables of the policy in force are made; the older programs go on evaluating by theirs
//   4. Attachments::TakeOver: link by link, ours take the place of theirs
//   5. RemoveLayouts: the older probes end with their pins
// A start that is killed in between begins again with what is left.
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

// Quarantine, and what is known of processes, from `older` into the maps of `object`, which no program of ours reads
// yet. What is there already stays.
Status CarryMaps(const std::vector<bpf::PinLayout>& older, const bpf::DatapathObject& object);

// The maps by which the programs of `older` quarantine.
StatusOr<std::vector<Fd>> OpenQuarantines(const std::vector<bpf::PinLayout>& older);

// Numbers of the workloads that `older` enforces on, by ifindex.
StatusOr<std::map<std::uint32_t, std::uint32_t>> ReadEndpoints(const std::vector<bpf::PinLayout>& older,
                                                               const bpf::AdminCalls& calls);

// What of any version is attached and has no pin of our layout: by the pins of older layouts, and by what the kernel
// says of who uses their maps, or ours.
StatusOr<std::vector<LeftLink>> FindLeftLinks(const bpf::PinLayout& ours, const std::vector<bpf::PinLayout>& older,
                                              const bpf::DatapathObject& object);

Status RemoveLayouts(const std::vector<bpf::PinLayout>& layouts);

}  // namespace sluice::datapath
