// The kernel's tables of whose a process is (bpf/lib/subject.bpf.h): which cgroup and network namespace belongs to
// which subject, as numbers. One for each set of programs, which guards it by a lock.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/hook.h"
#include "kernel/bpf/map.h"
#include "kernel/hooks/places.h"

namespace sluice::hooks {

class SubjectPlaces {
 public:
  // `map_fd`: of the programs' maps, by name.
  static StatusOr<SubjectPlaces> Create(const std::function<int(const char* name)>& map_fd);

  // Replaces the list of subjects, which have a `key`, `cgroups` and `netns` as hooks::Subject. `put` prepares a
  // subject before its processes are found to be its own. A failure for one subject does not keep the others out; the
  // first is returned. Where two subjects have one cgroup or namespace, the first one has it. `gone`: the numbers of
  // subjects that are gone, for Release after a grace period.
  template <typename Subject>
  Status Set(const std::vector<Subject>& subjects,
             const std::function<Status(std::uint32_t number, const Subject& subject)>& put,
             std::vector<std::uint32_t>* gone) {
    Status first;
    Entries cgroups, netns;
    std::set<std::string> keys;
    for (const Subject& subject : subjects) {
      keys.insert(subject.key);
      const auto number = NumberOf(subject.key);
      const Status done = number.ok() ? put(*number, subject) : number.status();
      if (!done.ok()) {
        first.Update(done);
        continue;
      }
      for (const std::uint64_t id : subject.cgroups) cgroups.emplace(id, *number);
      for (const std::uint32_t inode : subject.netns) netns.emplace(inode, *number);
    }
    first.Update(Replace(cgroups, netns));
    Forget(keys, gone);
    return first;
  }
  void Release(const std::vector<std::uint32_t>& gone);

  const std::map<std::string, std::uint32_t>& numbers() const { return numbers_; }  // without the host, which is 0

 private:
  using Entries = std::map<std::uint64_t, std::uint32_t>;  // cgroup or namespace -> subject

  SubjectPlaces() = default;
  StatusOr<std::uint32_t> NumberOf(const std::string& key);
  Status Replace(const Entries& cgroups, const Entries& netns);
  template <typename Key>
  static Status Replace(const bpf::Map<Key, std::uint32_t>& map, const Entries& wanted, Entries* known);
  void Forget(const std::set<std::string>& keys, std::vector<std::uint32_t>* gone);

  bpf::Map<std::uint64_t, std::uint32_t> cgroups_;
  bpf::Map<std::uint32_t, std::uint32_t> netns_;
  bpf::Map<std::uint32_t, std::uint64_t> shares_;
  Places places_{"subjects of hook policies", 1, SL_HOOK_SUBJECTS};
  std::map<std::string, std::uint32_t> numbers_;
  Entries known_cgroups_, known_netns_;
};

}  // namespace sluice::hooks
