// The cases of the suite `program`: every combination that it measures, by name.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice::perf {

enum class Hook { kTcFromPod, kTcToPod, kXdpUplink };
enum class Traffic {
  kDenied,       // no rule allows it: identity, policy, counter, drop reason, denied-flow entry
  kNew,          // first packets of allowed flows, into empty flow tables
  kNewIntoFull,  // the same, into a full table: each evicts another flow
  kEstablished,  // of answered flows, from their initiator
  kReply,        // of answered flows, from their responder
};

// The size of the policy in force. Exactly one is above 0.
struct ScenarioSize {
  int rules = 0;  // in each direction, each for one pod
  int cidrs = 0;  // in each direction and family
  auto operator<=>(const ScenarioSize&) const = default;
};

inline constexpr std::uint32_t kManyFlows = 1000000;  // more than the agent's flow tables hold by default
inline constexpr int kLargeScenario = 100000;         // rules or prefixes, more than the agent's tables hold by default

// Cases of one fixture have the same tables.
struct TableSize {
  ScenarioSize world;
  // Answered flows that stay in the tables between samples; 0: each sample has its own. `pod_opened`: their initiator.
  std::uint32_t standing_flows = 0;
  bool pod_opened = false;
  auto operator<=>(const TableSize&) const = default;
};

struct Case {
  Hook hook = Hook::kTcFromPod;
  bool v6 = false;
  Traffic traffic = Traffic::kDenied;
  std::uint32_t flows = 1;  // number of flows that the packets belong to
  ScenarioSize world;

  std::string Name() const;  // xdp_uplink/v4/established/flows:1000/rules:1
  bool is_xdp() const { return hook == Hook::kXdpUplink; }
  bool is_new() const { return traffic == Traffic::kNew || traffic == Traffic::kNewIntoFull; }
  bool is_answered() const { return traffic == Traffic::kEstablished || traffic == Traffic::kReply; }
  // The pod, not the peer, is the initiator of the flows.
  bool is_opened_by_pod() const { return (hook == Hook::kTcFromPod) != (traffic == Traffic::kReply); }
  bool is_large() const {
    return flows >= kManyFlows || world.rules >= kLargeScenario || world.cidrs >= kLargeScenario;
  }
  TableSize fixture() const;
};

const char* ProgramName(Hook hook);

std::vector<Case> AllCases();

}  // namespace sluice::perf
