#include "kernel/bpf/clsact.h"

#include <bpf/libbpf.h>

#include <cerrno>

#include "kernel/bpf/load_log.h"

namespace sluice::bpf {
namespace {

bpf_tc_hook HookAt(std::uint32_t ifindex, TcDirection direction) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
              .attach_point = direction == TcDirection::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
  return hook;
}

}  // namespace

StatusOr<bool> AttachClsact(int program_fd, std::uint32_t ifindex, TcDirection direction, Handle handle) {
  bpf_tc_hook hook = HookAt(ifindex, direction);
  const int created = bpf_tc_hook_create(&hook);
  if (created != 0 && created != -EEXIST) return ErrnoError(created, "create clsact on ifindex {}", ifindex);
  const __u32 flags = handle == Handle::kIsOurs ? BPF_TC_F_REPLACE : 0;
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .flags = flags, .handle = kTcHandle,
              .priority = kTcPriority);
  if (const int rc = bpf_tc_attach(&hook, &options); rc != 0)
    return ErrnoError(rc, "attach a clsact filter to ifindex {}", ifindex);
  return created == 0;
}

Status DetachClsact(std::uint32_t ifindex, TcDirection direction) {
  const LoadLog no_qdisc_is_no_warning;
  const bpf_tc_hook hook = HookAt(ifindex, direction);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  const int rc = bpf_tc_detach(&hook, &options);
  if (rc == 0 || rc == -ENOENT || rc == -EINVAL || rc == -ENODEV) return OkStatus();
  return ErrnoError(rc, "detach the clsact filter of ifindex {}", ifindex);
}

StatusOr<std::vector<std::uint32_t>> ClsactPrograms(std::uint32_t ifindex, TcDirection direction) {
  const LoadLog no_qdisc_is_no_warning;
  const bpf_tc_hook hook = HookAt(ifindex, direction);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  const int rc = bpf_tc_query(&hook, &options);
  if (rc == 0) return std::vector<std::uint32_t>{options.prog_id};
  if (rc == -ENOENT || rc == -EINVAL || rc == -ENODEV) return std::vector<std::uint32_t>();
  return ErrnoError(rc, "look up the clsact filter of ifindex {}", ifindex);
}

Status DeleteClsact(std::uint32_t ifindex) {
  const LoadLog no_qdisc_is_no_warning;
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
              .attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  const int rc = bpf_tc_hook_destroy(&hook);
  if (rc == 0 || rc == -ENOENT || rc == -EINVAL || rc == -ENODEV) return OkStatus();
  return ErrnoError(rc, "delete the qdisc clsact of ifindex {}", ifindex);
}

}  // namespace sluice::bpf
