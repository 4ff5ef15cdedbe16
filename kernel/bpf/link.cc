#include "kernel/bpf/link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iterator>

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

// A program that leaves each packet to the next one at the hook.
StatusOr<Fd> LoadPassing() {
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = TC_ACT_UNSPEC},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "sl_pass", "Dual BSD/GPL", instructions, std::size(instructions),
                           nullptr));
  if (!program.valid()) return ErrnoError(errno, "load a program that passes packets on");
  return program;
}

// Makes a pinned link; an invalid descriptor: the kernel has no TCX. `passing`, if valid, runs
// until the link is pinned, in front of a filter.
StatusOr<Fd> MakeTcxLink(int program_fd, std::uint32_t ifindex, TcDirection direction, const std::string& pin,
                         const Fd& passing) {
  const auto type = static_cast<bpf_attach_type>(direction == TcDirection::kIngress ? kTcxIngress : kTcxEgress);
  const int first = passing.valid() ? passing.get() : program_fd;
  Fd link(bpf_link_create(first, static_cast<int>(ifindex), type, nullptr));
  if (!link.valid() && errno == EINVAL) return link;
  if (!link.valid()) return ErrnoError(errno, "attach tcx to ifindex {}", ifindex);
  SL_RETURN_IF_ERROR(PinAt(link.get(), pin));
  if (!passing.valid()) return link;
  SL_ASSIGN_OR_RETURN(const bool updated, UpdateLink(link.get(), program_fd));
  if (!updated) return MakeError(absl::StatusCode::kNotFound, "attach tcx to ifindex {}: it has gone", ifindex);
  return link;
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

StatusOr<AttachedLink> AttachTc(int program_fd, std::uint32_t ifindex, TcDirection direction, const std::string& pin,
                                bool has_filter) {
  SL_ASSIGN_OR_RETURN(Fd link, TakeOver(program_fd, pin));
  if (!link.valid()) {
    Fd passing;
    if (has_filter) {
      SL_ASSIGN_OR_RETURN(passing, LoadPassing());
    }
    SL_ASSIGN_OR_RETURN(link, MakeTcxLink(program_fd, ifindex, direction, pin, passing));
  }
  if (!link.valid()) {
    SL_RETURN_IF_ERROR(AttachClsact(program_fd, ifindex, direction).status());
    return AttachedLink{"clsact", Fd()};
  }
  if (has_filter) SL_RETURN_IF_ERROR(DetachClsact(ifindex, direction));
  return AttachedLink{"tcx", std::move(link)};
}

Status DetachTc(std::uint32_t ifindex, TcDirection direction, const std::string& pin) {
  SL_ASSIGN_OR_RETURN(const bool detached, DetachPinned(pin));
  return detached ? OkStatus() : DetachClsact(ifindex, direction);
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

std::uint32_t IdOfLink(int link) {
  bpf_link_info info{};
  __u32 length = sizeof(info);
  return bpf_obj_get_info_by_fd(link, &info, &length) == 0 ? info.id : 0;
}

}  // namespace sluice::bpf
