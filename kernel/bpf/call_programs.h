// Loads the sensors of system calls (bpf/calls), attaches them, and reads their records. kernel/calls says which calls
// are looked at.
//
//   auto programs = CallPrograms::Load({.processes_fd = processes});
//   (*programs)->SetKinds(kinds, rings);   // by one store each: from now on these calls are looked at
//   (*programs)->Attach();
//   while (...) { (*programs)->Wait(20ms); (*programs)->Drain(consume); }
//
// Nothing is pinned: the sensors end with this object. Attach, Detach and the setters from one thread at a time; Wait
// and Drain from one; Wake from any.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "bpf/abi/call.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/ring_reader.h"
#include "kernel/bpf/ring_wait.h"

struct bpf_program;
struct calls_bpf;

namespace sluice::bpf {

struct CallProgramOptions {
  int processes_fd = -1;                // the process sensors' map; -1: one of its own, which stays empty
  std::uint32_t ring_bytes = 8U << 20;  // a power of two, at least a page; mapped twice, so RSS counts it double
};

class CallPrograms {
 public:
  using Kinds = std::array<std::uint8_t, SL_CALL_KIND_BYTES>;
  using RingKinds = std::array<std::uint8_t, 256>;
  using NameSets = std::array<sl_call_set, SL_CALL_SETS>;

  // FailedPrecondition with the verifier's last lines; PermissionDenied.
  static StatusOr<std::unique_ptr<CallPrograms>> Load(const CallProgramOptions& options);
  ~CallPrograms();
  CallPrograms(const CallPrograms&) = delete;
  CallPrograms& operator=(const CallPrograms&) = delete;

  // `rings`: operations of io_uring are looked at, too. OK if it is attached already. After an error nothing is
  // attached.
  Status Attach(bool rings);
  void Detach();
  bool attached() const { return call_.valid(); }
  bool has_rings() const { return has_rings_; }  // this kernel shows operations of io_uring

  // Which calls are looked at.
  void SetKinds(const Kinds& kinds, const RingKinds& rings);
  // Fills the half of the filters that is not in force.
  Status SetFilters(const std::array<sl_call_filter, SL_CALL_KINDS>& filters, const NameSets& sets,
                    const std::vector<sl_call_name_key>& names);
  std::uint32_t half() const;  // in force
  // Puts the other half in force, and forgets all places. Returns when no program still uses the first one.
  Status SwapHalves();

  void ForgetPlaces();
  std::uint32_t epoch() const;
  void SetParts(std::uint32_t parts);  // shares of the ring, at least 1
  const Map<sl_call_place_key, sl_call_place>& places() const { return places_; }
  const Map<sl_call_loss_key, std::uint64_t>& losses() const { return losses_; }
  Status ClearShare(std::uint32_t share) const { return shares_.Put(share, 0); }

  // Passes on all pending records; returns how many.
  int Drain(const RingReader::Consume& consume);
  // Returns when the ring fills up, Wake is called, or the time is over.
  void Wait(std::chrono::milliseconds timeout) const { wait_.Wait(timeout); }
  void Wake() const { wait_.Wake(); }

  std::uint64_t bytes() const;                    // kernel memory of all maps
  int map_fd(const std::string& name) const;      // -1: no such map
  int program_fd(const std::string& name) const;  // -1: no such program, or it is not loaded

 private:
  explicit CallPrograms(calls_bpf* skeleton) : skeleton_(skeleton) {}
  Status LoadObject(const CallProgramOptions& options);
  Status SelectPrograms();
  StatusOr<Fd> OpenTracepoint(const bpf_program* program) const;

  calls_bpf* skeleton_;
  bool has_rings_ = false;
  const bpf_program* submitted_ = nullptr;
  const bpf_program* completed_ = nullptr;
  Fd call_, ring_submitted_, ring_completed_;
  std::vector<sl_call_name_key> names_[2];  // of each half
  Map<std::uint32_t, sl_call_filter> filters_;
  Map<sl_call_place_key, sl_call_place> places_;
  Map<sl_call_name_key, std::uint32_t> name_table_;
  Map<std::uint32_t, sl_call_set> sets_;
  Map<sl_call_loss_key, std::uint64_t> losses_;
  Map<std::uint32_t, std::uint64_t> shares_;
  RingReader::Consume consume_;
  std::unique_ptr<RingReader> ring_;
  RingWait wait_;
};

}  // namespace sluice::bpf
