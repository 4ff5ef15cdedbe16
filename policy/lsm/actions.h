// What a rule says about an operation that it matches. Pure.
#pragma once

#include <array>
#include <string_view>

namespace sluice::policy::lsm {

enum class Action { kAllow, kAudit, kBlock };

struct ActionInfo {
  Action action;
  std::string_view name;     // as policies write it
  std::string_view meaning;  // for people
};

// In the order of Action.
inline constexpr std::array kActions = {
    ActionInfo{Action::kAllow, "Allow", "lets it pass, and makes the section an allow list"},
    ActionInfo{Action::kAudit, "Audit", "lets it pass if nothing blocks it, and reports it"},
    ActionInfo{Action::kBlock, "Block", "refuses it, and reports it; the default"},
};

constexpr const ActionInfo& InfoOf(Action action) { return kActions[static_cast<std::size_t>(action)]; }

}  // namespace sluice::policy::lsm
