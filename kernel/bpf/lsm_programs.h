// Loads the programs of KubeArmor policies (bpf/lsm), attaches them to LSM hooks, and reads what they report.
// kernel/lsm writes the tables by which they decide.
//
//   auto programs = LsmPrograms::Load({.pin_root = root, .processes_fd = processes});
//   (*programs)->Attach({LsmSection::kFile});
//   while (...) { (*programs)->Wait(20ms); (*programs)->Drain(consume); }
//
// With a pin root, attached programs stay attached when this object is destroyed, with their tables, until EndOthers of
// the next one. Attach, Keep and EndOthers from one thread at a time; Wait and Drain from one; Wake from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "bpf/abi/hook.h"
#include "bpf/abi/lsm.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/ring_reader.h"
#include "kernel/bpf/ring_wait.h"

struct lsm_bpf;

namespace sluice::bpf {

struct LsmProgramOptions {
  std::string pin_root;                 // empty: nothing is pinned (tests)
  int processes_fd = -1;                // the process sensors' map; -1: one of its own, which stays empty
  std::uint32_t ring_bytes = 4U << 20;  // a power of two, at least a page; mapped twice, so RSS counts it double
};

// What programs are attached for.
enum class LsmSection { kProcess, kFile, kNetwork, kCapabilities, kSystemCalls, kCodeMappings };

// OK, or FailedPrecondition that names what this kernel lacks.
Status CheckLsm();

class LsmPrograms {
 public:
  // FailedPrecondition names the kernel's missing feature, or has the verifier's last lines; PermissionDenied.
  static StatusOr<std::unique_ptr<LsmPrograms>> Load(const LsmProgramOptions& options);
  ~LsmPrograms();
  LsmPrograms(const LsmPrograms&) = delete;
  LsmPrograms& operator=(const LsmPrograms&) = delete;

  // Attaches what these sections need and is not attached yet. After an error nothing is changed.
  Status Attach(const std::set<LsmSection>& sections);
  // Detaches what none of these sections needs.
  Status Keep(const std::set<LsmSection>& sections);
  // Ends what earlier agents left attached.
  Status EndOthers() const;
  static Status EndEarlier(const std::string& pin_root);  // the same where nothing is loaded

  // Passes on all pending records; returns how many.
  int Drain(const RingReader::Consume& consume);
  // Returns when the ring fills up, Wake is called, or the time is over.
  void Wait(std::chrono::milliseconds timeout) const { wait_.Wait(timeout); }
  void Wake() const { wait_.Wake(); }

  // To call after a change of hook_cgroups or hook_netns: the programs then look subjects up anew. `subjects`: how many
  // there are; each gets a share of the ring.
  Status SubjectsChanged(std::uint32_t subjects);
  StatusOr<sl_lsm_progress> Progress() const;
  std::uint64_t bytes() const;                // kernel memory of all maps
  int map_fd(const std::string& name) const;  // -1: no such map

 private:
  struct Attached {
    Fd link;
    std::string pin;  // empty: none
  };

  explicit LsmPrograms(lsm_bpf* skeleton) : skeleton_(skeleton) {}
  Status LoadObject(const LsmProgramOptions& options);
  StatusOr<Attached> AttachOne(const std::string& name) const;
  static Status End(Attached attached);

  lsm_bpf* skeleton_;
  std::string pin_root_;
  std::string life_dir_;
  std::map<std::string, Attached> attached_;  // by program
  std::uint32_t subjects_epoch_ = 0;
  Map<std::uint32_t, sl_hook_settings> settings_;
  Map<std::uint32_t, sl_lsm_progress> progress_;
  RingReader::Consume consume_;
  std::unique_ptr<RingReader> ring_;
  RingWait wait_;
};

}  // namespace sluice::bpf
