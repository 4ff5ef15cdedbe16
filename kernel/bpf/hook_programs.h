// Loads the programs of hook policies (bpf/hooks), attaches them to functions and system calls, and reads their events.
// One set of programs serves all policies: kernel/hooks writes the tables that say what they do.
//
//   auto programs = HookPrograms::Load({.pin_root = root, .quarantine_fd = quarantine, .processes_fd = processes});
//   (*programs)->ReadEvents([&](const void* record, std::size_t size) { ... });  // struct sl_hook_event
//   (*programs)->Attach({.kind = HookPoint::Kind::kSyscall, .name = "openat"}, true, number);
//   while (...) { (*programs)->Wait(20ms); (*programs)->Drain(); }
//
// With a pin root, attached programs stay attached when this object is destroyed, with their tables: enforcement goes
// on without an agent, until EndOthers of the next one. Nothing is shared with another HookPrograms but the two given
// maps. Attach, Detach and EndOthers from one thread at a time; Wait and Drain from one; Wake from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "bpf/abi/hook.h"
#include "kernel/bpf/admin_calls.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/map_pages.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/bpf/preempt_counter.h"
#include "kernel/bpf/ring_reader.h"
#include "kernel/bpf/ring_wait.h"
#include "policy/tracing/compiled.h"

struct bpf_program;
struct hooks_bpf;

namespace sluice::bpf {

// How system calls are seen. kAuto: by kprobes if this kernel has them, else by raw tracepoints, which run a program at
// every system call of the machine.
enum class SyscallBackEnd { kAuto, kKprobe, kRawTracepoint };

struct HookProgramOptions {
  std::string pin_root;                 // empty: nothing is pinned (tests)
  int quarantine_fd = -1;               // the packet path's map; -1: one of its own, which no packet meets
  int processes_fd = -1;                // the process sensors' map; -1: one of its own, which stays empty
  std::uint32_t ring_bytes = 4U << 20;  // a power of two, at least a page; mapped twice, so RSS counts it double
  SyscallBackEnd syscalls = SyscallBackEnd::kAuto;
  const AdminCalls* admin_calls = nullptr;  // must outlive the object; null: OwnAdminCalls
};

// "security_file_permission", "the system call openat", "the tracepoint sched/sched_switch".
std::string ToString(const policy::tracing::HookPoint& point);

// By number of the mark: paths of programs.
using MarkedPrograms = std::map<std::uint32_t, std::set<std::string>>;

struct AttachedPoint {
  enum class By { kKprobe, kRawTracepoint, kLsm, kTrampoline, kTracepoint, kUprobe };
  By by = By::kKprobe;
  std::string place;  // "kprobe __x64_sys_openat", "raw tracepoint sys_enter, system call 257"
};

class HookPrograms {
 public:
  // FailedPrecondition with the verifier's last lines; PermissionDenied.
  static StatusOr<std::unique_ptr<HookPrograms>> Load(const HookProgramOptions& options);
  ~HookPrograms();
  HookPrograms(const HookPrograms&) = delete;
  HookPrograms& operator=(const HookPrograms&) = delete;

  // From now on the programs run hook_points[number] when the function begins, and with `returns` also when it returns:
  // a function whose beginning was seen has its return seen, too. For a number that is attached there already, only
  // `returns` may differ. A number must not be used for another point right after Detach: the kernel may detach a
  // moment later.
  // NotFound: this kernel has no such function or call. FailedPrecondition names the missing feature of the kernel.
  StatusOr<AttachedPoint> Attach(const policy::tracing::HookPoint& point, bool returns, std::uint32_t number);
  // OK if nothing is attached under the number.
  Status Detach(std::uint32_t number);

  // Pins links again whose pins somebody removed; returns how many. From the thread of Attach.
  StatusOr<int> PutBackPins() const;
  // Whether programs note what processes are after an exec, which hooks with SL_HOOK_NEEDS_EXECS need to be attached.
  Status WatchExecs(bool wanted);

  // Puts marks on processes that run already: those that run one of a mark's programs, or have a living ancestor that
  // does. A process that begins or ends meanwhile is left to the programs.
  Status MarkRunning(const MarkedPrograms& marks) const;

  // Ends what earlier agents left attached. To call when all policies are in force.
  Status EndOthers() const;

  // To call once, before Drain.
  Status ReadEvents(RingReader::Consume consume);
  // Passes on all pending records; returns how many. Once a minute it also forgets the events of threads that have
  // ended in a call.
  int Drain();
  // Returns when the ring fills up, Wake is called, or the time is over.
  void Wait(std::chrono::milliseconds timeout) const { wait_.Wait(timeout); }
  void Wake() const { wait_.Wake(); }

  // To call after a change of hook_subjects, hook_cgroups or hook_netns: the programs then look subjects up anew.
  // `subjects`: how many there are; each gets a share of the ring.
  Status SubjectsChanged(std::uint32_t subjects);
  // Removes events that wait for a return that will not come: of these lives of policies, which have ended, and of
  // threads that have ended in a call. Thread-safe.
  Status ForgetEvents(const std::set<std::uint32_t>& lives) const;
  // How often a function was not looked at, since programs had interrupted each other too often on its CPU.
  StatusOr<std::uint64_t> RunsMissed() const;
  // Return addresses of an entry of `hook_stacks`, innermost first; empty: it is gone. Thread-safe.
  std::vector<std::uint64_t> ReadStack(std::int32_t stack) const;

  bool syscalls_by_tracepoint() const { return syscalls_by_tracepoint_; }
  const std::string& life_dir() const { return life_dir_; }  // of its pins; empty: nothing is pinned
  int program_fd(const std::string& name) const;             // -1: no such program
  int map_fd(const std::string& name) const;                 // -1: no such map
  // Of a map whose memory comes in pages (bpf/hooks/hook_maps.bpf.h); null: no such map.
  MapPages* pages(const std::string& name) const;

 private:
  struct Probe {
    Fd link;
    std::string pin;  // empty: none
  };
  struct Attached {
    policy::tracing::HookPoint point;
    AttachedPoint how;
    std::string function;                   // of a kprobe; else empty
    std::optional<std::uint32_t> number;    // of a system call that raw tracepoints see
    bool exits = false;                     // they see its exit, too
    std::optional<Probe> enter, at_return;  // of a kprobe
  };

  HookPrograms(hooks_bpf* skeleton, const AdminCalls& admin_calls) : skeleton_(skeleton), admin_calls_(admin_calls) {}
  Status LoadObject(const HookProgramOptions& options);
  std::map<std::string, MapPages::Shape> PagesOfObject() const;
  StatusOr<Attached> Resolve(const policy::tracing::HookPoint& point) const;
  Status AttachFunction(std::uint32_t number, bool returns, Attached* attached) const;
  Status AttachSyscall(std::uint32_t number, bool returns, Attached* attached);
  StatusOr<Probe> OpenProbe(const Attached& attached, bool at_return, std::uint32_t number) const;
  StatusOr<Probe> OpenKprobe(const Attached& attached, bool at_return, std::uint32_t number) const;
  StatusOr<Probe> OpenTracepoint(const bpf_program* program) const;
  StatusOr<Probe> OpenRecordTracepoint(const Attached& attached, std::uint32_t number) const;
  StatusOr<Probe> OpenUprobe(const Attached& attached, bool at_return, std::uint32_t number) const;
  StatusOr<Probe> LinkToEvent(const bpf_program* program, const Fd& event, const std::string& what, bool at_return,
                              std::uint32_t number) const;
  StatusOr<Probe> Pin(Fd link, const std::string& name) const;
  static StatusOr<bool> PutBackPin(const Probe& probe);
  static Status End(std::optional<Probe>* probe);
  Status EndUnusedTracepoints();
  Status RunSyscallProgramsLast();
  Status NoteRunning() const;
  Status PutMark(std::uint32_t pid, std::uint32_t mark) const;

  hooks_bpf* skeleton_;
  const AdminCalls& admin_calls_;
  std::string pin_root_;
  std::string life_dir_;
  bool syscalls_by_tracepoint_ = false;
  std::uint32_t ring_bytes_ = 0;
  PreemptCounter preempt_;
  std::uint32_t subjects_epoch_ = 0;
  Map<std::uint32_t, sl_hook_syscall> syscalls_;
  Map<std::uint32_t, sl_hook_settings> settings_;
  Map<std::uint32_t, sl_hook_progress> progress_;
  std::map<std::string, std::unique_ptr<MapPages>> pages_;  // by name of the map
  std::map<std::uint32_t, Attached> points_;
  std::optional<Probe> syscall_enter_, syscall_exit_;  // serve all system calls
  std::optional<Probe> execs_, forks_;
  std::unique_ptr<RingReader> ring_;
  std::chrono::steady_clock::time_point last_forgotten_ = std::chrono::steady_clock::now();
  RingWait wait_;
};

}  // namespace sluice::bpf
