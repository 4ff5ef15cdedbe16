#include "kernel/bpf/service_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "kernel/bpf/cgroup_root.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/load_log.h"
#include "kernel/bpf/probe_pins.h"
#include "kernel/bpf/socket_iterator.h"
#include "kernel/bpf/system.h"
#include "skel/service_bpf.skel.h"

namespace sluice::bpf {
namespace {

constexpr const char* kServiceMaps[] = {"services",        "service_backends", "service_numbers",
                                        "service_clients", "service_affinity", "service_sockets"};

std::vector<bpf_program*> AtSockets(const service_bpf* skeleton) {
  const auto& programs = skeleton->progs;
  return {programs.sv_connect4, programs.sv_connect6, programs.sv_sendmsg4,     programs.sv_sendmsg6,
          programs.sv_recvmsg4, programs.sv_recvmsg6, programs.sv_getpeername4, programs.sv_getpeername6};
}

// False also for a link whose program somebody detached.
bool IsAttachedLink(int link) {
  bpf_link_info info{};
  __u32 length = sizeof(info);
  return link >= 0 && bpf_obj_get_info_by_fd(link, &info, &length) == 0 && info.type == BPF_LINK_TYPE_CGROUP &&
         info.cgroup.cgroup_id != 0;
}

}  // namespace

StatusOr<std::unique_ptr<ServicePrograms>> ServicePrograms::Start(const std::string& pin_root) {
  LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = kKernelTypes);
  service_bpf* skeleton = service_bpf__open_opts(&options);
  if (skeleton == nullptr) return ErrnoError(errno, "open the BPF object of Services");
  std::unique_ptr<ServicePrograms> programs(new ServicePrograms(skeleton));
  const PinLayout layout(pin_root);
  SL_RETURN_IF_ERROR(programs->Load(layout));
  SL_RETURN_IF_ERROR(programs->Attach(layout));
  return programs;
}

ServicePrograms::~ServicePrograms() { service_bpf__destroy(skeleton_); }

Status ServicePrograms::Load(const PinLayout& layout) {
  can_set_error_ = libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval, nullptr) == 1;
  const LoadLog log;
  skeleton_->rodata->can_set_error = can_set_error_ ? 1 : 0;
  SL_RETURN_IF_ERROR(PlanPins(skeleton_->obj, kServiceMaps, layout, PinnedSize::kAsItIs));
  const int rc = service_bpf__load(skeleton_);
  if (rc == 0) return OkStatus();
  const auto code = rc == -EPERM || rc == -EACCES ? absl::StatusCode::kPermissionDenied  // verifier refusals too
                                                  : absl::StatusCode::kFailedPrecondition;
  return MakeError(code, "load the programs of Services (they need CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN): {}: {}",
                   strerror(-rc), log.LastLines(12));
}

Status ServicePrograms::AttachNew(Attached& one) const {
  const auto type = bpf_program__expected_attach_type(one.program);
  one.link = Fd(bpf_link_create(bpf_program__fd(one.program), root_.get(), type, nullptr));
  if (!one.link.valid())
    return ErrnoError(errno, "attach {} to the root of the cgroups", bpf_program__section_name(one.program));
  return PinAt(one.link.get(), one.pin);
}

Status ServicePrograms::Attach(const PinLayout& layout) {
  const std::lock_guard lock(mutex_);
  SL_ASSIGN_OR_RETURN(root_, OpenCgroupRoot());
  std::error_code error;
  std::filesystem::create_directories(layout.services_dir(), error);
  if (error) return ErrnoError(error.value(), "create {} (is a BPF file system mounted there?)", layout.services_dir());
  for (bpf_program* const program : AtSockets(skeleton_)) {
    Attached one{.program = program, .pin = layout.services_dir() + "/" + bpf_program__name(program), .link = Fd()};
    auto pinned = OpenPinned(one.pin);
    if (!pinned.ok() && !absl::IsNotFound(pinned.status())) return pinned.status();
    bool taken_over = false;
    if (pinned.ok() && IsAttachedLink(pinned->get())) {
      SL_ASSIGN_OR_RETURN(taken_over, UpdateLink(pinned->get(), bpf_program__fd(program)));
    }
    if (taken_over) {
      one.link = *std::move(pinned);
    } else {
      SL_RETURN_IF_ERROR(AttachNew(one));
    }
    attached_.push_back(std::move(one));
  }
  return OkStatus();
}

StatusOr<int> ServicePrograms::Repair() {
  const std::lock_guard lock(mutex_);
  int repaired = 0;
  for (Attached& one : attached_) {
    if (!IsAttachedLink(one.link.get())) {
      SL_RETURN_IF_ERROR(AttachNew(one));
      ++repaired;
      continue;
    }
    const auto pinned = OpenPinned(one.pin);
    if (pinned.ok() && IdOfLink(pinned->get()) == IdOfLink(one.link.get())) continue;
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(one.pin).parent_path(), error);
    SL_RETURN_IF_ERROR(PinAt(one.link.get(), one.pin));
    ++repaired;
  }
  return repaired;
}

StatusOr<std::vector<sl_stale_socket>> ServicePrograms::FindStaleSockets(const AdminCalls& calls, int netns_fd) {
  std::string bytes;
  SL_RETURN_IF_ERROR(IterateSockets(skeleton_->progs.sv_stale_sockets, calls, {&netns_fd, 1},
                                    [&bytes](std::string_view part) { bytes += part; }));
  std::vector<sl_stale_socket> sockets(bytes.size() / sizeof(sl_stale_socket));
  if (!sockets.empty()) std::memcpy(sockets.data(), bytes.data(), sockets.size() * sizeof(sl_stale_socket));
  // An iterator may show a socket again, when others come meanwhile.
  std::sort(sockets.begin(), sockets.end(), [](const auto& a, const auto& b) { return a.cookie < b.cookie; });
  const auto same = [](const auto& a, const auto& b) { return a.cookie == b.cookie; };
  sockets.erase(std::unique(sockets.begin(), sockets.end(), same), sockets.end());
  return sockets;
}

std::vector<Feature> ServicePrograms::features() const {
  return {{"service_refusal", can_set_error_,
           "a connection to a Service without backends fails with EPERM, not with ECONNREFUSED (kernel 5.18)"}};
}

Status ServicePrograms::Release(const PinLayout& layout) {
  std::error_code error;
  std::filesystem::remove_all(layout.services_dir(), error);
  if (error) return ErrnoError(error.value(), "end the programs of Services in {}", layout.services_dir());
  return OkStatus();
}

}  // namespace sluice::bpf
