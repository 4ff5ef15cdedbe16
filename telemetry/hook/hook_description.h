// What a hook is, in events. Pure.
#pragma once

#include <functional>
#include <memory>

#include "api/sluice.pb.h"
#include "policy/tracing/compiled.h"
#include "telemetry/hook/hook_calls.h"

namespace sluice::telemetry {

struct HookDescription {
  std::shared_ptr<const policy::tracing::CompiledPolicy> policy;
  std::size_t hook = 0;  // in policy->hooks
};

// Finds sl_hook_event.hook of the policy with sl_hook_event.life; nothing: it is known no more. From any thread.
using HookDescriber = std::function<std::optional<HookDescription>(std::uint32_t hook, std::uint32_t life)>;

// Fills what the record and the policy say. `out` has time, process and workload already.
void FillHook(const HookCall& call, const HookDescription& description, v1::Hook* out);

}  // namespace sluice::telemetry
