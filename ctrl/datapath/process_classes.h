// The agent's part in policy by process (bpf/abi/process_class.h): the patterns of each slot, what the programs and
// classes that are known already match of them, and room for new ones. What is new meanwhile the sensors match
// themselves. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "bpf/abi/process.h"
#include "bpf/abi/process_class.h"
#include "ctrl/bpf/map.h"
#include "ctrl/bpf/object.h"
#include "policy/flat_map.h"

namespace sluice::datapath {

using ProgramPatterns = policy::FlatMap<std::uint32_t, sl_program_pattern>;  // by bit

class ProcessClasses {
 public:
  // `object` has the maps and outlives this.
  Status Bind(const bpf::DatapathObject& object);

  const ProgramPatterns& patterns(std::uint32_t slot) const { return known_[slot]; }  // what the kernel holds
  // Makes `patterns` those of a slot that is not in force. When it returns, every program and class matches by them.
  Status SetPatterns(std::uint32_t slot, const ProgramPatterns& patterns);

  // Matches once more what the iterator of processes, which no grace period waits for, may have made from old patterns;
  // and removes what is out of use where room gets scarce. `add_flows` adds the classes that flows have.
  Status Tend(const std::function<Status(std::set<sl_process_class_number>& in_use)>& add_flows);

  struct Fill {
    const char* map;
    std::uint64_t entries = 0;
    std::uint64_t capacity = 0;
  };
  StatusOr<std::vector<Fill>> ReadFill() const;

 private:
  using Numbers = std::set<std::uint32_t>;
  Status MatchPrograms(std::uint32_t slot);
  Status MatchClasses(std::uint32_t slot);
  StatusOr<bool> MatchClassesOnce(std::uint32_t slot);
  Status ForgetClasses(const Numbers& in_use);
  Status ForgetPrograms();

  mutable std::mutex mutex_;
  bpf::Map<__u32, sl_program_pattern> patterns_;
  bpf::Map<sl_program_path, sl_program> programs_;
  bpf::Map<sl_process_class_number, sl_process_class> classes_;
  bpf::Map<sl_process_facts, sl_process_class_number> numbers_;
  bpf::Map<__u32, sl_process> processes_;
  ProgramPatterns known_[SL_SLOTS];
  bool matched_[SL_SLOTS] = {};  // everything in the kernel is by known_
  Numbers unused_programs_;      // when they were last looked at
};

}  // namespace sluice::datapath
