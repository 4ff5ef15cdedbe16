// The policy tables in the kernel: two epochs, and the generation number, whose lowest bit says which is in force.
//
// A commit edits the epoch that is not in force and then stores the next number. A while later the other epoch is made
// the same (Settle), so that no policy of the past can come back. What is expected is kept here: Check compares the
// kernel with it, and repairs. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/packet_programs.h"
#include "kernel/datapath/epoch_table.h"
#include "kernel/datapath/process_classes.h"
#include "policy/network/tables.h"

namespace sluice::datapath {

class PolicyEpochs {
 public:
  ~PolicyEpochs();

  // `object` and `classes` outlive this. Reads what an earlier process left: the first Commit then changes only what
  // differs. Once.
  Status Open(const bpf::DatapathObject& object, const bpf::ObjectOptions& options, HashSeeds seeds,
              ProcessClasses* classes);

  // Flows were decided under that number, which must not be above the one in force: they would not be decided again.
  void Pass(std::uint64_t decided);

  // What the epochs hold is not to be relied on: the next commits make them anew.
  void Distrust();

  // Puts `tables` in force as one generation. Returns when no packet is evaluated by an older one any more. After an
  // error the generation before is in force.
  Status Commit(const policy::Tables& tables);
  std::uint64_t generation() const;  // in force, as this process put it

  // Makes the other epoch as the one in force; nothing to do most times.
  Status Settle();

  // The number in the kernel is what it should be, or is made so. Returns whether it had to be.
  StatusOr<bool> RepairGeneration();
  // Likewise for all that the tables hold. Reads all of them.
  StatusOr<bool> RepairTables();

  struct Usage {
    std::uint64_t addresses = 0, prefixes = 0, peers = 0, ports = 0, process_verdicts = 0;  // of all epochs
    std::vector<std::uint32_t> endpoints;  // of the epoch in force, ascending
  };
  Usage usage() const;
  // Numbers of the local workloads that the generation in force knows, also one of an earlier process; by ifindex.
  std::map<std::uint32_t, std::uint32_t> endpoints_in_force() const;
  std::uint64_t address_capacity() const { return addresses_.capacity(); }
  std::uint64_t peer_capacity() const { return peers_.capacity(); }
  std::uint64_t prefix_capacity() const { return prefixes_.capacity(); }
  std::uint64_t port_capacity() const { return std::uint64_t{options_.epoch_ports} * SL_EPOCHS; }
  std::uint64_t process_verdict_capacity() const { return process_verdicts_.capacity(); }

 private:
  std::uint32_t in_force() const { return generation() % SL_EPOCHS; }
  Status Read();
  Status Make(std::uint32_t epoch, const policy::Tables& tables);
  Status Edit(std::uint32_t epoch, const policy::Tables& tables);
  Status Erase(std::uint32_t epoch);
  StatusOr<bool> Holds(std::uint32_t epoch) const;
  StatusOr<bool> HoldsPrefixes(std::uint32_t epoch) const;
  StatusOr<bool> HoldsPorts(std::uint32_t epoch) const;
  StatusOr<bool> HoldsProcessVerdicts(std::uint32_t epoch) const;
  void Switch(std::uint64_t generation);
  void FollowStored();
  void PutAbove(std::uint64_t other);
  void NoteUsage();

  mutable std::mutex mutex_;
  bpf::ObjectOptions options_;
  bpf::Map<sl_prefix_key, sl_prefix_value> prefixes_;
  bpf::Map<__u32, sl_port_entry> ports_;
  bpf::Map<__u32, sl_process_verdict> process_verdicts_;
  AddressTable addresses_;
  PeerTable peers_;
  ProcessClasses* classes_ = nullptr;
  bpf::PacketPrograms packet_programs_;
  std::uint64_t* stored_ = nullptr;  // the kernel's generation, mapped
  std::atomic<std::uint64_t> generation_{0};
  policy::Tables epochs_[SL_EPOCHS];  // what the kernel holds
  bool epoch_known_[SL_EPOCHS] = {};  // false: an edit was cut short
  bool committed_ = false;            // by this process
  bool was_moved_ = false;            // the number, by somebody else; since RepairGeneration said so last
  mutable std::mutex usage_mutex_;    // readers must not wait for a commit
  Usage usage_;                       // by usage_mutex_, as the following
  std::map<std::uint32_t, std::uint32_t> endpoints_in_force_;
};

}  // namespace sluice::datapath
