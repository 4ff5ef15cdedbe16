// The pins of links of hook policies and of KubeArmor policies, which enforce them without an agent. Each agent pins
// into a directory of its own, its life's, since its maps are its own; it ends the others once its policies are in
// force.
#pragma once

#include <string>

#include "base/status.h"
#include "kernel/bpf/pin_layout.h"

namespace sluice::bpf {

enum class HookPins { kHooks, kLsm };  // hook policies, KubeArmor policies

// Makes a directory for a new life, and returns its path.
StatusOr<std::string> MakeHookLife(const PinLayout& layout, HookPins pins = HookPins::kHooks);

// Ends the hooks of all other lives, also of those of other layouts below the same root.
Status EndOtherHooks(const PinLayout& layout, const std::string& life, HookPins pins = HookPins::kHooks);

// Ends the hooks of every life of a layout: nothing of hook and KubeArmor policies is enforced then.
Status ReleaseHooks(const PinLayout& layout);

}  // namespace sluice::bpf
