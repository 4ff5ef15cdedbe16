// Rules without a list, by name. Pure.
#pragma once

#include <array>
#include <string_view>

namespace sluice::policy::lsm {

enum class Preset { kProtectEnv, kFilelessExec, kExec, kProtectProc, kAnonMapExec };

struct PresetInfo {
  Preset preset;
  std::string_view name;     // as policies write it
  std::string_view meaning;  // for people
};

// In the order of Preset.
inline constexpr std::array kPresets = {
    PresetInfo{Preset::kProtectEnv, "protectEnv", "a process opens /proc/PID/environ of another process"},
    PresetInfo{Preset::kFilelessExec, "filelessExec", "a program is executed that is in memory only (memfd, /dev/shm)"},
    PresetInfo{Preset::kExec, "exec", "a program is started in a container from outside, as by `kubectl exec`"},
    PresetInfo{Preset::kProtectProc, "protectProc", "a process opens a file below /proc/PID of another process"},
    PresetInfo{Preset::kAnonMapExec, "anonMapExec", "memory without a file behind it becomes executable"},
};

constexpr const PresetInfo& InfoOf(Preset preset) { return kPresets[static_cast<std::size_t>(preset)]; }

}  // namespace sluice::policy::lsm
