// Typed access to one BPF map. Does not own the descriptor: the DatapathObject does, and must outlive it.
//   SL_RETURN_IF_ERROR(addresses.Put(key, value));
// Errors name the map. Thread-safe as the bpf(2) calls are.
#pragma once

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/status.h"

namespace sluice::bpf {

template <typename K, typename V>
class Map {
  static_assert(std::is_trivially_copyable_v<K> && std::is_standard_layout_v<K>);
  static_assert(std::has_unique_object_representations_v<K>, "hidden padding in a map key");
  static_assert(std::is_trivially_copyable_v<V> && std::is_standard_layout_v<V>);
  static_assert(std::has_unique_object_representations_v<V>, "hidden padding in a map value");

 public:
  Map() = default;

  // InvalidArgument if the sizes of K and V differ from the kernel's (per-CPU maps: V is one CPU's value).
  static StatusOr<Map> Bind(int fd, std::string name) {
    bpf_map_info info{};
    __u32 length = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) return ErrnoError(errno, "map {}: read its info", name);
    if (info.key_size != sizeof(K) || info.value_size != sizeof(V))
      return InvalidError("map {}: key and value have {} and {} bytes, expected {} and {}", name, info.key_size,
                          info.value_size, sizeof(K), sizeof(V));
    return Map(fd, std::move(name), info.max_entries);
  }

  Status Put(const K& key, const V& value) const {
    if (bpf_map_update_elem(fd_, &key, &value, BPF_ANY) == 0) return OkStatus();
    if (errno == E2BIG || errno == ENOSPC)
      return MakeError(absl::StatusCode::kResourceExhausted, "map {} is full ({} entries)", name_, capacity_);
    return ErrnoError(errno, "map {}: put", name_);
  }

  // OK if there is no such key.
  Status Delete(const K& key) const {
    if (bpf_map_delete_elem(fd_, &key) == 0 || errno == ENOENT) return OkStatus();
    return ErrnoError(errno, "map {}: delete", name_);
  }

  // Puts all, in few calls if the kernel supports batches for this map type. After an error, some are done.
  Status PutAll(const std::vector<K>& keys, const std::vector<V>& values) const {
    std::size_t done = InBatches(keys.size(), [&](std::size_t first, __u32* count) {
      return bpf_map_update_batch(fd_, &keys[first], &values[first], count, nullptr);
    });
    for (; done < keys.size(); ++done) SL_RETURN_IF_ERROR(Put(keys[done], values[done]));
    return OkStatus();
  }
  Status DeleteAll(const std::vector<K>& keys) const {
    std::size_t done = InBatches(keys.size(), [&](std::size_t first, __u32* count) {
      return bpf_map_delete_batch(fd_, &keys[first], count, nullptr);
    });
    for (; done < keys.size(); ++done) SL_RETURN_IF_ERROR(Delete(keys[done]));
    return OkStatus();
  }

  StatusOr<std::optional<V>> Get(const K& key) const {
    V value;
    if (bpf_map_lookup_elem(fd_, &key, &value) == 0) return std::optional<V>(value);
    if (errno == ENOENT) return std::optional<V>();
    return ErrnoError(errno, "map {}: get", name_);
  }

  // Visits every entry that is not changed meanwhile once, and perhaps others. For LPM tries and small maps.
  Status ForEach(const std::function<void(const K&, const V&)>& visit) const {
    K key, next;
    const K* previous = nullptr;
    for (std::uint64_t seen = 0; seen <= 4ULL * capacity_ && bpf_map_get_next_key(fd_, previous, &next) == 0; ++seen) {
      V value;
      if (bpf_map_lookup_elem(fd_, &next, &value) == 0) visit(next, value);
      key = next;
      previous = &key;
    }
    return OkStatus();
  }

  // As ForEach, in batches: for hash maps.
  Status ForEachBatch(const std::function<void(const K&, const V&)>& visit) const {
    std::uint32_t batch_size = 4096;
    std::vector<K> keys(batch_size);
    std::vector<V> values(batch_size);
    __u32 in = 0, out = 0;
    bool first = true;
    for (;;) {
      __u32 count = batch_size;
      const int rc =
          bpf_map_lookup_batch(fd_, first ? nullptr : &in, &out, keys.data(), values.data(), &count, nullptr);
      const int err = errno;
      if (rc != 0 && err == ENOSPC) {  // one bucket holds more than a batch
        batch_size *= 2;
        keys.resize(batch_size);
        values.resize(batch_size);
        continue;
      }
      if (rc != 0 && err != ENOENT) return ErrnoError(err, "map {}: read a batch", name_);
      for (__u32 i = 0; i < count; ++i) visit(keys[i], values[i]);
      if (rc != 0) return OkStatus();
      in = out;
      first = false;
    }
  }

  int fd() const { return fd_; }
  const std::string& name() const { return name_; }
  std::uint32_t capacity() const { return capacity_; }

 private:
  // Returns how many of `size` entries are done: all, or those before the first one that failed or was not tried.
  template <typename Call>
  static std::size_t InBatches(std::size_t size, const Call& call) {
    constexpr std::size_t kAtOnce = 16384;  // a signal is handled only after the call
    std::size_t done = 0;
    while (done < size) {
      const auto wanted = static_cast<__u32>(std::min(size - done, kAtOnce));
      __u32 count = wanted;
      const bool ok = call(done, &count) == 0;
      if (ok || count < wanted) done += count;  // some errors do not set `count`
      if (!ok) break;
    }
    return done;
  }

  Map(int fd, std::string name, std::uint32_t capacity) : fd_(fd), name_(std::move(name)), capacity_(capacity) {}

  int fd_ = -1;
  std::string name_;
  std::uint32_t capacity_ = 0;
};

// One value per CPU for each key.
template <typename K, typename V>
class PerCpuMap {
  static_assert(sizeof(V) % 8 == 0, "the kernel lays per-CPU values out at multiples of 8");

 public:
  PerCpuMap() = default;
  PerCpuMap(int fd, std::string name, int cpus) : fd_(fd), name_(std::move(name)), cpus_(cpus) {}

  // One value for each possible CPU.
  StatusOr<std::vector<V>> Get(const K& key) const {
    std::vector<V> values(cpus_);
    if (bpf_map_lookup_elem(fd_, &key, values.data()) != 0) return ErrnoError(errno, "map {}: get", name_);
    return values;
  }

  // Puts the same value for each CPU.
  Status Put(const K& key, const V& value) const {
    const std::vector<V> values(cpus_, value);
    if (bpf_map_update_elem(fd_, &key, values.data(), BPF_ANY) != 0) return ErrnoError(errno, "map {}: put", name_);
    return OkStatus();
  }

  Status Zero(const K& key) const { return Put(key, V{}); }

 private:
  int fd_ = -1;
  std::string name_;
  int cpus_ = 0;
};

template <typename V>
using PerCpuArray = PerCpuMap<std::uint32_t, V>;

}  // namespace sluice::bpf
