#include "policy/rules/event_types.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "policy/resource/system_calls.h"

namespace sluice::policy::rules {
namespace {

// Events that are no system call, and system calls by a name that is not the kernel's own (stat is newstat there).
constexpr std::array<std::string_view, 53> kMoreEventTypes = {"asyncevent",
                                                              "container",
                                                              "cpu_hotplug",
                                                              "drop",
                                                              "fadvise64",
                                                              "fork",
                                                              "fstat",
                                                              "fstat64",
                                                              "fstatat64",
                                                              "groupadded",
                                                              "groupdeleted",
                                                              "infra",
                                                              "k8s",
                                                              "llseek",
                                                              "lstat",
                                                              "lstat64",
                                                              "mesos",
                                                              "mmap2",
                                                              "notification",
                                                              "page_fault",
                                                              "pluginevent",
                                                              "pread",
                                                              "procexit",
                                                              "procinfo",
                                                              "pwrite",
                                                              "recv",
                                                              "scapevent",
                                                              "select",
                                                              "send",
                                                              "sendfile",
                                                              "setgroups32",
                                                              "setuid32",
                                                              "sigaction",
                                                              "signaldeliver",
                                                              "stat",
                                                              "stat64",
                                                              "switch",
                                                              "sync_file_range2",
                                                              "syscall",
                                                              "task",
                                                              "task_file_anon_inode",
                                                              "task_file_directory",
                                                              "task_file_memfd",
                                                              "task_file_pipe",
                                                              "task_file_regular",
                                                              "task_file_socket_inet",
                                                              "task_file_socket_inet6",
                                                              "task_file_socket_netlink",
                                                              "task_file_socket_unix",
                                                              "tracer",
                                                              "uname",
                                                              "useradded",
                                                              "userdeleted"};

const std::vector<std::string_view>& SortedNames() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> all(kMoreEventTypes.begin(), kMoreEventTypes.end());
    for (const SystemCall& call : SystemCalls()) all.push_back(call.name);
    all.insert(all.end(), {"newfstatat", "umount", "umount2"});
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    if (all.size() > kMaxEventTypes) std::abort();  // a list of this file has grown: so must the set
    return all;
  }();
  return names;
}

}  // namespace

std::span<const std::string_view> EventTypeNames() { return SortedNames(); }

std::optional<EventType> FindEventType(std::string_view name) {
  const auto& names = SortedNames();
  const auto at = std::lower_bound(names.begin(), names.end(), name);
  if (at == names.end() || *at != name) return std::nullopt;
  return static_cast<EventType>(at - names.begin());
}

std::string_view NameOf(EventType type) {
  return type < SortedNames().size() ? SortedNames()[type] : std::string_view();
}

const EventSet& AllEventTypes() {
  static const EventSet all = [] {
    EventSet set;
    for (std::size_t i = 0; i < SortedNames().size(); ++i) set.set(i);
    return set;
  }();
  return all;
}

}  // namespace sluice::policy::rules
