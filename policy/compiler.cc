#include "policy/compiler.h"

#include <algorithm>

#include "policy/ruleset_compiler.h"

namespace sluice::policy {
namespace {

Status CheckLimit(const char* table, std::size_t need, std::size_t limit, const char* advice) {
  if (need <= limit) return OkStatus();
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "the policies need {} entries of the table \"{}\", which holds {}: {}", need, table, limit, advice);
}

std::map<Address, sl_address_value> AddressTable(const Snapshot& snapshot, const IdentityTable& identities,
                                                 const RulesetTable& rulesets) {
  std::map<Address, sl_address_value> table;
  for (const Endpoint& endpoint : snapshot.endpoints) {
    sl_address_value value = {};
    value.workload = endpoint.workload_id;
    value.ifindex = endpoint.ifindex;
    value.endpoint = endpoint.endpoint;
    value.egress_ruleset = rulesets.Of(endpoint, Direction::kEgress);
    value.ingress_ruleset = rulesets.Of(endpoint, Direction::kIngress);
    for (const Address& ip : endpoint.ips) {
      value.identity = identities.OfAddress(ip).id;
      table.emplace(ip, value);
    }
  }
  for (const Address& ip : snapshot.node_addresses) {
    sl_address_value value = {};
    value.identity = identities.OfAddress(ip).id;
    table.emplace(ip, value);
  }
  return table;
}

std::map<Prefix, sl_prefix_value> PrefixTable(const IdentityTable& identities) {
  std::map<Prefix, sl_prefix_value> table;
  for (const sl_identity_kind kind : {SL_KIND_WORLD4, SL_KIND_WORLD6}) {
    const Range range = identities.OfKind(kind);
    for (std::uint32_t i = range.begin; i < range.end; i++) {
      const Identity& identity = identities.all()[i];
      if (identity.prefix) table.emplace_hint(table.end(), *identity.prefix, sl_prefix_value{identity.id});
    }
  }
  // The kernel's trie holds IPv4 v4-mapped, where a short IPv6 prefix such as ::/0 is around it too: this entry stands
  // between them and says what no entry would.
  if (identities.OfKind(SL_KIND_WORLD6).size() > 1) {
    const std::uint32_t plain = identities.all()[identities.OfKind(SL_KIND_WORLD4).begin].id;
    const std::array<std::uint8_t, 16> first_ipv4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    table.try_emplace(Prefix(Address(first_ipv4), 0), sl_prefix_value{plain});
  }
  return table;
}

// One entry of `peers` whose port table has no place yet.
struct PeerRow {
  Tables::PeerKey key;
  std::uint32_t table = 0;
};

// Counts on beyond `limit`, so that the error can say what would be needed.
class PeerRows {
 public:
  explicit PeerRows(std::size_t limit) : limit_(limit) {}

  void Add(std::uint32_t ruleset, std::uint32_t identity, std::uint32_t table) {
    if (++count_ <= limit_) rows_.push_back({{ruleset, identity}, table});
  }
  Status Check() const {
    return CheckLimit("peers", count_, limit_, "let rules match fewer distinct peers, or isolate fewer workloads");
  }
  std::map<Tables::PeerKey, sl_peer_value> Place(const std::vector<sl_peer_value>& places) {
    std::sort(rows_.begin(), rows_.end(), [](const PeerRow& a, const PeerRow& b) { return a.key < b.key; });
    std::map<Tables::PeerKey, sl_peer_value> table;
    for (const PeerRow& row : rows_) table.emplace_hint(table.end(), row.key, places[row.table]);
    return table;
  }

 private:
  std::size_t limit_;
  std::size_t count_ = 0;
  std::vector<PeerRow> rows_;
};

void AddRows(const Ruleset& ruleset, const std::array<KindRows, SL_KIND_COUNT>& by_kind,
             const IdentityTable& identities, PeerRows& rows) {
  for (std::uint32_t kind = 0; kind < SL_KIND_COUNT; kind++) {
    rows.Add(ruleset.id, SL_IDENTITY_ANY_OF_KIND(kind), by_kind[kind].usual);
    for (const auto& [range, table] : by_kind[kind].others) {
      for (std::uint32_t i = range.begin; i < range.end; i++) {
        const Identity& identity = identities.all()[i];
        if (!identity.IsPlaceholder()) rows.Add(ruleset.id, identity.id, table);
      }
    }
  }
}

RulesetInfo Describe(const Ruleset& ruleset) {
  RulesetInfo info{.id = ruleset.id, .direction = ruleset.direction, .workloads = ruleset.workloads};
  for (const NetworkPolicy* policy : ruleset.policies) info.policies.push_back(policy->name);
  return info;
}

}  // namespace

StatusOr<CompiledPolicy> Compile(std::shared_ptr<const Snapshot> snapshot, const Limits& limits) {
  const IdentityTable identities = IdentityTable::Build(*snapshot);
  const RulesetTable rulesets(*snapshot);
  const PeerMatcher peers(*snapshot, identities);

  CompiledPolicy compiled;
  compiled.tables.addresses = AddressTable(*snapshot, identities, rulesets);
  SL_RETURN_IF_ERROR(CheckLimit("addresses", compiled.tables.addresses.size(), limits.addresses,
                                "remove Pod resources that no policy needs as peers"));
  compiled.tables.prefixes = PrefixTable(identities);
  SL_RETURN_IF_ERROR(CheckLimit("prefixes", compiled.tables.prefixes.size(), limits.prefixes,
                                "use fewer or shorter prefixes in ipBlock"));

  const PatternTable patterns(rulesets.all());
  SL_RETURN_IF_ERROR(
      CheckLimit("program_patterns", patterns.size(), limits.patterns, "use fewer distinct patterns in processes"));
  compiled.tables.patterns = patterns.Table();

  Shared shared{.identities = identities, .peers = peers, .patterns = patterns};
  PeerRows rows(limits.peers);
  for (const Ruleset& ruleset : rulesets.all()) {
    SL_ASSIGN_OR_RETURN(const auto by_kind, RulesetCompiler(ruleset, shared).Compile());
    AddRows(ruleset, by_kind, identities, rows);
    compiled.rulesets.emplace(ruleset.id, Describe(ruleset));
  }
  SL_RETURN_IF_ERROR(rows.Check());
  SL_RETURN_IF_ERROR(CheckLimit("process_choices", shared.choices.size(), limits.choices,
                                "let fewer rules that name processes meet at different peers and ports"));
  const std::vector<std::uint32_t> choices =
      shared.choices.Places(patterns, shared.tables, shared.decisions.Numbers(), limits.choices);
  SL_ASSIGN_OR_RETURN(PortTablePool::Layout layout, shared.tables.LayOut(shared.decisions, choices, limits.ports));
  compiled.tables.peers = rows.Place(layout.places);
  compiled.tables.ports = std::move(layout.entries);
  compiled.tables.choices = shared.choices.Table(choices, layout.places);
  compiled.identities = identities.Describe();
  compiled.decisions = shared.decisions.ByNumber();
  compiled.snapshot = std::move(snapshot);
  return compiled;
}

}  // namespace sluice::policy
