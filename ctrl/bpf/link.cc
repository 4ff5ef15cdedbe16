#include "ctrl/bpf/link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include <cerrno>

#include "ctrl/base/fd.h"

namespace sluice::bpf {
namespace {

// clsact filters of ours: a fixed handle and priority, so that a restart replaces them.
constexpr std::uint32_t kTcHandle = 0x51;
constexpr std::uint32_t kTcPriority = 1;

// A pinned link goes on with the new program; false: there is none.
StatusOr<bool> TakeOver(int program_fd, const std::string& pin) {
  const Fd link(bpf_obj_get(pin.c_str()));
  if (!link.valid()) {
    if (errno == ENOENT) return false;
    return ErrnoError(errno, "open the pinned link {}", pin);
  }
  if (bpf_link_update(link.get(), program_fd, nullptr) == 0) return true;
  // The interface went away and its number came back: the link is defunct.
  if (errno == ENOLINK || errno == ENODEV) {
    unlink(pin.c_str());
    return false;
  }
  return ErrnoError(errno, "update the pinned link {}", pin);
}

Status Pin(int link_fd, const std::string& pin) {
  if (bpf_obj_pin(link_fd, pin.c_str()) == 0) return OkStatus();
  return ErrnoError(errno, "pin the link {}", pin);
}

// Off the interface when this returns; the last reference alone would let go of it some time later. False: no such pin.
StatusOr<bool> DetachPinned(const std::string& pin) {
  const Fd link(bpf_obj_get(pin.c_str()));
  if (!link.valid()) {
    if (errno == ENOENT) return false;
    return ErrnoError(errno, "open the pinned link {}", pin);
  }
  // ENOLINK: its interface went away.
  if (bpf_link_detach(link.get()) != 0 && errno != ENOLINK) return ErrnoError(errno, "detach the pinned link {}", pin);
  if (unlink(pin.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "unpin {}", pin);
  return true;
}

Status AttachClsact(int program_fd, std::uint32_t ifindex, TcDirection direction) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
              .attach_point = direction == TcDirection::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
  if (const int rc = bpf_tc_hook_create(&hook); rc != 0 && rc != -EEXIST)
    return ErrnoError(rc, "create clsact on ifindex {}", ifindex);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE, .handle = kTcHandle,
              .priority = kTcPriority);
  if (const int rc = bpf_tc_attach(&hook, &options); rc != 0)
    return ErrnoError(rc, "attach a clsact filter to ifindex {}", ifindex);
  return OkStatus();
}

}  // namespace

StatusOr<std::string> AttachTc(int program_fd, std::uint32_t ifindex, TcDirection direction, const std::string& pin) {
  SL_ASSIGN_OR_RETURN(const bool taken_over, TakeOver(program_fd, pin));
  if (taken_over) return std::string("tcx");
  const auto type = static_cast<bpf_attach_type>(direction == TcDirection::kIngress ? kTcxIngress : kTcxEgress);
  const Fd link(bpf_link_create(program_fd, static_cast<int>(ifindex), type, nullptr));
  if (link.valid()) {
    SL_RETURN_IF_ERROR(Pin(link.get(), pin));
    return std::string("tcx");
  }
  if (errno != EINVAL) return ErrnoError(errno, "attach tcx to ifindex {}", ifindex);
  SL_RETURN_IF_ERROR(AttachClsact(program_fd, ifindex, direction));
  return std::string("clsact");
}

Status DetachTc(std::uint32_t ifindex, TcDirection direction, const std::string& pin) {
  SL_ASSIGN_OR_RETURN(const bool detached, DetachPinned(pin));
  if (detached) return OkStatus();
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
              .attach_point = direction == TcDirection::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  const int rc = bpf_tc_detach(&hook, &options);
  if (rc == 0 || rc == -ENOENT || rc == -EINVAL || rc == -ENODEV) return OkStatus();
  return ErrnoError(rc, "detach the clsact filter of ifindex {}", ifindex);
}

StatusOr<std::string> AttachXdp(int program_fd, std::uint32_t ifindex, const std::string& pin) {
  const auto mode_of = [](std::uint32_t index) {
    xdp_multiprog* programs = xdp_multiprog__get_from_ifindex(static_cast<int>(index));
    const bool generic = libxdp_get_error(programs) == 0 && xdp_multiprog__attach_mode(programs) == XDP_MODE_SKB;
    if (libxdp_get_error(programs) == 0) xdp_multiprog__close(programs);
    return std::string(generic ? "xdp generic" : "xdp native");
  };
  SL_ASSIGN_OR_RETURN(const bool taken_over, TakeOver(program_fd, pin));
  if (taken_over) return mode_of(ifindex);
  LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
  Fd link(bpf_link_create(program_fd, static_cast<int>(ifindex), BPF_XDP, &native));
  std::string mode = "xdp native";
  if (!link.valid() && errno != EBUSY && errno != EEXIST && errno != EPERM) {
    LIBBPF_OPTS(bpf_link_create_opts, generic, .flags = XDP_FLAGS_SKB_MODE);
    link = Fd(bpf_link_create(program_fd, static_cast<int>(ifindex), BPF_XDP, &generic));
    mode = "xdp generic";
  }
  if (!link.valid() && (errno == EBUSY || errno == EEXIST))
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "attach XDP to ifindex {}: another program is attached there; detach it first", ifindex);
  if (!link.valid()) return ErrnoError(errno, "attach XDP to ifindex {}", ifindex);
  SL_RETURN_IF_ERROR(Pin(link.get(), pin));
  return mode;
}

Status DetachLink(const std::string& pin) { return DetachPinned(pin).status(); }

}  // namespace sluice::bpf
