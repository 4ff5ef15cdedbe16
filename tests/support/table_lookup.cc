#include "tests/support/table_lookup.h"

#include <bit>

#include "policy/network/glob.h"

namespace sluice::test {

using policy::Address;
using policy::Flow;
using policy::Prefix;
using policy::Process;
using policy::Tables;

namespace {

int CommonBits(const Address& a, const Address& b) {
  for (int i = 0; i < 16; i++) {
    const auto differing = static_cast<std::uint8_t>(a.bytes()[i] ^ b.bytes()[i]);
    if (differing != 0) return i * 8 + std::countl_zero(differing);
  }
  return 128;
}

// The first `length` of the 128 bits of the v4-mapped form.
Prefix First(const Address& address, int length) {
  std::array<std::uint8_t, 16> bytes = address.bytes();
  for (int bit = length; bit < 128; bit++) bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
  const Address first(bytes);
  return Prefix(first, first.is_v4() ? length - 96 : length);
}

// The trie's answer: it compares 128 bits and knows no families.
const sl_prefix_value* LongestMatch(const policy::FlatMap<Prefix, sl_prefix_value>& prefixes, const Address& address) {
  auto after = prefixes.upper_bound(Prefix::Host(address));
  while (after != prefixes.begin()) {
    const auto& [prefix, value] = *std::prev(after);
    const int common = CommonBits(prefix.address(), address);
    if (common >= prefix.mapped_length()) return &value;
    after = prefixes.upper_bound(First(address, common));  // no prefix between these two contains the address
  }
  return nullptr;
}

sl_address_value Resolve(const Tables& tables, const Address& address) {
  if (const auto known = tables.addresses.find(address); known != tables.addresses.end()) return known->second;
  sl_address_value value = {};
  const sl_prefix_value* prefix = LongestMatch(tables.prefixes, address);
  const std::uint32_t kind = address.is_v4() ? SL_KIND_WORLD4 : SL_KIND_WORLD6;
  value.identity = prefix ? prefix->identity : kind << SL_IDENTITY_KIND_SHIFT | SL_IDENTITY_PLAIN;
  return value;
}

// The entry for the flow; null: there is none, and the packet path drops.
const sl_port_entry* Answer(const Tables& tables, std::uint32_t ruleset, std::uint32_t identity, const Flow& flow) {
  auto row = tables.peers.find({ruleset, identity});
  if (row == tables.peers.end()) {
    row = tables.peers.find({ruleset, SL_IDENTITY_ANY_OF_KIND(identity >> SL_IDENTITY_KIND_SHIFT)});
  }
  if (row == tables.peers.end()) return nullptr;
  const std::uint32_t service = static_cast<std::uint32_t>(flow.protocol) << 16U | flow.port;
  std::uint32_t low = row->second.first, count = row->second.count;
  while (count > 1) {
    const std::uint32_t half = count / 2;
    const auto middle = tables.ports.find(low + half);
    if (middle == tables.ports.end()) return nullptr;
    if (middle->second.start <= service) {
      low += half;
      count -= half;
    } else {
      count = half;
    }
  }
  const auto entry = tables.ports.find(low);
  return entry == tables.ports.end() ? nullptr : &entry->second;
}

std::uint64_t PatternsOf(const Tables& tables, const std::string& path) {
  std::uint64_t bits = 0;
  if (path.empty()) return bits;
  for (const auto& [bit, pattern] : tables.patterns) {
    if (policy::GlobMatches({pattern.text, pattern.length}, path)) bits |= 1ULL << bit;
  }
  return bits;
}

// The index of the outcome: one bit for each condition that the process meets.
std::uint32_t OutcomeOf(const Tables& tables, const sl_process_verdict& process_verdict, const Process& process) {
  std::uint64_t binaries = PatternsOf(tables, process.binary) | PatternsOf(tables, process.script), ancestors = 0;
  for (const std::string& path : process.ancestors) ancestors |= PatternsOf(tables, path);
  std::uint32_t met = 0;
  for (std::uint32_t i = 0; i < process_verdict.count; i++) {
    const sl_process_condition& condition = process_verdict.conditions[i];
    const bool by_binary = condition.binaries == 0 || (condition.binaries & binaries) != 0;
    const bool by_ancestor = condition.ancestors == 0 || (condition.ancestors & ancestors) != 0;
    const bool is_not = (!by_binary && !process.binary.empty()) || (!by_ancestor && !process.more_ancestors);
    if (!is_not && ((by_binary && by_ancestor) || condition.if_unknown != 0)) met |= 1U << i;
  }
  return met;
}

// The entry for the process if `entry` depends on it, else `entry`; null as above.
const sl_port_entry* Choose(const Tables& tables, const sl_port_entry* entry, const std::optional<Process>& process) {
  if (!entry || (entry->flags & SL_PORT_BY_PROCESS) == 0) return entry;
  const auto process_verdict = tables.process_verdicts.find(entry->decision);
  if (process_verdict == tables.process_verdicts.end()) return nullptr;
  const auto outcome =
      tables.ports.find(process_verdict->second.outcomes +
                        OutcomeOf(tables, process_verdict->second, process ? *process : policy::kUnknownProcess));
  return outcome == tables.ports.end() ? nullptr : &outcome->second;
}

}  // namespace

TableVerdict LookUp(const Tables& tables, const Flow& flow) {
  const sl_address_value source = Resolve(tables, flow.source);
  const sl_address_value destination = Resolve(tables, flow.destination);
  TableVerdict verdict;
  if (flow.from_node) return verdict;
  if (source.endpoint != 0 && source.endpoint == destination.endpoint) return verdict;

  const auto check = [&](std::uint32_t ruleset, std::uint32_t peer, const std::optional<Process>& process,
                         std::uint32_t& decision) {
    const sl_port_entry* entry = Choose(tables, Answer(tables, ruleset, peer, flow), process);
    if (entry) decision = entry->decision;
    verdict.allowed = verdict.allowed && entry && entry->verdict == SL_VERDICT_ALLOW;
    verdict.audit_denied = verdict.audit_denied || (entry && (entry->flags & SL_PORT_AUDIT) != 0);
  };
  if (source.ifindex != 0 && source.egress_ruleset != SL_RULESET_NONE) {
    check(source.egress_ruleset, destination.identity, flow.source_process, verdict.egress_decision);
  }
  if (destination.ifindex != 0 && destination.ingress_ruleset != SL_RULESET_NONE) {
    check(destination.ingress_ruleset, source.identity, flow.destination_process, verdict.ingress_decision);
  }
  verdict.audit_denied = verdict.audit_denied && verdict.allowed;
  return verdict;
}

}  // namespace sluice::test
