// Loads, attaches and reads the sensors of bpf/sensors. With a pin root, the maps of processes and their classes are
// pinned, so that a process keeps its id when the agent starts again. The probes are pinned too: they update these maps
// until the next agent's probes take over. Their events are not read meanwhile.
//
//   auto probes = ProcessProbes::Start({.pin_root = root}, [&](const void* record, std::size_t size) { ... });
//   (*probes)->Seed();   // a record for every process that lives, among those that just happen
//   while (...) { (*probes)->Wait(20ms); (*probes)->Drain(); }
//
// One thread at a time, but for Wake and ReadFill. `consume` is called in Seed and Drain.
#pragma once

#include <chrono>
#include <map>
#include <tuple>

#include "base/fd.h"
#include "bpf/abi/process.h"
#include "kernel/bpf/admin_calls.h"
#include "kernel/bpf/features.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/bpf/ring_reader.h"
#include "kernel/bpf/ring_wait.h"

struct bpf_link;
struct process_bpf;

namespace sluice::bpf {

enum class ProcessBackEnd { kAuto, kTracepoint, kKprobe };

// "auto", "tracepoint", "kprobe"; InvalidArgument.
StatusOr<ProcessBackEnd> ParseProcessBackEnd(const std::string& name);
const char* ToString(ProcessBackEnd back_end);

struct ProcessProbeOptions {
  std::string pin_root;  // empty: nothing is pinned (tests)
  ProcessBackEnd back_end = ProcessBackEnd::kAuto;
  std::uint32_t ring_bytes = 4U << 20;      // a power of two, at least a page; mapped twice, so RSS counts it double
  std::uint32_t max_processes = 65536;      // alive at the same time
  const AdminCalls* admin_calls = nullptr;  // null: OwnAdminCalls
};

struct ProcessLoss {
  sl_process_loss_key key;
  std::uint64_t count = 0;  // since the last call
};

// The fill of the table of live processes.
struct MapFill {
  std::uint64_t entries = 0;
  std::uint64_t capacity = 0;
  std::uint64_t refused = 0;  // processes that were refused since the maps were created
};

class ProcessProbes {
 public:
  // kAuto: kprobes if this kernel attaches them, else tracepoints. FailedPrecondition with the verifier's last lines,
  // or the program that cannot be attached; PermissionDenied.
  static StatusOr<std::unique_ptr<ProcessProbes>> Start(const ProcessProbeOptions& options,
                                                        const RingReader::Consume& consume);
  ~ProcessProbes();
  ProcessProbes(const ProcessProbes&) = delete;
  ProcessProbes& operator=(const ProcessProbes&) = delete;

  // Passes on all records in the ring, and a record of every live process; an instance has the same id in all its
  // records. To call after Start, and again after a loss.
  Status Seed();
  // Passes on all pending records; returns how many.
  StatusOr<int> Drain() { return ring_->Drain(); }
  // Returns when the ring fills up, Wake is called, or the time is over.
  void Wait(std::chrono::milliseconds timeout) const { wait_.Wait(timeout); }
  void Wake() const { wait_.Wake(); }

  // The losses since the last call.
  StatusOr<std::vector<ProcessLoss>> TakeLosses();
  // The current instance of a process.
  StatusOr<std::optional<sl_process>> Find(std::uint32_t pid) const { return processes_.Get(pid); }

  StatusOr<MapFill> ReadFill() const;  // from any thread

  ProcessBackEnd back_end() const { return back_end_; }
  Feature feature() const;
  int program_fd(const std::string& name) const;  // -1: no such program, or of the other back end
  int map_fd(const std::string& name) const;      // -1: no such map

 private:
  ProcessProbes(process_bpf* skeleton, ProcessBackEnd back_end) : skeleton_(skeleton), back_end_(back_end) {}
  static StatusOr<std::unique_ptr<ProcessProbes>> StartWith(ProcessBackEnd back_end, const ProcessProbeOptions& options,
                                                            const RingReader::Consume& consume);
  Status Load(const ProcessProbeOptions& options);
  Status OpenReaders(const RingReader::Consume& consume);
  Status ForgetTheDead();
  Status Attach(const AdminCalls& calls);
  Status Pin(const PinLayout& layout);
  Status Iterate();
  Status EndSeeding();

  process_bpf* skeleton_;
  const ProcessBackEnd back_end_;
  bpf_link* iterator_ = nullptr;
  std::vector<bpf_link*> links_;
  std::unique_ptr<RingReader> ring_;
  Map<std::uint32_t, sl_process> processes_;
  Map<std::uint32_t, sl_process_share> shares_;
  Map<sl_process_claim_key, sl_process_claim> claims_;
  Map<sl_process_loss_key, std::uint64_t> losses_;
  using LossKey = std::tuple<std::uint64_t, std::uint32_t, std::uint8_t, std::uint8_t>;
  std::map<LossKey, std::uint64_t> known_losses_;
  std::uint64_t known_loss_total_ = 0;
  RingWait wait_;
};

}  // namespace sluice::bpf
