// The agent's part in policy by process (bpf/abi/process_class.h): sets the patterns of each epoch, matches known
// programs and classes against them, and makes room for new ones. The sensors match new ones themselves. Thread-safe.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "bpf/abi/process.h"
#include "bpf/abi/process_class.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "policy/network/flat_map.h"

namespace sluice::datapath {

using ProgramPatterns = policy::FlatMap<std::uint32_t, sl_program_pattern>;  // by bit

class ProcessClasses {
 public:
  // `object` owns the maps and must outlive this.
  Status Bind(const bpf::DatapathObject& object);

  const ProgramPatterns& patterns(std::uint32_t epoch) const { return known_[epoch]; }  // as in the kernel
  // Sets the patterns of an epoch that is not in force. When it returns, the masks of every program and class are up to
  // date.
  Status SetPatterns(std::uint32_t epoch, const ProgramPatterns& patterns);

  // Whether the kernel holds the patterns of the last SetPatterns.
  StatusOr<bool> HoldsPatterns(std::uint32_t epoch) const;
  void Distrust(std::uint32_t epoch);  // the next SetPatterns writes everything

  // Gives each of these network namespaces (inode numbers) a share.
  Status SetShares(const std::set<std::uint32_t>& netns);

  // Matches again entries that the iterator of processes may have created from old patterns, as no grace period waits
  // for it. Removes unused entries if room is scarce. `now_ns` is CLOCK_MONOTONIC; `add_flows` adds the classes that
  // flows use.
  using AddFlows = std::function<Status(std::set<sl_process_class_number>& in_use)>;
  Status Tend(std::uint64_t now_ns, const AddFlows& add_flows);

  struct Fill {
    const char* map;
    std::uint64_t entries = 0;
    std::uint64_t capacity = 0;
    std::uint64_t refused = 0;  // since the maps were created
  };
  StatusOr<std::vector<Fill>> ReadFill() const;

 private:
  using Numbers = std::set<std::uint32_t>;
  using Programs = std::vector<std::pair<sl_program_path, sl_program>>;
  using Classes = std::vector<std::pair<sl_process_class_number, sl_process_class>>;
  Status MatchPrograms(std::uint32_t epoch);
  Status MatchClasses(std::uint32_t epoch);
  // Updates the kernel and `classes`; sets `changed` if there was anything to do.
  Status MatchClassesOnce(std::uint32_t epoch, const Programs& programs, Classes* classes, bool* changed);
  Status ForgetClasses(std::uint64_t now_ns, const AddFlows& add_flows);
  Status ForgetPrograms();
  using Shares = std::vector<std::pair<std::uint32_t, sl_process_share>>;
  // Sets each share's count from the tables, which were read after `before`.
  Status CountShares(const Shares& before, const Programs& programs, const Classes& classes);
  Status FindLastShare();
  void WarnOfRefused(const Shares& shares);

  mutable std::mutex mutex_;
  bpf::Map<__u32, sl_program_pattern> patterns_;
  bpf::Map<sl_program_path, sl_program> programs_;
  bpf::Map<sl_process_class_number, sl_process_class> classes_;
  bpf::Map<sl_process_facts, sl_process_class_number> numbers_;
  bpf::Map<__u32, sl_process> processes_;
  bpf::Map<__u32, __u32> share_of_;
  bpf::Map<__u32, sl_process_share> shares_;
  bpf::Map<__u32, sl_process_share_freed> freed_;
  ProgramPatterns known_[SL_EPOCHS];
  bool matched_[SL_EPOCHS] = {};  // all masks in the kernel are by known_
  Numbers unused_programs_;       // at the last check
  std::uint32_t last_share_ = SL_SHARE_FIRST;
  std::uint32_t warned_of_[SL_SHARED_TABLE_COUNT] = {};  // the number of refused entries at the last warning
};

}  // namespace sluice::datapath
