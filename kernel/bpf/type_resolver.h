// The running kernel's types (BTF) for policies that name fields of its structures. Reads them at the first question,
// and keeps them (kernel_types.h). Not thread-safe.
#pragma once

#include <memory>
#include <string>

#include "policy/tracing/type_resolver.h"

struct btf;

namespace sluice::bpf {

class KernelTypeResolver : public policy::tracing::TypeResolver {
 public:
  StatusOr<std::vector<std::uint64_t>> Resolve(const policy::tracing::HookPoint& point,
                                               const policy::tracing::Argument& argument) const override;
  StatusOr<policy::tracing::ArgType> TypeOf(const policy::tracing::HookPoint& point, int index) const override;

 private:
  Status Read() const;
  StatusOr<std::uint32_t> TypeOfArgument(const policy::tracing::HookPoint& point, int index) const;

  mutable std::shared_ptr<const btf> types_;
};

}  // namespace sluice::bpf
