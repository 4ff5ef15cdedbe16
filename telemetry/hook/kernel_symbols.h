// The kernel's functions by address. Immutable; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sluice::telemetry {

class KernelSymbols {
 public:
  struct Symbol {
    std::string_view name;    // lives as long as the symbols
    std::string_view module;  // empty: of the kernel itself
    std::uint64_t offset = 0;
  };

  // Error: the file cannot be read, or the kernel hides addresses from this process (kptr_restrict).
  static StatusOr<KernelSymbols> Read(const std::string& path = "/proc/kallsyms");
  static StatusOr<KernelSymbols> Parse(std::string_view text);

  // The function that `address` is in; nothing: it is before the first one.
  std::optional<Symbol> Find(std::uint64_t address) const;
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::uint64_t address;
    std::uint32_t begin;  // of the name in names_, and then of the module
    std::uint16_t name_length;
    std::uint16_t module_length;
  };
  std::vector<Entry> entries_;  // by address
  std::string names_;
};

}  // namespace sluice::telemetry
