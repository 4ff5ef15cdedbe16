// Looks at all bytes of each record, as whoever decodes it does, and counts the records. `count` from any thread; Add
// from one at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice::perf {

class Digest {
 public:
  void Add(const void* record, std::size_t size) {
    const auto* const bytes = static_cast<const char*>(record);
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at + sizeof(sum) <= size; at += sizeof(sum)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes + at, sizeof(word));
      sum += word;
    }
    sum_ = sum;
    count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  volatile std::uint64_t sum_ = 0;  // keeps the compiler from removing the work
  std::atomic<std::uint64_t> count_ = 0;
};

}  // namespace sluice::perf
