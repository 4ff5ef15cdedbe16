#include "telemetry/flow/policy_verdicts.h"

#include <algorithm>
#include <set>
#include <utility>

namespace sluice::telemetry {
namespace {

using datapath::FlowRecord;

constexpr std::size_t kSharesOfRules = 8;

// A 32-bit hash of the record and its decisions, never 0. Two different ones collide once in 2^32.
std::uint32_t MarkOf(const FlowRecord& record) {
  std::uint64_t mark = record.entry.created_ns ^ record.entry.id * 0x9e3779b97f4a7c15U;
  for (const std::uint64_t word : {std::uint64_t{record.entry.egress_decision} << 32 | record.entry.ingress_decision,
                                   std::uint64_t{record.entry.reason} << 32 |
                                       (record.entry.flags & static_cast<std::uint32_t>(SL_CT_QUARANTINED))}) {
    mark = (mark ^ word) * 0xff51afd7ed558ccdU;
    mark ^= mark >> 33;
  }
  return std::max<std::uint32_t>(static_cast<std::uint32_t>(mark), 1);
}

PolicyVerdicts::Rule ToRule(const v1::PolicyRef& ref) {
  return {.policy = {ref.namespace_(), ref.name()},
          .api_version = ref.api_version(),
          .rule = ref.rule(),
          .direction = ref.direction(),
          .effect = ref.effect()};
}

using PolicyId = std::pair<std::string, policy::ObjectName>;  // API version, name

std::set<PolicyId> PoliciesOf(const policy::CompiledPolicy* compiled) {
  std::set<PolicyId> ids;
  if (compiled == nullptr) return ids;
  for (const auto& policy : compiled->snapshot->policies) {
    ids.emplace(policy::KindApiVersion(policy::KindOf(policy->api)), policy->name);
  }
  return ids;
}

}  // namespace

void PolicyVerdicts::Note(const FlowRecord& record) {
  const sl_flow_entry& entry = record.entry;
  if (entry.egress_decision == 0 && entry.ingress_decision == 0) return;
  if (record.slot >= counted_.size()) counted_.resize(record.slot + 1);
  const std::uint32_t mark = MarkOf(record);
  if (std::exchange(counted_[record.slot], mark) == mark || !begun_) return;
  Decided& decided = decided_[{entry.egress_decision, entry.ingress_decision, entry.reason != SL_DROP_NONE}];
  decided.example = entry;
  decided.flows++;
}

// Under mutex_.
std::uint64_t& PolicyVerdicts::CounterOf(const Rule& rule) {
  if (const auto known = shown_.find(rule); known != shown_.end()) return known->second;
  const auto share = static_cast<std::size_t>(std::count_if(
      shown_.begin(), shown_.end(), [&](const auto& entry) { return entry.first.policy.ns == rule.policy.ns; }));
  if (shown_.size() >= max_rules_ || share >= std::max<std::size_t>(max_rules_ / kSharesOfRules, 1)) return other_;
  return shown_[rule];
}

void PolicyVerdicts::EndPass(const FlowContext& context) {
  begun_ = true;
  const std::set<PolicyId> existing = PoliciesOf(context.compiled());
  const auto exists = [&](const Rule& rule) { return existing.contains({rule.api_version, rule.policy}); };
  const std::lock_guard lock(mutex_);
  std::erase_if(shown_, [&](const auto& entry) { return !exists(entry.first); });
  for (const auto& [decisions, decided] : decided_) {
    google::protobuf::RepeatedPtrField<v1::PolicyRef> policies;
    context.AddPolicies(decided.example, &policies);
    for (const v1::PolicyRef& ref : policies) {
      const Rule rule = ToRule(ref);
      if (exists(rule)) CounterOf(rule) += decided.flows;
    }
  }
  decided_.clear();
}

std::vector<PolicyVerdicts::Row> PolicyVerdicts::Rows() const {
  const std::lock_guard lock(mutex_);
  std::vector<Row> rows;
  for (const auto& [rule, flows] : shown_) rows.push_back({rule, flows});
  rows.push_back({{.policy = {"", kOther}}, other_});
  return rows;
}

}  // namespace sluice::telemetry
