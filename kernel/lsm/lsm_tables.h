// The kernel's tables of KubeArmor policies (bpf/abi/lsm.h): fills the half that is not in force, and puts it in force.
// For LsmStore, which guards it by a lock.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/status.h"
#include "bpf/abi/lsm.h"
#include "kernel/bpf/map.h"
#include "policy/lsm/compiled.h"

namespace sluice::lsm {

// A memory-mapped BPF array.
class MappedArray {
 public:
  // The array has `entries` values of `value_bytes`.
  static StatusOr<MappedArray> Map(int fd, const char* name, std::size_t entries, std::size_t value_bytes);
  MappedArray() = default;
  MappedArray(MappedArray&& other) noexcept;
  MappedArray& operator=(MappedArray&& other) noexcept;
  ~MappedArray();

  char* at(std::size_t index) const { return memory_ + index * stride_; }

 private:
  char* memory_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t stride_ = 0;  // the kernel lays values out at multiples of 8 bytes
};

class LsmTables {
 public:
  // `map_fd`: of the programs' maps, by name. They must outlive it.
  static StatusOr<LsmTables> Bind(const std::function<int(const char* name)>& map_fd);

  std::uint64_t generation() const { return generation_; }  // in force

  // Fills the other half. To call when no program can be at work with it any more. `profiles`: of subjects, in
  // compiled.tables.profiles.
  Status Write(const policy::lsm::Compiled& compiled, const std::map<std::uint32_t, std::uint32_t>& profiles);
  // One store: from now on programs that begin decide by the other half. Those that run need a grace period.
  void PutInForce();
  // Sets a subject's profile in the half in force, null: none, and whether a container runtime starts its processes.
  Status SetSubject(std::uint32_t subject, const std::uint32_t* profile, bool of_runtime);
  // No profile in either half.
  Status RemoveSubject(std::uint32_t subject);

  // Of a rule of the generation in force, or of the one before.
  sl_lsm_counts Counts(std::uint64_t generation, std::uint32_t rule) const;

 private:
  LsmTables() = default;
  template <typename Value>
  void Copy(const std::vector<Value>& values, std::size_t capacity, std::uint32_t half, const MappedArray& to);

  MappedArray profiles_, rules_, targets_, cells_, automata_, numbers_, words_, counts_, root_;
  bpf::Map<std::uint32_t, sl_lsm_subject> subjects_;
  std::map<std::uint32_t, sl_lsm_subject> known_;  // as in the map; others are 0
  std::uint64_t generation_ = 0;
};

}  // namespace sluice::lsm
