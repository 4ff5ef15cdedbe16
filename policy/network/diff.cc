#include "policy/network/diff.h"

#include <cstring>

namespace sluice::policy {
namespace {

// Both tables are in key order, so one pass over both is enough.
template <typename K, typename V>
TableEdits<K, V> DiffTable(const FlatMap<K, V>& from, const FlatMap<K, V>& to) {
  static_assert(std::has_unique_object_representations_v<V>, "values are compared as bytes, as the kernel sees them");
  TableEdits<K, V> edits;
  if (from.SharesWith(to)) return edits;
  auto old = from.begin();
  for (const auto& [key, value] : to) {
    for (; old != from.end() && old->first < key; ++old) edits.deletes.push_back(old->first);
    const bool same_key = old != from.end() && old->first == key;
    if (!same_key || std::memcmp(&old->second, &value, sizeof(V)) != 0) edits.puts.emplace_back(key, value);
    if (same_key) ++old;
  }
  for (; old != from.end(); ++old) edits.deletes.push_back(old->first);
  return edits;
}

}  // namespace

std::size_t Plan::size() const {
  const auto count = [](const auto& edits) { return edits.puts.size() + edits.deletes.size(); };
  return count(addresses) + count(prefixes) + count(peers) + count(ports) + count(patterns) + count(process_verdicts);
}

bool Plan::empty() const { return size() == 0; }

Plan Diff(const Tables& from, const Tables& to) {
  return {DiffTable(from.addresses, to.addresses), DiffTable(from.prefixes, to.prefixes),
          DiffTable(from.peers, to.peers),         DiffTable(from.ports, to.ports),
          DiffTable(from.patterns, to.patterns),   DiffTable(from.process_verdicts, to.process_verdicts)};
}

}  // namespace sluice::policy
