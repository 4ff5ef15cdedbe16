#include "kernel/bpf/socket_probes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "bpf/abi/process.h"
#include "kernel/bpf/cgroup_root.h"
#include "kernel/bpf/iterator.h"
#include "kernel/bpf/load_log.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/bpf/socket_iterator.h"
#include "kernel/bpf/system.h"
#include "skel/socket_bpf.skel.h"

namespace sluice::bpf {
namespace {

using Programs = std::vector<bpf_program*>;

constexpr const char* kPinned[] = {"processes", "process_ids",    "socket_changes",
                                   "sockets",   "sockets_closed", "datagram_senders"};

Programs OfCgroup(const socket_bpf* skeleton, SocketBackEnd back_end) {
  const auto& programs = skeleton->progs;
  if (back_end == SocketBackEnd::kTracepoint)
    return {programs.cg_getpeername4, programs.cg_getpeername6, programs.cg_release};
  if (back_end == SocketBackEnd::kFunction) return {};
  return {programs.cg_create,   programs.cg_bind4, programs.cg_bind6, programs.cg_connect4,
          programs.cg_connect6, programs.cg_send,  programs.cg_close};
}

Programs OfTracing(const socket_bpf* skeleton, SocketBackEnd back_end) {
  const auto& programs = skeleton->progs;
  if (back_end == SocketBackEnd::kTracepoint) return {programs.tp_tcp_send, programs.tp_receive};
  return {programs.fn_tcp_send, programs.fn_accept};
}

const auto kWritesNothing = [](std::string_view) {};

std::uint64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

Status IterateFiles(const bpf_program* program) {
  const std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(bpf_program__attach_iter(program, nullptr),
                                                           bpf_link__destroy);
  if (!link) return ErrnoError(errno, "create the iterator {}", bpf_program__name(program));
  const Fd iterator(bpf_iter_create(bpf_link__fd(link.get())));
  if (!iterator.valid()) return ErrnoError(errno, "open the iterator {}", bpf_program__name(program));
  return Annotate(ReadIterator(iterator.get(), kWritesNothing), bpf_program__name(program));
}

}  // namespace

const char* ToString(SocketBackEnd back_end) {
  switch (back_end) {
    case SocketBackEnd::kFunction:
      return "function";
    case SocketBackEnd::kTracepoint:
      return "tracepoint";
    case SocketBackEnd::kAuto:
      break;
  }
  return "auto";
}

StatusOr<std::unique_ptr<SocketProbes>> SocketProbes::Start(const SocketProbeOptions& options) {
  if (options.back_end != SocketBackEnd::kAuto) return StartWith(options.back_end, options);
  if (auto probes = StartWith(SocketBackEnd::kFunction, options); probes.ok()) return probes;
  return StartWith(SocketBackEnd::kTracepoint, options);
}

StatusOr<std::unique_ptr<SocketProbes>> SocketProbes::StartWith(SocketBackEnd back_end,
                                                                const SocketProbeOptions& options) {
  LIBBPF_OPTS(bpf_object_open_opts, options_of_libbpf, .btf_custom_path = kKernelTypes);
  socket_bpf* skeleton = socket_bpf__open_opts(&options_of_libbpf);
  if (skeleton == nullptr) return ErrnoError(errno, "open the socket probes' BPF object");
  std::unique_ptr<SocketProbes> probes(new SocketProbes(skeleton, back_end));
  SL_RETURN_IF_ERROR(probes->Load(options));
  SL_RETURN_IF_ERROR(probes->Attach());
  if (!options.pin_root.empty()) SL_RETURN_IF_ERROR(PinProbes(PinLayout(options.pin_root), "sockets", probes->links_));
  SL_RETURN_IF_ERROR(probes->Seed(options.admin_calls ? *options.admin_calls : OwnAdminCalls()));
  return probes;
}

Status SocketProbes::Load(const SocketProbeOptions& options) {
  const LoadLog log;
  for (const auto other : {SocketBackEnd::kFunction, SocketBackEnd::kTracepoint}) {
    for (bpf_program* program : OfTracing(skeleton_, other)) bpf_program__set_autoload(program, other == back_end_);
    for (bpf_program* program : OfCgroup(skeleton_, other)) bpf_program__set_autoload(program, other == back_end_);
  }
  skeleton_->rodata->session = Now();
  if (!options.pin_root.empty())
    SL_RETURN_IF_ERROR(PlanPins(skeleton_->obj, kPinned, PinLayout(options.pin_root), PinnedSize::kAsItIs));
  const int rc = socket_bpf__load(skeleton_);
  if (rc == 0) return OkStatus();
  const auto code = rc == -EPERM || rc == -EACCES ? absl::StatusCode::kPermissionDenied  // verifier refusals too
                                                  : absl::StatusCode::kFailedPrecondition;
  return MakeError(code, "load the socket probes by {} (they need CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN): {}: {}",
                   ToString(back_end_), strerror(-rc), log.LastLines(12));
}

Status SocketProbes::Attach() {
  const LoadLog log;
  SL_ASSIGN_OR_RETURN(const Fd root, OpenCgroupRoot());
  const auto keep = [&](bpf_program* program, bpf_link* link) -> Status {
    if (link == nullptr)
      return MakeError(absl::StatusCode::kFailedPrecondition, "attach the socket probe {} to {}: {}: {}",
                       bpf_program__name(program), bpf_program__section_name(program), strerror(errno),
                       log.LastLines(2));
    links_.push_back({bpf_program__name(program), link});
    return OkStatus();
  };
  for (const auto part : {SocketBackEnd::kAuto, back_end_})
    for (bpf_program* program : OfCgroup(skeleton_, part))
      SL_RETURN_IF_ERROR(keep(program, bpf_program__attach_cgroup(program, root.get())));
  for (bpf_program* program : OfTracing(skeleton_, back_end_))
    SL_RETURN_IF_ERROR(keep(program, bpf_program__attach(program)));
  return OkStatus();
}

Status SocketProbes::Seed(const AdminCalls& calls) {
  SL_RETURN_IF_ERROR(IterateFiles(skeleton_->progs.note_holders));
  SL_ASSIGN_OR_RETURN(const std::vector<Fd> namespaces, OpenNamespaces());
  std::vector<int> netns_fds;
  for (const Fd& netns : namespaces) netns_fds.push_back(netns.get());
  for (const bpf_program* program : {skeleton_->progs.give_tcp_owners, skeleton_->progs.give_udp_owners})
    SL_RETURN_IF_ERROR(IterateSockets(program, calls, netns_fds, kWritesNothing));
  using Holders = Map<std::uint64_t, sl_socket_holder>;
  SL_ASSIGN_OR_RETURN(const auto holders, Holders::Bind(bpf_map__fd(skeleton_->maps.socket_holders), "socket_holders"));
  std::vector<std::uint64_t> inodes;
  SL_RETURN_IF_ERROR(
      holders.ForEachBatch([&](const std::uint64_t& inode, const sl_socket_holder&) { inodes.push_back(inode); }));
  for (const std::uint64_t inode : inodes) SL_RETURN_IF_ERROR(holders.Delete(inode));
  return OkStatus();
}

SocketProbes::~SocketProbes() {
  for (const AttachedProbe& probe : links_) bpf_link__destroy(probe.link);
  socket_bpf__destroy(skeleton_);
}

Feature SocketProbes::feature() const {
  return {
      "socket_functions", back_end_ == SocketBackEnd::kFunction,
      "a process that accepts a connection without its address is known only from its first send, receive or close"};
}

}  // namespace sluice::bpf
