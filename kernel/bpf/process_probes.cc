#include "kernel/bpf/process_probes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "kernel/bpf/load_log.h"
#include "kernel/bpf/map_size.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/bpf/probe_pins.h"
#include "kernel/bpf/system.h"
#include "skel/process_bpf.skel.h"

namespace sluice::bpf {
namespace {

constexpr const char* kProcessPins[] = {
    "processes",        "process_ids",     "socket_changes",        "program_patterns",
    "programs",         "process_classes", "process_class_numbers", "process_class_counters",
    "process_share_of", "process_shares",  "process_shares_freed"};
constexpr sl_process_loss_key kOtherLosses{.cgroup = 0, .cpu = ~0U, .cause = 0, .event = 0, .pad = {}};

// In the order in which they are attached: if a process's beginning is seen, its end is seen too.
std::array<bpf_program*, 3> BackEndPrograms(const process_bpf* skeleton, ProcessBackEnd back_end) {
  const auto& programs = skeleton->progs;
  if (back_end == ProcessBackEnd::kKprobe) return {programs.kp_exit, programs.kp_exec, programs.kp_fork};
  return {programs.tp_exit, programs.tp_exec, programs.tp_fork};
}

// Null: errno has the reason.
StatusOr<bpf_link*> AttachKprobe(bpf_program* program, const AdminCalls& calls) {
  const std::string_view section = bpf_program__section_name(program);
  SL_ASSIGN_OR_RETURN(const Fd event, calls.OpenKprobe(section.substr(section.find('/') + 1)));
  const int links_own = fcntl(event.get(), F_DUPFD_CLOEXEC, 0);
  if (links_own < 0) return nullptr;
  bpf_link* const link = bpf_program__attach_perf_event(program, links_own);
  if (link == nullptr) close(links_own);
  return link;
}

}  // namespace

StatusOr<ProcessBackEnd> ParseProcessBackEnd(const std::string& name) {
  for (const auto back_end : {ProcessBackEnd::kAuto, ProcessBackEnd::kTracepoint, ProcessBackEnd::kKprobe}) {
    if (name == ToString(back_end)) return back_end;
  }
  return InvalidError("no process sensors of kind {}: must be auto, tracepoint or kprobe", name);
}

const char* ToString(ProcessBackEnd back_end) {
  switch (back_end) {
    case ProcessBackEnd::kTracepoint:
      return "tracepoint";
    case ProcessBackEnd::kKprobe:
      return "kprobe";
    case ProcessBackEnd::kAuto:
      break;
  }
  return "auto";
}

StatusOr<std::unique_ptr<ProcessProbes>> ProcessProbes::Start(const ProcessProbeOptions& options,
                                                              const RingReader::Consume& consume) {
  if (options.back_end != ProcessBackEnd::kAuto) return StartWith(options.back_end, options, consume);
  if (HasKprobes()) {
    auto probes = StartWith(ProcessBackEnd::kKprobe, options, consume);
    if (probes.ok()) return probes;
  }
  return StartWith(ProcessBackEnd::kTracepoint, options, consume);
}

StatusOr<std::unique_ptr<ProcessProbes>> ProcessProbes::StartWith(ProcessBackEnd back_end,
                                                                  const ProcessProbeOptions& options,
                                                                  const RingReader::Consume& consume) {
  LIBBPF_OPTS(bpf_object_open_opts, options_of_libbpf, .btf_custom_path = kKernelTypes);
  process_bpf* skeleton = process_bpf__open_opts(&options_of_libbpf);
  if (skeleton == nullptr) return ErrnoError(errno, "open the process sensors' BPF object");
  std::unique_ptr<ProcessProbes> probes(new ProcessProbes(skeleton, back_end));
  SL_RETURN_IF_ERROR(probes->Load(options));
  SL_RETURN_IF_ERROR(probes->OpenReaders(consume));
  SL_RETURN_IF_ERROR(probes->ForgetTheDead());
  SL_RETURN_IF_ERROR(probes->Attach(options.admin_calls != nullptr ? *options.admin_calls : OwnAdminCalls()));
  if (!options.pin_root.empty()) SL_RETURN_IF_ERROR(probes->Pin(PinLayout(options.pin_root)));
  return probes;
}

Status ProcessProbes::Load(const ProcessProbeOptions& options) {
  const LoadLog log;
  for (const auto other : {ProcessBackEnd::kTracepoint, ProcessBackEnd::kKprobe}) {
    for (bpf_program* program : BackEndPrograms(skeleton_, other))
      bpf_program__set_autoload(program, other == back_end_);
  }
  SL_ASSIGN_OR_RETURN(const int cpus, PossibleCpus());
  SL_RETURN_IF_ERROR(SetMapSize(skeleton_->maps.process_scratch, static_cast<std::uint32_t>(cpus) + 1));
  SL_RETURN_IF_ERROR(SetMapSize(skeleton_->maps.processes, options.max_processes));
  SL_RETURN_IF_ERROR(SetMapSize(skeleton_->maps.process_events, options.ring_bytes));
  const auto size = [](const bpf_map* map) { return bpf_map__max_entries(map); };
  skeleton_->rodata->shared_capacity[SL_SHARED_PROGRAMS] = size(skeleton_->maps.programs);
  skeleton_->rodata->shared_capacity[SL_SHARED_CLASSES] = size(skeleton_->maps.process_classes);
  skeleton_->rodata->shared_capacity[SL_SHARED_PROCESSES] = options.max_processes;
  skeleton_->rodata->iterator_scratch = static_cast<std::uint32_t>(cpus);
  skeleton_->rodata->ring_half = options.ring_bytes / 2;
  skeleton_->rodata->wake_bytes = options.ring_bytes / 4;
  skeleton_->bss->seeding = 1;
  if (!options.pin_root.empty())
    SL_RETURN_IF_ERROR(PlanPins(skeleton_->obj, kProcessPins, PinLayout(options.pin_root), PinnedSize::kAsAskedFor));
  const int rc = process_bpf__load(skeleton_);
  if (rc == 0) return OkStatus();
  const auto code = rc == -EPERM || rc == -EACCES ? absl::StatusCode::kPermissionDenied  // verifier refusals too
                                                  : absl::StatusCode::kFailedPrecondition;
  return MakeError(code,
                   "load the process sensors by {} (they need Linux 6.1 or newer, CAP_BPF and CAP_PERFMON): {}: {}",
                   ToString(back_end_), strerror(-rc), log.LastLines(12));
}

Status ProcessProbes::OpenReaders(const RingReader::Consume& consume) {
  const auto fd = [](const bpf_map* map) { return bpf_map__fd(map); };
  SL_ASSIGN_OR_RETURN(processes_, decltype(processes_)::Bind(fd(skeleton_->maps.processes), "processes"));
  SL_ASSIGN_OR_RETURN(shares_, decltype(shares_)::Bind(fd(skeleton_->maps.process_shares), "process_shares"));
  SL_ASSIGN_OR_RETURN(claims_, decltype(claims_)::Bind(fd(skeleton_->maps.process_claims), "process_claims"));
  SL_ASSIGN_OR_RETURN(losses_, decltype(losses_)::Bind(fd(skeleton_->maps.process_losses), "process_losses"));
  SL_RETURN_IF_ERROR(losses_.Put(kOtherLosses, 0));
  const int events = fd(skeleton_->maps.process_events);
  SL_ASSIGN_OR_RETURN(ring_, RingReader::Open(events, consume, "process_events"));
  SL_ASSIGN_OR_RETURN(wait_, RingWait::Open(events, "process_events"));
  return OkStatus();
}

// Removes processes that ended while no sensor ran. If a new process is removed by mistake, the iterator adds it again.
Status ProcessProbes::ForgetTheDead() {
  std::vector<std::uint32_t> dead;
  SL_RETURN_IF_ERROR(processes_.ForEachBatch([&](const std::uint32_t& pid, const sl_process&) {
    if (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) dead.push_back(pid);
  }));
  for (const std::uint32_t pid : dead) SL_RETURN_IF_ERROR(processes_.Delete(pid));
  return OkStatus();
}

Status ProcessProbes::Attach(const AdminCalls& calls) {
  const LoadLog log;
  for (bpf_program* program : BackEndPrograms(skeleton_, back_end_)) {
    bpf_link* link = nullptr;
    if (back_end_ == ProcessBackEnd::kKprobe) {
      SL_ASSIGN_OR_RETURN(link, AttachKprobe(program, calls));
    } else {
      link = bpf_program__attach(program);
    }
    if (link == nullptr) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "attach the process sensor {} to {}: {}: {}",
                       bpf_program__name(program), bpf_program__section_name(program), strerror(errno),
                       log.LastLines(2));
    }
    links_.push_back(link);
  }
  iterator_ = bpf_program__attach_iter(skeleton_->progs.iterate_tasks, nullptr);
  if (iterator_ == nullptr) return ErrnoError(errno, "create the iterator of processes: {}", log.LastLines(2));
  return OkStatus();
}

Status ProcessProbes::Pin(const PinLayout& layout) {
  std::vector<AttachedProbe> attached;
  const auto programs = BackEndPrograms(skeleton_, back_end_);
  for (std::size_t i = 0; i < programs.size(); ++i) attached.push_back({bpf_program__name(programs[i]), links_[i]});
  return PinProbes(layout, "processes", attached);
}

ProcessProbes::~ProcessProbes() {
  for (bpf_link* link : links_) bpf_link__destroy(link);
  bpf_link__destroy(iterator_);
  ring_.reset();
  process_bpf__destroy(skeleton_);
}

Status ProcessProbes::Seed() {
  if (skeleton_->bss->seeding == 0) {
    skeleton_->bss->seeding = 1;
    SL_RETURN_IF_ERROR(WaitForRunningPrograms());  // from here on every sensor uses process_claims
  }
  const Status iterated = Iterate();
  SL_RETURN_IF_ERROR(EndSeeding());
  SL_RETURN_IF_ERROR(iterated);
  return Drain().status();
}

Status ProcessProbes::Iterate() {
  const Fd iterator(bpf_iter_create(bpf_link__fd(iterator_)));
  if (!iterator.valid()) return ErrnoError(errno, "start the iterator of processes");
  std::uint64_t tick;  // one for each process, so that the ring needs room for only one of these records
  for (;;) {
    const ssize_t size = read(iterator.get(), &tick, sizeof(tick));
    if (size < 0 && errno != EAGAIN && errno != EINTR) return ErrnoError(errno, "iterate over the processes");
    SL_RETURN_IF_ERROR(Drain().status());
    if (size == 0) return OkStatus();
  }
}

Status ProcessProbes::EndSeeding() {
  skeleton_->bss->seeding = 0;
  SL_RETURN_IF_ERROR(WaitForRunningPrograms());  // no sensor uses the claims any more
  std::vector<sl_process_claim_key> claims;
  SL_RETURN_IF_ERROR(
      claims_.ForEachBatch([&](const sl_process_claim_key& key, const sl_process_claim&) { claims.push_back(key); }));
  for (const sl_process_claim_key& key : claims) SL_RETURN_IF_ERROR(claims_.Delete(key));
  return OkStatus();
}

StatusOr<std::vector<ProcessLoss>> ProcessProbes::TakeLosses() {
  std::vector<ProcessLoss> losses;
  const std::uint64_t total = skeleton_->bss->losses_total;
  if (total == known_loss_total_) return losses;
  SL_RETURN_IF_ERROR(losses_.ForEachBatch([&](const sl_process_loss_key& key, const std::uint64_t& count) {
    std::uint64_t& known = known_losses_[{key.cgroup, key.cpu, key.cause, key.event}];
    if (count > known) losses.push_back({key, count - known});
    known = count;
  }));
  known_loss_total_ = total;
  return losses;
}

StatusOr<MapFill> ProcessProbes::ReadFill() const {
  MapFill fill{.entries = 0, .capacity = processes_.capacity(), .refused = 0};
  SL_ASSIGN_OR_RETURN(const auto total, shares_.Get(SL_SHARE_TOTAL));
  if (total) fill.refused = total->refused[SL_SHARED_PROCESSES];
  SL_RETURN_IF_ERROR(processes_.ForEachBatch([&](const std::uint32_t&, const sl_process&) { fill.entries++; }));
  return fill;
}

Feature ProcessProbes::feature() const {
  return {"process_kprobes", back_end_ == ProcessBackEnd::kKprobe,
          "process events come from tracepoints: the same events; every thread that exits runs a program"};
}

int ProcessProbes::program_fd(const std::string& name) const {
  const bpf_program* program = bpf_object__find_program_by_name(skeleton_->obj, name.c_str());
  return program == nullptr ? -1 : bpf_program__fd(program);
}

int ProcessProbes::map_fd(const std::string& name) const {
  const bpf_map* map = bpf_object__find_map_by_name(skeleton_->obj, name.c_str());
  return map == nullptr ? -1 : bpf_map__fd(map);
}

}  // namespace sluice::bpf
