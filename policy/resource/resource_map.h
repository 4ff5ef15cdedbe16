// Resources by id, sorted by kind, then by name. Used like a std::map, but a copy shares with its original what neither
// has written to since: whole kinds, and the other resources of a kind. So copying is cheap, and unchanged kinds are
// found by comparing pointers. Not thread-safe for writers, like a std::map.
#pragma once

#include <array>
#include <iterator>
#include <memory>
#include <utility>

#include "policy/resource/model.h"
#include "policy/resource/shared_map.h"

namespace sluice::policy {

class ResourceMap {
 public:
  using Part = SharedMap<ResourceId, Resource>;  // one kind
  using value_type = Part::value_type;

  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = ResourceMap::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;

    const_iterator() = default;
    reference operator*() const { return *at_; }
    pointer operator->() const { return &*at_; }
    const_iterator& operator++() {
      ++at_;
      SkipEnds();
      return *this;
    }
    const_iterator operator++(int) {
      const const_iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const const_iterator& other) const { return kind_ == other.kind_ && at_ == other.at_; }

   private:
    friend class ResourceMap;
    const_iterator(const ResourceMap* map, std::size_t kind, Part::const_iterator at)
        : map_(map), kind_(kind), at_(at) {
      SkipEnds();
    }
    void SkipEnds();

    const ResourceMap* map_ = nullptr;
    std::size_t kind_ = 0;
    Part::const_iterator at_;
  };

  ResourceMap() = default;
  ResourceMap(const ResourceMap&) = default;
  ResourceMap& operator=(const ResourceMap&) = default;
  ResourceMap(ResourceMap&& other) noexcept : parts_(std::exchange(other.parts_, NoParts())) {}  // leaves it empty
  ResourceMap& operator=(ResourceMap&& other) noexcept {
    parts_ = std::exchange(other.parts_, NoParts());
    return *this;
  }

  const_iterator begin() const { return {this, 0, parts_[0]->begin()}; }
  const_iterator end() const { return {this, kKinds - 1, parts_[kKinds - 1]->end()}; }
  std::size_t size() const;
  bool empty() const { return size() == 0; }
  const_iterator find(const ResourceId& id) const;
  bool contains(const ResourceId& id) const { return of(id.kind).contains(id); }
  const Resource& at(const ResourceId& id) const { return of(id.kind).at(id); }

  Resource& operator[](const ResourceId& id) { return Edit(id.kind)[id]; }
  template <typename R>
  void insert_or_assign(const ResourceId& id, R&& resource) {
    Edit(id.kind).Put(id, std::forward<R>(resource));
  }
  std::size_t erase(const ResourceId& id) { return contains(id) ? Edit(id.kind).erase(id) : 0; }
  void clear() { *this = ResourceMap(); }
  void Clear(Kind kind);
  // Adds the resources of `other` whose ids are not here yet.
  void Merge(const ResourceMap& other);

  const Part& of(Kind kind) const { return *parts_[Index(kind)]; }
  // Whether both hold documents with the same text (and Workload::closed_because). Costs nothing for what both share.
  bool HasSameDocuments(const ResourceMap& other) const;
  // True: the two are equal, because they are still one shared copy. False: they may be equal or not.
  bool Shares(Kind kind, const ResourceMap& other) const { return parts_[Index(kind)] == other.parts_[Index(kind)]; }

 private:
  static constexpr std::size_t kKinds = kAllKinds.size();
  static std::size_t Index(Kind kind) { return static_cast<std::size_t>(kind); }
  static std::array<std::shared_ptr<Part>, kKinds> NoParts();
  Part& Edit(Kind kind);

  std::array<std::shared_ptr<Part>, kKinds> parts_ = NoParts();  // a part is written to only while it is not shared
};

}  // namespace sluice::policy
