#include "kernel/bpf/hook_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/log.h"
#include "kernel/bpf/hook_pins.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/load_log.h"
#include "kernel/bpf/map_size.h"
#include "kernel/bpf/point_program.h"
#include "kernel/bpf/program_copy.h"
#include "kernel/bpf/running_processes.h"
#include "kernel/bpf/system.h"
#include "kernel/bpf/system_call.h"
#include "kernel/bpf/tracing_files.h"
#include "skel/hooks_bpf.skel.h"

namespace sluice::bpf {
namespace {

using policy::tracing::HookPoint;

// As in bpf/hooks/hook_maps.bpf.h.
constexpr std::uint32_t kScratchesOfCpu = 3;  // SL_HOOK_LEVELS
constexpr std::size_t kMostHeld = 4096;       // of hook_held_events
constexpr std::chrono::minutes kForgetInterval{1};

Status Share(bpf_map* map, int fd) {
  const int rc = bpf_map__reuse_fd(map, fd);
  return rc == 0 ? OkStatus() : ErrnoError(rc, "take over the map {}", bpf_map__name(map));
}

Status NoSuchFunction(const std::string& function) {
  return MakeError(absl::StatusCode::kNotFound,
                   "this kernel has no function {} that a program can be attached to: names of its functions are in "
                   "/proc/kallsyms. With `ignore: {{callNotFound: true}}` the policy applies without this hook",
                   function);
}

Status NoKprobes(const std::string& function) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   "the function {} needs a kernel with kprobes (CONFIG_KPROBES and CONFIG_KPROBE_EVENTS), which this "
                   "one lacks",
                   function);
}

// Of points whose programs are loaded for them.
PointProgram::Kind PointProgramOf(HookPoint::Kind kind, bool at_return) {
  if (at_return) return PointProgram::Kind::kFunctionReturn;
  switch (kind) {
    case HookPoint::Kind::kLsm:
      return PointProgram::Kind::kLsm;
    case HookPoint::Kind::kDenyingFunction:
      return PointProgram::Kind::kDenyingFunction;
    case HookPoint::Kind::kDenyingSyscall:
      return PointProgram::Kind::kDenyingSyscall;
    case HookPoint::Kind::kTrampoline:
      return PointProgram::Kind::kFunctionEnter;
    case HookPoint::Kind::kFunction:
    case HookPoint::Kind::kSyscall:
    case HookPoint::Kind::kRawTracepoint:
    case HookPoint::Kind::kTracepoint:
    case HookPoint::Kind::kProgram:
    case HookPoint::Kind::kStaticProbe:
      break;
  }
  return PointProgram::Kind::kRawTracepoint;
}

}  // namespace

std::string ToString(const HookPoint& point) {
  switch (point.kind) {
    case HookPoint::Kind::kFunction:
      return point.name;
    case HookPoint::Kind::kSyscall:
      return "the system call " + point.name;
    case HookPoint::Kind::kRawTracepoint:
      return "the raw tracepoint " + point.name;
    case HookPoint::Kind::kLsm:
      return "the LSM hook " + point.name;
    case HookPoint::Kind::kTrampoline:
      return fmt::format("{} by fentry", point.name);
    case HookPoint::Kind::kDenyingFunction:
      return fmt::format("{} by fmod_ret", point.name);
    case HookPoint::Kind::kDenyingSyscall:
      return fmt::format("the system call {} by fmod_ret", point.name);
    case HookPoint::Kind::kTracepoint:
      return fmt::format("the tracepoint {}/{}", point.group, point.name);
    case HookPoint::Kind::kProgram:
      return fmt::format("{} of {}", point.name, point.group);
    case HookPoint::Kind::kStaticProbe:
      return fmt::format("the static probe {} of {}", point.name, point.group);
  }
  return point.name;
}

StatusOr<std::unique_ptr<HookPrograms>> HookPrograms::Load(const HookProgramOptions& options) {
  LIBBPF_OPTS(bpf_object_open_opts, options_of_libbpf, .btf_custom_path = kKernelTypes);
  hooks_bpf* const skeleton = hooks_bpf__open_opts(&options_of_libbpf);
  if (skeleton == nullptr) return ErrnoError(errno, "open the BPF object of hook policies");
  std::unique_ptr<HookPrograms> programs(
      new HookPrograms(skeleton, options.admin_calls != nullptr ? *options.admin_calls : OwnAdminCalls()));
  SL_RETURN_IF_ERROR(programs->LoadObject(options));
  SL_ASSIGN_OR_RETURN(programs->syscalls_,
                      decltype(syscalls_)::Bind(programs->map_fd("hook_syscalls"), "hook_syscalls"));
  SL_ASSIGN_OR_RETURN(programs->settings_,
                      decltype(settings_)::Bind(programs->map_fd("hook_settings"), "hook_settings"));
  SL_ASSIGN_OR_RETURN(programs->progress_,
                      decltype(progress_)::Bind(programs->map_fd("hook_progress"), "hook_progress"));
  SL_RETURN_IF_ERROR(programs->SubjectsChanged(1));
  SL_ASSIGN_OR_RETURN(programs->wait_, RingWait::Open(programs->map_fd("hook_events"), "hook_events"));
  if (options.pin_root.empty()) return programs;
  programs->pin_root_ = options.pin_root;
  SL_ASSIGN_OR_RETURN(programs->life_dir_, MakeHookLife(PinLayout(options.pin_root)));
  return programs;
}

Status HookPrograms::LoadObject(const HookProgramOptions& options) {
  const LoadLog log;
  const bool kprobes = HasKprobes();
  syscalls_by_tracepoint_ =
      options.syscalls == SyscallBackEnd::kRawTracepoint || (options.syscalls == SyscallBackEnd::kAuto && !kprobes);
  const auto& programs = skeleton_->progs;
  for (bpf_program* const program : {programs.hook_enter, programs.hook_return})
    bpf_program__set_autoload(program, kprobes || HasUprobes());
  bpf_program__set_autoload(programs.static_probe_hit, HasUprobes());
  for (bpf_program* const program : {programs.system_call_enter, programs.system_call_return})
    bpf_program__set_autoload(program, kprobes && !syscalls_by_tracepoint_);
  for (bpf_program* const program : {programs.traced_call_enter, programs.traced_call_return})
    bpf_program__set_autoload(program, syscalls_by_tracepoint_);

  SL_ASSIGN_OR_RETURN(const int cpus, PossibleCpus());
  const auto& maps = skeleton_->maps;
  SL_RETURN_IF_ERROR(SetMapSize(maps.hook_scratches, static_cast<std::uint32_t>(cpus) * kScratchesOfCpu));
  SL_RETURN_IF_ERROR(SetMapSize(maps.hook_events, options.ring_bytes));
  skeleton_->rodata->ring_half = options.ring_bytes / 2;
  skeleton_->rodata->wake_bytes = options.ring_bytes / 4;
  ring_bytes_ = options.ring_bytes;
  preempt_ = FindPreemptCounter();
  skeleton_->rodata->per_cpu_offsets = preempt_.per_cpu_offsets;
  skeleton_->rodata->preempt_counter = preempt_.counter;
  if (options.quarantine_fd >= 0) SL_RETURN_IF_ERROR(Share(maps.quarantine, options.quarantine_fd));
  SL_RETURN_IF_ERROR(options.processes_fd >= 0 ? Share(maps.processes, options.processes_fd)
                                               : SetMapSize(maps.processes, 1));
  const auto pages = PagesOfObject();
  const int rc = hooks_bpf__load(skeleton_);
  if (rc == 0) {
    for (const auto& [name, shape] : pages) {
      const bpf_map* const map = bpf_object__find_map_by_name(skeleton_->obj, name.c_str());
      pages_.emplace(name, std::make_unique<MapPages>(bpf_map__fd(map), bpf_map__max_entries(map), shape, name));
    }
    return OkStatus();
  }
  const auto code = rc == -EPERM || rc == -EACCES ? absl::StatusCode::kPermissionDenied  // verifier refusals too
                                                  : absl::StatusCode::kFailedPrecondition;
  return MakeError(
      code, "load the programs of hook policies (they need Linux 5.15 or newer, CAP_BPF and CAP_PERFMON): {}: {}",
      strerror(-rc), log.LastLines(12));
}

std::map<std::string, MapPages::Shape> HookPrograms::PagesOfObject() const {
  std::map<std::string, MapPages::Shape> pages;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton_->obj) {
    if (bpf_map__type(map) == BPF_MAP_TYPE_ARRAY_OF_MAPS) pages.emplace(bpf_map__name(map), MapPages::ShapeOf(map));
  }
  return pages;
}

HookPrograms::~HookPrograms() {
  ring_.reset();
  hooks_bpf__destroy(skeleton_);
}

StatusOr<AttachedPoint> HookPrograms::Attach(const HookPoint& point, bool returns, std::uint32_t number) {
  auto found = points_.find(number);
  const bool is_new = found == points_.end();
  if (is_new) {
    SL_ASSIGN_OR_RETURN(Attached made, Resolve(point));
    found = points_.emplace(number, std::move(made)).first;
  }
  Attached& attached = (*found).second;
  if (attached.point != point)
    return InvalidError("point {} is attached to {}, not to {}", number, ToString(attached.point), ToString(point));
  Status done =
      attached.number ? AttachSyscall(number, returns, &attached) : AttachFunction(number, returns, &attached);
  if (done.ok() && is_new && point.kind == HookPoint::Kind::kRawTracepoint) done = RunSyscallProgramsLast();
  if (done.ok()) return attached.how;
  if (is_new) (void)Detach(number);  // the first error says more
  return done;
}

StatusOr<HookPrograms::Attached> HookPrograms::Resolve(const HookPoint& point) const {
  Attached attached{.point = point};
  switch (point.kind) {
    case HookPoint::Kind::kFunction:
      attached.function = point.name;
      break;
    case HookPoint::Kind::kSyscall: {
      const SystemCall call = FindSystemCall(point.name);
      attached.function = call.function;
      if (!syscalls_by_tracepoint_) break;
      if (!call.number || *call.number >= SL_HOOK_SYSCALLS)
        return MakeError(absl::StatusCode::kNotFound,
                         "this kernel has no system call {}. With `ignore: {{callNotFound: true}}` the policy applies "
                         "without this hook",
                         point.name);
      for (const auto& [number, other] : points_) {
        if (other.number == call.number)
          return InvalidError("{} is attached as point {} already", ToString(point), number);
      }
      attached.number = call.number;
      attached.how = {.by = AttachedPoint::By::kRawTracepoint,
                      .place = fmt::format("raw tracepoint sys_enter, system call {}", *call.number)};
      return attached;
    }
    case HookPoint::Kind::kLsm:
      attached.how = {.by = AttachedPoint::By::kLsm, .place = "LSM hook " + point.name};
      return attached;
    case HookPoint::Kind::kTrampoline:
      attached.how = {.by = AttachedPoint::By::kTrampoline, .place = "fentry " + point.name};
      return attached;
    case HookPoint::Kind::kDenyingFunction:
      attached.how = {.by = AttachedPoint::By::kTrampoline, .place = "fmod_ret " + point.name};
      return attached;
    case HookPoint::Kind::kDenyingSyscall:
      attached.how = {.by = AttachedPoint::By::kTrampoline, .place = "fmod_ret " + FindSystemCall(point.name).function};
      return attached;
    case HookPoint::Kind::kRawTracepoint:
      attached.how = {.by = AttachedPoint::By::kRawTracepoint, .place = "raw tracepoint " + point.name};
      return attached;
    case HookPoint::Kind::kTracepoint:
      attached.how = {.by = AttachedPoint::By::kTracepoint,
                      .place = fmt::format("tracepoint {}/{}", point.group, point.name)};
      return attached;
    case HookPoint::Kind::kProgram:
    case HookPoint::Kind::kStaticProbe:
      if (!HasUprobes())
        return MakeError(absl::StatusCode::kFailedPrecondition,
                         "{} needs a kernel with uprobes (CONFIG_UPROBES and CONFIG_UPROBE_EVENTS), which this one "
                         "lacks",
                         ToString(point));
      attached.how = {.by = AttachedPoint::By::kUprobe,
                      .place = fmt::format("uprobe {}:{:#x}", point.group, point.offset)};
      return attached;
  }
  if (!HasKprobes()) return NoKprobes(attached.function);
  attached.how = {.by = AttachedPoint::By::kKprobe, .place = "kprobe " + attached.function};
  return attached;
}

Status HookPrograms::AttachFunction(std::uint32_t number, bool returns, Attached* attached) const {
  if (returns && !attached->at_return) {
    SL_ASSIGN_OR_RETURN(attached->at_return, OpenProbe(*attached, true, number));
  }
  if (!attached->enter) {
    SL_ASSIGN_OR_RETURN(attached->enter, OpenProbe(*attached, false, number));
  }
  return returns ? OkStatus() : End(&attached->at_return);
}

StatusOr<HookPrograms::Probe> HookPrograms::OpenProbe(const Attached& attached, bool at_return,
                                                      std::uint32_t number) const {
  if (attached.how.by == AttachedPoint::By::kTracepoint) return OpenRecordTracepoint(attached, number);
  if (attached.how.by == AttachedPoint::By::kUprobe) return OpenUprobe(attached, at_return, number);
  if (!attached.function.empty()) return OpenKprobe(attached, at_return, number);
  const bool syscall = attached.point.kind == HookPoint::Kind::kDenyingSyscall;
  const PointProgram program{.kind = PointProgramOf(attached.point.kind, at_return),
                             .target = syscall ? FindSystemCall(attached.point.name).function : attached.point.name,
                             .number = number};
  SL_ASSIGN_OR_RETURN(Fd link, AttachPointProgram(program, {.fd = [&](const std::string& name) { return map_fd(name); },
                                                            .ring_bytes = ring_bytes_,
                                                            .preempt = preempt_}));
  return Pin(std::move(link), fmt::format("{}-{}", number, at_return ? "return" : "enter"));
}

StatusOr<HookPrograms::Probe> HookPrograms::OpenKprobe(const Attached& attached, bool at_return,
                                                       std::uint32_t number) const {
  const auto& programs = skeleton_->progs;
  const bool syscall = attached.point.kind == HookPoint::Kind::kSyscall;
  const bpf_program* const program = syscall ? (at_return ? programs.system_call_return : programs.system_call_enter)
                                             : (at_return ? programs.hook_return : programs.hook_enter);
  const auto event = admin_calls_.OpenFunction(attached.function, at_return);
  if (absl::IsNotFound(event.status())) return NoSuchFunction(attached.function);
  SL_RETURN_IF_ERROR(event.status());
  return LinkToEvent(program, *event, attached.function, at_return, number);
}

StatusOr<HookPrograms::Probe> HookPrograms::OpenRecordTracepoint(const Attached& attached, std::uint32_t number) const {
  const HookPoint& point = attached.point;
  SL_ASSIGN_OR_RETURN(const std::uint32_t id, TracingFiles(admin_calls_).TracepointId(point.group, point.name));
  SL_ASSIGN_OR_RETURN(const Fd event, admin_calls_.OpenTracepoint(id));
  return LinkToEvent(skeleton_->progs.tracepoint_hit, event, ToString(point), false, number);
}

StatusOr<HookPrograms::Probe> HookPrograms::OpenUprobe(const Attached& attached, bool at_return,
                                                       std::uint32_t number) const {
  const HookPoint& point = attached.point;
  const Fd file(open(point.group.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, "open {}", point.group);
  auto event = admin_calls_.OpenUprobe(file.get(), point.offset, point.counter, at_return);
  if (!event.ok())
    return MakeError(event.status().code(),
                     "{}: offset {:#x} of the file cannot be probed (it must be the begin of an instruction, in a file "
                     "system that keeps programs): {}",
                     ToString(point), point.offset, Message(event.status()));
  const auto& programs = skeleton_->progs;
  const bool is_probe = point.kind == HookPoint::Kind::kStaticProbe;
  return LinkToEvent(is_probe    ? programs.static_probe_hit
                     : at_return ? programs.hook_return
                                 : programs.hook_enter,
                     *event, ToString(point), at_return, number);
}

StatusOr<HookPrograms::Probe> HookPrograms::LinkToEvent(const bpf_program* program, const Fd& event,
                                                        const std::string& what, bool at_return,
                                                        std::uint32_t number) const {
  LIBBPF_OPTS(bpf_link_create_opts, options, .perf_event = {.bpf_cookie = number});
  Fd link(bpf_link_create(bpf_program__fd(program), event.get(), BPF_PERF_EVENT, &options));
  if (!link.valid() && errno == EINVAL)
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "attach a program to {}: this kernel has no links for events, which hook policies need (Linux "
                     "5.15), or does not take it",
                     what);
  if (!link.valid()) return ErrnoError(errno, "attach a program to {}", what);
  return Pin(std::move(link), fmt::format("{}-{}", number, at_return ? "return" : "enter"));
}

// The program at exits first, and this call last, as the program at entries may run already.
Status HookPrograms::AttachSyscall(std::uint32_t number, bool returns, Attached* attached) {
  if (returns && !syscall_exit_) {
    SL_ASSIGN_OR_RETURN(syscall_exit_, OpenTracepoint(skeleton_->progs.traced_call_return));
  }
  if (!syscall_enter_) {
    SL_ASSIGN_OR_RETURN(syscall_enter_, OpenTracepoint(skeleton_->progs.traced_call_enter));
  }
  SL_RETURN_IF_ERROR(syscalls_.Put(*attached->number, {.enter = number, .exit = returns ? number : 0}));
  attached->exits = returns;
  return EndUnusedTracepoints();
}

// A tracepoint runs its programs in the order in which they were attached. What a hook on the tracepoint of all system
// calls leaves for the enforcer must be there when the hook on the call itself looks for it. Until the first ones are
// gone, both run.
Status HookPrograms::RunSyscallProgramsLast() {
  const auto again = [&](const bpf_program* program, std::optional<Probe>* probe) -> Status {
    if (!*probe) return OkStatus();
    SL_ASSIGN_OR_RETURN(*probe, OpenTracepoint(program));
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(again(skeleton_->progs.traced_call_enter, &syscall_enter_));
  return again(skeleton_->progs.traced_call_return, &syscall_exit_);
}

Status HookPrograms::WatchExecs(bool wanted) {
  if (wanted == execs_.has_value()) return OkStatus();
  if (!wanted) {
    const Status execs = End(&execs_), forks = End(&forks_);
    return execs.ok() ? forks : execs;
  }
  SL_ASSIGN_OR_RETURN(forks_, OpenTracepoint(skeleton_->progs.note_fork));
  SL_ASSIGN_OR_RETURN(execs_, OpenTracepoint(skeleton_->progs.note_exec));
  return NoteRunning();
}

Status HookPrograms::NoteRunning() const {
  const Fd link(bpf_link_create(bpf_program__fd(skeleton_->progs.note_running), 0, BPF_TRACE_ITER, nullptr));
  if (!link.valid()) return ErrnoError(errno, "create the iterator of processes for hook policies");
  const Fd iterator(bpf_iter_create(link.get()));
  if (!iterator.valid()) return ErrnoError(errno, "start the iterator of processes for hook policies");
  char nothing[16];
  for (ssize_t size = 1; size != 0;) {
    size = read(iterator.get(), nothing, sizeof(nothing));
    if (size < 0 && errno != EAGAIN && errno != EINTR)
      return ErrnoError(errno, "iterate over the processes for hook policies");
  }
  return OkStatus();
}

Status HookPrograms::MarkRunning(const MarkedPrograms& marks) const {
  const std::map<std::uint32_t, RunningProcess> processes = RunningProcesses();
  for (const auto& [pid, ignored] : processes) {
    std::set<std::string> programs;  // of the process and its ancestors
    std::size_t depth = 0;
    for (auto at = processes.find(pid); at != processes.end() && depth++ < processes.size();
         at = processes.find((*at).second.parent))
      programs.insert((*at).second.program);
    for (const auto& [mark, paths] : marks) {
      if (std::ranges::any_of(paths, [&](const std::string& path) { return programs.contains(path); }))
        SL_RETURN_IF_ERROR(PutMark(pid, mark));
    }
  }
  return OkStatus();
}

Status HookPrograms::PutMark(std::uint32_t pid, std::uint32_t mark) const {
  const int map = map_fd("hook_exec_facts");
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return errno == ESRCH ? OkStatus() : ErrnoError(errno, "open process {}", pid);
  const int key = process.get();
  sl_hook_exec_facts facts{};
  const int found = bpf_map_lookup_elem(map, &key, &facts);
  if (found != 0 && (errno == ESRCH || errno == ENOENT)) return OkStatus();
  if (found != 0) return ErrnoError(errno, "map hook_exec_facts: look up process {}", pid);
  if (std::ranges::find(facts.marks, mark) != std::end(facts.marks)) return OkStatus();
  facts.marks[facts.next_mark++ % SL_HOOK_MARKS] = mark;
  if (bpf_map_update_elem(map, &key, &facts, BPF_EXIST) == 0 || errno == ESRCH || errno == ENOENT) return OkStatus();
  return ErrnoError(errno, "map hook_exec_facts: mark process {}", pid);
}

// Before Linux 6.10 the kernel refuses a program that the tracepoint has already: one that is to run last, or whose
// link has lost its last pin only just now. What is attached then is a copy.
StatusOr<HookPrograms::Probe> HookPrograms::OpenTracepoint(const bpf_program* program) const {
  const char* const name = bpf_program__name(program);
  Fd link(bpf_raw_tracepoint_open(nullptr, bpf_program__fd(program)));
  if (!link.valid() && errno == EEXIST) {
    std::size_t size = 0;
    const void* const file = hooks_bpf__elf_bytes(&size);
    SL_ASSIGN_OR_RETURN(const Fd copy, LoadCopy(*skeleton_->obj, {static_cast<const std::byte*>(file), size}, name));
    link = Fd(bpf_raw_tracepoint_open(nullptr, copy.get()));
  }
  if (!link.valid()) return ErrnoError(errno, "attach {} to {}", name, bpf_program__section_name(program));
  return Pin(std::move(link), name);
}

StatusOr<HookPrograms::Probe> HookPrograms::Pin(Fd link, const std::string& name) const {
  Probe probe{.link = std::move(link), .pin = ""};
  if (life_dir_.empty()) return probe;
  probe.pin = life_dir_ + "/" + name;
  SL_RETURN_IF_ERROR(PinAt(probe.link.get(), probe.pin));
  return probe;
}

StatusOr<bool> HookPrograms::PutBackPin(const Probe& probe) {
  struct stat info {};
  if (probe.pin.empty() || lstat(probe.pin.c_str(), &info) == 0) return false;
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(probe.pin).parent_path(), error);
  if (error) return ErrnoError(error.value(), "create the directory of {}", probe.pin);
  SL_RETURN_IF_ERROR(PinAt(probe.link.get(), probe.pin));
  return true;
}

StatusOr<int> HookPrograms::PutBackPins() const {
  std::vector<const std::optional<Probe>*> probes = {&syscall_enter_, &syscall_exit_, &execs_, &forks_};
  for (const auto& [number, attached] : points_) probes.insert(probes.end(), {&attached.enter, &attached.at_return});
  int put_back = 0;
  for (const auto* const probe : probes) {
    if (!*probe) continue;
    SL_ASSIGN_OR_RETURN(const bool done, PutBackPin(**probe));
    put_back += done ? 1 : 0;
  }
  return put_back;
}

// The descriptor is closed even if the pin cannot be removed.
Status HookPrograms::End(std::optional<Probe>* probe) {
  if (!*probe) return OkStatus();
  const std::string pin = (*probe)->pin;
  probe->reset();
  if (!pin.empty() && unlink(pin.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "end the hook {}", pin);
  return OkStatus();
}

Status HookPrograms::EndUnusedTracepoints() {
  bool entries = false, exits = false;
  for (const auto& [number, attached] : points_) {
    if (!attached.number) continue;
    entries = true;
    exits = exits || attached.exits;
  }
  if (!entries) SL_RETURN_IF_ERROR(End(&syscall_enter_));
  return exits ? OkStatus() : End(&syscall_exit_);
}

Status HookPrograms::Detach(std::uint32_t number) {
  const auto found = points_.find(number);
  if (found == points_.end()) return OkStatus();
  Attached attached = std::move((*found).second);
  points_.erase(found);
  if (attached.number) {
    const Status put = syscalls_.Put(*attached.number, sl_hook_syscall{});
    const Status ended = EndUnusedTracepoints();
    return put.ok() ? ended : put;
  }
  const Status enter = End(&attached.enter);
  const Status at_return = End(&attached.at_return);
  return enter.ok() ? at_return : enter;
}

Status HookPrograms::EndOthers() const {
  return pin_root_.empty() ? OkStatus() : EndOtherHooks(PinLayout(pin_root_), life_dir_);
}

Status HookPrograms::ReadEvents(RingReader::Consume consume) {
  SL_ASSIGN_OR_RETURN(ring_, RingReader::Open(map_fd("hook_events"), std::move(consume), "hook_events"));
  return OkStatus();
}

int HookPrograms::Drain() {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_forgotten_ > kForgetInterval) {
    last_forgotten_ = now;
    if (const Status status = ForgetEvents({}); !status.ok()) LogWarn("hook policies: {}", Message(status));
  }
  return ring_->Drain();
}

Status HookPrograms::SubjectsChanged(std::uint32_t subjects) {
  ++subjects_epoch_;
  return settings_.Put(0, {.subjects_epoch = subjects_epoch_, .event_parts = subjects});
}

Status HookPrograms::ForgetEvents(const std::set<std::uint32_t>& lives) const {
  const int map = map_fd("hook_held_events");
  std::vector<sl_hook_call_key> keys;
  const void* previous = nullptr;
  keys.reserve(kMostHeld);  // `previous` points into it
  for (sl_hook_call_key key{}; keys.size() < kMostHeld && bpf_map_get_next_key(map, previous, &key) == 0;
       previous = &keys.back())
    keys.push_back(key);
  for (const sl_hook_call_key& key : keys) {
    const auto process = static_cast<int>(key.thread >> 32), thread = static_cast<int>(key.thread);
    const bool is_dead = syscall(SYS_tgkill, process, thread, 0) != 0 && errno == ESRCH;
    if (!is_dead && !lives.contains(key.life)) continue;
    if (bpf_map_delete_elem(map, &key) != 0 && errno != ENOENT)
      return ErrnoError(errno, "map hook_held_events: delete");
  }
  return OkStatus();
}

StatusOr<std::uint64_t> HookPrograms::RunsMissed() const {
  SL_ASSIGN_OR_RETURN(const auto progress, progress_.Get(0));
  return progress ? progress->runs_missed : 0;
}

std::vector<std::uint64_t> HookPrograms::ReadStack(std::int32_t stack) const {
  std::vector<std::uint64_t> addresses(SL_HOOK_STACK_DEPTH);
  const int stacks = pages("hook_stacks")->page_fd(0);
  if (stacks < 0 || bpf_map_lookup_elem(stacks, &stack, addresses.data()) != 0) return {};
  addresses.erase(std::find(addresses.begin(), addresses.end(), 0), addresses.end());
  return addresses;
}

int HookPrograms::program_fd(const std::string& name) const {
  const bpf_program* const program = bpf_object__find_program_by_name(skeleton_->obj, name.c_str());
  return program == nullptr ? -1 : bpf_program__fd(program);
}

int HookPrograms::map_fd(const std::string& name) const {
  const bpf_map* const map = bpf_object__find_map_by_name(skeleton_->obj, name.c_str());
  return map == nullptr ? -1 : bpf_map__fd(map);
}

MapPages* HookPrograms::pages(const std::string& name) const {
  const auto found = pages_.find(name);
  return found == pages_.end() ? nullptr : (*found).second.get();
}

}  // namespace sluice::bpf
