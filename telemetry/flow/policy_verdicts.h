// How many flows each rule of each policy decided: counted once a flow, and again where a newer policy decides it anew,
// in a pass over all flows. A flow that is gone before the next pass is not counted; nor is one that an earlier agent
// counted.
//
//   for (const auto& record : records) verdicts.Note(record);
//   verdicts.EndPass(context);          // unless the pass failed: it is then continued by the next one
//
// Rules have counters of their own up to a bound, and policies of one namespace at most an eighth of it; the others are
// summed up as one. No series ever goes down but with its policy. One thread, but for Rows. Holds four bytes for each
// place of the flow table.
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

  // What decided, and how.
  struct Rule {
    policy::ObjectName policy;
    std::string api_version;
    std::string rule;  // "ingress[0]"; empty: the policy isolates, and no rule allows
    v1::Flow::Direction direction = v1::Flow::DIRECTION_UNSPECIFIED;
    v1::PolicyRef::Effect effect = v1::PolicyRef::EFFECT_UNSPECIFIED;
    auto operator<=>(const Rule&) const = default;
  };
  struct Row {
    Rule rule;  // policy "other" without a namespace: the sum of the rest
    std::uint64_t flows = 0;
  };

  explicit PolicyVerdicts(std::size_t max_rules) : max_rules_(max_rules) {}

  void Note(const datapath::FlowRecord& record);
  void EndPass(const FlowContext& context);

  // The sum of the rest is last. At most `max_rules` + 1.
  std::vector<Row> Rows() const;

 private:
  using Decisions = std::tuple<std::uint32_t, std::uint32_t, bool>;  // egress, ingress, denied
  struct Decided {
    sl_flow_entry example{};  // of the flows
    std::uint64_t flows = 0;
  };

  std::uint64_t& CounterOf(const Rule& rule);

  const std::size_t max_rules_;
  bool begun_ = false;                    // a pass was finished
  std::vector<std::uint32_t> counted_;    // by place in the flow table: what was counted there last
  std::map<Decisions, Decided> decided_;  // since the last pass that was finished
  mutable std::mutex mutex_;
  std::map<Rule, std::uint64_t> shown_;  // by mutex_, as the next
  std::uint64_t other_ = 0;
};

}  // namespace sluice::telemetry
