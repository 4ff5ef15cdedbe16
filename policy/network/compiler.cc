#include "policy/network/compiler.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "policy/network/ruleset_compiler.h"

namespace sluice::policy {
namespace {

Status CheckLimit(const char* table, std::size_t need, std::size_t limit, const char* advice) {
  if (need <= limit) return OkStatus();
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "the policies need {} entries of the table \"{}\", which holds {}: {}", need, table, limit, advice);
}

using AddressMap = FlatMap<Address, sl_address_value>;

FlatMap<Prefix, sl_prefix_value> PrefixTable(const IdentityTable& identities) {
  FlatMap<Prefix, sl_prefix_value>::Entries table;
  for (const sl_identity_kind kind : {SL_KIND_WORLD4, SL_KIND_WORLD6}) {
    const Range range = identities.OfKind(kind);
    for (std::uint32_t i = range.begin; i < range.end; i++) {
      const Identity& identity = identities.all()[i];
      if (identity.prefix) table.emplace_back(*identity.prefix, sl_prefix_value{identity.id});
    }
  }
  // In the kernel's trie IPv4 is v4-mapped, so a short IPv6 prefix such as ::/0 would match IPv4 too. This entry covers
  // all of IPv4 and gives the result that no match would give.
  if (identities.OfKind(SL_KIND_WORLD6).size() > 1) {
    const std::uint32_t plain = identities.all()[identities.OfKind(SL_KIND_WORLD4).begin].id;
    const std::array<std::uint8_t, 16> first_ipv4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const Prefix all_ipv4(Address(first_ipv4), 0);
    const bool known = std::any_of(table.begin(), table.end(), [&](const auto& e) { return e.first == all_ipv4; });
    if (!known) table.emplace_back(all_ipv4, sl_prefix_value{plain});
  }
  return FlatMap<Prefix, sl_prefix_value>(std::move(table));
}

// Everything that depends only on a population and on what policies look at in it.
struct KnownPeers {
  // `before`: null if there were none.
  KnownPeers(std::shared_ptr<const Population> everybody, Interest looked_at, const KnownPeers* before)
      : population(std::move(everybody)),
        interest(std::move(looked_at)),
        identities(Identify(before)),
        has_same_identities(before != nullptr && identities.HasSameIdentities(before->identities)),
        infos(has_same_identities ? before->infos : identities.Describe()),
        addresses(Addresses(before)),
        prefixes(has_same_identities ? before->prefixes : PrefixTable(identities)) {}

  std::shared_ptr<const Population> population;
  Interest interest;
  IdentityTable identities;
  bool has_same_identities;  // as before
  PeerMatcher matcher{*population, identities};
  FlatMap<std::uint32_t, IdentityInfo> infos;
  AddressMap addresses;  // without rulesets
  FlatMap<Prefix, sl_prefix_value> prefixes;

 private:
  IdentityTable Identify(const KnownPeers* before) const {
    if (before == nullptr) return IdentityTable::Build(*population, interest);
    const IdentityTable::Before known{*before->population, before->interest, before->identities};
    return IdentityTable::Build(*population, interest, &known);
  }
  AddressMap Addresses(const KnownPeers* before) const;
};

// Endpoints are immutable, so what the table said of those that both populations share stays, except the identity's
// number.
AddressMap KnownPeers::Addresses(const KnownPeers* before) const {
  static const EndpointList::Pointers kNobody;
  static const FlatMap<Address, std::uint32_t> kNone;
  const auto& known = before != nullptr ? before->population->by_address : kNone;
  const auto& endpoints_before = before != nullptr ? before->population->endpoints.pointers() : kNobody;
  auto was = known.begin();
  auto value_was = before != nullptr ? before->addresses.begin() : AddressMap::const_iterator();
  auto node = population->node_addresses.begin();
  AddressMap::Entries table;
  table.reserve(population->by_address.size() + population->node_addresses.size());
  // Those up to `end`, which is a pod's; null: all.
  const auto add_nodes = [&](const Address* end) {
    for (; node != population->node_addresses.end() && (end == nullptr || *node <= *end); ++node) {
      if (end != nullptr && *node == *end) continue;
      sl_address_value value = {};
      value.identity = identities.OfNodeAddress(*node).id;
      table.emplace_back(*node, value);
    }
  };
  std::size_t place = 0;
  for (const auto& [ip, index] : population->by_address) {
    add_nodes(&ip);
    while (was != known.end() && was->first < ip) ++was;
    const auto& endpoint = population->endpoints.pointers()[index];
    sl_address_value value = {};
    if (was != known.end() && was->first == ip && endpoints_before[was->second] == endpoint) {
      while (value_was->first < ip) ++value_was;
      value = value_was->second;
    } else {
      value.workload = endpoint->workload_id;
      value.ifindex = endpoint->ifindex;
      value.endpoint = endpoint->endpoint;
    }
    value.identity = identities.OfPodAddress(place++).id;
    table.emplace_back(ip, value);
  }
  add_nodes(nullptr);
  return AddressMap(std::move(table));
}

// The results of all rulesets: each decision, port table and process-dependent verdict once.
struct Pools {
  Decisions decisions;
  PortTablePool<PoolIndex> tables;
  ProcessVerdictPool<PoolIndex> process_verdicts;

  using IndexMap = IndexedBy<LocalIndex, PoolIndex>;

  // Returns the pool index of each of the ruleset's port tables.
  IndexMap Add(const CompiledRuleset& ruleset) {
    IndexMap decision_at, process_verdict_at, table_at;
    for (const auto& decision : ruleset.decisions) decision_at.push_back(decisions.Intern(decision));
    const auto add_table = [&](const PortTable<LocalIndex>& local) {
      PortTable<PoolIndex> table;
      table.reserve(local.size());
      for (const auto& step : local) {
        table.push_back(
            {step.start, (step.by_process ? process_verdict_at : decision_at)[step.answer], step.by_process});
      }
      return tables.Intern(std::move(table));
    };
    // Outcomes are decisions, never process-dependent verdicts again.
    for (const auto& process_verdict : ruleset.process_verdicts) {
      process_verdict_at.push_back(
          process_verdicts.Intern({process_verdict.conditions, add_table(ruleset.tables[process_verdict.outcomes])}));
    }
    for (const auto& table : ruleset.tables) table_at.push_back(add_table(table));
    return table_at;
  }
};

// Entries of `peers` until their port tables have places.
class PeerRows {
 public:
  explicit PeerRows(std::size_t limit) : limit_(limit) {}

  // Counts beyond the limit too, so that the error can name the need.
  void Add(std::uint32_t ruleset, std::uint32_t identity, PoolIndex table) {
    if (++count_ <= limit_) rows_.push_back({{ruleset, identity}, {Raw(table), 0}});
  }
  Status Check() const {
    return CheckLimit("peers", count_, limit_, "let rules match fewer distinct peers, or isolate fewer workloads");
  }
  FlatMap<Tables::PeerKey, sl_peer_value> Place(const IndexedBy<PoolIndex, sl_peer_value>& places) && {
    for (auto& [key, value] : rows_) value = places[PoolIndex{value.first}];
    return FlatMap<Tables::PeerKey, sl_peer_value>(std::move(rows_));
  }

 private:
  std::size_t limit_;
  std::size_t count_ = 0;
  FlatMap<Tables::PeerKey, sl_peer_value>::Entries rows_;  // the value's `first`: the table's index until Place
};

void AddRows(std::uint32_t ruleset, const CompiledRuleset& compiled, const Pools::IndexMap& table_at,
             const IdentityTable& identities, PeerRows& rows) {
  for (std::uint32_t kind = 0; kind < SL_KIND_COUNT; kind++) {
    rows.Add(ruleset, SL_IDENTITY_ANY_OF_KIND(kind), table_at[compiled.by_kind[kind].usual]);
    for (const auto& [range, table] : compiled.by_kind[kind].others) {
      for (std::uint32_t i = range.begin; i < range.end; i++) {
        const Identity& identity = identities.all()[i];
        if (!identity.IsPlaceholder()) rows.Add(ruleset, identity.id, table_at[table]);
      }
    }
  }
}

RulesetInfo Describe(const Ruleset& ruleset) {
  RulesetInfo info{.id = ruleset.id, .direction = ruleset.direction, .workloads = ruleset.workloads};
  for (const NetworkPolicy* policy : ruleset.policies) info.policies.push_back(policy->name);
  return info;
}

// The inputs of a CompiledRuleset, except identities and patterns. Policies are immutable, so pointers identify them.
using RulesetKey = std::tuple<Direction, std::vector<const NetworkPolicy*>, std::vector<NamedPort>>;

}  // namespace

struct Compiler::Memory {
  std::shared_ptr<const Snapshot> snapshot;  // keeps alive what the rest points to
  std::shared_ptr<KnownPeers> peers;
  Selections selections;
  PatternTable patterns{{}};
  std::map<RulesetKey, std::shared_ptr<const CompiledRuleset>> rulesets;
  AddressMap addresses;
};

namespace {

// Adds the rulesets of the local workloads. Returns `last` if the result is the same.
AddressMap WithRulesets(const KnownPeers& peers, const RulesetTable& rulesets, const AddressMap& last) {
  AddressMap::Entries table = peers.addresses.entries();
  for (const std::uint32_t local : peers.population->locals) {
    const Endpoint& endpoint = peers.population->endpoints[local];
    for (const Address& ip : endpoint.ips) {
      sl_address_value& value = table[peers.addresses.find(ip) - peers.addresses.begin()].second;
      value.egress_ruleset = rulesets.Of(endpoint, Direction::kEgress);
      value.ingress_ruleset = rulesets.Of(endpoint, Direction::kIngress);
    }
  }
  const bool same = std::equal(table.begin(), table.end(), last.begin(), last.end(), [](const auto& a, const auto& b) {
    return a.first == b.first && std::memcmp(&a.second, &b.second, sizeof a.second) == 0;
  });
  return same ? last : AddressMap(std::move(table));
}

}  // namespace

Compiler::Compiler() : last_(std::make_shared<Memory>()) {}

StatusOr<CompiledPolicy> Compiler::Compile(std::shared_ptr<const Snapshot> snapshot, const Limits& limits) {
  auto now = std::make_shared<Memory>();
  now->snapshot = snapshot;
  Interest interest(snapshot->policies);
  const bool same_population = last_->snapshot && last_->snapshot->population == snapshot->population;
  const bool same_peers = same_population && last_->peers->interest == interest;
  now->peers = same_peers ? last_->peers
                          : std::make_shared<KnownPeers>(snapshot->population, std::move(interest), last_->peers.get());
  const bool same_identities = same_peers || now->peers->has_same_identities;
  now->selections = Select(*snapshot, same_population ? last_->selections : Selections());
  KnownPeers& peers = *now->peers;
  peers.matcher.Forget();
  const RulesetTable rulesets(*snapshot, now->selections);

  CompiledPolicy compiled;
  compiled.tables.addresses = now->addresses = WithRulesets(peers, rulesets, last_->addresses);
  SL_RETURN_IF_ERROR(CheckLimit("addresses", compiled.tables.addresses.size(), limits.addresses,
                                "remove Pod resources that no policy needs as peers"));
  compiled.tables.prefixes = peers.prefixes;
  SL_RETURN_IF_ERROR(CheckLimit("prefixes", compiled.tables.prefixes.size(), limits.prefixes,
                                "use fewer or shorter prefixes in ipBlock"));

  now->patterns = PatternTable(rulesets.all());
  SL_RETURN_IF_ERROR(CheckLimit("program_patterns", now->patterns.size(), limits.patterns,
                                "use fewer distinct patterns in processes"));
  compiled.tables.patterns = now->patterns.Table();

  Shared shared{.identities = peers.identities, .peers = peers.matcher, .patterns = now->patterns};
  Pools pools;
  PeerRows rows(limits.peers);
  FlatMap<std::uint32_t, RulesetInfo>::Entries infos;
  const bool same_rulesets = same_identities && last_->patterns == now->patterns;
  for (const Ruleset& ruleset : rulesets.all()) {
    RulesetKey key{ruleset.direction, ruleset.policies, ruleset.ports};
    const auto before = last_->rulesets.find(key);
    std::shared_ptr<const CompiledRuleset> part;
    if (same_rulesets && before != last_->rulesets.end()) {
      part = before->second;
    } else {
      SL_ASSIGN_OR_RETURN(CompiledRuleset fresh, RulesetCompiler(ruleset, shared).Compile());
      part = std::make_shared<const CompiledRuleset>(std::move(fresh));
    }
    AddRows(ruleset.id, *part, pools.Add(*part), peers.identities, rows);
    infos.emplace_back(ruleset.id, Describe(ruleset));
    now->rulesets.emplace(std::move(key), std::move(part));
  }
  SL_RETURN_IF_ERROR(rows.Check());
  SL_RETURN_IF_ERROR(CheckLimit("process_verdicts", pools.process_verdicts.all().size(), limits.process_verdicts,
                                "use fewer different combinations of rules with processes for a peer and port"));
  const DecisionNumbers numbers = NumberDecisions(pools.decisions);
  const auto process_verdicts =
      PlaceChoices(pools.process_verdicts, now->patterns, pools.tables, numbers, limits.process_verdicts);
  SL_ASSIGN_OR_RETURN(PortLayout layout,
                      LayOut(pools.tables, pools.decisions, numbers, process_verdicts, limits.ports));
  compiled.tables.peers = std::move(rows).Place(layout.places);
  compiled.tables.process_verdicts = ChoiceTable(pools.process_verdicts, process_verdicts, layout.places);
  compiled.tables.ports = std::move(layout.entries);
  compiled.identities = peers.infos;
  compiled.rulesets = FlatMap<std::uint32_t, RulesetInfo>(std::move(infos));
  compiled.decisions = ByNumber(pools.decisions, numbers);
  compiled.snapshot = std::move(snapshot);
  last_ = std::move(now);
  return compiled;
}

StatusOr<CompiledPolicy> Compile(std::shared_ptr<const Snapshot> snapshot, const Limits& limits) {
  return Compiler().Compile(std::move(snapshot), limits);
}

}  // namespace sluice::policy
