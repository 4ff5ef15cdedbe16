// The kernel's types, for `resolve`. Pure: the running kernel's are in kernel/bpf/type_resolver.h.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "policy/tracing/compiled.h"

namespace sluice::policy::tracing {

class TypeResolver {
 public:
  virtual ~TypeResolver() = default;

  // The way from the value of an argument of the point, or from the current task, along argument.resolve: steps as
  // SL_HOOK_STEP. Texts within a structure are not loaded: their address is the end of the way.
  // NotFound names the field or type that this kernel has not; InvalidArgument the field that cannot be followed.
  virtual StatusOr<std::vector<std::uint64_t>> Resolve(const HookPoint& point, const Argument& argument) const = 0;

  // What the kernel says of an argument of the point. InvalidArgument: it is of a type that cannot be shown.
  virtual StatusOr<ArgType> TypeOf(const HookPoint& point, int index) const = 0;
};

}  // namespace sluice::policy::tracing
