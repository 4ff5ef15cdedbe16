// An immutable sorted table: reads like a const std::map, one array in memory, and copies share it.
//   FlatMap<std::uint32_t, V> table(std::move(entries));
//   if (next.SharesWith(table)) ...  // nothing to compare
// Empty when moved from or default-constructed. Thread-safe as any immutable value.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace sluice::policy {

template <typename K, typename V>
class FlatMap {
 public:
  using value_type = std::pair<K, V>;
  using Entries = std::vector<value_type>;
  using const_iterator = typename Entries::const_iterator;

  FlatMap() = default;
  FlatMap(std::initializer_list<value_type> entries) : FlatMap(Entries(entries)) {}
  // Entries in any order; keys must be distinct.
  explicit FlatMap(Entries entries) {
    const auto by_key = [](const value_type& a, const value_type& b) { return a.first < b.first; };
    if (!std::is_sorted(entries.begin(), entries.end(), by_key)) std::sort(entries.begin(), entries.end(), by_key);
    if (!entries.empty()) entries_ = std::make_shared<const Entries>(std::move(entries));
  }

  const Entries& entries() const {
    static const Entries kNone;
    return entries_ ? *entries_ : kNone;
  }
  const_iterator begin() const { return entries().begin(); }
  const_iterator end() const { return entries().end(); }
  std::size_t size() const { return entries().size(); }
  bool empty() const { return !entries_; }

  const_iterator upper_bound(const K& key) const {
    return std::upper_bound(begin(), end(), key, [](const K& k, const value_type& entry) { return k < entry.first; });
  }
  const_iterator find(const K& key) const {
    const auto at = std::lower_bound(begin(), end(), key, [](const value_type& e, const K& k) { return e.first < k; });
    return at != end() && at->first == key ? at : end();
  }
  bool contains(const K& key) const { return find(key) != end(); }
  // Throws std::out_of_range, as std::map does.
  const V& at(const K& key) const { return entries().at(find(key) - begin()).second; }

  // True: the same array, so the tables are equal. False: they may be equal or not.
  bool SharesWith(const FlatMap& other) const { return entries_ == other.entries_; }

 private:
  std::shared_ptr<const Entries> entries_;  // null: empty
};

}  // namespace sluice::policy
