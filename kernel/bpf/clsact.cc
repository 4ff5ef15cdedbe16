#include "kernel/bpf/clsact.h"

#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/fd.h"

namespace sluice::bpf {
namespace {

bpf_tc_hook HookAt(std::uint32_t ifindex, TcDirection direction) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
              .attach_point = direction == TcDirection::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
  return hook;
}

// Whether the kernel's answer to a dump names a filter.
StatusOr<bool> ReadFilters(const Fd& socket, std::uint32_t ifindex) {
  alignas(nlmsghdr) std::array<char, 16384> answer;
  bool found = false;
  while (true) {
    const ssize_t size = recv(socket.get(), answer.data(), answer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ErrnoError(errno, "list the tc filters of ifindex {}", ifindex);
    auto left = static_cast<unsigned int>(size);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(answer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return found;
      if (message->nlmsg_type == NLMSG_ERROR) {
        const int error = -static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
        return ErrnoError(error, "list the tc filters of ifindex {}", ifindex);
      }
      found |= message->nlmsg_type == RTM_NEWTFILTER;
    }
  }
}

// Anybody's. libbpf finds a filter by its handle only.
StatusOr<bool> HasFilters(std::uint32_t ifindex, std::uint32_t side) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return ErrnoError(errno, "open a netlink socket");
  struct {
    nlmsghdr header{};
    tcmsg body{};
  } request;
  request.header = {.nlmsg_len = sizeof(request),
                    .nlmsg_type = RTM_GETTFILTER,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                    .nlmsg_seq = 1,
                    .nlmsg_pid = 0};
  request.body.tcm_ifindex = static_cast<int>(ifindex);
  request.body.tcm_parent = TC_H_MAKE(TC_H_CLSACT, side);
  if (send(socket.get(), &request, sizeof(request), 0) < 0) {
    return ErrnoError(errno, "list the tc filters of ifindex {}", ifindex);
  }
  return ReadFilters(socket, ifindex);
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
  const bpf_tc_hook hook = HookAt(ifindex, direction);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  const int rc = bpf_tc_detach(&hook, &options);
  if (rc == 0 || rc == -ENOENT || rc == -EINVAL || rc == -ENODEV) return OkStatus();
  return ErrnoError(rc, "detach the clsact filter of ifindex {}", ifindex);
}

StatusOr<std::vector<std::uint32_t>> ClsactPrograms(std::uint32_t ifindex, TcDirection direction) {
  const bpf_tc_hook hook = HookAt(ifindex, direction);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  const int rc = bpf_tc_query(&hook, &options);
  if (rc == 0) return std::vector<std::uint32_t>{options.prog_id};
  if (rc == -ENOENT || rc == -EINVAL || rc == -ENODEV) return std::vector<std::uint32_t>();
  return ErrnoError(rc, "look up the clsact filter of ifindex {}", ifindex);
}

StatusOr<bool> RemoveEmptyClsact(std::uint32_t ifindex) {
  for (const std::uint32_t side : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
    const StatusOr<bool> has_filters = HasFilters(ifindex, side);
    if (has_filters.ok() && *has_filters) return false;
    if (absl::IsNotFound(has_filters.status())) return true;  // the interface has gone
    SL_RETURN_IF_ERROR(has_filters.status());
  }
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
              .attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  const int rc = bpf_tc_hook_destroy(&hook);
  if (rc == 0 || rc == -ENOENT || rc == -EINVAL || rc == -ENODEV) return true;
  return ErrnoError(rc, "delete the qdisc clsact of ifindex {}", ifindex);
}

}  // namespace sluice::bpf
