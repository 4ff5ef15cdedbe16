#include "kernel/bpf/link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.h"
#include "kernel/bpf/hook.h"

namespace sluice::bpf {
namespace {

// Invalid: there is no such pin.
StatusOr<Fd> OpenPinnedLink(const std::string& pin) {
  auto link = OpenPinned(pin);
  if (link.ok() || !absl::IsNotFound(link.status())) return link;
  return Fd();
}

// Gives a pinned link the new program; an invalid descriptor: there is no usable link.
StatusOr<Fd> TakeOver(int program_fd, const std::string& pin) {
  SL_ASSIGN_OR_RETURN(Fd link, OpenPinnedLink(pin));
  if (!link.valid()) return link;
  const auto updated = UpdateLink(link.get(), program_fd);
  if (!updated.ok()) return Annotate(updated.status(), pin);
  if (*updated) return link;
  unlink(pin.c_str());  // the interface is gone, and another one has its number
  return Fd();
}

// False: no such pin.
StatusOr<bool> DetachPinned(const std::string& pin) {
  SL_ASSIGN_OR_RETURN(const Fd link, OpenPinnedLink(pin));
  if (!link.valid()) return false;
  SL_RETURN_IF_ERROR(Annotate(DetachLink(link.get()), pin));
  if (unlink(pin.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "unpin {}", pin);
  return true;
}

bpf_tc_hook ClsactHook(std::uint32_t ifindex, TcDirection direction) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
              .attach_point = direction == TcDirection::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
  return hook;
}

Status AttachClsact(int program_fd, std::uint32_t ifindex, TcDirection direction) {
  bpf_tc_hook hook = ClsactHook(ifindex, direction);
  if (const int rc = bpf_tc_hook_create(&hook); rc != 0 && rc != -EEXIST)
    return ErrnoError(rc, "create clsact on ifindex {}", ifindex);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE, .handle = kTcHandle,
              .priority = kTcPriority);
  if (const int rc = bpf_tc_attach(&hook, &options); rc != 0)
    return ErrnoError(rc, "attach a clsact filter to ifindex {}", ifindex);
  return OkStatus();
}

// The name of the program that is attached, for an error.
std::string XdpProgramAt(const AdminCalls& calls, std::uint32_t ifindex) {
  const auto ids = ProgramsAt(ifindex, Hook::kXdp);
  if (!ids.ok() || ids->empty()) return "unknown";
  const auto program = calls.OpenProgram(ids->front());
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  if (!program.ok() || bpf_obj_get_info_by_fd(program->get(), &info, &length) != 0)
    return fmt::format("program {}", ids->front());
  const std::string name = info.name;
  if (name == "xdp_dispatcher") return "libxdp's dispatcher for several programs";
  return name.empty() ? "unnamed" : name;
}

}  // namespace

StatusOr<Fd> OpenPinned(const std::string& path) {
  Fd pinned(bpf_obj_get(path.c_str()));
  if (!pinned.valid()) return ErrnoError(errno, "open the pin {}", path);
  return pinned;
}

StatusOr<bool> UpdateLink(int link_fd, int program_fd) {
  if (bpf_link_update(link_fd, program_fd, nullptr) == 0) return true;
  if (errno == ENOLINK || errno == ENODEV) return false;
  return ErrnoError(errno, "replace the program of a link");
}

Status DetachLink(int link_fd) {
  if (bpf_link_detach(link_fd) == 0 || errno == ENOLINK) return OkStatus();
  return ErrnoError(errno, "detach a link");
}

Status PinAt(int fd, const std::string& pin) {
  const std::string fresh = pin + "-new";
  unlink(fresh.c_str());  // left by an agent that was killed here
  if (bpf_obj_pin(fd, fresh.c_str()) != 0) return ErrnoError(errno, "pin {}", fresh);
  if (rename(fresh.c_str(), pin.c_str()) == 0) return OkStatus();
  const int error = errno;
  unlink(fresh.c_str());
  return ErrnoError(error, "pin {}", pin);
}

StatusOr<AttachedLink> AttachTc(int program_fd, std::uint32_t ifindex, TcDirection direction, const std::string& pin) {
  SL_ASSIGN_OR_RETURN(Fd taken_over, TakeOver(program_fd, pin));
  if (taken_over.valid()) return AttachedLink{"tcx", std::move(taken_over)};
  const auto type = static_cast<bpf_attach_type>(direction == TcDirection::kIngress ? kTcxIngress : kTcxEgress);
  Fd link(bpf_link_create(program_fd, static_cast<int>(ifindex), type, nullptr));
  if (link.valid()) {
    SL_RETURN_IF_ERROR(PinAt(link.get(), pin));
    return AttachedLink{"tcx", std::move(link)};
  }
  if (errno != EINVAL) return ErrnoError(errno, "attach tcx to ifindex {}", ifindex);
  SL_RETURN_IF_ERROR(AttachClsact(program_fd, ifindex, direction));
  return AttachedLink{"clsact", Fd()};
}

Status DetachTc(std::uint32_t ifindex, TcDirection direction, const std::string& pin) {
  SL_ASSIGN_OR_RETURN(const bool detached, DetachPinned(pin));
  if (detached) return OkStatus();
  const bpf_tc_hook hook = ClsactHook(ifindex, direction);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  const int rc = bpf_tc_detach(&hook, &options);
  if (rc == 0 || rc == -ENOENT || rc == -EINVAL || rc == -ENODEV) return OkStatus();
  return ErrnoError(rc, "detach the clsact filter of ifindex {}", ifindex);
}

StatusOr<std::vector<std::uint32_t>> ClsactPrograms(std::uint32_t ifindex, TcDirection direction) {
  const bpf_tc_hook hook = ClsactHook(ifindex, direction);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kTcHandle, .priority = kTcPriority);
  const int rc = bpf_tc_query(&hook, &options);
  if (rc == 0) return std::vector<std::uint32_t>{options.prog_id};
  if (rc == -ENOENT || rc == -EINVAL || rc == -ENODEV) return std::vector<std::uint32_t>();
  return ErrnoError(rc, "look up the clsact filter of ifindex {}", ifindex);
}

std::string XdpModeAt(std::uint32_t ifindex) {
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  const bool generic =
      bpf_xdp_query(static_cast<int>(ifindex), 0, &query) == 0 && query.attach_mode == XDP_ATTACHED_SKB;
  return generic ? "xdp generic" : "xdp native";
}

StatusOr<AttachedLink> AttachXdp(const AdminCalls& calls, int program_fd, std::uint32_t ifindex,
                                 const std::string& pin) {
  SL_ASSIGN_OR_RETURN(Fd taken_over, TakeOver(program_fd, pin));
  if (taken_over.valid()) return AttachedLink{XdpModeAt(ifindex), std::move(taken_over)};
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
                     "attach XDP to ifindex {}: another program is attached there ({}); detach it first", ifindex,
                     XdpProgramAt(calls, ifindex));
  if (!link.valid()) return ErrnoError(errno, "attach XDP to ifindex {}", ifindex);
  SL_RETURN_IF_ERROR(PinAt(link.get(), pin));
  return AttachedLink{mode, std::move(link)};
}

Status DetachLink(const std::string& pin) { return DetachPinned(pin).status(); }

}  // namespace sluice::bpf
