// One ruleset -> the port table of each identity. Identities that the same rules match share one table, which is
// computed once. So the work grows with the ranges that rules match, not with rules x identities x ports. Not
// thread-safe.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/network/peer_match.h"
#include "policy/network/process_verdict.h"

namespace sluice::policy {

// Shared by the rulesets of one compilation.
struct Shared {
  const IdentityTable& identities;
  const PeerMatcher& peers;
  const PatternTable& patterns;
  std::unordered_map<const Rule*, RangeSet> matched = {};  // identity indices by rule

  const RangeSet& Matched(const NetworkPolicy& policy, const Rule& rule);
};

// The identities of one kind: the port table that most of them have, and those that have another.
struct KindRows {
  LocalIndex usual{};
  std::vector<std::pair<Range, LocalIndex>> others;  // identity indices, port table
};

// A compiled ruleset. Depends only on its policies, its workloads' named ports, the identities and the patterns.
struct CompiledRuleset {
  std::array<KindRows, SL_KIND_COUNT> by_kind;
  IndexedBy<LocalIndex, std::shared_ptr<const KeyedDecision>> decisions;
  IndexedBy<LocalIndex, PortTable<LocalIndex>> tables;
  IndexedBy<LocalIndex, ProcessVerdict<LocalIndex>> process_verdicts;
};

class RulesetCompiler {
 public:
  RulesetCompiler(const Ruleset& ruleset, Shared& shared);

  // Call once. ResourceExhausted: one peer and port has more conditions on processes than a process-dependent verdict
  // can hold.
  StatusOr<CompiledRuleset> Compile();

 private:
  using Step = PortStep<LocalIndex>;
  using Pieces = std::vector<std::pair<Range, LocalIndex>>;  // identity indices, port table; all indices, in order

  struct RuleState {
    std::size_t policy;  // index in the ruleset
    std::size_t number;  // index in the policy
    const Rule* rule;
    bool by_peer;                        // its services depend on the peer's named ports
    RangeSet services;                   // if not `by_peer`
    std::optional<Condition> condition;  // on the process
  };

  // Peers that the same rules match: their port tables, one for each list of named ports.
  struct PeerClass {
    bool by_port_list = false;
    std::unordered_map<std::uint32_t, LocalIndex> tables;
  };

  void AddPieces(Range segment, const std::vector<std::uint32_t>& rules, Pieces& pieces);
  LocalIndex MakeTable(const std::vector<std::uint32_t>& rules, const Identity& peer);
  // The answer when these rules match by peer and port; its `start` is not set.
  Step AnswerOf(const std::vector<std::uint32_t>& rules);
  Step ProcessVerdictOf(const std::vector<std::uint32_t>& rules, const std::vector<Condition>& conditions);
  LocalIndex DecisionOf(const std::vector<std::uint32_t>& rules);
  // The rules that match a process that meets the conditions `met` (bits).
  std::vector<std::uint32_t> MatchingOf(const std::vector<std::uint32_t>& rules,
                                        const std::vector<Condition>& conditions, std::uint32_t met) const;
  Status TooManyConditions(const std::vector<std::uint32_t>& rules, std::size_t count) const;

  const Ruleset& ruleset_;
  Shared& shared_;
  DecisionPool<LocalIndex> decisions_;
  PortTablePool<LocalIndex> tables_;
  ProcessVerdictPool<LocalIndex> process_verdicts_;
  std::vector<RuleState> rules_;
  std::map<std::vector<std::uint32_t>, PeerClass> classes_;
  std::map<std::vector<std::uint32_t>, Step> answers_;
  Status status_ = OkStatus();
};

}  // namespace sluice::policy
