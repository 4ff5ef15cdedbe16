// Arguments of hooks as messages. Pure.
#pragma once

#include "api/sluice.pb.h"
#include "policy/tracing/model.h"
#include "telemetry/hook/hook_record.h"

namespace sluice::telemetry {

// `wanted`: the policy's words for the argument. `how`: how the kernel was told to read it.
v1::HookArgument MakeHookArgument(const HookValue& value, const policy::tracing::Argument& wanted,
                                  const sl_hook_argument& how);

// Without a value if the policy's type for it is not a number.
v1::HookArgument MakeReturnValue(std::int64_t value, const policy::tracing::Argument& wanted,
                                 const sl_hook_argument& how);

}  // namespace sluice::telemetry
