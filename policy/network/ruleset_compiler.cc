#include "policy/network/ruleset_compiler.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "policy/network/process.h"

namespace sluice::policy {
namespace {

KindRows RowsOf(Range kind, const std::vector<std::pair<Range, LocalIndex>>& pieces) {
  std::vector<std::pair<Range, LocalIndex>> mine;
  std::unordered_map<LocalIndex, std::uint32_t> sizes;
  std::uint32_t most = 0;
  auto piece =
      std::partition_point(pieces.begin(), pieces.end(), [&](const auto& p) { return p.first.end <= kind.begin; });
  for (; piece != pieces.end() && piece->first.begin < kind.end; ++piece) {
    const Range part = {std::max(piece->first.begin, kind.begin), std::min(piece->first.end, kind.end)};
    mine.emplace_back(part, piece->second);
    most = std::max(most, sizes[piece->second] += part.size());
  }
  KindRows rows;
  // The first of equals, so that the result does not depend on other rulesets.
  rows.usual =
      std::find_if(mine.begin(), mine.end(), [&](const auto& part) { return sizes[part.second] == most; })->second;
  std::copy_if(mine.begin(), mine.end(), std::back_inserter(rows.others),
               [&](const auto& part) { return part.second != rows.usual; });
  return rows;
}

}  // namespace

const RangeSet& Shared::Matched(const NetworkPolicy& policy, const Rule& rule) {
  const auto found = matched.find(&rule);
  return found != matched.end() ? found->second : matched.emplace(&rule, peers.Match(policy, rule)).first->second;
}

RulesetCompiler::RulesetCompiler(const Ruleset& ruleset, Shared& shared) : ruleset_(ruleset), shared_(shared) {
  for (std::size_t p = 0; p < ruleset.policies.size(); p++) {
    const std::vector<Rule>& rules = ruleset.policies[p]->rules(ruleset.direction);
    for (std::size_t r = 0; r < rules.size(); r++) {
      const bool by_peer = ruleset.direction == Direction::kEgress && UsesPortNames(rules[r]);
      rules_.push_back({p, r, &rules[r], by_peer, by_peer ? RangeSet{} : Services(rules[r], ruleset.ports), {}});
      if (rules[r].processes) rules_.back().condition = shared.patterns.ConditionOf(*ruleset.policies[p], rules[r]);
    }
  }
}

StatusOr<CompiledRuleset> RulesetCompiler::Compile() {
  std::vector<const RangeSet*> sets;
  for (const RuleState& rule : rules_) sets.push_back(&shared_.Matched(*ruleset_.policies[rule.policy], *rule.rule));
  Pieces pieces;
  ForEachSegment(static_cast<std::uint32_t>(shared_.identities.all().size()), sets,
                 [&](Range segment, const std::vector<std::uint32_t>& rules) { AddPieces(segment, rules, pieces); });
  SL_RETURN_IF_ERROR(status_);
  CompiledRuleset compiled{.by_kind = {},
                           .decisions = decisions_.all(),
                           .tables = tables_.all(),
                           .process_verdicts = process_verdicts_.all()};
  for (int kind = 0; kind < SL_KIND_COUNT; kind++) {
    compiled.by_kind[kind] = RowsOf(shared_.identities.OfKind(static_cast<sl_identity_kind>(kind)), pieces);
  }
  return compiled;
}

void RulesetCompiler::AddPieces(Range segment, const std::vector<std::uint32_t>& rules, Pieces& pieces) {
  const auto [found, fresh] = classes_.try_emplace(rules);
  PeerClass& peer_class = found->second;
  if (fresh) {
    peer_class.by_port_list =
        std::any_of(rules.begin(), rules.end(), [&](std::uint32_t r) { return rules_[r].by_peer; });
  }
  const auto table_of = [&](const Identity& identity) {
    const auto [table, missing] = peer_class.tables.try_emplace(peer_class.by_port_list ? identity.ports : 0);
    if (missing) table->second = MakeTable(rules, identity);
    return table->second;
  };
  const std::vector<Identity>& all = shared_.identities.all();
  if (!peer_class.by_port_list) {
    pieces.emplace_back(segment, table_of(all[segment.begin]));
    return;
  }
  for (std::uint32_t i = segment.begin; i < segment.end; i++) {
    const LocalIndex table = table_of(all[i]);
    if (i > segment.begin && pieces.back().second == table) {
      pieces.back().first.end = i + 1;
    } else {
      pieces.push_back({{i, i + 1}, table});
    }
  }
}

LocalIndex RulesetCompiler::MakeTable(const std::vector<std::uint32_t>& rules, const Identity& peer) {
  static const std::vector<NamedPort> kNone;
  std::vector<RangeSet> resolved;  // services of the `by_peer` rules; never reallocates, because `sets` points into it
  resolved.reserve(rules.size());
  std::vector<const RangeSet*> sets;
  for (const std::uint32_t r : rules) {
    if (rules_[r].by_peer) {
      resolved.push_back(Services(*rules_[r].rule, peer.pod ? peer.pod->ports : kNone));
      sets.push_back(&resolved.back());
    } else {
      sets.push_back(&rules_[r].services);
    }
  }
  PortTable<LocalIndex> table;
  std::vector<std::uint32_t> matching;
  ForEachSegment(kServiceEnd, sets, [&](Range segment, const std::vector<std::uint32_t>& holders) {
    matching.clear();
    for (const std::uint32_t h : holders) matching.push_back(rules[h]);
    const Step answer = AnswerOf(matching);
    const bool same =
        !table.empty() && table.back().answer == answer.answer && table.back().by_process == answer.by_process;
    if (!same) table.push_back({segment.begin, answer.answer, answer.by_process});
  });
  return tables_.Intern(std::move(table));
}

RulesetCompiler::Step RulesetCompiler::AnswerOf(const std::vector<std::uint32_t>& rules) {
  const auto [found, fresh] = answers_.try_emplace(rules);
  if (!fresh) return found->second;
  std::set<Condition> conditions;
  for (const std::uint32_t r : rules) {
    if (rules_[r].condition) conditions.insert(*rules_[r].condition);
  }
  if (conditions.size() > SL_MAX_PROCESS_CONDITIONS) {
    status_ = TooManyConditions(rules, conditions.size());
  } else if (conditions.empty()) {
    found->second.answer = DecisionOf(rules);
  } else {
    found->second = ProcessVerdictOf(rules, {conditions.begin(), conditions.end()});
  }
  return found->second;
}

RulesetCompiler::Step RulesetCompiler::ProcessVerdictOf(const std::vector<std::uint32_t>& rules,
                                                        const std::vector<Condition>& conditions) {
  PortTable<LocalIndex> outcomes;
  for (std::uint32_t met = 0; met < 1U << conditions.size(); met++) {
    outcomes.push_back({.answer = DecisionOf(MatchingOf(rules, conditions, met))});
  }
  const Step first = outcomes.front();
  if (std::all_of(outcomes.begin(), outcomes.end(), [&](const Step& outcome) { return outcome == first; })) {
    return first;  // the answer does not depend on the process
  }
  return {.answer = process_verdicts_.Intern({conditions, tables_.Intern(std::move(outcomes))}), .by_process = true};
}

std::vector<std::uint32_t> RulesetCompiler::MatchingOf(const std::vector<std::uint32_t>& rules,
                                                       const std::vector<Condition>& conditions,
                                                       std::uint32_t met) const {
  std::vector<std::uint32_t> matching;
  std::copy_if(rules.begin(), rules.end(), std::back_inserter(matching), [&](std::uint32_t r) {
    const RuleState& rule = rules_[r];
    if (!rule.condition) return true;
    const auto at = std::lower_bound(conditions.begin(), conditions.end(), *rule.condition);
    return (met >> (at - conditions.begin()) & 1U) != 0;
  });
  return matching;
}

LocalIndex RulesetCompiler::DecisionOf(const std::vector<std::uint32_t>& rules) {
  std::vector<PolicyMatch> matches;
  for (const NetworkPolicy* policy : ruleset_.policies) matches.push_back({policy, {}});
  for (const std::uint32_t r : rules) matches[rules_[r].policy].rules.push_back(rules_[r].number);
  return decisions_.Intern(Combine(ruleset_.direction, matches));
}

Status RulesetCompiler::TooManyConditions(const std::vector<std::uint32_t>& rules, std::size_t count) const {
  std::set<std::string> names;
  for (const std::uint32_t r : rules) {
    if (!rules_[r].condition) continue;
    const NetworkPolicy& policy = *ruleset_.policies[rules_[r].policy];
    names.insert(ResourceId{KindOf(policy.api), policy.name}.ToString());
  }
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "{}: {} different \"processes\" match one peer and port in {}, at most {} can: put binaries that "
                   "are treated alike into one rule",
                   fmt::join(names, ", "), count, ruleset_.direction == Direction::kIngress ? "ingress" : "egress",
                   SL_MAX_PROCESS_CONDITIONS);
}

}  // namespace sluice::policy
