#include "kernel/bpf/kernel_types.h"

#include <bpf/btf.h>

#include <cerrno>
#include <mutex>

#include "kernel/bpf/system.h"

namespace sluice::bpf {

StatusOr<std::shared_ptr<const btf>> KernelTypes() {
  static std::mutex mutex;
  static std::weak_ptr<const btf> held;
  const std::lock_guard lock(mutex);
  if (auto types = held.lock()) return types;
  btf* const read = btf__parse(kKernelTypes, nullptr);
  if (read == nullptr) return ErrnoError(errno, "read the kernel's types in {}", kKernelTypes);
  std::shared_ptr<const btf> types(read, [read](const btf*) { btf__free(read); });
  held = types;
  return types;
}

}  // namespace sluice::bpf
