// What a policy would have done to recorded traffic: frames -> flows -> the reference evaluator's verdicts.
// Pure but for the frames that are fed in; one thread.
//   Replay replay(snapshot);
//   ReadCapture(path, [&](const CapturedFrame& f) { replay.Add(f); });
//   for (const ReplayedFlow& flow : replay.Finish()) ...
//
// Every pod of the resources is evaluated as if it were enforced on (policy::Scope::kEverywhere). Which node a pod was
// on is not known: traffic from any address of the snapshot's node counts as from the pod's own node, which is always
// allowed.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "bpf/abi/conntrack.h"
#include "bpf/lib/parse.bpf.h"
#include "ctrl/replay/capture_file.h"
#include "policy/network/evaluate.h"

namespace sluice::replay {

struct ReplayedFlow {
  policy::Flow flow;
  std::uint16_t source_port = 0;
  policy::Evaluation evaluation;
  std::uint64_t first_ns = 0, last_ns = 0;                                                         // since the epoch
  std::uint64_t forward_packets = 0, forward_bytes = 0, backward_packets = 0, backward_bytes = 0;  // at layer 3
  std::uint8_t tcp_flags = 0, icmp_type = 0, icmp_code = 0;  // of the first packet
  std::uint32_t state = 0;                                   // SL_CT_*
  std::array<std::uint32_t, 2> awaited{};                    // as sl_flow_entry's
  // TCP whose first recorded packet has no SYN. The initiator is a guess: the end with a client's port, or with the
  // higher one.
  bool joined_midway = false;
};

class Replay {
 public:
  explicit Replay(std::shared_ptr<const policy::Snapshot> snapshot) : snapshot_(std::move(snapshot)) {}

  void Add(const CapturedFrame& frame);
  // All flows by the time of their first packet. Ends the replay.
  std::vector<ReplayedFlow> Finish();

  // Frames that belong to no flow, counted by reason.
  struct Skipped {
    std::uint64_t control = 0;    // ARP, neighbour discovery
    std::uint64_t cut_short = 0;  // the capture has too few of their bytes (tcpdump -s)
    std::map<sl_drop_reason, std::uint64_t> unparsable;
  };
  const Skipped& skipped() const { return skipped_; }

 private:
  struct Key {
    policy::Address lo, hi;
    std::uint16_t lo_port, hi_port;
    std::uint8_t protocol, icmp_asker;
    auto operator<=>(const Key&) const = default;
  };
  static Key KeyOf(const sl_tuple& tuple);
  bool FollowFragment(sl_packet* packet);
  ReplayedFlow Begin(const sl_packet& packet, std::uint64_t time_ns) const;

  std::shared_ptr<const policy::Snapshot> snapshot_;
  std::map<Key, ReplayedFlow> live_;
  std::vector<ReplayedFlow> done_;
  std::map<std::tuple<policy::Address, policy::Address, std::uint32_t, std::uint8_t>, sl_tuple> fragments_;
  Skipped skipped_;
};

}  // namespace sluice::replay
