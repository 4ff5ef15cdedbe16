// The running kernel's types (BTF).
#pragma once

#include <memory>

#include "base/status.h"

struct btf;

namespace sluice::bpf {

// Reads them, which takes some 30 ms and 10 MB, unless somebody still holds what was read before. Thread-safe; so are
// questions to what it returns.
StatusOr<std::shared_ptr<const btf>> KernelTypes();

}  // namespace sluice::bpf
