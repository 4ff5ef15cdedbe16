// Counts the flows that each policy rule decided, in a pass over all flows. A flow counts once, and again when a newer
// policy decides it again. Not counted: flows that are gone before the next pass, and flows that the first pass finds,
// because an earlier agent counted them.
//
//   for (const auto& record : records) verdicts.Note(record);
//   verdicts.EndPass(context);          // not after a failed pass: the next pass continues it
//
// The number of rules with their own counter is bounded, and the policies of one namespace have at most an eighth of
// them; all others are summed up in one. A counter never decreases; it disappears with its policy. For one thread,
// except Rows. Holds four bytes for each slot of the flow table.
#pragma once

#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "telemetry/flow/flow_assembler.h"

namespace sluice::telemetry {

class PolicyVerdicts {
 public:
  static constexpr const char* kOther = "other";

  // A rule, or an isolating policy, with its effect.
  struct Rule {
    policy::ObjectName policy;
    std::string api_version;
    std::string rule;  // "ingress[0]"; empty: the policy isolates, and no rule allows
    v1::Flow::Direction direction = v1::Flow::DIRECTION_UNSPECIFIED;
    v1::PolicyRef::Effect effect = v1::PolicyRef::EFFECT_UNSPECIFIED;
    auto operator<=>(const Rule&) const = default;
  };
  struct Row {
    Rule rule;  // policy "other" without a namespace: the sum of all others
    std::uint64_t flows = 0;
  };

  explicit PolicyVerdicts(std::size_t max_rules) : max_rules_(max_rules) {}

  void Note(const datapath::FlowRecord& record);
  void EndPass(const FlowContext& context);

  // The sum of all others is last. At most `max_rules` + 1.
  std::vector<Row> Rows() const;

 private:
  using Decisions = std::tuple<std::uint32_t, std::uint32_t, bool>;  // egress, ingress, denied
  struct Decided {
    sl_flow_entry example{};  // one of the flows
    std::uint64_t flows = 0;
  };

  std::uint64_t& CounterOf(const Rule& rule);

  const std::size_t max_rules_;
  bool begun_ = false;                    // the first pass is finished
  std::vector<std::uint32_t> counted_;    // by slot of the flow table: the mark of the flow that was counted last
  std::map<Decisions, Decided> decided_;  // since the last finished pass
  mutable std::mutex mutex_;
  std::map<Rule, std::uint64_t> shown_;  // by mutex_
  std::uint64_t other_ = 0;              // by mutex_
};

}  // namespace sluice::telemetry
