// Which places of a kernel array are in use. Ranges are taken first fit. No kernel, no threads.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/status.h"

namespace sluice::hooks {

struct Range {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  bool operator==(const Range&) const = default;
};

class Places {
 public:
  // Places first..end-1. `what` names them in errors: "hook tests".
  Places(std::string what, std::uint32_t first, std::uint32_t end)
      : what_(std::move(what)), capacity_(end - first), free_{{first, end - first}} {}

  // The first range at `from` or above, else below. ResourceExhausted names the table and how many are free.
  StatusOr<Range> Take(std::uint32_t count, std::uint32_t from = 0);
  // A range that was taken. An empty one is ignored.
  void Release(Range range);

  std::uint32_t used() const { return used_; }
  std::uint32_t capacity() const { return capacity_; }

 private:
  using Free = std::map<std::uint32_t, std::uint32_t>;  // first -> count; no two touch
  Range TakeFrom(Free::iterator free, std::uint32_t count);

  const std::string what_;
  const std::uint32_t capacity_;
  Free free_;
  std::uint32_t used_ = 0;
};

}  // namespace sluice::hooks
