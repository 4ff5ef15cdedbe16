// What was set for a hook policy at run time, beside its document.
#pragma once

#include <map>
#include <optional>

#include "policy/resource/model.h"

namespace sluice::hooks {

struct HookSetting {
  bool enabled = true;          // false: nothing of the policy is in the kernel
  std::optional<bool> monitor;  // instead of the document's policy-mode
  bool operator==(const HookSetting&) const = default;
};

// One that is HookSetting() has no entry.
using HookSettings = std::map<policy::ResourceId, HookSetting>;
inline const HookSettings kNoHookSettings;

inline HookSetting SettingOf(const HookSettings& settings, const policy::ResourceId& id) {
  const auto found = settings.find(id);
  return found == settings.end() ? HookSetting() : found->second;
}

// What is absent stays.
struct HookSettingChange {
  std::optional<bool> enabled;
  std::optional<bool> monitor;
};

inline void Make(const HookSettingChange& change, const policy::ResourceId& id, HookSettings* settings) {
  HookSetting setting = SettingOf(*settings, id);
  if (change.enabled) setting.enabled = *change.enabled;
  if (change.monitor) setting.monitor = change.monitor;
  if (setting == HookSetting()) {
    settings->erase(id);
  } else {
    (*settings)[id] = setting;
  }
}

}  // namespace sluice::hooks
