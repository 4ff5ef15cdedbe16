// Indices of the compiler: a separate type for each array, so that they cannot be mixed up. Pools keep each value once.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace sluice::policy {

enum class LocalIndex : std::uint32_t {};  // among one ruleset's decisions, port tables or process-dependent verdicts
enum class PoolIndex : std::uint32_t {};   // the same for all rulesets together
enum class DecisionNumber : std::uint32_t {};  // a decision's number in the kernel and in flows
enum class SlotIndex : std::uint32_t {};       // in an array of one epoch of the kernel's tables

template <typename Index>
constexpr std::uint32_t Raw(Index index) {
  return static_cast<std::uint32_t>(index);
}

// A vector with one type of index.
template <typename Index, typename Value>
class IndexedBy {
 public:
  IndexedBy() = default;
  explicit IndexedBy(std::size_t size) : values_(size) {}

  const Value& operator[](Index index) const { return values_[Raw(index)]; }
  Value& operator[](Index index) { return values_[Raw(index)]; }
  Index push_back(Value value) {  // returns its index
    values_.push_back(std::move(value));
    return Index{static_cast<std::uint32_t>(values_.size() - 1)};
  }
  std::uint32_t size() const { return static_cast<std::uint32_t>(values_.size()); }
  bool empty() const { return values_.empty(); }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

 private:
  std::vector<Value> values_;
};

// A set of values, each with an index.
template <typename Index, typename Value>
class Pool {
 public:
  Index Intern(Value value) {
    const auto [at, added] = by_content_.try_emplace(std::move(value), Index{all_.size()});
    if (added) all_.push_back(at->first);
    return at->second;
  }
  const IndexedBy<Index, Value>& all() const { return all_; }

 private:
  IndexedBy<Index, Value> all_;
  std::map<Value, Index> by_content_;
};

}  // namespace sluice::policy
