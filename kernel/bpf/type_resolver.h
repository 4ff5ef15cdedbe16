// The running kernel's types (BTF) for policies that name fields of its structures. Reads them at the first question,
// some 10 MB, which it keeps. Not thread-safe.
#pragma once

#include <memory>
#include <string>

#include "policy/tracing/type_resolver.h"

struct btf;

namespace sluice::bpf {

class KernelTypeResolver : public policy::tracing::TypeResolver {
 public:
  KernelTypeResolver();
  ~KernelTypeResolver() override;

  StatusOr<std::vector<std::uint64_t>> Resolve(const policy::tracing::HookPoint& point,
                                               const policy::tracing::Argument& argument) const override;

 private:
  struct Deleter {
    void operator()(btf* types) const;
  };

  Status Read() const;
  StatusOr<std::uint32_t> TypeOfArgument(const policy::tracing::HookPoint& point, int index) const;

  mutable std::unique_ptr<btf, Deleter> types_;
};

}  // namespace sluice::bpf
