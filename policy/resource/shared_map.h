// A sorted map whose copies share what they have in common. Reads like a const std::map. Copying one of n entries costs
// n / 64 pointers, and an edit of a copy touches one chunk of at most 64; so a version of a large map costs what it
// changes, and two versions are compared by what differs.
//   SharedMap<Id, Object> next = last;
//   next.Put(id, object);
//   last.AnyUnshared(next, [](const Id&, const Object* before, const Object* after) { ...; return false; });
// An entry does not move while it is in some map. Not thread-safe for writers, like a std::map; copies may be used and
// destroyed by other threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace sluice::policy {

template <typename K, typename V>
class SharedMap {
 public:
  using key_type = K;
  using mapped_type = V;
  using value_type = std::pair<const K, V>;

 private:
  using Chunk = std::vector<std::shared_ptr<value_type>>;  // in order, 1..kMost
  using Chunks = std::vector<std::shared_ptr<Chunk>>;
  static constexpr std::size_t kMost = 64;

 public:
  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = SharedMap::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;

    const_iterator() = default;
    reference operator*() const { return *entry(); }
    pointer operator->() const { return entry().get(); }
    const_iterator& operator++() {
      if (++at_ == (*chunks_)[chunk_]->size()) *this = {chunks_, chunk_ + 1, 0};
      return *this;
    }
    const_iterator operator++(int) {
      const const_iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const const_iterator&) const = default;

   private:
    friend class SharedMap;
    const_iterator(const Chunks* chunks, std::size_t chunk, std::size_t at) : chunks_(chunks), chunk_(chunk), at_(at) {}
    const std::shared_ptr<SharedMap::value_type>& entry() const { return (*(*chunks_)[chunk_])[at_]; }

    const Chunks* chunks_ = nullptr;
    std::size_t chunk_ = 0, at_ = 0;
  };

  const_iterator begin() const { return {&chunks_, 0, 0}; }
  const_iterator end() const { return {&chunks_, chunks_.size(), 0}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const_iterator find(const K& key) const {
    if (empty()) return end();
    const const_iterator place = PlaceOf(key);
    return IsAt(place, key) ? place : end();
  }
  // The first entry whose key is not below `key`.
  const_iterator lower_bound(const K& key) const {
    if (empty()) return end();
    const const_iterator place = PlaceOf(key);
    return place.at_ < chunks_[place.chunk_]->size() ? place : const_iterator(&chunks_, place.chunk_ + 1, 0);
  }
  bool contains(const K& key) const { return find(key) != end(); }
  // Throws std::out_of_range, as std::map does.
  const V& at(const K& key) const {
    const const_iterator found = find(key);
    if (found == end()) throw std::out_of_range("SharedMap::at");
    return found->second;
  }

  // Adds or replaces. `key` may be part of `value`.
  template <typename Value>
  void Put(const K& key, Value&& value) {
    auto entry = std::make_shared<value_type>(key, std::forward<Value>(value));
    const K& own_key = entry->first;
    Set(own_key, std::move(entry));
  }
  // The value to write to, a fresh one if there is none. It is not for use once the map has been copied.
  V& operator[](const K& key) {
    const const_iterator found = find(key);
    auto own = found == end() ? std::make_shared<value_type>(key, V()) : std::make_shared<value_type>(*found);
    V& value = own->second;
    Set(key, std::move(own));
    return value;
  }
  std::size_t erase(const K& key) {
    const const_iterator found = find(key);
    if (found == end()) return 0;
    Chunk& chunk = Own(found.chunk_);
    chunk.erase(chunk.begin() + static_cast<std::ptrdiff_t>(found.at_));
    --size_;
    if (chunk.empty()) {
      chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(found.chunk_));
    } else if (found.chunk_ + 1 < chunks_.size() && chunk.size() + chunks_[found.chunk_ + 1]->size() <= kMost / 2) {
      const auto next = chunks_.begin() + static_cast<std::ptrdiff_t>(found.chunk_) + 1;
      chunk.insert(chunk.end(), (*next)->begin(), (*next)->end());
      chunks_.erase(next);
    }
    return 1;
  }
  // Adds the entries of `other` whose keys are not here yet; both share them then.
  void Merge(const SharedMap& other) {
    std::vector<std::shared_ptr<value_type>> missing;
    AnyUnsharedEntry(other, [&](const auto* mine, const auto* others) {
      if (mine == nullptr) missing.push_back(*others);
      return false;
    });
    for (auto& entry : missing) Set(entry->first, entry);
  }

  // Visits, in order, what this map and `other` do not share; null: that one does not have the key. What is visited may
  // still be equal. Ends, and is true, once `visit(key, mine, others)` is.
  template <typename Visit>
  bool AnyUnshared(const SharedMap& other, Visit visit) const {
    return AnyUnsharedEntry(other, [&](const auto* mine, const auto* others) {
      return visit((mine != nullptr ? *mine : *others)->first, mine != nullptr ? &(*mine)->second : nullptr,
                   others != nullptr ? &(*others)->second : nullptr);
    });
  }

 private:
  // Where `key` is, or would be: possibly one past the end of a chunk. Not for an empty map.
  const_iterator PlaceOf(const K& key) const {
    auto chunk = std::upper_bound(chunks_.begin(), chunks_.end(), key,
                                  [](const K& k, const auto& c) { return k < c->front()->first; });
    if (chunk != chunks_.begin()) --chunk;
    const auto place = std::lower_bound((*chunk)->begin(), (*chunk)->end(), key,
                                        [](const auto& entry, const K& k) { return entry->first < k; });
    return {&chunks_, static_cast<std::size_t>(chunk - chunks_.begin()),
            static_cast<std::size_t>(place - (*chunk)->begin())};
  }
  static bool IsAt(const const_iterator& place, const K& key) {
    return place.at_ < (*place.chunks_)[place.chunk_]->size() && place.entry()->first == key;
  }

  Chunk& Own(std::size_t index) {
    std::shared_ptr<Chunk>& chunk = chunks_[index];
    if (chunk.use_count() > 1) chunk = std::make_shared<Chunk>(*chunk);
    return *chunk;
  }

  void Set(const K& key, std::shared_ptr<value_type> entry) {
    if (empty()) {
      chunks_.push_back(std::make_shared<Chunk>(Chunk{std::move(entry)}));
      ++size_;
      return;
    }
    const const_iterator place = PlaceOf(key);
    const bool is_there = IsAt(place, key);
    Chunk& chunk = Own(place.chunk_);
    if (is_there) {
      chunk[place.at_] = std::move(entry);
      return;
    }
    chunk.insert(chunk.begin() + static_cast<std::ptrdiff_t>(place.at_), std::move(entry));
    ++size_;
    if (chunk.size() <= kMost) return;
    const auto middle = chunk.begin() + kMost / 2;
    auto second = std::make_shared<Chunk>(std::make_move_iterator(middle), std::make_move_iterator(chunk.end()));
    chunk.erase(middle, chunk.end());
    chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(place.chunk_) + 1, std::move(second));
  }

  template <typename Visit>
  bool AnyUnsharedEntry(const SharedMap& other, Visit visit) const {
    auto a = begin(), b = other.begin();
    while (a != end() || b != other.end()) {
      const bool both = a != end() && b != other.end();
      if (both && a.at_ == 0 && b.at_ == 0 && chunks_[a.chunk_] == other.chunks_[b.chunk_]) {
        a = {&chunks_, a.chunk_ + 1, 0};
        b = {&other.chunks_, b.chunk_ + 1, 0};
        continue;
      }
      if (both && a.entry() == b.entry()) {
        ++a;
        ++b;
        continue;
      }
      const bool has_mine = a != end() && (!both || !(b->first < a->first));
      const bool has_others = b != other.end() && (!both || !(a->first < b->first));
      if (visit(has_mine ? &a.entry() : nullptr, has_others ? &b.entry() : nullptr)) return true;
      if (has_mine) ++a;
      if (has_others) ++b;
    }
    return false;
  }

  Chunks chunks_;
  std::size_t size_ = 0;
};

}  // namespace sluice::policy
